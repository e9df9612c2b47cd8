"""`run_tools` on a real server: complete turns, broken connections, client tools beside those that need approval."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any, Final

import httpx
import pytest

from letta_ext import APIConnectionError, LettaError, PendingApprovalError, RetryPolicy
from letta_ext.tools import ToolResult

from ..client.helpers import NO_RETRIES
from ..stress.figures import FULL, figure
from ..tools.turns import ClientDriver, Weather, kinds, returns
from .proxy import LOST, Fault, Proxy, proxied, random_fault
from .reading import SIX_WORDS
from .server_resources import Agent, ServerResources

INTERRUPTED_TURNS: Final = 60 if FULL else 4
"""Turns that are interrupted repeatedly."""


@pytest.fixture(params=["sync", "async"])
def driver(request: pytest.FixtureRequest) -> Iterator[ClientDriver]:
    driver = ClientDriver(is_async=request.param == "async")
    yield driver
    driver.close()


@pytest.fixture
def proxy(address: str) -> Iterator[Proxy]:
    with proxied(address) as running:
        yield running


def begin(driver: ClientDriver, base_url: str, conversation: str, *tools: Any, **arguments: Any) -> Any:
    retry = arguments.pop("retry", RetryPolicy(max_retries=3, initial_delay=0.05))
    client = driver.client(base_url=base_url, retry=retry)
    return client.conversations.messages.run_tools(conversation, tools=tools, **arguments)


def stored_messages(driver: ClientDriver, base_url: str, conversation: str) -> list[Any]:
    client = driver.client(base_url=base_url)
    return driver.items(client.conversations.messages.list(conversation, order="asc", limit=100))


def finish(driver: ClientDriver, turn: Any, attempts: int = 50) -> ToolResult:
    """Run a turn until it completes."""
    for _ in range(attempts):
        try:
            found: ToolResult = driver.run(turn.result())
        except (APIConnectionError, httpx.HTTPError):
            continue
        return found
    raise AssertionError("the turn did not complete")


@pytest.mark.parametrize("background", [True, False])
@pytest.mark.parametrize("stream_tokens", [True, False])
def test_run_tools_completes_turn_with_parallel_tools(
    driver: ClientDriver, address: str, conversation: str, *, background: bool, stream_tokens: bool
) -> None:
    """A turn runs parallel tools and stores their results."""
    tool = Weather()

    def local_time(city: str) -> dict[str, Any]:
        """Return the time."""
        return {"city": city, "noon": True}

    found = driver.run(
        begin(
            driver,
            address,
            conversation,
            tool.weather,
            local_time,
            input="CALL weather local_time",
            background=background,
            stream_tokens=stream_tokens,
        ).result()
    )

    assert tool.cities == ["Paris"]
    assert (found.rounds, found.stop_reason.stop_reason) == (2, "end_turn")
    assert str(found.messages[-1].content).strip() == SIX_WORDS
    stored = stored_messages(driver, address, conversation)
    assert returns(stored) == [("success", "sunny in Paris"), ("success", '{"city": "Paris", "noon": true}')]
    assert kinds(stored).count("user") == 1


@pytest.mark.parametrize("value", ["", "a\0b\ud800c", b"bytes", None, {"deep": [[{"a": {"b": None}}]]}], ids=repr)
def test_run_tools_stores_any_tool_result_as_text(address: str, conversation: str, value: Any) -> None:
    """Any return value is stored as its text form."""
    driver = ClientDriver(is_async=False)
    found = driver.run(
        begin(driver, address, conversation, Weather(lambda _: value).weather, input="CALL weather").result()
    )
    assert found.stop_reason.stop_reason == "end_turn"
    ((status, text),) = returns(stored_messages(driver, address, conversation))
    assert (status, text) == ("success", found.tool_runs[0].tool_return)
    driver.close()


def test_run_tools_stores_tool_exception_as_error(driver: ClientDriver, address: str, conversation: str) -> None:
    """An exception of a tool is stored as an error result."""

    def fail(_: str) -> str:
        raise OSError("the sky fell\0")

    driver.run(begin(driver, address, conversation, Weather(fail).weather, input="CALL weather").result())
    assert returns(stored_messages(driver, address, conversation)) == [
        ("error", "weather failed: OSError: the sky fell\ufffd")
    ]


@pytest.mark.parametrize("stream_tokens", [True, False])
def test_run_tools_with_denied_approval_runs_client_tool_only(
    driver: ClientDriver, address: str, conversation: str, agent: Agent, *, stream_tokens: bool
) -> None:
    """A denied server tool and a client tool in one request both get results."""
    tool = Weather()
    found = driver.run(
        begin(
            driver,
            address,
            conversation,
            tool.weather,
            approve=lambda _: (False, "not today"),
            input=f"CALL weather {agent.guarded}",
            stream_tokens=stream_tokens,
        ).result()
    )
    assert (found.rounds, tool.cities, len(found.decisions)) == (2, ["Paris"], 1)
    noted = sorted(returns(stored_messages(driver, address, conversation)))
    assert [status for status, _ in noted] == ["error", "success"]
    assert "not today" in noted[0][1]
    assert noted[1][1] == "sunny in Paris"


def test_run_tools_with_approval_runs_server_tool(address: str, conversation: str, agent: Agent) -> None:
    """An approved server tool runs."""
    driver = ClientDriver(is_async=True)

    async def approve(call: Any) -> bool:
        return bool(call.name == agent.guarded)

    found = driver.run(begin(driver, address, conversation, approve=approve, input=f"CALL {agent.guarded}").result())
    assert [decision.approve for decision in found.decisions] == [True]
    assert returns(stored_messages(driver, address, conversation)) == [("success", "allowed in Paris")]
    driver.close()


def test_run_tools_without_approve_raises_pending_approval_error(
    driver: ClientDriver, address: str, conversation: str, agent: Agent
) -> None:
    """Without `approve`, a tool that requires approval raises."""
    turn = begin(driver, address, conversation, Weather().weather, input=f"CALL weather {agent.guarded}")
    with pytest.raises(PendingApprovalError, match=agent.guarded) as refused:
        driver.run(turn.result())
    assert refused.value.pending_request_id == stored_messages(driver, address, conversation)[-1].id
    with pytest.raises(PendingApprovalError):
        driver.run(begin(driver, address, conversation, input="another").result())


def check(driver: ClientDriver, address: str, conversation: str, tool: Weather, found: ToolResult) -> None:
    assert tool.cities == ["Paris"]
    stored = stored_messages(driver, address, conversation)
    assert kinds(stored).count("user") == 1
    assert kinds(stored).count("approval_response") == 1
    assert returns(stored) == [("success", "sunny in Paris")]
    assert (found.rounds, found.stop_reason.stop_reason) == (2, "end_turn")
    assert str(stored[-1].content).strip() == SIX_WORDS


@pytest.mark.parametrize("which", [0, 1])
@pytest.mark.parametrize("fault", [LOST, Fault(forward=300), Fault(response=500), Fault(response=1200)])
def test_interrupted_background_turn_runs_tool_once_and_keeps_result(
    driver: ClientDriver, address: str, conversation: str, proxy: Proxy, which: int, fault: Fault
) -> None:
    """A broken connection neither loses the result nor repeats the tool."""
    proxy.plan.extend([Fault()] * which + [fault])
    tool = Weather()
    arguments = {"input": "CALL weather", "stream_tokens": True, "retry": NO_RETRIES}
    found = finish(driver, begin(driver, proxy.base_url, conversation, tool.weather, **arguments))
    proxy.settle()
    check(driver, address, conversation, tool, found)


@pytest.mark.parametrize("which", [0, 1])
def test_interrupted_foreground_turn_completes(
    driver: ClientDriver, address: str, conversation: str, proxy: Proxy, which: int
) -> None:
    """A foreground turn that is interrupted after its first event completes."""
    proxy.plan.extend([Fault()] * which + [Fault(response=450)])  # after the first event, which has the run id
    tool = Weather()
    arguments = {"input": "CALL weather", "background": False, "retry": NO_RETRIES}
    found = driver.run(begin(driver, proxy.base_url, conversation, tool.weather, **arguments).result())
    proxy.settle()
    check(driver, address, conversation, tool, found)


def test_foreground_turn_interrupted_before_first_event_raises(
    driver: ClientDriver, address: str, conversation: str, proxy: Proxy
) -> None:
    """A foreground turn without a run id raises, and again on each further call."""
    proxy.plan.extend([Fault(), LOST])
    tool = Weather()
    turn = begin(driver, proxy.base_url, conversation, tool.weather, input="CALL weather", background=False)
    with pytest.raises(APIConnectionError):
        driver.run(turn.result())
    with pytest.raises(LettaError, match="may have been processed"):
        driver.run(turn.result())
    proxy.settle()
    assert returns(stored_messages(driver, address, conversation)) == [("success", "sunny in Paris")]
    assert tool.cities == ["Paris"]


@pytest.mark.stress
def test_randomly_interrupted_turns_run_tool_once_and_keep_result(
    driver: ClientDriver, address: str, resources: ServerResources, agent: Agent, proxy: Proxy
) -> None:
    """Random faults neither lose a result nor repeat a tool or a message."""
    chance = random.Random(20_240_611)
    cut = 0
    for _ in range(INTERRUPTED_TURNS):
        conversation, tool = resources.conversation(agent.id), Weather()
        proxy.plan.extend(random_fault(chance, 2500) for _ in range(chance.randrange(1, 9)))
        planned = len(proxy.plan)
        retry = RetryPolicy(max_retries=chance.randrange(3), initial_delay=0.02)
        tokens = chance.random() < 0.5
        turn = begin(
            driver, proxy.base_url, conversation, tool.weather, input="CALL weather", stream_tokens=tokens, retry=retry
        )
        found = finish(driver, turn)
        cut += planned - len(proxy.plan)
        proxy.plan.clear()
        proxy.settle()
        check(driver, address, conversation, tool, found)
    figure(
        "turns with tools, interrupted",
        f"turns {INTERRUPTED_TURNS}, faults {cut}, results lost 0, tools run twice 0, sent twice 0",
    )
