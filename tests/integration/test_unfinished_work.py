"""What an interrupted program leaves on a real server: active runs, and calls that nothing has answered."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from letta_ext import Letta, PendingApprovalError
from letta_ext.tools import PendingRequest

from ..client.interrupted_program import INTERRUPTED, interrupt_program
from ..client.test_bad_input import USELESS
from ..tools.killed_program import run_until_killed
from ..tools.turns import ClientDriver, Weather, returns
from .server_resources import Agent


@pytest.fixture(params=["sync", "async"])
def driver(request: pytest.FixtureRequest) -> Iterator[ClientDriver]:
    driver = ClientDriver(is_async=request.param == "async")
    yield driver
    driver.close()


@pytest.fixture(params=["conversation", "default", "agent"])
def place(request: pytest.FixtureRequest, conversation: str, own_agent: Agent) -> tuple[str, str, dict[str, Any]]:
    """Return the id of a conversation, the name of a tool that needs approval, and further arguments."""
    if request.param == "conversation":
        return conversation, request.getfixturevalue("agent").guarded, {}
    direct = {"agent_id": own_agent.id} if request.param == "default" else {}
    return ("default" if direct else own_agent.id), own_agent.guarded, direct


def leave(driver: ClientDriver, client: Any, conversation: str, text: str, **arguments: Any) -> None:
    """Send a message whose calls are left pending."""
    turn = client.conversations.messages.run_tools(conversation, tools=[Weather().weather], input=text, **arguments)
    driver.drain(turn, lambda event: event.message_type == "stop_reason")


@pytest.mark.parametrize("kind", INTERRUPTED)
def test_signal_cancels_run_of_program(address: str, conversation: str, kind: str) -> None:
    """Ctrl+C in a program that reads a stream cancels its run."""
    run_id = interrupt_program(kind, address, conversation)
    with Letta(base_url=address) as client:
        assert client.runs.wait(run_id).status == "cancelled"


def test_wait_returns_ended_run(driver: ClientDriver, address: str, conversation: str) -> None:
    """A run whose stream was left is polled until it is completed."""
    client = driver.client(base_url=address)
    stream = driver.run(client.conversations.messages.create(conversation, input="LONG 30", background=True))
    driver.drain(stream, lambda _: True)
    run = driver.run(client.runs.wait(stream.run_id))
    assert (run.status, run.stop_reason) == ("completed", "end_turn")


@pytest.mark.parametrize("name", [name for name, (_, given, _) in USELESS.items() if "extra_body" not in given])
def test_send_that_is_refused_locally_is_rejected_by_server(
    address: str, conversation: str, agent: Agent, name: str
) -> None:
    """Each send that is not sent would be an error on the server."""
    place, body, _ = USELESS[name]
    where = {"default": "default", "agent-1": agent.id}.get(place, conversation)
    body = {key: agent.id if key == "agent_id" and value else value for key, value in body.items()}
    with httpx.Client(base_url=address, timeout=60) as http:
        assert http.post(f"/v1/conversations/{where}/messages", json=body).status_code in (404, 422)


def test_pending_calls_are_found_and_continued(
    driver: ClientDriver, address: str, place: tuple[str, str, dict[str, Any]]
) -> None:
    """Calls of client tools and of guarded tools are listed, carried by errors, and continued by another turn."""
    conversation, guarded, given = place
    client, tool = driver.client(base_url=address), Weather()
    messages = client.conversations.messages
    assert driver.run(messages.pending(conversation, **given)) is None
    leave(driver, client, conversation, f"CALL weather {guarded}", **given)
    found = driver.run(messages.pending(conversation, **given))
    assert isinstance(found, PendingRequest)
    assert [call.name for call in found.calls] == ["weather", guarded]
    for how in ({"streaming": False}, {"streaming": True}, {"background": True}):
        with pytest.raises(PendingApprovalError) as caught:
            _ = driver.items(driver.run(messages.create(conversation, input="hi", **how, **given)))
        assert (caught.value.pending_request_id, caught.value.calls) == (found.id, found.calls)
    turn = messages.run_tools(conversation, tools=[tool.weather], approve=lambda _: True, **given)
    result = driver.run(turn.result())
    assert (tool.cities, result.rounds, result.stop_reason.stop_reason) == (["Paris"], 1, "end_turn")
    assert driver.run(messages.pending(conversation, **given)) is None


def test_denied_calls_free_conversation(
    driver: ClientDriver, address: str, place: tuple[str, str, dict[str, Any]]
) -> None:
    """After a denial the conversation accepts messages again."""
    conversation, guarded, given = place
    client = driver.client(base_url=address)
    messages = client.conversations.messages
    leave(driver, client, conversation, f"CALL weather {guarded}", **given)
    result = driver.run(messages.deny_pending(conversation, reason="gone", **given))
    assert [decision.approve for decision in result.decisions] == [False, False]
    stored = returns(driver.items(messages.list(conversation, order="asc", **given)))
    assert [(status, "gone" in text) for status, text in stored] == [("error", True)] * 2
    driver.run(messages.create(conversation, input="hi", streaming=False, **given))


def test_results_that_are_being_processed_are_awaited(driver: ClientDriver, address: str, conversation: str) -> None:
    """A turn that ended after its results were sent is continued without running a tool again."""
    client, first, second = driver.client(base_url=address), Weather(), Weather()
    messages = client.conversations.messages
    turn = messages.run_tools(conversation, tools=[first.weather], input="CALL weather LONG 40", stream_tokens=True)
    driver.drain(turn, lambda event: bool(first.cities) and event.message_type == "assistant_message")
    result = driver.run(messages.run_tools(conversation, tools=[second.weather]).result())
    assert (first.cities, second.cities, result.rounds) == (["Paris"], [], 0)
    driver.run(messages.create(conversation, input="hi", streaming=False))


def test_program_killed_in_tool_is_continued(driver: ClientDriver, address: str, conversation: str) -> None:
    """A process that is killed while its tool runs leaves a conversation that another process continues."""
    run_until_killed(address, conversation)
    client, tool = driver.client(base_url=address), Weather()
    result = driver.run(client.conversations.messages.run_tools(conversation, tools=[tool.weather]).result())
    assert (tool.cities, result.stop_reason.stop_reason) == (["Paris"], "end_turn")
