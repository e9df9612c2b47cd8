"""Interrupted turns: no result is lost, no tool runs twice, and no request is processed twice."""

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
from ..client.servers import free_port, response, serving
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
    """Script two rounds with a tool call, and a final text."""
    for city in ("Rome", "Oslo"):
        server.state.script.say(Turn(calls=[Call("weather", {"city": city})], reasoning="hm"))
    server.state.script.say(Turn(text="that is all", streamed_text="that is all "))


def finish(driver: ClientDriver, turn: Any, tries: int = 50) -> ToolResult:
    """Repeat a turn until it succeeds."""
    for _ in range(tries):
        try:
            found: ToolResult = driver.run(turn.result())
        except (APIConnectionError, httpx.HTTPError):
            continue
        return found
    raise AssertionError("the turn did not succeed")


def check(driver: ClientDriver, server: EmbeddedServer, tool: Weather, found: ToolResult) -> None:
    """Check that each tool ran once, and each message was stored and returned once."""
    assert tool.cities == ["Rome", "Oslo"]
    stored = listed(driver, server)
    assert kinds(stored).count("user") == 1
    assert returns(stored) == [("success", "sunny in Rome"), ("success", "sunny in Oslo")]
    assert len(server.state.runs) == ROUNDS
    assert found.rounds == ROUNDS
    assert found.stop_reason.stop_reason == "end_turn"
    # A token stream does not repeat the caller's messages.
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
def test_turn_each_request_interrupted_once_repeats_nothing(
    driver: ClientDriver, server: EmbeddedServer, proxy: Proxy, which: int, fault: Fault
) -> None:
    """A turn survives one fault in any of its requests."""
    script(server)
    proxy.plan.extend([Fault()] * which + [fault])
    tool = Weather()
    turn = begin(driver, server, [tool.weather], proxy.base_url, input="go", stream_tokens=which != 1, retry=NO_RETRIES)
    found = finish(driver, turn)
    proxy.settle()
    check(driver, server, tool, found)


@pytest.mark.stress
@pytest.mark.parametrize("seed", SEEDS)
def test_turn_random_faults_repeat_nothing(
    driver: ClientDriver, server: EmbeddedServer, proxy: Proxy, seed: int
) -> None:
    """A turn survives a random sequence of faults."""
    chance = random.Random(seed)
    script(server)
    proxy.plan.extend(random_fault(chance, 2500) for _ in range(chance.randrange(1, 12)))
    retry = RetryPolicy(max_retries=chance.randrange(3), initial_delay=0)
    tool = Weather()
    tokens = chance.random() < 0.5
    turn = begin(driver, server, [tool.weather], proxy.base_url, input="go", stream_tokens=tokens, retry=retry)
    found = finish(driver, turn)
    proxy.settle()
    check(driver, server, tool, found)


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize("stream_tokens", [True, False])
def test_turn_left_after_each_event_continues(
    driver: ClientDriver, server: EmbeddedServer, *, whole: bool, stream_tokens: bool
) -> None:
    """A turn that is left after each event continues without a loss or repetition."""
    script(server)
    tool = Weather()
    turn = begin(driver, server, [tool.weather], input="go", stream_tokens=stream_tokens)
    seen: list[Any] = []
    for _ in range(100):
        items, fault = driver.drain(turn.messages() if whole else turn, lambda _: True)
        assert fault is None
        if not items:
            break
        seen += items
    found = driver.run(turn.result())
    check(driver, server, tool, found)
    if whole:
        assert seen == found.messages
    else:
        reasons = [event.stop_reason for event in seen if event.message_type == "stop_reason"]
        assert reasons == ["requires_approval", "requires_approval", "end_turn"]
        message = [event.content for event in seen if event.message_type == "assistant_message"]
        assert "".join(message).strip() == "that is all"


def test_turn_dropped_events_are_listed(driver: ClientDriver, server: EmbeddedServer) -> None:
    """Messages whose events the server has dropped are listed."""
    server.state.kept_events = 8  # fewer than the tokens of a turn, more than its end without numbers
    server.state.script.say(
        Turn(calls=[Call("weather", {"city": "Rome"})], text=" ".join("abcdefghijklmnop"), reasoning="well now"),
        Turn(calls=[Call("weather", {"city": "Oslo"})]),
        "that is all",
    )
    tool = Weather()
    turn = begin(driver, server, [tool.weather], input="go", stream_tokens=True)
    first, fault = driver.drain(turn, lambda event: event.message_type == "reasoning_message")
    assert fault is None
    assert len(first) < 5
    found = driver.run(turn.result())
    check(driver, server, tool, found)
    assert set(kinds(found.messages)) == {"reasoning", "assistant", "approval_request"}


def test_turn_expired_run_is_listed(driver: ClientDriver, server: EmbeddedServer) -> None:
    """The messages of an expired run are listed."""
    script(server)
    tool = Weather()
    turn = begin(driver, server, [tool.weather], input="go", stream_tokens=True)
    driver.drain(turn, lambda event: event.message_type == "approval_request_message")
    driver.items(driver.run(driver.client(base_url=server.base_url).steps.list()))
    run = next(iter(server.state.runs.values()))
    run.created_at = run.created_at.replace(year=2000)
    check(driver, server, tool, driver.run(turn.result()))


# In the foreground.


@pytest.mark.parametrize("which", range(ROUNDS))
@pytest.mark.parametrize("stream_tokens", [True, False])
def test_foreground_turn_interrupted_after_run_id_is_listed(
    driver: ClientDriver, server: EmbeddedServer, proxy: Proxy, which: int, *, stream_tokens: bool
) -> None:
    """An interrupted foreground run with a known id is polled and listed."""
    script(server)
    proxy.plan.extend([Fault()] * which + [Fault(response=450)])  # after the first event, which contains the run id
    tool = Weather()
    turn = begin(
        driver, server, [tool.weather], proxy.base_url, input="go", background=False, stream_tokens=stream_tokens
    )
    found = driver.run(turn.result())
    proxy.settle()
    check(driver, server, tool, found)
    posts = [body for path, body in proxy.requests if path.endswith("/messages") and body]
    assert [body["background"] for body in posts] == [False] * ROUNDS


@pytest.mark.parametrize("which", [0, 1])
def test_foreground_turn_lost_response_is_not_sent_again(
    driver: ClientDriver, server: EmbeddedServer, proxy: Proxy, which: int
) -> None:
    """A foreground request without a response is not sent again, since it may have been processed."""
    script(server)
    proxy.plan.extend([Fault()] * which + [LOST])
    tool = Weather()
    turn = begin(driver, server, [tool.weather], proxy.base_url, input="go", background=False)
    with pytest.raises(APIConnectionError):
        driver.run(turn.result())
    for _ in range(2):
        with pytest.raises(LettaError, match="may have been processed"):
            driver.run(turn.result())
    proxy.settle()
    assert len([path for path, body in proxy.requests if body]) == which + 1


def test_foreground_turn_refused_connection_is_sent_again(driver: ClientDriver) -> None:
    """A foreground request that did not reach the server is sent again."""
    done = b'data: {"message_type": "stop_reason", "stop_reason": "end_turn"}\n\ndata: [DONE]\n\n'
    port = free_port()
    client = driver.client(base_url=f"http://127.0.0.1:{port}", retry=NO_RETRIES)
    turn = client.conversations.messages.run_tools("default", agent_id="agent-1", input="hi", background=False)
    with pytest.raises(APIConnectionError):
        driver.run(turn.result())
    reply = response(done, content_type="text/event-stream")
    with serving(lambda connection, *_: connection.sendall(reply), port) as server:
        assert driver.run(turn.result()).rounds == 1
        assert len(server.requests) == 1


# Incomplete streams.


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
def test_turn_incomplete_stream_raises(driver: ClientDriver, server: EmbeddedServer, body: bytes, fault: str) -> None:
    """A stream without a run id, or without the calls that need approval, raises."""
    client = driver.client(respond_with(lambda: event_stream(body)))
    turn = client.conversations.messages.run_tools(server.conversation_id, input="hi")
    with pytest.raises(LettaError, match=fault):
        driver.run(turn.result())


def test_background_turn_exhausted_retries_raises_and_resumes_later(
    driver: ClientDriver, server: EmbeddedServer, proxy: Proxy
) -> None:
    """Exhausted retries raise StreamInterrupted, and the next attempt resumes the run."""
    script(server)
    proxy.plan.extend([Fault(response=500), LOST, LOST])
    tool = Weather()
    turn = begin(driver, server, [tool.weather], proxy.base_url, input="go", stream_tokens=True, retry=NO_RETRIES)
    with pytest.raises(StreamInterrupted):
        driver.run(turn.result())
    check(driver, server, tool, finish(driver, turn))
