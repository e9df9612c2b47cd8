"""A turn whose connections break, or that is left: no result is lost, no tool runs twice, nothing is sent twice."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from letta_ext import APIConnectionError, LettaError, RetryPolicy, StreamInterrupted
from letta_ext.testing import EmbeddedServer, Turn
from letta_ext.testing.engine.agent import Call
from letta_ext.tools import ToolResult

from ..client.helpers import NO_RETRIES, event_stream, respond_with
from ..client.servers import closed_port, response, serving
from ..integration.proxy import LOST, Fault, Proxy, proxied, random_fault
from ..stress.figures import FULL
from .turns import ClientDriver, Weather, begin, kinds, listed, returns

ROUNDS = 3
SEEDS = range(200 if FULL else 5)


@pytest.fixture
def proxy(server: EmbeddedServer) -> Iterator[Proxy]:
    with proxied(server.base_url) as running:
        yield running


def script(server: EmbeddedServer) -> None:
    """Two rounds of a tool, and then words."""
    for city in ("Rome", "Oslo"):
        server.state.script.say(Turn(calls=[Call("weather", {"city": city})], reasoning="hm"))
    server.state.script.say(Turn(text="that is all", streamed_text="that is all "))


def finish(side: ClientDriver, turn: Any, tries: int = 50) -> ToolResult:
    """Goes on until it is through."""
    for _ in range(tries):
        try:
            found: ToolResult = side.run(turn.result())
        except (APIConnectionError, httpx.HTTPError):
            continue
        return found
    raise AssertionError("it never came through")


def check(side: ClientDriver, server: EmbeddedServer, tool: Weather, found: ToolResult) -> None:
    """That all happened, and nothing twice."""
    assert tool.cities == ["Rome", "Oslo"]
    stored = listed(side, server)
    assert kinds(stored).count("user") == 1
    assert returns(stored) == [("success", "sunny in Rome"), ("success", "sunny in Oslo")]
    assert len(server.state.runs) == ROUNDS
    assert found.rounds == ROUNDS
    assert found.stop_reason.stop_reason == "end_turn"
    # A token stream does not tell what the caller said itself.
    messages: list[Any] = found.messages
    shown = {message.id for message in messages}
    left_out = [message for message in stored if message.id not in shown]
    assert set(kinds(left_out)) <= {"system", "user", "approval_response", "tool_return"}
    assert len(messages) == len({(m.id, m.message_type) for m in messages})


@pytest.mark.parametrize("which", range(ROUNDS))
@pytest.mark.parametrize(
    "fault",
    [LOST, Fault(forward=0), Fault(forward=200), Fault(response=100), Fault(response=600), Fault(response=1300)],
)
def test_each_request_is_cut_once(
    side: ClientDriver, server: EmbeddedServer, proxy: Proxy, which: int, fault: Fault
) -> None:
    script(server)
    proxy.plan.extend([Fault()] * which + [fault])
    tool = Weather()
    turn = begin(side, server, [tool.weather], proxy.base_url, input="go", stream_tokens=which != 1, retry=NO_RETRIES)
    found = finish(side, turn)
    proxy.settle()
    check(side, server, tool, found)


@pytest.mark.stress
@pytest.mark.parametrize("seed", SEEDS)
def test_cut_again_and_again(side: ClientDriver, server: EmbeddedServer, proxy: Proxy, seed: int) -> None:
    chance = random.Random(seed)
    script(server)
    proxy.plan.extend(random_fault(chance, 2500) for _ in range(chance.randrange(1, 12)))
    retry = RetryPolicy(max_retries=chance.randrange(3), initial_delay=0)
    tool = Weather()
    tokens = chance.random() < 0.5
    turn = begin(side, server, [tool.weather], proxy.base_url, input="go", stream_tokens=tokens, retry=retry)
    found = finish(side, turn)
    proxy.settle()
    check(side, server, tool, found)


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize("stream_tokens", [True, False])
def test_leaving_behind_each_event(
    side: ClientDriver, server: EmbeddedServer, *, whole: bool, stream_tokens: bool
) -> None:
    script(server)
    tool = Weather()
    turn = begin(side, server, [tool.weather], input="go", stream_tokens=stream_tokens)
    seen: list[Any] = []
    for _ in range(100):
        items, fault = side.drain(turn.messages() if whole else turn, lambda _: True)
        assert fault is None
        if not items:
            break
        seen += items
    found = side.run(turn.result())
    check(side, server, tool, found)
    if whole:
        assert seen == found.messages
    else:
        reasons = [event.stop_reason for event in seen if event.message_type == "stop_reason"]
        assert reasons == ["requires_approval", "requires_approval", "end_turn"]
        said = [event.content for event in seen if event.message_type == "assistant_message"]
        assert "".join(said).strip() == "that is all"


def test_events_that_the_server_no_longer_has_are_listed(side: ClientDriver, server: EmbeddedServer) -> None:
    server.state.kept_events = 8  # fewer than the tokens of a turn, more than its end without numbers
    server.state.script.say(
        Turn(calls=[Call("weather", {"city": "Rome"})], text=" ".join("abcdefghijklmnop"), reasoning="well now"),
        Turn(calls=[Call("weather", {"city": "Oslo"})]),
        "that is all",
    )
    tool = Weather()
    turn = begin(side, server, [tool.weather], input="go", stream_tokens=True)
    first, fault = side.drain(turn, lambda event: event.message_type == "reasoning_message")
    assert fault is None
    assert len(first) < 5
    found = side.run(turn.result())
    check(side, server, tool, found)
    assert set(kinds(found.messages)) == {"reasoning", "assistant", "approval_request"}


def test_a_run_that_is_forgotten_is_listed(side: ClientDriver, server: EmbeddedServer) -> None:
    script(server)
    tool = Weather()
    turn = begin(side, server, [tool.weather], input="go", stream_tokens=True)
    side.drain(turn, lambda event: event.message_type == "approval_request_message")
    side.items(side.run(side.client(base_url=server.base_url).steps.list()))
    run = next(iter(server.state.runs.values()))
    run.created_at = run.created_at.replace(year=2000)
    check(side, server, tool, side.run(turn.result()))


# In the foreground.


@pytest.mark.parametrize("which", range(ROUNDS))
@pytest.mark.parametrize("stream_tokens", [True, False])
def test_a_foreground_run_that_was_heard_of_is_listed(
    side: ClientDriver, server: EmbeddedServer, proxy: Proxy, which: int, *, stream_tokens: bool
) -> None:
    script(server)
    proxy.plan.extend([Fault()] * which + [Fault(response=450)])  # behind the first event, which names the run
    tool = Weather()
    turn = begin(
        side, server, [tool.weather], proxy.base_url, input="go", background=False, stream_tokens=stream_tokens
    )
    found = side.run(turn.result())
    proxy.settle()
    check(side, server, tool, found)
    posts = [body for path, body in proxy.requests if path.endswith("/messages") and body]
    assert [body["background"] for body in posts] == [False] * ROUNDS


@pytest.mark.parametrize("which", [0, 1])
def test_a_foreground_run_that_nobody_heard_of_is_not_sent_again(
    side: ClientDriver, server: EmbeddedServer, proxy: Proxy, which: int
) -> None:
    script(server)
    proxy.plan.extend([Fault()] * which + [LOST])
    tool = Weather()
    turn = begin(side, server, [tool.weather], proxy.base_url, input="go", background=False)
    with pytest.raises(APIConnectionError):
        side.run(turn.result())
    for _ in range(2):
        with pytest.raises(LettaError, match="may have been processed"):
            side.run(turn.result())
    proxy.settle()
    assert len([path for path, body in proxy.requests if body]) == which + 1


def test_a_foreground_request_that_cannot_have_left_is_sent_again(side: ClientDriver) -> None:
    done = b'data: {"message_type": "stop_reason", "stop_reason": "end_turn"}\n\ndata: [DONE]\n\n'
    port = closed_port()
    client = side.client(base_url=f"http://127.0.0.1:{port}", retry=NO_RETRIES)
    turn = client.conversations.messages.run_tools("default", agent_id="agent-1", input="hi", background=False)
    with pytest.raises(APIConnectionError):
        side.run(turn.result())
    reply = response(done, content_type="text/event-stream")
    with serving(lambda connection, *_: connection.sendall(reply), port) as server:
        assert side.run(turn.result()).rounds == 1
        assert len(server.requests) == 1


# The server's word is taken for nothing that it did not say.


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        (b"data: [DONE]\n\n", "neither a stop reason nor a run id"),
        (
            b'data: {"message_type": "stop_reason", "stop_reason": "requires_approval"}\n\ndata: [DONE]\n\n',
            "contained no tool calls",
        ),
    ],
)
def test_a_stream_that_does_not_say_enough(side: ClientDriver, server: EmbeddedServer, body: bytes, fault: str) -> None:
    client = side.client(respond_with(lambda: event_stream(body)))
    turn = client.conversations.messages.run_tools(server.conversation_id, input="hi")
    with pytest.raises(LettaError, match=fault):
        side.run(turn.result())


def test_a_background_stream_that_cannot_go_on_raises_and_goes_on_later(
    side: ClientDriver, server: EmbeddedServer, proxy: Proxy
) -> None:
    script(server)
    proxy.plan.extend([Fault(response=500), LOST, LOST])
    tool = Weather()
    turn = begin(side, server, [tool.weather], proxy.base_url, input="go", stream_tokens=True, retry=NO_RETRIES)
    with pytest.raises(StreamInterrupted):
        side.run(turn.result())
    check(side, server, tool, finish(side, turn))
