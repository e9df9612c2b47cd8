"""Turns: requests, tool runs, approvals and results."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from letta_api.models import TextContent
from letta_ext import ConversationBusyError, NotFoundError, PendingApprovalError, RunError
from letta_ext.errors import TooManyRoundsError
from letta_ext.testing import EmbeddedServer, ToolResult, Turn
from letta_ext.testing.engine.agent import Call
from letta_ext.tools import Tool

from .turns import ClientDriver, Weather, begin, kinds, listed, result, returns

WORDS = "Hello! How can I help you?"


def last_text(messages: list[Any]) -> str:
    return str(messages[-1].content).strip()


@pytest.mark.parametrize("background", [True, False])
@pytest.mark.parametrize("stream_tokens", [True, False])
def test_turn_tool_call_runs_and_sends_result(
    driver: ClientDriver, server: EmbeddedServer, *, background: bool, stream_tokens: bool
) -> None:
    """A called tool runs once, and its result is sent in a second round."""
    tool = Weather()
    found = result(
        driver, server, [tool.weather], input="CALL weather", background=background, stream_tokens=stream_tokens
    )

    assert tool.cities == ["Paris"]
    assert (found.rounds, found.stop_reason.stop_reason, found.decisions) == (2, "end_turn", [])
    (run,) = found.tool_runs
    assert (run.name, run.arguments, run.status, run.tool_return, run.error) == (
        "weather",
        '{"city": "Paris"}',
        "success",
        "sunny in Paris",
        None,
    )
    assert kinds(found.messages)[0] == "approval_request"
    assert last_text(found.messages) == WORDS
    assert found.usage.step_count == 2
    assert returns(listed(driver, server)) == [("success", "sunny in Paris")]


def test_turn_without_tool_call_ends_after_one_round(driver: ClientDriver, server: EmbeddedServer) -> None:
    """A turn without tool calls has one round."""
    found = result(driver, server, [Weather().weather], input="hi")
    assert (found.rounds, found.tool_runs, kinds(found.messages)) == (1, [], ["assistant"])


def test_turn_iteration_yields_events_or_messages(driver: ClientDriver, server: EmbeddedServer) -> None:
    """A turn yields its events, and `messages()` its complete messages."""
    events = driver.items(begin(driver, server, [Weather().weather], input="CALL weather", stream_tokens=True))
    reasons = [event.stop_reason for event in events if event.message_type == "stop_reason"]
    assert reasons == ["requires_approval", "end_turn"]
    assert sum(event.message_type == "assistant_message" for event in events) == 6

    messages = driver.items(begin(driver, server, [Weather().weather], input="CALL weather").messages())
    assert kinds(messages) == ["approval_request", "tool_return", "assistant"]


def test_turn_parallel_calls_are_sent_in_one_request(driver: ClientDriver, server: EmbeddedServer) -> None:
    """The results of all calls of a round are sent in one request."""

    def local_time(city: str) -> str:
        return f"noon in {city}"

    found = result(driver, server, [Weather().weather, local_time], input="CALL weather local_time")
    assert found.rounds == 2
    assert [run.tool_return for run in found.tool_runs] == ["sunny in Paris", "noon in Paris"]
    assert returns(listed(driver, server)) == [("success", "sunny in Paris"), ("success", "noon in Paris")]


def test_turn_several_rounds_run_each_call(driver: ClientDriver, server: EmbeddedServer) -> None:
    """Each round runs its call, and usage is added up."""
    server.state.script.say(*(Turn(calls=[Call("weather", {"city": city})]) for city in ("Rome", "Oslo", "Bern")))
    tool = Weather()
    found = result(driver, server, [tool.weather], input="go")
    assert tool.cities == ["Rome", "Oslo", "Bern"]
    assert (found.rounds, found.usage.step_count) == (4, 4)


def test_turn_call_ids_repeated_across_rounds_run_each_call(driver: ClientDriver, server: EmbeddedServer) -> None:
    """Call ids can repeat in later rounds, since some models restart them."""
    server.state.script.say(*(Turn(calls=[Call("weather", {"city": city}, id="call_0")]) for city in ("Rome", "Oslo")))
    tool = Weather()
    found = result(driver, server, [tool.weather], input="go")
    assert tool.cities == ["Rome", "Oslo"]
    assert [run.tool_return for run in found.tool_runs] == ["sunny in Rome", "sunny in Oslo"]


def test_turn_duplicate_call_ids_in_one_round_raise(driver: ClientDriver, server: EmbeddedServer) -> None:
    """Two calls with one id in a round raise, and no tool runs."""
    server.state.script.say(Turn(calls=[Call("weather", id="call_0"), Call("weather", {"city": "Oslo"}, id="call_0")]))
    tool = Weather()
    with pytest.raises(PendingApprovalError, match=r"weatherweather \(call_0\)"):
        result(driver, server, [tool.weather], input="go")
    assert tool.cities == []


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (Call("weather", {}), "weather was not run: city is missing"),
        (Call("weather", {"city": 1}), "weather was not run: city must be a string, got 1"),
        (Call("weather", {"city": "x", "zip": "1"}), "weather was not run: zip is unknown; the known names are city"),
        (Call("elsewhere"), "elsewhere is not a client-side tool; the client-side tools are: weather."),
    ],
)
def test_turn_invalid_call_sends_error_result(
    driver: ClientDriver, server: EmbeddedServer, call: Call, message: str
) -> None:
    """An unknown tool or invalid arguments become an error result."""
    server.state.script.say(Turn(calls=[call]))
    elsewhere = {"name": "elsewhere", "description": "Not here.", "parameters": {"type": "object", "properties": {}}}
    tool = Weather()
    found = result(driver, server, [tool.weather], input="go", client_tools=[elsewhere])
    assert tool.cities == []
    assert found.stop_reason.stop_reason == "end_turn"
    assert returns(listed(driver, server)) == [("error", message)]
    assert found.tool_runs[0].status == "error"
    assert found.tool_runs[0].stderr != ()


def test_turn_tool_exception_sends_error_result(driver: ClientDriver, server: EmbeddedServer) -> None:
    """An exception of a tool becomes an error result without the traceback."""
    fault = KeyError("no such\ncity")

    def raising(_: str) -> None:
        raise fault

    found = result(driver, server, [Weather(raising).weather], input="CALL weather")
    (run,) = found.tool_runs
    assert (run.status, run.error) == ("error", fault)
    assert run.tool_return == "weather failed: KeyError: 'no such\\ncity'"
    assert __file__ not in str(run.to_param())
    assert returns(listed(driver, server)) == [("error", run.tool_return)]


def test_turn_content_parts_are_sent_unchanged(driver: ClientDriver, server: EmbeddedServer) -> None:
    """A tool can return content parts."""
    result(driver, server, [Weather(lambda city: [TextContent(text=city)]).weather], input="CALL weather")
    [(status, [part])] = returns(listed(driver, server))
    assert (status, part.text) == ("success", "Paris")


def test_turn_async_tools_run_concurrently() -> None:
    """Async tools of one round run concurrently."""
    driver = ClientDriver(is_async=True)
    meeting: list[asyncio.Event] = []

    async def one(city: str) -> str:
        meeting[0].set()
        await meeting[1].wait()
        return f"one in {city}"

    async def two(city: str) -> str:
        meeting[1].set()
        await meeting[0].wait()
        return f"two in {city}"

    def three(city: str) -> Any:
        async def inner() -> str:
            return f"three in {city}"

        return inner()

    async def go(server: EmbeddedServer) -> Any:
        meeting[:] = [asyncio.Event(), asyncio.Event()]
        return await begin(driver, server, [one, two, three], input="CALL one two three").result()

    with EmbeddedServer() as server:
        found = driver.run(go(server))  # one and two wait for each other
        assert {run.tool_return for run in found.tool_runs} == {"one in Paris", "two in Paris", "three in Paris"}
        assert [text for _, text in returns(listed(driver, server))] == [
            "one in Paris",
            "two in Paris",
            "three in Paris",
        ]
    driver.close()


def test_turn_sync_tools_run_in_threads() -> None:
    """Sync tools of an async turn run concurrently in threads."""
    driver = ClientDriver(is_async=True)
    gate = threading.Barrier(2)

    def one(city: str) -> int:
        return len(city) + 0 * gate.wait(10)

    def two(city: str) -> int:
        return len(city) + 0 * gate.wait(10)

    with EmbeddedServer() as server:
        found = result(driver, server, [one, two], input="CALL one two")
    driver.close()
    assert [(run.status, run.tool_return) for run in found.tool_runs] == [("success", "5"), ("success", "5")]


def test_sync_turn_async_tool_or_callback_raises(server: EmbeddedServer) -> None:
    """A sync turn rejects async tools and callbacks, and reports an awaitable result to the model."""
    driver = ClientDriver(is_async=False)

    async def later(city: str) -> str:
        return city

    async def approve(_: Any) -> bool:
        return True

    with pytest.raises(TypeError, match="later must not be async in a sync client"):
        begin(driver, server, [later], input="hi")
    with pytest.raises(TypeError, match="approve must not be async in a sync client"):
        begin(driver, server, approve=approve, input="hi")

    def hidden(city: str) -> Any:
        return later(city)

    found = result(driver, server, [hidden], input="CALL hidden")
    assert found.tool_runs[0].tool_return == (
        "hidden failed: TypeError: hidden returned an awaitable, which requires AsyncLetta"
    )
    driver.close()


# Approvals.


@pytest.mark.parametrize(
    ("verdict", "approve", "reason"),
    [
        (True, True, None),
        (False, False, None),
        ((False, "not today"), False, "not today"),
        ((True, "why not"), True, "why not"),
    ],
)
def test_approval_callback_decides_the_call(
    driver: ClientDriver, server: EmbeddedServer, verdict: Any, approve: bool, reason: str | None
) -> None:
    """The approval callback receives the call, and its decision is sent."""
    server.state.script.tools["guarded"] = ToolResult("done")
    asked: list[Any] = []

    def decide(call: Any) -> Any:
        asked.append(call)
        return verdict

    async def decide_later(call: Any) -> Any:
        return decide(call)

    found = result(driver, server, approve=decide_later if driver.is_async else decide, input="CALL guarded")
    assert [(call.name, call.arguments) for call in asked] == [("guarded", '{"city": "Paris"}')]
    assert [(each.name, each.approve, each.reason) for each in found.decisions] == [("guarded", approve, reason)]
    ((status, text),) = returns(listed(driver, server))
    assert status == ("success" if approve else "error")
    assert approve or str(reason) in text


def test_approval_without_callback_raises_pending_approval(driver: ClientDriver, server: EmbeddedServer) -> None:
    """Without a callback a call that needs approval raises, and no tool runs."""
    tool = Weather()
    turn = begin(driver, server, [tool.weather], input="CALL guarded weather")
    for _ in range(2):
        with pytest.raises(PendingApprovalError, match="requires approval of guarded") as refused:
            driver.run(turn.result())
    assert refused.value.run_id
    assert refused.value.pending_request_id == listed(driver, server)[-1].id
    assert tool.cities == []

    with pytest.raises(PendingApprovalError):
        result(driver, server, [tool.weather], input="another")


def test_approval_callback_invalid_result_raises_and_is_called_again(
    driver: ClientDriver, server: EmbeddedServer
) -> None:
    """An invalid decision or an exception is raised, and the next attempt calls the callback again."""
    verdicts = ["yes", None, (True, 1), RuntimeError("gone"), True]

    def decide(_: Any) -> Any:
        verdict = verdicts.pop(0)
        if isinstance(verdict, Exception):
            raise verdict
        return verdict

    turn = begin(driver, server, approve=decide, input="CALL guarded")
    for _ in range(3):
        with pytest.raises(TypeError, match="approve must return a bool, or a bool and a reason"):
            driver.run(turn.result())
    with pytest.raises(RuntimeError, match="gone"):
        driver.run(turn.result())
    assert driver.run(turn.result()).rounds == 2


@pytest.mark.parametrize("stream_tokens", [True, False])
@pytest.mark.parametrize("approve", [True, False])
def test_turn_mixed_calls_are_sent_in_one_request(
    driver: ClientDriver, server: EmbeddedServer, *, stream_tokens: bool, approve: bool
) -> None:
    """Client-side, guarded and server-side calls of one round need one further request."""
    tool = Weather()
    found = result(
        driver,
        server,
        [tool.weather],
        approve=lambda _: approve,
        input="CALL get_time weather guarded",
        stream_tokens=stream_tokens,
    )
    assert (found.rounds, tool.cities, len(found.decisions)) == (2, ["Paris"], 1)
    noted = returns(listed(driver, server))
    assert len(noted) == 3
    assert [status for status, _ in noted].count("error") == (not approve)


# Limits and failures.


def test_turn_max_rounds_raises_too_many_rounds(driver: ClientDriver, server: EmbeddedServer) -> None:
    """More than `max_rounds` rounds raise, and the last calls are not run."""
    server.state.script.say(*[Turn(calls=[Call("weather")])] * 4)
    tool = Weather()
    turn = begin(driver, server, [tool.weather], input="go", max_rounds=2)
    for _ in range(2):
        with pytest.raises(TooManyRoundsError, match="The last calls were not run"):
            driver.run(turn.result())
    assert len(tool.cities) == 2


def test_turn_failed_run_raises_run_error_each_time(driver: ClientDriver, server: EmbeddedServer) -> None:
    """A failed run ends the turn, and each further attempt raises the same error."""
    server.state.script.say(Turn(calls=[Call("weather")]), Turn(fail=400))
    tool = Weather()
    turn = begin(driver, server, [tool.weather], input="go")
    for _ in range(2):
        with pytest.raises(RunError):
            driver.run(turn.result())
    assert tool.cities == ["Paris"]


def test_turn_error_response_raises_and_can_be_retried(driver: ClientDriver, server: EmbeddedServer) -> None:
    """An error response is raised, and the turn can be started again."""
    thread = server.state.thread(server.conversation_id, None)
    run = server.state.start_run(thread, background=True)
    server.state.lock(thread, "other", run)
    turn = begin(driver, server, [Weather().weather], input="CALL weather")
    with pytest.raises(ConversationBusyError):
        driver.run(turn.result())
    server.state.unlock(thread, run)
    assert driver.run(turn.result()).rounds == 2
    assert kinds(listed(driver, server)).count("user") == 1

    client = driver.client(base_url=server.base_url)
    with pytest.raises(NotFoundError):
        driver.run(
            client.conversations.messages.run_tools("conv-123e4567-e89b-42d3-8456-426614174000", input="x").result()
        )


def test_turn_invalid_argument_raises_before_sending(driver: ClientDriver, server: EmbeddedServer) -> None:
    """An invalid argument raises before a request is sent."""

    def weather(city: str) -> str:
        return city

    declared = Tool.from_function(weather).declaration()
    for arguments, fault, message in (
        ({"messages": []}, ValueError, "messages must be a list of at least one message"),
        ({"input": "a", "messages": []}, ValueError, "input and messages are mutually exclusive"),
        ({"input": "a", "max_rounds": -1}, ValueError, "max_rounds must be 0 or more, got -1"),
        ({"input": "a", "approve": 1}, TypeError, "approve must be a function, got 1"),
        ({"input": "a", "client_tools": [declared]}, ValueError, "'weather' is declared in client_tools and given"),
        ({"input": "a", "tools": [weather, weather]}, ValueError, "two tools are named 'weather'"),
    ):
        tools = arguments.pop("tools", [weather])
        with pytest.raises(fault, match=message):
            begin(driver, server, tools, **arguments)  # type: ignore[arg-type]  # values of mixed types
    assert server.state.runs == {}


def test_turn_return_types_hide_other_messages(driver: ClientDriver, server: EmbeddedServer) -> None:
    """Messages of types that were not requested are hidden, although the turn needs them."""
    asked: dict[str, Any] = {"input": "CALL weather", "include_return_message_types": ["assistant_message"]}
    tool = Weather()
    found = result(driver, server, [tool.weather], **asked)
    assert (tool.cities, kinds(found.messages)) == (["Paris"], ["assistant"])
    events = driver.items(begin(driver, server, [tool.weather], **asked))
    assert {event.message_type for event in events} <= {"ping", "assistant_message", "stop_reason", "usage_statistics"}


def test_turn_without_iteration_sends_nothing(driver: ClientDriver, server: EmbeddedServer) -> None:
    """Creating a turn sends no request."""
    turn = begin(driver, server, input="hi")
    assert server.state.runs == {}
    assert repr(turn) in (f"ToolTurn('{server.conversation_id}')", f"AsyncToolTurn('{server.conversation_id}')")
