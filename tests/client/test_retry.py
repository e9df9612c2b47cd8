"""Retries: the policy, and its application by the clients."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any, Literal

import httpx
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from letta_ext import (
    APIConnectionError,
    APIStatusError,
    APITimeoutError,
    Attempt,
    InternalServerError,
    RateLimitError,
    RetryPolicy,
)
from letta_ext.retry import retry_after

from .helpers import (
    BASE_URL,
    CONVERSATION,
    DISCONNECT,
    NO_DELAY,
    STEP,
    ClientDriver,
    event_stream,
    loopback,
    make_response,
    recording,
    respond_with,
)

NOW = datetime(2026, 1, 1, tzinfo=UTC)
POLICY = RetryPolicy(jitter=0)
OK = recording("step_retrieve").response

Idempotency = Literal["idempotent", "none"]


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504, 529])
def test_policy_retries_transient_statuses_of_idempotent_requests(status: int) -> None:
    """408, 429 and 5xx are retried if the request is idempotent."""
    assert POLICY.delay(Attempt(1, 0, status=status), "idempotent") == 0.5
    assert POLICY.delay(Attempt(1, 0, status=status), "none") is None


@pytest.mark.parametrize("status", [301, 307, 400, 401, 403, 404, 409, 410, 422, 451])
def test_policy_does_not_retry_other_statuses(status: int) -> None:
    """Other statuses are not retried, not even with `Retry-After`."""
    assert POLICY.delay(Attempt(1, 0, status=status), "idempotent") is None
    # Not even with Retry-After.
    assert POLICY.delay(Attempt(1, 0, status=status, retry_after=1), "idempotent") is None


@pytest.mark.parametrize(
    ("unsent", "idempotency", "again"),
    [(True, "none", True), (True, "idempotent", True), (False, "idempotent", True), (False, "none", False)],
)
def test_policy_retries_connection_error_if_idempotent_or_unsent(
    unsent: bool, idempotency: Idempotency, again: bool
) -> None:
    """A connection error is retried if the request is idempotent or was not sent."""
    assert (POLICY.delay(Attempt(1, 0, unsent=unsent), idempotency) is not None) == again


def test_policy_delay_grows_to_max_delay() -> None:
    """Delays grow by the multiplier up to `max_delay`."""
    policy = RetryPolicy(max_retries=6, initial_delay=1, multiplier=3, max_delay=20, jitter=0)
    attempts = [Attempt(number, 0, status=503) for number in range(1, 8)]
    assert [policy.delay(attempt, "idempotent") for attempt in attempts] == [1, 3, 9, 20, 20, 20, None]


def test_policy_with_zero_max_retries_does_not_retry() -> None:
    """`max_retries=0` disables retries."""
    assert RetryPolicy(max_retries=0).delay(Attempt(1, 0, status=503), "idempotent") is None


def test_policy_deadline_includes_next_delay() -> None:
    """The next delay must end before the deadline."""
    policy = RetryPolicy(initial_delay=5, jitter=0, deadline=10)
    assert policy.delay(Attempt(1, 5, status=503), "idempotent") == 5
    assert policy.delay(Attempt(1, 5.1, status=503), "idempotent") is None
    assert policy.delay(Attempt(1, 5.1, status=503, retry_after=4), "idempotent") == 4


@pytest.mark.parametrize(("delay", "expected"), [(7, 7), (60, 60), (60.1, None), (3600, None)])
def test_policy_uses_retry_after_up_to_max_delay(delay: float, expected: float | None) -> None:
    """`Retry-After` is used up to `max_delay`; a longer one ends the retries."""
    assert RetryPolicy(max_delay=60).delay(Attempt(1, 0, status=429, retry_after=delay), "idempotent") == expected


def test_policy_ignores_retry_after_of_zero() -> None:
    """`Retry-After: 0` leaves the delay of the policy."""
    policy = RetryPolicy(initial_delay=5, jitter=0)
    assert policy.delay(Attempt(1, 0, status=429, retry_after=0), "idempotent") == 5


@given(
    attempt=st.builds(
        Attempt,
        st.integers(1, 5000),
        st.floats(0, 1000),
        status=st.none() | st.sampled_from([408, 409, 429, 500, 503]),
        unsent=st.booleans(),
        retry_after=st.none() | st.floats(0, 1000),
    ),
    policy=st.builds(
        RetryPolicy,
        max_retries=st.integers(0, 5000),
        initial_delay=st.floats(0, 100),
        max_delay=st.floats(0, 100),
        multiplier=st.floats(1, 10),
        jitter=st.floats(0, 1),
        deadline=st.floats(0, 1000),
        random=st.floats(0, 1).map(lambda number: lambda: number),
    ),
    idempotency=st.sampled_from(["idempotent", "none"]),
)
@example(Attempt(2000, 0, status=503), RetryPolicy(max_retries=2000, initial_delay=0), "idempotent")
def test_policy_delay_respects_all_limits(attempt: Attempt, policy: RetryPolicy, idempotency: Idempotency) -> None:
    """A delay never exceeds `max_delay`, the deadline or `max_retries`."""
    delay = policy.delay(attempt, idempotency)
    if delay is not None:
        assert 0 <= delay <= policy.max_delay
        assert attempt.elapsed + delay <= policy.deadline
        assert attempt.number <= policy.max_retries


@given(st.floats(0, 1), st.floats(0, 1), st.integers(1, 5))
def test_policy_jitter_shortens_delay_by_at_most_its_fraction(jitter: float, chance: float, number: int) -> None:
    """Jitter shortens a delay by at most its fraction."""
    attempt = Attempt(number, 0, status=503)
    exact = RetryPolicy(max_retries=5, jitter=0).delay(attempt, "idempotent")
    delay = RetryPolicy(max_retries=5, jitter=jitter, random=lambda: chance).delay(attempt, "idempotent")
    assert exact is not None
    assert delay is not None
    assert exact * (1 - jitter) - 1e-9 <= delay <= exact


def test_policy_random_selects_delay_within_jitter() -> None:
    """`random` selects the delay within the jitter."""
    policies = [RetryPolicy(jitter=0.5, random=lambda: 0), RetryPolicy(jitter=0.5, random=lambda: 1)]
    delays = [policy.delay(Attempt(1, 0, status=503), "idempotent") for policy in policies]
    assert delays == [0.5, 0.25]


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"max_retries": -1}, "max_retries must be 0 or more, got -1"),
        ({"jitter": 1.5}, "jitter must be from 0 to 1, got 1.5"),
        ({"jitter": -0.1}, "jitter must be from 0 to 1, got -0.1"),
        ({"initial_delay": -1}, "initial_delay must not be negative, got -1"),
        ({"max_delay": -1}, "max_delay must not be negative, got -1"),
        ({"deadline": -1}, "deadline must not be negative, got -1"),
    ],
)
def test_invalid_policy_raises_value_error(setting: dict[str, Any], message: str) -> None:
    """An invalid policy raises a `ValueError` that names the argument."""
    with pytest.raises(ValueError, match=f"^{message}$"):
        RetryPolicy(**setting)


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7),
        ({"retry-after": "0"}, 0),
        ({"retry-after": "1.5"}, 1.5),
        ({"retry-after": "-1"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after-ms": "250"}, 0.25),
        ({"retry-after-ms": "250", "retry-after": "7"}, 0.25),
        ({"retry-after-ms": "x", "retry-after": "7"}, 7),
        ({"retry-after": format_datetime(NOW + timedelta(seconds=30), usegmt=True)}, 30),
        ({"retry-after": format_datetime(NOW - timedelta(seconds=30), usegmt=True)}, 0),
        ({"retry-after": "Thu, 01 Jan 2026 00:00:30 -0000"}, 30),
        ({"retry-after": "Thu, 01 Jan 2026 02:00:30 +0200"}, 30),
        # The server's clock is an hour or a year slow: its dates are relative to its Date header.
        ({"retry-after": "Wed, 31 Dec 2025 23:00:30 GMT", "date": "Wed, 31 Dec 2025 23:00:00 GMT"}, 30),
        ({"retry-after": "Thu, 01 Jan 2026 00:00:30 GMT", "date": "Thu, 01 Jan 2026 00:01:00 GMT"}, 0),
        ({"retry-after": "Thu, 01 Jan 2026 00:00:30 GMT", "date": "yesterday"}, 30),
        ({"retry-after": "Thu, 01 Jan 2026 00:00:30 GMT", "date": ""}, 30),
    ],
)
def test_retry_after_is_parsed_in_all_forms(headers: dict[str, str], expected: float | None) -> None:
    """`Retry-After` in seconds, milliseconds or as a date is parsed; invalid values are None."""
    assert retry_after(headers, lambda: NOW) == expected


@given(st.text(max_size=40) | st.from_regex(r"Thu, \d{1,12} Jan \d{1,12} \d\d:\d\d:\d\d [+-]\d{1,25}", fullmatch=True))
@example("Thu, 01 Jan 99999999999 00:00:00 GMT")
@example("Thu, 01 Jan 2026 00:00:00 +99999999999999999999")
def test_retry_after_with_any_text_is_non_negative_or_none(text: str) -> None:
    """Any header text gives a non-negative time or None."""
    for headers in ({"retry-after": text}, {"retry-after": format_datetime(NOW), "date": text}):
        delay = retry_after(headers, lambda: NOW)
        assert delay is None or delay >= 0


# Retries by the clients


def test_get_is_retried_until_success(driver: ClientDriver) -> None:
    """A GET is retried after an error response and a connection error."""
    handler = respond_with(503, httpx.ReadError("cut"), OK)
    step = driver.run(driver.client(handler, retry=NO_DELAY).steps.retrieve(STEP))
    assert step.id.startswith("step-")
    assert len(handler.requests) == 3


def test_get_raises_after_last_attempt(driver: ClientDriver) -> None:
    """A GET raises the last error when the attempts are used up."""
    handler = respond_with(503)
    with pytest.raises(InternalServerError):
        driver.run(driver.client(handler, retry=NO_DELAY).steps.retrieve(STEP))
    assert len(handler.requests) == 3


def test_feedback_is_retried_with_same_body(driver: ClientDriver) -> None:
    """Feedback is idempotent and is retried."""
    handler = respond_with(httpx.ReadTimeout("late"), OK)
    driver.run(driver.client(handler, retry=NO_DELAY).steps.feedback.create(STEP, feedback="positive"))
    assert [request.content for request in handler.requests] == [b'{"feedback":"positive"}'] * 2


def test_stream_resume_request_is_retried(driver: ClientDriver) -> None:
    """The request that resumes a stream is retried."""
    handler = respond_with(503, lambda: event_stream(b"data: [DONE]\n\n"))
    stream = driver.run(driver.client(handler, retry=NO_DELAY).conversations.messages.stream(CONVERSATION))
    assert driver.items(stream) == []
    assert len(handler.requests) == 2


FAILURES: list[Exception | int] = [500, 503, 429, 408, httpx.ReadError("cut"), httpx.ReadTimeout("late")]
FAILURES += [httpx.RemoteProtocolError("garbage"), httpx.WriteError("cut"), httpx.WriteTimeout("late")]
CREATES: list[dict[str, Any]] = [{"input": "hi"}, {"input": "hi", "streaming": False}]


@pytest.mark.parametrize("arguments", CREATES)
@pytest.mark.parametrize("failure", FAILURES, ids=repr)
def test_foreground_send_is_not_retried(
    driver: ClientDriver, failure: Exception | int, arguments: dict[str, Any]
) -> None:
    """A foreground send is not retried after any failure that may have reached the server."""
    handler = respond_with(failure)
    client = driver.client(handler, retry=NO_DELAY)
    with pytest.raises((APIStatusError, APIConnectionError)):
        driver.run(client.conversations.messages.create(CONVERSATION, **arguments))
    assert len(handler.requests) == 1


@pytest.mark.parametrize("failure", FAILURES, ids=repr)
def test_compaction_is_not_retried(driver: ClientDriver, failure: Exception | int) -> None:
    """A compaction is not retried after any failure that may have reached the server."""
    handler = respond_with(failure)
    with pytest.raises((APIStatusError, APIConnectionError)):
        driver.run(driver.client(handler, retry=NO_DELAY).conversations.messages.compact(CONVERSATION))
    assert len(handler.requests) == 1


@pytest.mark.parametrize(
    "override", [{"background": False}, {"messages": [{"role": "user", "content": "ho"}]}], ids=str
)
def test_background_send_overridden_by_extra_body_is_not_retried(
    driver: ClientDriver, override: dict[str, Any]
) -> None:
    """`extra_body` that replaces idempotency keys or the mode disables retries."""
    handler = respond_with(httpx.ReadError("cut"))
    create = driver.client(handler, retry=NO_DELAY).conversations.messages.create
    with pytest.raises(APIConnectionError):
        driver.run(create(CONVERSATION, input="hi", background=True, extra_body=override))
    assert len(handler.requests) == 1


def test_conflict_is_not_retried(driver: ClientDriver) -> None:
    """A 409 is not retried."""
    handler = respond_with(409)
    with pytest.raises(APIStatusError):
        driver.run(driver.client(handler, retry=NO_DELAY).steps.retrieve(STEP))
    assert len(handler.requests) == 1


def test_retry_after_ms_shortens_delay(driver: ClientDriver) -> None:
    """`Retry-After-Ms` replaces a longer delay of the policy."""
    patient = RetryPolicy(initial_delay=50)
    handler = respond_with(make_response(429, headers={"retry-after-ms": "20"}), OK)
    started = time.monotonic()
    driver.run(driver.client(handler, retry=patient).steps.retrieve(STEP))
    assert 0.02 <= time.monotonic() - started < 10


def test_retry_after_over_max_delay_raises_rate_limit_error(driver: ClientDriver) -> None:
    """A `Retry-After` over `max_delay` raises at once, with the header."""
    handler = respond_with(make_response(429, headers={"Retry-After": "3600"}), OK)
    with pytest.raises(RateLimitError) as caught:
        driver.run(driver.client(handler, retry=NO_DELAY).steps.retrieve(STEP))
    assert caught.value.headers["retry-after"] == "3600"
    assert len(handler.requests) == 1


def test_retry_argument_of_call_overrides_client_policy(driver: ClientDriver) -> None:
    """The `retry` argument of a call replaces the policy of the client."""
    handler = respond_with(503)
    client = driver.client(handler, retry=NO_DELAY)
    with pytest.raises(InternalServerError):
        driver.run(client.steps.retrieve(STEP, retry=RetryPolicy(max_retries=0)))
    assert len(handler.requests) == 1


def test_max_retries_of_client_overrides_policy(driver: ClientDriver) -> None:
    """`max_retries` of the client replaces that of the policy."""
    handler = respond_with(503)
    with pytest.raises(InternalServerError):
        driver.run(driver.client(handler, max_retries=1, retry=NO_DELAY).steps.retrieve(STEP))
    assert len(handler.requests) == 2


# Redirects


@pytest.mark.parametrize("status", [307, 308])
def test_redirect_preserving_method_is_followed_for_send(driver: ClientDriver, status: int) -> None:
    """A 307 or 308 is followed with the same method, headers and body."""
    handler = respond_with(
        make_response(status, headers={"location": "/elsewhere?x=1"}), recording("send_json").response
    )
    driver.run(driver.client(handler).conversations.messages.create(CONVERSATION, input="hi", streaming=False))
    first, second = handler.requests
    assert (second.method, str(second.url)) == ("POST", "http://letta.test/elsewhere?x=1")
    assert second.content == first.content
    assert second.headers == first.headers


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_get_follows_same_origin_redirect_with_credentials(driver: ClientDriver, status: int) -> None:
    """A GET follows each redirect within its origin, with the API key."""
    handler = respond_with(make_response(status, headers={"location": "http://letta.test:80/moved"}), OK)
    driver.run(driver.client(handler).steps.retrieve(STEP))
    assert handler.requests[1].url.path == "/moved"
    assert handler.requests[1].headers["authorization"].startswith("Bearer ")


@pytest.mark.parametrize("status", [301, 302, 303])
def test_redirect_changing_method_of_send_raises(driver: ClientDriver, status: int) -> None:
    """A redirect that would turn a send into a GET raises."""
    handler = respond_with(make_response(status, headers={"location": "/elsewhere"}), OK)
    with pytest.raises(APIStatusError) as caught:
        driver.run(driver.client(handler).conversations.messages.create(CONVERSATION, input="hi", streaming=False))
    assert caught.value.status_code == status
    assert len(handler.requests) == 1


ELSEWHERE = ["https://letta.test/", "http://evil.test/", "http://letta.test:81/", "//evil.test/x", "ftp://letta.test/"]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("location", [*ELSEWHERE, "http://letta.test@evil.test/", "http://[bad", ""])
def test_cross_origin_redirect_is_not_followed(driver: ClientDriver, status: int, location: str) -> None:
    """A redirect to another origin raises, so the API key does not leave the origin."""
    handler = respond_with(make_response(status, headers={"location": location}), OK)
    with pytest.raises(APIStatusError) as caught:
        driver.run(driver.client(handler).steps.retrieve(STEP))
    assert caught.value.status_code == status
    assert [request.url.host for request in handler.requests] == ["letta.test"]


def test_follow_redirects_of_httpx_client_is_ignored(driver: ClientDriver) -> None:
    """`follow_redirects` of the httpx client does not apply."""
    handler = respond_with(make_response(307, headers={"location": "http://evil.test/"}), OK)
    http = driver.httpx_client(transport=httpx.MockTransport(handler), follow_redirects=True)
    client = driver.client(base_url=BASE_URL, http_client=http)
    with pytest.raises(APIStatusError):
        driver.run(client.steps.retrieve(STEP))
    assert len(handler.requests) == 1


def test_redirect_loop_raises_after_limit(driver: ClientDriver) -> None:
    """A redirect loop ends with the error of its status."""
    handler = respond_with(make_response(307, headers={"location": "/again"}))
    with pytest.raises(APIStatusError) as caught:
        driver.run(driver.client(handler).steps.retrieve(STEP))
    assert caught.value.status_code == 307
    assert len(handler.requests) <= 21


# Broken connections

STEP_RESPONSE = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 15\r\n\r\n" + b'{"id":"step-1"}'


@pytest.mark.parametrize(
    "broken",
    [DISCONNECT, b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{" + DISCONNECT, b"SSH-2.0-x\r\n" + DISCONNECT],
)
def test_get_is_retried_after_broken_connection(driver: ClientDriver, broken: bytes) -> None:
    """A GET is retried after a closed, truncated or malformed response."""
    with loopback(broken, STEP_RESPONSE) as server:
        client = driver.client(base_url=server.base_url, retry=NO_DELAY)
        assert driver.run(client.steps.retrieve("step-1")).id == "step-1"
        assert len(server.requests) == 2


@pytest.mark.parametrize(
    "broken",
    [DISCONNECT, b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{" + DISCONNECT, b"SSH-2.0-x\r\n" + DISCONNECT],
)
def test_send_is_not_retried_after_broken_connection(driver: ClientDriver, broken: bytes) -> None:
    """A send is not retried after a closed, truncated or malformed response."""
    with loopback(broken) as server:
        client = driver.client(base_url=server.base_url, retry=NO_DELAY)
        with pytest.raises(APIConnectionError):
            driver.run(client.conversations.messages.create(CONVERSATION, input="hi", streaming=False))
        assert len(server.requests) == 1


def test_silent_server_raises_api_timeout_error(driver: ClientDriver) -> None:
    """A server that does not respond raises `APITimeoutError` at the read timeout."""
    with loopback(b"") as server:
        client = driver.client(base_url=server.base_url, retry=NO_DELAY)
        create: Callable[..., Any] = client.conversations.messages.create
        with pytest.raises(
            APITimeoutError, match=f"^POST {server.base_url}/v1/conversations/.+ timed out while reading"
        ):
            driver.run(create(CONVERSATION, input="hi", streaming=False, timeout=0.3))
        assert len(server.requests) == 1
