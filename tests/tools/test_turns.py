"""A turn with tools: what is sent, what runs, what the caller gets."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from letta_api.models import TextContent
from letta_ext import ConversationBusyError, LettaError, NotFoundError, PendingApprovalError, RunError
from letta_ext.errors import TooManyRoundsError
from letta_ext.testing import EmbeddedServer, ToolResult, Turn
from letta_ext.testing.engine.agent import Call
from letta_ext.tools import Tool

from .turns import ClientDriver, Weather, begin, kinds, listed, result, returns

WORDS = "word0 word1 word2 word3 word4 word5"


def last_text(messages: list[Any]) -> str:
    return str(messages[-1].content).strip()


@pytest.mark.parametrize("background", [True, False])
@pytest.mark.parametrize("stream_tokens", [True, False])
def test_a_tool_runs_and_the_turn_goes_on(
    side: ClientDriver, server: EmbeddedServer, *, background: bool, stream_tokens: bool
) -> None:
    tool = Weather()
    found = result(
        side, server, [tool.weather], input="CALL weather", background=background, stream_tokens=stream_tokens
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
    assert returns(listed(side, server)) == [("success", "sunny in Paris")]


def test_no_tool_was_called(side: ClientDriver, server: EmbeddedServer) -> None:
    found = result(side, server, [Weather().weather], input="hi")
    assert (found.rounds, found.tool_runs, kinds(found.messages)) == (1, [], ["assistant"])


def test_events_and_messages_as_they_come(side: ClientDriver, server: EmbeddedServer) -> None:
    events = side.items(begin(side, server, [Weather().weather], input="CALL weather", stream_tokens=True))
    reasons = [event.stop_reason for event in events if event.message_type == "stop_reason"]
    assert reasons == ["requires_approval", "end_turn"]
    assert sum(event.message_type == "assistant_message" for event in events) == 6

    messages = side.items(begin(side, server, [Weather().weather], input="CALL weather").messages())
    assert kinds(messages) == ["approval_request", "tool_return", "assistant"]


def test_all_calls_of_a_round_are_answered_at_once(side: ClientDriver, server: EmbeddedServer) -> None:
    def local_time(city: str) -> str:
        return f"noon in {city}"

    found = result(side, server, [Weather().weather, local_time], input="CALL weather local_time")
    assert found.rounds == 2
    assert [run.tool_return for run in found.tool_runs] == ["sunny in Paris", "noon in Paris"]
    assert returns(listed(side, server)) == [("success", "sunny in Paris"), ("success", "noon in Paris")]


def test_several_rounds(side: ClientDriver, server: EmbeddedServer) -> None:
    server.state.script.say(*(Turn(calls=[Call("weather", {"city": city})]) for city in ("Rome", "Oslo", "Bern")))
    tool = Weather()
    found = result(side, server, [tool.weather], input="go")
    assert tool.cities == ["Rome", "Oslo", "Bern"]
    assert (found.rounds, found.usage.step_count) == (4, 4)


def test_call_ids_that_begin_anew_in_every_round(side: ClientDriver, server: EmbeddedServer) -> None:
    """Some models number their calls in each turn from zero."""
    server.state.script.say(*(Turn(calls=[Call("weather", {"city": city}, id="call_0")]) for city in ("Rome", "Oslo")))
    tool = Weather()
    found = result(side, server, [tool.weather], input="go")
    assert tool.cities == ["Rome", "Oslo"]
    assert [run.tool_return for run in found.tool_runs] == ["sunny in Rome", "sunny in Oslo"]


def test_nothing_runs_where_two_calls_of_a_round_have_one_id(side: ClientDriver, server: EmbeddedServer) -> None:
    server.state.script.say(Turn(calls=[Call("weather", id="call_0"), Call("weather", {"city": "Oslo"}, id="call_0")]))
    tool = Weather()
    with pytest.raises(LettaError):
        result(side, server, [tool.weather], input="go")
    assert tool.cities == []


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (Call("weather", {}), "weather was not run: city is missing"),
        (Call("weather", {"city": 1}), "weather was not run: city must be a string, got 1"),
        (Call("weather", {"city": "x", "zip": "1"}), "weather was not run: zip is unknown; the known names are city"),
        (Call("elsewhere"), "elsewhere is not a client-side tool; the client-side tools are: weather."),
    ],
)
def test_a_call_that_cannot_run_is_an_error_return(
    side: ClientDriver, server: EmbeddedServer, call: Call, said: str
) -> None:
    server.state.script.say(Turn(calls=[call]))
    elsewhere = {"name": "elsewhere", "description": "Not here.", "parameters": {"type": "object", "properties": {}}}
    tool = Weather()
    found = result(side, server, [tool.weather], input="go", client_tools=[elsewhere])
    assert tool.cities == []
    assert found.stop_reason.stop_reason == "end_turn"
    assert returns(listed(side, server)) == [("error", said)]
    assert found.tool_runs[0].status == "error"
    assert found.tool_runs[0].stderr != ()


def test_a_tool_that_raises(side: ClientDriver, server: EmbeddedServer) -> None:
    fault = KeyError("no such\ncity")

    def raising(_: str) -> None:
        raise fault

    found = result(side, server, [Weather(raising).weather], input="CALL weather")
    (run,) = found.tool_runs
    assert (run.status, run.error) == ("error", fault)
    assert run.tool_return == "weather failed: KeyError: 'no such\\ncity'"
    assert __file__ not in str(run.to_param())
    assert returns(listed(side, server)) == [("error", run.tool_return)]


def test_content_parts(side: ClientDriver, server: EmbeddedServer) -> None:
    result(side, server, [Weather(lambda city: [TextContent(text=city)]).weather], input="CALL weather")
    [(status, [part])] = returns(listed(side, server))
    assert (status, part.text) == ("success", "Paris")


def test_async_tools() -> None:
    side = ClientDriver(is_async=True)
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
        return await begin(side, server, [one, two, three], input="CALL one two three").result()

    with EmbeddedServer() as server:
        found = side.run(go(server))  # one and two wait for each other
        assert {run.tool_return for run in found.tool_runs} == {"one in Paris", "two in Paris", "three in Paris"}
        assert [text for _, text in returns(listed(side, server))] == ["one in Paris", "two in Paris", "three in Paris"]
    side.close()


def test_tools_that_are_not_async_do_not_hold_up_the_others() -> None:
    side = ClientDriver(is_async=True)
    gate = threading.Barrier(2)

    def one(city: str) -> int:
        return len(city) + 0 * gate.wait(10)

    def two(city: str) -> int:
        return len(city) + 0 * gate.wait(10)

    with EmbeddedServer() as server:
        found = result(side, server, [one, two], input="CALL one two")
    side.close()
    assert [(run.status, run.tool_return) for run in found.tool_runs] == [("success", "5"), ("success", "5")]


def test_sync_code_cannot_await(server: EmbeddedServer) -> None:
    side = ClientDriver(is_async=False)

    async def later(city: str) -> str:
        return city

    async def approve(_: Any) -> bool:
        return True

    with pytest.raises(TypeError, match="later must not be async in a sync client"):
        begin(side, server, [later], input="hi")
    with pytest.raises(TypeError, match="approve must not be async in a sync client"):
        begin(side, server, approve=approve, input="hi")

    def hidden(city: str) -> Any:
        return later(city)

    found = result(side, server, [hidden], input="CALL hidden")
    assert found.tool_runs[0].tool_return == (
        "hidden failed: TypeError: hidden returned an awaitable, which requires AsyncLetta"
    )
    side.close()


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
def test_a_callback_decides(
    side: ClientDriver, server: EmbeddedServer, verdict: Any, approve: bool, reason: str | None
) -> None:
    server.state.script.tools["guarded"] = ToolResult("done")
    asked: list[Any] = []

    def decide(call: Any) -> Any:
        asked.append(call)
        return verdict

    async def decide_later(call: Any) -> Any:
        return decide(call)

    found = result(side, server, approve=decide_later if side.is_async else decide, input="CALL guarded")
    assert [(call.name, call.arguments) for call in asked] == [("guarded", '{"city": "Paris"}')]
    assert [(each.name, each.approve, each.reason) for each in found.decisions] == [("guarded", approve, reason)]
    ((status, text),) = returns(listed(side, server))
    assert status == ("success" if approve else "error")
    assert approve or str(reason) in text


def test_nobody_decides(side: ClientDriver, server: EmbeddedServer) -> None:
    tool = Weather()
    turn = begin(side, server, [tool.weather], input="CALL guarded weather")
    for _ in range(2):
        with pytest.raises(PendingApprovalError, match="requires approval of guarded") as refused:
            side.run(turn.result())
    assert refused.value.run_id
    assert refused.value.pending_request_id == listed(side, server)[-1].id
    assert tool.cities == []

    with pytest.raises(PendingApprovalError):
        result(side, server, [tool.weather], input="another")


def test_a_callback_that_says_nonsense_is_asked_again(side: ClientDriver, server: EmbeddedServer) -> None:
    answers = ["yes", None, (True, 1), RuntimeError("gone"), True]

    def decide(_: Any) -> Any:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    turn = begin(side, server, approve=decide, input="CALL guarded")
    for _ in range(3):
        with pytest.raises(TypeError, match="approve must return a bool, or a bool and a reason"):
            side.run(turn.result())
    with pytest.raises(RuntimeError, match="gone"):
        side.run(turn.result())
    assert side.run(turn.result()).rounds == 2


@pytest.mark.parametrize("stream_tokens", [True, False])
@pytest.mark.parametrize("approve", [True, False])
def test_client_tools_beside_those_of_the_server(
    side: ClientDriver, server: EmbeddedServer, *, stream_tokens: bool, approve: bool
) -> None:
    """One that runs here, one that needs approval, one that needs none: all are answered by one request."""
    tool = Weather()
    found = result(
        side,
        server,
        [tool.weather],
        approve=lambda _: approve,
        input="CALL get_time weather guarded",
        stream_tokens=stream_tokens,
    )
    assert (found.rounds, tool.cities, len(found.decisions)) == (2, ["Paris"], 1)
    noted = returns(listed(side, server))
    assert len(noted) == 3
    assert [status for status, _ in noted].count("error") == (not approve)


# Bounds and failures.


def test_rounds_are_bounded(side: ClientDriver, server: EmbeddedServer) -> None:
    server.state.script.say(*[Turn(calls=[Call("weather")])] * 4)
    tool = Weather()
    turn = begin(side, server, [tool.weather], input="go", max_rounds=2)
    for _ in range(2):
        with pytest.raises(TooManyRoundsError, match="The last calls were not run"):
            side.run(turn.result())
    assert len(tool.cities) == 2


def test_a_run_that_fails_ends_the_turn(side: ClientDriver, server: EmbeddedServer) -> None:
    server.state.script.say(Turn(calls=[Call("weather")]), Turn(fail=400))
    tool = Weather()
    turn = begin(side, server, [tool.weather], input="go")
    for _ in range(2):
        with pytest.raises(RunError):
            side.run(turn.result())
    assert tool.cities == ["Paris"]


def test_refusals_come_out_and_the_turn_can_go_on(side: ClientDriver, server: EmbeddedServer) -> None:
    thread = server.state.thread(server.conversation_id, None)
    run = server.state.start_run(thread, background=True)
    server.state.lock(thread, "other", run)
    turn = begin(side, server, [Weather().weather], input="CALL weather")
    with pytest.raises(ConversationBusyError):
        side.run(turn.result())
    server.state.unlock(thread, run)
    assert side.run(turn.result()).rounds == 2
    assert kinds(listed(side, server)).count("user") == 1

    client = side.client(base_url=server.base_url)
    with pytest.raises(NotFoundError):
        side.run(
            client.conversations.messages.run_tools("conv-123e4567-e89b-42d3-8456-426614174000", input="x").result()
        )


def test_what_is_refused_before_anything_is_sent(side: ClientDriver, server: EmbeddedServer) -> None:
    def weather(city: str) -> str:
        return city

    declared = Tool.from_function(weather).declaration()
    for arguments, fault, message in (
        ({}, ValueError, "give input or messages: there is nothing to send"),
        ({"input": "a", "messages": []}, ValueError, "input and messages are mutually exclusive"),
        ({"input": "a", "max_rounds": -1}, ValueError, "max_rounds must be 0 or more, got -1"),
        ({"input": "a", "approve": 1}, TypeError, "approve must be a function, got 1"),
        ({"input": "a", "client_tools": [declared]}, ValueError, "'weather' is declared in client_tools and given"),
        ({"input": "a", "tools": [weather, weather]}, ValueError, "two tools are named 'weather'"),
    ):
        tools = arguments.pop("tools", [weather])
        with pytest.raises(fault, match=message):
            begin(side, server, tools, **arguments)  # type: ignore[arg-type]  # (a dict of this and that)
    assert server.state.runs == {}


def test_types_that_were_not_asked_for_stay_hidden(side: ClientDriver, server: EmbeddedServer) -> None:
    asked: dict[str, Any] = {"input": "CALL weather", "include_return_message_types": ["assistant_message"]}
    tool = Weather()
    found = result(side, server, [tool.weather], **asked)
    assert (tool.cities, kinds(found.messages)) == (["Paris"], ["assistant"])
    events = side.items(begin(side, server, [tool.weather], **asked))
    assert {event.message_type for event in events} <= {"ping", "assistant_message", "stop_reason", "usage_statistics"}


def test_nothing_is_sent_before_it_is_gone_over(side: ClientDriver, server: EmbeddedServer) -> None:
    turn = begin(side, server, input="hi")
    assert server.state.runs == {}
    assert repr(turn) in (f"ToolTurn('{server.conversation_id}')", f"AsyncToolTurn('{server.conversation_id}')")
