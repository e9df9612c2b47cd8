"""Conversations with the embedded server that reports are made of."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Final, TypedDict

from letta_api.models import ApprovalRequestMessage
from letta_ext import Letta, RunError
from letta_ext.report import ModelPrice, PriceTable
from letta_ext.testing import Call, EmbeddedServer, Turn, Usage

PRICES = PriceTable(
    {
        "openai/gpt-4o-mini": ModelPrice(Decimal("0.15"), Decimal("0.60"), cached_input=Decimal("0.075")),
        "anthropic/claude-sonnet-5": ModelPrice(Decimal(2), Decimal(10), Decimal("0.2"), Decimal("2.5")),
    },
    source="prices of this scenario",
    date="2026-01-01",
)
CREATED: Final = datetime(2026, 1, 5, tzinfo=UTC)


class Bounds(TypedDict):
    """The bounds of a period."""

    start_date: str
    end_date: str


DAY: Final[Bounds] = {"start_date": "2026-01-01", "end_date": "2026-01-02"}


def write_script(server: EmbeddedServer) -> None:
    """Script the agent of the travel scenario."""
    script = server.script
    script.when(
        "Rome",
        Turn(
            "I look up the weather first.",
            reasoning="The user plans a day in Rome. The weather decides between the museum and the park.",
            calls=[Call("get_weather", {"city": "Rome", "days": 2, "units": "metric"})],
            usage=Usage(prompt=1840, completion=96, cached=1024, reasoning=48),
        ),
        Turn(
            "It is sunny in Rome, with 24 °C. Start with a walk on the Palatine Hill before ten, while it is quiet. "
            "The Borghese Gallery is a good choice for the hot hours after lunch.",
            usage=Usage(prompt=2010, completion=142, cached=1792),
        ),
    )
    script.when(
        "Book",
        Turn(
            reasoning="A booking costs money, so it needs an approval.",
            calls=[Call("guarded", {"city": "Rome", "museum": "Borghese Gallery", "time": "14:00", "tickets": 2})],
            usage=Usage(prompt=2230, completion=61, cached=1920),
        ),
        Turn("Two tickets for 14:00 are booked.", usage=Usage(prompt=2390, completion=24, cached=2176)),
    )
    script.when("overloaded", Turn(fail=429))
    script.tools["get_weather"] = lambda arguments: (
        f'{{"city": "{arguments["city"]}", "forecast": [{{"day": "today", "sky": "sunny", "high": 24}}]}}'
    )
    script.tools["guarded"] = lambda arguments: f"Booked {arguments['museum']} at {arguments['time']}."


def start_conversation(client: Letta, model: str = "openai/gpt-4o-mini", name: str = "Guide") -> tuple[str, str]:
    """Create an agent with the tools of the server, and return its id and that of a conversation."""
    tools = client.get("/v1/tools/")
    agent = client.agents.create(name=name, model=model, tool_ids=[tool["id"] for tool in tools])
    return agent.id, client.conversations.create(agent_id=agent.id).id


def send(client: Letta, conversation_id: str, text: str) -> str:
    """Send a message and return the id of its run, which may fail."""
    with (
        client.conversations.messages.create(conversation_id, input=text, background=True) as stream,
        suppress(RunError),
    ):
        for _ in stream:
            pass
    assert stream.run_id is not None
    return stream.run_id


def approve(client: Letta, conversation_id: str, run_id: str) -> str:
    """Approve the calls that a run requested, and return the id of the next run."""
    request = [each for each in client.runs.messages.list(run_id) if isinstance(each, ApprovalRequestMessage)][-1]
    call_id = request.tool_call.tool_call_id or ""
    stream = client.conversations.messages.create(
        conversation_id,
        messages=[{"type": "approval", "approvals": [{"type": "approval", "tool_call_id": call_id, "approve": True}]}],
        background=True,
    )
    with stream:
        for _ in stream:
            pass
    assert stream.run_id is not None
    return stream.run_id


def travel(server: EmbeddedServer, client: Letta) -> dict[str, str]:
    """Play the travel scenario, and return the ids of its runs by name."""
    write_script(server)
    _, conversation_id = start_conversation(client)
    runs = {"tool": send(client, conversation_id, "What should we do tomorrow in Rome?")}
    server.state.clock.advance(timedelta(minutes=47))
    runs["pending"] = send(client, conversation_id, "Book two tickets for the gallery at two.")
    server.state.clock.advance(timedelta(minutes=6, seconds=12))
    runs["approved"] = approve(client, conversation_id, runs["pending"])
    server.state.clock.advance(timedelta(hours=3))
    _, other = start_conversation(client, "anthropic/claude-sonnet-5", "Editor")
    runs["plain"] = send(client, other, "Hello")
    runs["failed"] = send(client, other, "Are you overloaded?")
    return runs
