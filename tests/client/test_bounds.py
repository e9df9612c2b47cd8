"""Numeric settings: invalid values are rejected at construction, and infinite limits limit nothing."""

from __future__ import annotations

from math import inf, nan
from typing import Any

import httpx
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from letta_ext import BusyPolicy, Hooks, InternalServerError, ResponseLimits, RetryPolicy, StreamLimits
from letta_ext._settings_checks import MAX_WAIT
from letta_ext.retry import Attempt

from .helpers import CONVERSATION, STEP, ClientDriver, loopback, make_response, recording, respond_with

SETTINGS: dict[type, dict[str, str]] = {
    RetryPolicy: {
        "max_retries": "count",
        "initial_delay": "seconds",
        "max_delay": "seconds",
        "multiplier": "positive",
        "jitter": "seconds",
        "deadline": "seconds",
        "random": "function",
    },
    BusyPolicy: {"deadline": "seconds", "initial_delay": "seconds", "max_delay": "seconds", "clock": "function"},
    ResponseLimits: {"total": "positive", "max_bytes": "size", "max_error_bytes": "size", "clock": "function"},
    StreamLimits: {
        "idle": "positive",
        "total": "positive",
        "max_event_bytes": "size",
        "clock": "function",
        "resume": "seconds",
    },
    Hooks: {"on_attempt": "function", "on_resume": "function", "on_busy": "function"},
}
NUMBERS: tuple[Any, ...] = (0, 0.0, -1, -0.5, nan, -inf, 10**400)
WRONG: dict[str, dict[type[Exception], tuple[Any, ...]]] = {
    "count": {TypeError: ("3", True, [], 1.5, inf, nan), ValueError: (-1,)},
    "size": {TypeError: ("3", True, [], 1.5, inf, nan), ValueError: (-1, 0)},
    "seconds": {TypeError: ("3", True, []), ValueError: NUMBERS[2:]},
    "positive": {TypeError: ("3", True, []), ValueError: NUMBERS},
    "function": {TypeError: ("time", 3, True)},
}
CASES = [
    pytest.param(cls, name, value, kind, id=f"{cls.__name__}-{name}-{str(value)[:9]}")
    for cls, settings in SETTINGS.items()
    for name, rule in settings.items()
    for kind, values in WRONG[rule].items()
    for value in values
]


def test_setting_list_covers_all_attributes() -> None:
    """Each attribute of the settings classes has test cases."""
    for cls, settings in SETTINGS.items():
        assert list(settings) == [each.name for each in cls.__attrs_attrs__]  # type: ignore[attr-defined]  # attrs adds it


@pytest.mark.parametrize(("cls", "name", "value", "kind"), CASES)
def test_invalid_setting_raises_error_naming_it(cls: type, name: str, value: Any, kind: type[Exception]) -> None:
    """An invalid setting raises an error that begins with its name."""
    with pytest.raises(kind, match=f"^{name} must"):
        cls(**{name: value})


@pytest.mark.parametrize("seconds", [inf, 1e308, 1e12])
def test_infinite_limit_without_timeout_limits_nothing(driver: ClientDriver, seconds: float) -> None:
    """Limits beyond the system's maximum wait neither fail nor end a call, with no timeout set."""
    body = recording("send_tokens_stream")
    stream = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: %d\r\n\r\n" % len(body.content)
    limits = StreamLimits(idle=seconds, total=seconds)
    with loopback(stream + body.content) as server:
        client = driver.client(base_url=server.base_url, timeout=None, stream_limits=limits)
        found = driver.items(driver.run(client.conversations.messages.create(CONVERSATION, input="hi")))
    assert len(found) == len(body.events())
    with loopback(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n[]") as server:
        client = driver.client(base_url=server.base_url, timeout=None, response_limits=ResponseLimits(total=seconds))
        assert driver.run(client.get("/v1/agents/")) == []


@given(
    asked=st.none() | st.floats(0),
    number=st.integers(1, 5000),
    initial=st.floats(0),
    multiplier=st.floats(0, exclude_min=True),
)
@example(asked=None, number=5000, initial=inf, multiplier=0.5)
def test_retry_delay_never_exceeds_system_maximum(
    asked: float | None, number: int, initial: float, multiplier: float
) -> None:
    """A delay is at most the longest wait that the system supports."""
    policy = RetryPolicy(5000, initial, inf, multiplier, deadline=inf, jitter=0)
    delay = policy.delay(Attempt(number, 0, status=503, retry_after=asked), "idempotent")
    assert delay is None or 0 <= delay <= MAX_WAIT
    assert delay is not None or (asked is not None and asked > MAX_WAIT)


def test_retry_delay_of_zero_stays_zero_after_many_attempts() -> None:
    """An initial delay of 0 stays 0 after any number of attempts."""
    assert RetryPolicy(3000, initial_delay=0).delay(Attempt(2000, 0, status=503), "idempotent") == 0


def test_retry_after_beyond_system_maximum_raises_at_once(driver: ClientDriver) -> None:
    """A `Retry-After` beyond the system's maximum raises the error response at once."""
    patient = RetryPolicy(max_delay=inf, deadline=inf)
    handler = respond_with(make_response(503, headers={"retry-after": "1e300"}))
    with pytest.raises(InternalServerError):
        driver.run(driver.client(handler, retry=patient).steps.retrieve(STEP))
    assert len(handler.requests) == 1


def test_busy_wait_delay_growth_never_overflows(driver: ClientDriver) -> None:
    """The growth of the poll delay has a limit; unlimited, it overflowed a float after two hours."""
    run_statuses = iter(["running"] * 1800 + ["completed"])
    statuses: list[str] = []

    def handler(request: httpx.Request) -> httpx.Response:
        if "/runs/" in request.url.path:
            statuses.append(next(run_statuses))
            return httpx.Response(200, json={"id": "run-1", "status": statuses[-1]})
        return recording("send_json").response() if "completed" in statuses else httpx.Response(409, json=busy)

    busy = {"detail": "currently being processed", "run_id": "run-1"}
    policy = BusyPolicy(initial_delay=1e-300, max_delay=0)
    create = driver.client(handler).conversations.messages.create
    assert driver.run(create(CONVERSATION, input="hi", streaming=False, when_busy=policy)).messages
