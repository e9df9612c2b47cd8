"""When a request is sent again: the policy by itself, and what the clients make of it."""

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
def test_passing_failures_are_worth_another_attempt(status: int) -> None:
    assert POLICY.delay(Attempt(1, 0, status=status), "idempotent") == 0.5
    assert POLICY.delay(Attempt(1, 0, status=status), "none") is None


@pytest.mark.parametrize("status", [301, 307, 400, 401, 403, 404, 409, 410, 422, 451])
def test_other_refusals_are_not(status: int) -> None:
    assert POLICY.delay(Attempt(1, 0, status=status), "idempotent") is None
    # Not even where the server asks for it.
    assert POLICY.delay(Attempt(1, 0, status=status, retry_after=1), "idempotent") is None


@pytest.mark.parametrize(
    ("unsent", "idempotency", "again"),
    [(True, "none", True), (True, "idempotent", True), (False, "idempotent", True), (False, "none", False)],
)
def test_a_lost_answer_is_only_asked_for_again_where_that_does_nothing_twice(
    unsent: bool, idempotency: Idempotency, again: bool
) -> None:
    assert (POLICY.delay(Attempt(1, 0, unsent=unsent), idempotency) is not None) == again


def test_delays_grow_up_to_the_longest() -> None:
    policy = RetryPolicy(max_retries=6, initial_delay=1, multiplier=3, max_delay=20, jitter=0)
    attempts = [Attempt(number, 0, status=503) for number in range(1, 8)]
    assert [policy.delay(attempt, "idempotent") for attempt in attempts] == [1, 3, 9, 20, 20, 20, None]


def test_no_retries_are_none() -> None:
    assert RetryPolicy(max_retries=0).delay(Attempt(1, 0, status=503), "idempotent") is None


def test_the_deadline_counts_the_wait() -> None:
    policy = RetryPolicy(initial_delay=5, jitter=0, deadline=10)
    assert policy.delay(Attempt(1, 5, status=503), "idempotent") == 5
    assert policy.delay(Attempt(1, 5.1, status=503), "idempotent") is None
    assert policy.delay(Attempt(1, 5.1, status=503, retry_after=4), "idempotent") == 4


@pytest.mark.parametrize(("asked", "expected"), [(7, 7), (60, 60), (60.1, None), (3600, None)])
def test_what_the_server_asks_for_is_waited_or_not_at_all(asked: float, expected: float | None) -> None:
    assert RetryPolicy(max_delay=60).delay(Attempt(1, 0, status=429, retry_after=asked), "idempotent") == expected


def test_no_wait_at_all_is_the_policys_own() -> None:
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
def test_no_wait_is_ever_longer_than_allowed(attempt: Attempt, policy: RetryPolicy, idempotency: Idempotency) -> None:
    delay = policy.delay(attempt, idempotency)
    if delay is not None:
        assert 0 <= delay <= policy.max_delay
        assert attempt.elapsed + delay <= policy.deadline
        assert attempt.number <= policy.max_retries


@given(st.floats(0, 1), st.floats(0, 1), st.integers(1, 5))
def test_jitter_shortens_a_delay_by_at_most_its_part(jitter: float, chance: float, number: int) -> None:
    attempt = Attempt(number, 0, status=503)
    exact = RetryPolicy(max_retries=5, jitter=0).delay(attempt, "idempotent")
    delay = RetryPolicy(max_retries=5, jitter=jitter, random=lambda: chance).delay(attempt, "idempotent")
    assert exact is not None
    assert delay is not None
    assert exact * (1 - jitter) - 1e-9 <= delay <= exact


def test_chance_decides_within_the_jitter() -> None:
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
def test_impossible_policies_are_refused(setting: dict[str, Any], message: str) -> None:
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
        # The server's clock is an hour, or a year, behind: its own date is what its dates are relative to.
        ({"retry-after": "Wed, 31 Dec 2025 23:00:30 GMT", "date": "Wed, 31 Dec 2025 23:00:00 GMT"}, 30),
        ({"retry-after": "Thu, 01 Jan 2026 00:00:30 GMT", "date": "Thu, 01 Jan 2026 00:01:00 GMT"}, 0),
        ({"retry-after": "Thu, 01 Jan 2026 00:00:30 GMT", "date": "yesterday"}, 30),
        ({"retry-after": "Thu, 01 Jan 2026 00:00:30 GMT", "date": ""}, 30),
    ],
)
def test_the_forms_of_retry_after(headers: dict[str, str], expected: float | None) -> None:
    assert retry_after(headers, lambda: NOW) == expected


@given(st.text(max_size=40) | st.from_regex(r"Thu, \d{1,12} Jan \d{1,12} \d\d:\d\d:\d\d [+-]\d{1,25}", fullmatch=True))
@example("Thu, 01 Jan 99999999999 00:00:00 GMT")
@example("Thu, 01 Jan 2026 00:00:00 +99999999999999999999")
def test_whatever_a_server_writes_there_is_a_time_or_nothing(text: str) -> None:
    for headers in ({"retry-after": text}, {"retry-after": format_datetime(NOW), "date": text}):
        asked = retry_after(headers, lambda: NOW)
        assert asked is None or asked >= 0


# Through the clients.


def test_a_read_is_repeated_until_it_is_answered(driver: ClientDriver) -> None:
    handler = respond_with(503, httpx.ReadError("cut"), OK)
    step = driver.run(driver.client(handler, retry=NO_DELAY).steps.retrieve(STEP))
    assert step.id.startswith("step-")
    assert len(handler.requests) == 3


def test_a_read_is_given_up_after_the_last_attempt(driver: ClientDriver) -> None:
    handler = respond_with(503)
    with pytest.raises(InternalServerError):
        driver.run(driver.client(handler, retry=NO_DELAY).steps.retrieve(STEP))
    assert len(handler.requests) == 3


def test_feedback_is_repeated(driver: ClientDriver) -> None:
    handler = respond_with(httpx.ReadTimeout("late"), OK)
    driver.run(driver.client(handler, retry=NO_DELAY).steps.feedback.create(STEP, feedback="positive"))
    assert [request.content for request in handler.requests] == [b'{"feedback":"positive"}'] * 2


def test_opening_a_resumed_stream_is_repeated(driver: ClientDriver) -> None:
    handler = respond_with(503, lambda: event_stream(b"data: [DONE]\n\n"))
    stream = driver.run(driver.client(handler, retry=NO_DELAY).conversations.messages.stream(CONVERSATION))
    assert driver.items(stream) == []
    assert len(handler.requests) == 2


FAILURES: list[Exception | int] = [500, 503, 429, 408, httpx.ReadError("cut"), httpx.ReadTimeout("late")]
FAILURES += [httpx.RemoteProtocolError("garbage"), httpx.WriteError("cut"), httpx.WriteTimeout("late")]
CREATES: list[dict[str, Any]] = [{"input": "hi"}, {"input": "hi", "streaming": False}]


@pytest.mark.parametrize("arguments", CREATES)
@pytest.mark.parametrize("failure", FAILURES, ids=repr)
def test_a_message_is_never_sent_twice(
    driver: ClientDriver, failure: Exception | int, arguments: dict[str, Any]
) -> None:
    handler = respond_with(failure)
    client = driver.client(handler, retry=NO_DELAY)
    with pytest.raises((APIStatusError, APIConnectionError)):
        driver.run(client.conversations.messages.create(CONVERSATION, **arguments))
    assert len(handler.requests) == 1


@pytest.mark.parametrize("failure", FAILURES, ids=repr)
def test_a_compaction_is_never_asked_for_twice(driver: ClientDriver, failure: Exception | int) -> None:
    handler = respond_with(failure)
    with pytest.raises((APIStatusError, APIConnectionError)):
        driver.run(driver.client(handler, retry=NO_DELAY).conversations.messages.compact(CONVERSATION))
    assert len(handler.requests) == 1


@pytest.mark.parametrize(
    "override", [{"background": False}, {"messages": [{"role": "user", "content": "ho"}]}], ids=str
)
def test_what_makes_another_send_of_it_is_sent_once(driver: ClientDriver, override: dict[str, Any]) -> None:
    handler = respond_with(httpx.ReadError("cut"))
    create = driver.client(handler, retry=NO_DELAY).conversations.messages.create
    with pytest.raises(APIConnectionError):
        driver.run(create(CONVERSATION, input="hi", background=True, extra_body=override))
    assert len(handler.requests) == 1


def test_conflicts_are_never_repeated(driver: ClientDriver) -> None:
    handler = respond_with(409)
    with pytest.raises(APIStatusError):
        driver.run(driver.client(handler, retry=NO_DELAY).steps.retrieve(STEP))
    assert len(handler.requests) == 1


def test_the_server_may_shorten_the_wait(driver: ClientDriver) -> None:
    patient = RetryPolicy(initial_delay=50)
    handler = respond_with(make_response(429, headers={"retry-after-ms": "20"}), OK)
    started = time.monotonic()
    driver.run(driver.client(handler, retry=patient).steps.retrieve(STEP))
    assert 0.02 <= time.monotonic() - started < 10


def test_a_longer_wait_than_allowed_is_the_callers_to_decide(driver: ClientDriver) -> None:
    handler = respond_with(make_response(429, headers={"Retry-After": "3600"}), OK)
    with pytest.raises(RateLimitError) as caught:
        driver.run(driver.client(handler, retry=NO_DELAY).steps.retrieve(STEP))
    assert caught.value.headers["retry-after"] == "3600"
    assert len(handler.requests) == 1


def test_a_call_may_have_a_policy_of_its_own(driver: ClientDriver) -> None:
    handler = respond_with(503)
    client = driver.client(handler, retry=NO_DELAY)
    with pytest.raises(InternalServerError):
        driver.run(client.steps.retrieve(STEP, retry=RetryPolicy(max_retries=0)))
    assert len(handler.requests) == 1


def test_max_retries_of_the_client_counts(driver: ClientDriver) -> None:
    handler = respond_with(503)
    with pytest.raises(InternalServerError):
        driver.run(driver.client(handler, max_retries=1, retry=NO_DELAY).steps.retrieve(STEP))
    assert len(handler.requests) == 2


# Redirects.


@pytest.mark.parametrize("status", [307, 308])
def test_a_redirect_that_keeps_all_is_followed(driver: ClientDriver, status: int) -> None:
    handler = respond_with(
        make_response(status, headers={"location": "/elsewhere?x=1"}), recording("send_json").response
    )
    driver.run(driver.client(handler).conversations.messages.create(CONVERSATION, input="hi", streaming=False))
    first, second = handler.requests
    assert (second.method, str(second.url)) == ("POST", "http://letta.test/elsewhere?x=1")
    assert second.content == first.content
    assert second.headers == first.headers


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_reads_follow_any_redirect_within_the_server(driver: ClientDriver, status: int) -> None:
    handler = respond_with(make_response(status, headers={"location": "http://letta.test:80/moved"}), OK)
    driver.run(driver.client(handler).steps.retrieve(STEP))
    assert handler.requests[1].url.path == "/moved"
    assert handler.requests[1].headers["authorization"].startswith("Bearer ")


@pytest.mark.parametrize("status", [301, 302, 303])
def test_a_redirect_that_would_lose_the_message_is_an_error(driver: ClientDriver, status: int) -> None:
    handler = respond_with(make_response(status, headers={"location": "/elsewhere"}), OK)
    with pytest.raises(APIStatusError) as caught:
        driver.run(driver.client(handler).conversations.messages.create(CONVERSATION, input="hi", streaming=False))
    assert caught.value.status_code == status
    assert len(handler.requests) == 1


ELSEWHERE = ["https://letta.test/", "http://evil.test/", "http://letta.test:81/", "//evil.test/x", "ftp://letta.test/"]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("location", [*ELSEWHERE, "http://letta.test@evil.test/", "http://[bad", ""])
def test_the_key_goes_nowhere_else(driver: ClientDriver, status: int, location: str) -> None:
    handler = respond_with(make_response(status, headers={"location": location}), OK)
    with pytest.raises(APIStatusError) as caught:
        driver.run(driver.client(handler).steps.retrieve(STEP))
    assert caught.value.status_code == status
    assert [request.url.host for request in handler.requests] == ["letta.test"]


def test_a_passed_client_that_follows_redirects_does_not_follow_ours(driver: ClientDriver) -> None:
    handler = respond_with(make_response(307, headers={"location": "http://evil.test/"}), OK)
    client = driver.client(handler)
    client._transport.http.follow_redirects = True
    with pytest.raises(APIStatusError):
        driver.run(client.steps.retrieve(STEP))
    assert len(handler.requests) == 1


def test_a_circle_of_redirects_ends(driver: ClientDriver) -> None:
    handler = respond_with(make_response(307, headers={"location": "/again"}))
    with pytest.raises(APIStatusError) as caught:
        driver.run(driver.client(handler).steps.retrieve(STEP))
    assert caught.value.status_code == 307
    assert len(handler.requests) <= 21


# Servers that break, on a real socket.

STEP_ANSWER = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 15\r\n\r\n" + b'{"id":"step-1"}'


@pytest.mark.parametrize(
    "broken",
    [DISCONNECT, b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{" + DISCONNECT, b"SSH-2.0-x\r\n" + DISCONNECT],
)
def test_a_read_survives_a_broken_connection(driver: ClientDriver, broken: bytes) -> None:
    with loopback(broken, STEP_ANSWER) as server:
        client = driver.client(base_url=server.base_url, retry=NO_DELAY)
        assert driver.run(client.steps.retrieve("step-1")).id == "step-1"
        assert len(server.requests) == 2


@pytest.mark.parametrize(
    "broken",
    [DISCONNECT, b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{" + DISCONNECT, b"SSH-2.0-x\r\n" + DISCONNECT],
)
def test_a_message_is_not_sent_again_over_a_broken_connection(driver: ClientDriver, broken: bytes) -> None:
    with loopback(broken) as server:
        client = driver.client(base_url=server.base_url, retry=NO_DELAY)
        with pytest.raises(APIConnectionError):
            driver.run(client.conversations.messages.create(CONVERSATION, input="hi", streaming=False))
        assert len(server.requests) == 1


def test_a_server_that_says_nothing_is_not_waited_for_for_ever(driver: ClientDriver) -> None:
    with loopback(b"") as server:
        client = driver.client(base_url=server.base_url, retry=NO_DELAY)
        create: Callable[..., Any] = client.conversations.messages.create
        with pytest.raises(
            APITimeoutError, match=f"^POST {server.base_url}/v1/conversations/.+ timed out while reading"
        ):
            driver.run(create(CONVERSATION, input="hi", streaming=False, timeout=0.3))
        assert len(server.requests) == 1
