"""A background stream survives outages within its budget, and every other interruption is explicit."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Final

import httpx
import pytest
from attrs import define, field
from hypothesis import given, settings
from hypothesis import strategies as st

from letta_api.unions import stream_event_from_json
from letta_ext import (
    APIConnectionError,
    APIStatusError,
    Hooks,
    NotFoundError,
    RetryPolicy,
    StreamInterrupted,
    StreamLimits,
)
from letta_ext._streaming.resume import Resume
from letta_ext._streaming.sequence import StreamState
from letta_ext.hooks import ResumeReport
from letta_ext.testing import Cut, EmbeddedServer

from .helpers import CONVERSATION, ClientDriver, event_stream, make_response, sse

RUN: Final = "run-1"
DATE: Final = "2026-11-23T07:47:29+00:00"
BUDGET: Final = StreamLimits().resume or 0.0
FAST: Final = RetryPolicy(initial_delay=0.0001, max_delay=0.0001, jitter=0)
"""Delays that take no time, so that the clock of the outage is the test's own."""

EVENTS: Final = [
    {
        "id": f"message-{n}",
        "date": DATE,
        "message_type": "assistant_message",
        "content": "a",
        "seq_id": n,
        "run_id": RUN,
    }
    for n in range(1, 7)
]
TAIL: Final = sse({"message_type": "stop_reason", "stop_reason": "end_turn"}) + sse("[DONE]")


def refuse() -> httpx.Response:
    raise httpx.ConnectError("refused")


def hang() -> httpx.Response:
    raise httpx.ReadTimeout("no bytes")


def reset() -> httpx.Response:
    raise httpx.RemoteProtocolError("closed")


FAILURES: Final[dict[str, Callable[[], httpx.Response]]] = {
    "refused": refuse,
    "hangs": hang,
    "reset": reset,
    "502": make_response(502, text="bad gateway"),
    "503": make_response(503, headers={"retry-after-ms": "0.1"}),
    "429": make_response(429),
    "408": make_response(408),
    "empty": lambda: event_stream(b""),
}
"""What a client observes of an outage."""


def final(status: int) -> httpx.Response:
    return httpx.Response(status, json={"detail": "no such run"})


@define
class Outage:
    """A server that fails for some seconds of its own clock, after each of its first events.

    Args:
        outages: For each outage, the failures and their durations [s].
    """

    outages: list[list[tuple[str, float]]]
    now: float = 0.0
    requests: list[dict[str, Any]] = field(factory=list[dict[str, Any]])
    _sent: int = 0

    def clock(self) -> float:
        return self.now

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(json.loads(request.content))
        if self._sent and self.outages and self.outages[0]:
            kind, seconds = self.outages[0].pop(0)
            self.now += seconds
            return final(int(kind.partition(" ")[2])) if kind.startswith("final") else FAILURES[kind]()
        if self._sent and self.outages:
            self.outages.pop(0)
        if not self.outages:
            return event_stream(sse(*EVENTS[self._sent :]) + TAIL)
        self._sent += 1
        return event_stream(sse(EVENTS[self._sent - 1]))

    def client(self, driver: ClientDriver, **given: Any) -> Any:
        limits = StreamLimits(clock=self.clock, idle=None, **given.pop("limits", {}))
        return driver.client(self, stream_limits=limits, retry=given.pop("retry", FAST), **given)


def read(driver: ClientDriver, client: Any, *, background: bool = True) -> tuple[list[int], Exception | None]:
    """Return the numbers of the events of a stream, and its exception."""
    stream = driver.run(client.conversations.messages.create(CONVERSATION, input="hi", background=background))
    events, fault = driver.drain(stream)
    return [event.seq_id for event in events if event.message_type == "assistant_message"], fault


ALL: Final = [event["seq_id"] for event in EVENTS]


@pytest.mark.parametrize("kind", FAILURES)
def test_outage_of_ten_seconds_is_survived_by_default(driver: ClientDriver, kind: str) -> None:
    """A background stream yields every event once after the server was away for ten seconds."""
    outage = Outage([[(kind, 0.5)] * 20])
    assert read(driver, outage.client(driver)) == (ALL, None)
    assert len(outage.requests) == 22
    assert outage.requests[-1] | {"starting_after": 1, "run_id": RUN} == outage.requests[-1]


@pytest.mark.parametrize("kind", FAILURES)
def test_outage_beyond_budget_raises_stream_interrupted(driver: ClientDriver, kind: str) -> None:
    """After the budget the stream ends with its position, and requests end too."""
    outage = Outage([[(kind, 1.0)] * 500])
    numbers, fault = read(driver, outage.client(driver))
    assert numbers == [1]
    assert isinstance(fault, StreamInterrupted)
    assert (fault.run_id, fault.last_seq_id) == (RUN, 1)
    assert f"(run_id=…, starting_after={fault.last_seq_id})" in str(fault)
    assert BUDGET - 1 <= outage.now <= BUDGET + 1


@pytest.mark.parametrize("seconds", [0.0, 3.0, 100.0, None])
def test_budget_is_configurable(driver: ClientDriver, seconds: float | None) -> None:
    """`StreamLimits.resume` sets the budget. With 0, the retries of the policy remain. None sets it to infinity."""
    outage = Outage([[("refused", 1.0)] * 120])
    numbers, fault = read(driver, outage.client(driver, limits={"resume": seconds}))
    if seconds is None:
        assert (numbers, fault) == (ALL, None)
    else:
        assert isinstance(fault, StreamInterrupted)
        assert isinstance(fault.__cause__, APIConnectionError)
        assert outage.now == pytest.approx(max(seconds, 1.0 + FAST.max_retries), abs=1)


@pytest.mark.parametrize("policy", [RetryPolicy(max_retries=0), RetryPolicy(max_retries=2, initial_delay=0)])
def test_policy_without_retries_or_delays_spends_no_budget(driver: ClientDriver, policy: RetryPolicy) -> None:
    """Without retries a stream is not resumed. Without delays only the retries are made, so that no loop is hot."""
    outage = Outage([[("refused", 0.0)] * 100])
    numbers, fault = read(driver, outage.client(driver, retry=policy))
    assert numbers == [1]
    assert isinstance(fault, StreamInterrupted)
    assert len(outage.requests) == 1 + (policy.max_retries and policy.max_retries + 1)


@settings(max_examples=25, deadline=None)
@given(
    st.lists(
        st.lists(st.tuples(st.sampled_from(sorted(FAILURES)), st.floats(0.2, 6.0)), min_size=1, max_size=12),
        min_size=1,
        max_size=4,
    ),
    st.booleans(),
)
def test_random_outages_lose_and_repeat_nothing(outages: list[list[tuple[str, float]]], is_async: bool) -> None:
    """Each outage has the whole budget. A stream yields all events once, or a prefix and `StreamInterrupted`."""
    durations = [sum(seconds for _, seconds in outage) for outage in outages]
    driver = ClientDriver(is_async=is_async)
    outage = Outage([list(each) for each in outages])
    numbers, fault = read(driver, outage.client(driver))
    driver.close()
    if fault is None:
        assert numbers == ALL
    else:
        assert isinstance(fault, StreamInterrupted)
        assert numbers == ALL[: len(numbers)]
        assert durations[len(numbers) - 1] > BUDGET - 1  # the delays of the policy count too
    if max(durations) < BUDGET - 1:
        assert fault is None


@pytest.mark.parametrize("status", [400, 401, 404, 410, 422])
def test_final_error_response_ends_resumption_at_once(driver: ClientDriver, status: int) -> None:
    """An error response that a retry does not change ends the stream, such as 404 from a server that lost the run."""
    outage = Outage([[(f"final {status}", 1.0)] * 3])
    _, fault = read(driver, outage.client(driver))
    assert isinstance(fault, StreamInterrupted)
    assert isinstance(fault.__cause__, APIStatusError)
    assert fault.__cause__.status_code == status
    assert len(outage.requests) == 2


def test_total_limit_ends_outage(driver: ClientDriver) -> None:
    """`StreamLimits.total` bounds an outage too."""
    outage = Outage([[("refused", 1.0)] * 100])
    _, fault = read(driver, outage.client(driver, limits={"total": 5.0}))
    assert "did not end within 5 s" in str(fault)
    assert outage.now <= 7


def survives(seconds: float, policy: RetryPolicy, limits: StreamLimits, now: list[float]) -> bool:
    """Return whether the default delays bring a request after an outage of some seconds."""
    resume = Resume(StreamState(stream_event_from_json, "[DONE]", "stream", None, limits), policy, {"run_id": RUN})
    began = now[0]
    delay, _ = resume.after_disconnect(httpx.ReadError("cut"))
    while True:
        now[0] += delay
        if now[0] - began >= seconds:
            return True
        try:
            delay = resume.after_failed_attempt(APIConnectionError("refused"))
        except StreamInterrupted:
            return False


@settings(deadline=None)
@given(st.floats(0, 1), st.floats(0, 120))
def test_default_delays_cover_the_default_budget(random: float, seconds: float) -> None:
    """With the default delays, every outage of 25 seconds is survived, and none beyond the budget is waited for."""
    now = [0.0]
    found = survives(seconds, RetryPolicy(random=lambda: random), StreamLimits(clock=lambda: now[0]), now)
    assert found or seconds > BUDGET - 5
    assert now[0] <= BUDGET


def test_outage_is_reported_to_hooks(driver: ClientDriver) -> None:
    """Each attempt of an outage is reported with its number and its error."""
    reports: list[ResumeReport] = []
    outage = Outage([[("refused", 1.0)] * 3])
    read(driver, outage.client(driver, hooks=Hooks(on_resume=reports.append)))
    assert [(report.number, type(report.error)) for report in reports] == [
        (1, type(None)),
        *[(number, APIConnectionError) for number in (2, 3, 4)],
    ]


def test_foreground_stream_is_not_resumed(driver: ClientDriver) -> None:
    """A foreground stream ends at once, with one request, and the run continues."""
    outage = Outage([[("refused", 1.0)]])
    numbers, fault = read(driver, outage.client(driver), background=False)
    assert (numbers, len(outage.requests)) == ([1], 1)
    assert isinstance(fault, StreamInterrupted)


def test_server_that_is_down_for_a_while_delays_stream_only(driver: ClientDriver, server: EmbeddedServer) -> None:
    """A stream continues as soon as the server listens again."""
    server.faults.add(Cut(events=3))
    down = server.down()
    numbers: list[int] = []

    def on_resume(report: ResumeReport) -> None:
        numbers.append(report.number)
        if report.number == 1:
            down.__enter__()
        elif report.number == 6:
            down.__exit__(None, None, None)

    policy = RetryPolicy(initial_delay=0.001, max_delay=0.001)
    client = driver.client(base_url=server.base_url, hooks=Hooks(on_resume=on_resume), retry=policy)
    stream = driver.run(
        client.conversations.messages.create(server.conversation_id, input="Hi", background=True, stream_tokens=True)
    )
    events = driver.items(stream)
    text = "".join(event.content for event in events if event.message_type == "assistant_message")
    assert text.split() == ["Hello!", "How", "can", "I", "help", "you?"]
    assert numbers == [1, 2, 3, 4, 5, 6]


def test_restart_that_lost_the_run_raises_stream_interrupted(driver: ClientDriver, server: EmbeddedServer) -> None:
    """A server that was restarted without its runs ends the stream with its position and a remedy."""
    server.faults.add(Cut(events=3))
    down = server.down()

    def restart(report: ResumeReport) -> None:
        if report.number == 1:
            down.__enter__()
        elif report.number == 4:
            server.state.runs.clear()
            down.__exit__(None, None, None)

    policy = RetryPolicy(initial_delay=0.001, max_delay=0.001)
    client = driver.client(base_url=server.base_url, hooks=Hooks(on_resume=restart), retry=policy)
    create = client.conversations.messages.create
    stream = driver.run(create(server.conversation_id, input="Hi", background=True, stream_tokens=True))
    _, fault = driver.drain(stream)
    assert isinstance(fault, StreamInterrupted)
    assert isinstance(fault.__cause__, NotFoundError)
    assert fault.last_seq_id == 3
    assert "the server no longer has the run (404)" in str(fault)
    assert "List the messages of the conversation" in str(fault)
