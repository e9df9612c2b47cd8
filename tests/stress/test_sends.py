"""A sent message is processed once, for any fault of its request or response."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from letta_ext import (
    APIConnectionError,
    APIStatusError,
    ConversationBusyError,
    Hooks,
    RateLimitError,
    RetryPolicy,
    StreamInterrupted,
)
from letta_ext.hooks import AttemptReport
from letta_ext.testing import EmbeddedServer

from ..client.helpers import ClientDriver
from ..integration.proxy import LOST, Fault, proxied
from .replay import CONVERSATION, error_response, recorded_body, replay_server

pytestmark = pytest.mark.stress

RETRY = RetryPolicy(max_retries=2, initial_delay=0)
SEND: dict[str, Any] = {"input": "LONG 20", "stream_tokens": True, "background": True}


def busy_response(run_id: str | None) -> bytes:
    """Return the 409 for a send while another request holds the conversation."""
    detail = f"CONFLICT: Cannot send a new message: Another request (run_id={run_id}) is currently being processed."
    return error_response(409, {"detail": detail, "run_id": run_id})


def count_stored(server: EmbeddedServer) -> tuple[int, int]:
    """Return the number of user messages and of runs on the server."""
    stored = server.state.conversations[server.conversation_id].thread.stored
    return sum(placed.message.role == "user" for placed in stored), len(server.state.runs)


# Background sends


FAULTS: dict[str, list[Fault]] = {
    "lost response": [LOST],
    "two lost responses": [LOST, LOST],
    "client gone first": [Fault(late=0.0, response=0)],
    "overtaken by the resend": [Fault(late=0.05, response=0)],
    "nothing sent": [Fault(forward=0)],
    "cut in the request's headers": [Fault(forward=30)],
    "cut in the request's body": [Fault(forward=300)],
    "cut behind one byte": [Fault(response=1)],
    "cut in the headers, twice": [Fault(response=100), Fault(response=100)],
    "cut, and resumed with losses": [Fault(response=1000), LOST, LOST, Fault(response=900), LOST],
}
LOSSES = {
    "lost response": LOST,
    "client gone first": Fault(late=0.0, response=0),
    "cut in the headers": Fault(response=40),
    "cut in the body": Fault(response=250),
}


@pytest.mark.parametrize("faults", FAULTS.values(), ids=FAULTS)
def test_background_send_is_processed_once(driver: ClientDriver, server: EmbeddedServer, faults: list[Fault]) -> None:
    """A background send is processed once for each network fault."""
    with proxied(server.base_url) as proxy:
        messages = driver.client(base_url=proxy.base_url, retry=RETRY).conversations.messages
        proxy.plan.extend(faults)
        result = driver.run(driver.run(messages.create(server.conversation_id, **SEND)).result())
        proxy.settle()
        assert not proxy.plan
        sends = [body["messages"] for path, body in proxy.requests if path.endswith("/messages")]
    assert "".join(message.content for message in result.messages).split() == [f"word{n}" for n in range(20)]
    assert count_stored(server) == (1, 1)
    assert all(send == sends[0] for send in sends)  # including the idempotency keys


def test_retried_send_blocked_by_own_lock_resumes_its_run(driver: ClientDriver) -> None:
    """A retry that gets a 409 from its first attempt resumes the run by its idempotency key."""
    with replay_server(recorded_body()) as replay:
        messages = driver.client(base_url=replay.base_url, retry=RETRY).conversations.messages
        replay.plan.extend([0, busy_response(None)])
        result = driver.run(driver.run(messages.create(CONVERSATION, **SEND)).result())
        first, second, third = replay.requests
    assert len(result.messages) == 1
    assert first.otids == second.otids == replay.sends[0]
    assert third.path.endswith("/stream")
    assert third.body["otid"] == first.otids[0]


def test_retried_send_without_run_raises_conversation_busy_error(driver: ClientDriver) -> None:
    """A retry whose run does not exist raises `ConversationBusyError`."""
    with replay_server(recorded_body()) as replay:
        messages = driver.client(base_url=replay.base_url, retry=RETRY).conversations.messages
        # Neither request was processed: another one holds the conversation.
        replay.plan.extend([error_response(503, {"detail": "not now"}), busy_response("run-of-another")])
        with pytest.raises(ConversationBusyError) as caught:
            driver.run(messages.create(CONVERSATION, **SEND))
        assert [request.path.rpartition("/")[2] for request in replay.requests] == ["messages", "messages", "stream"]
        assert replay.sends == []
    assert caught.value.run_id == "run-of-another"


def test_first_send_to_busy_conversation_raises_without_lookup(driver: ClientDriver) -> None:
    """A first attempt that gets a 409 raises without a lookup of its run."""
    with replay_server(recorded_body()) as replay:
        messages = driver.client(base_url=replay.base_url, retry=RETRY).conversations.messages
        replay.plan.extend([busy_response("run-of-another")])
        with pytest.raises(ConversationBusyError):
            driver.run(messages.create(CONVERSATION, **SEND))
        assert len(replay.requests) == 1


# Foreground sends


def read(driver: ClientDriver, call: Any) -> None:
    driver.items(driver.run(call))


def foreground(streaming: bool) -> dict[str, Any]:
    return {"input": "hello", "streaming": streaming}


@pytest.mark.parametrize("streaming", [True, False])
@pytest.mark.parametrize("fault", LOSSES.values(), ids=LOSSES)
def test_foreground_send_with_lost_response_is_not_retried(
    driver: ClientDriver, server: EmbeddedServer, fault: Fault, streaming: bool
) -> None:
    """A foreground send whose response is lost is processed once, and the error states the doubt."""
    with proxied(server.base_url) as proxy:
        messages = driver.client(base_url=proxy.base_url, retry=RETRY).conversations.messages
        proxy.plan.append(fault)
        with pytest.raises(APIConnectionError, match=r"may have been processed|list the messages before"):
            read(driver, messages.create(server.conversation_id, **foreground(streaming)))
        proxy.settle()
        assert len(proxy.requests) == 1
    assert count_stored(server) == (1, 1)


@pytest.mark.parametrize(("status", "remedy"), [(429, "Send fewer requests"), (503, "may have been processed")])
def test_foreground_send_with_error_response_is_not_retried(driver: ClientDriver, status: int, remedy: str) -> None:
    """A 429 or 503 to a foreground send raises at once."""
    with replay_server(recorded_body()) as replay:
        messages = driver.client(base_url=replay.base_url, retry=RETRY).conversations.messages
        replay.plan.append(error_response(status, {"detail": "not now"}))
        with pytest.raises(APIStatusError, match=f"{status} .*not now. .*{remedy}"):
            driver.run(messages.create(CONVERSATION, input="hello"))
        assert len(replay.requests) == 1


@pytest.mark.parametrize("streaming", [True, False])
def test_foreground_send_without_server_is_retried(driver: ClientDriver, streaming: bool) -> None:
    """A refused connection is retried: the message was not sent."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    reports: list[AttemptReport] = []
    client = driver.client(base_url=f"http://127.0.0.1:{port}", retry=RETRY, hooks=Hooks(on_attempt=reports.append))
    with pytest.raises(APIConnectionError):
        driver.run(client.conversations.messages.create(CONVERSATION, **foreground(streaming)))
    assert [(report.attempt.number, report.attempt.unsent) for report in reports] == [(1, True), (2, True), (3, True)]
    assert [report.delay for report in reports] == [0, 0, None]


# Retries


def test_retry_after_ms_is_the_delay_of_the_retry(driver: ClientDriver) -> None:
    """`Retry-After-Ms` is the delay before the next attempt."""
    reports: list[AttemptReport] = []
    with replay_server(recorded_body()) as replay:
        client = driver.client(base_url=replay.base_url, retry=RETRY, hooks=Hooks(on_attempt=reports.append))
        replay.plan.append(error_response(429, {"detail": "slowly"}, retry_after_ms="30"))
        driver.items(driver.run(client.conversations.messages.create(CONVERSATION, **SEND)))
    assert [(report.attempt.status, report.delay) for report in reports] == [(429, 0.03), (200, None)]


def test_retry_after_over_max_delay_raises_at_once(driver: ClientDriver) -> None:
    """A `Retry-After` over `max_delay` raises at once, with the header."""
    with replay_server(recorded_body()) as replay:
        client = driver.client(base_url=replay.base_url, retry=RETRY)
        replay.plan.append(error_response(429, {"detail": "slowly"}, retry_after="61"))
        with pytest.raises(RateLimitError) as caught:
            driver.run(client.conversations.messages.create(CONVERSATION, **SEND))
        assert len(replay.requests) == 1
    assert caught.value.headers["retry-after"] == "61"


def test_attempt_hook_reports_every_attempt(driver: ClientDriver) -> None:
    """`on_attempt` reports each attempt with its number, status and error."""
    reports: list[AttemptReport] = []
    with replay_server(recorded_body()) as replay:
        client = driver.client(base_url=replay.base_url, retry=RETRY, hooks=Hooks(on_attempt=reports.append))
        replay.plan.extend([0, error_response(503, {"detail": "not now"})])
        driver.items(driver.run(client.conversations.messages.create(CONVERSATION, **SEND)))
        otids = {request.otids for request in replay.requests}
    assert [(report.attempt.number, report.attempt.status) for report in reports] == [(1, None), (2, 503), (3, 200)]
    assert isinstance(reports[0].error, Exception)
    assert len(otids) == 1


def test_exception_of_hook_closes_connection(driver: ClientDriver) -> None:
    """An exception of a hook closes the connection."""

    class StopError(Exception):
        pass

    def stop(_: AttemptReport) -> None:
        raise StopError

    with replay_server(recorded_body()) as replay:
        client = driver.client(base_url=replay.base_url, retry=RETRY, hooks=Hooks(on_attempt=stop))
        with pytest.raises(StopError):
            driver.run(client.conversations.messages.create(CONVERSATION, **SEND))
        assert replay.wait_open(0, 5)


def test_retried_send_with_empty_run_raises_stream_interrupted(driver: ClientDriver) -> None:
    """A failed first attempt may leave a run without events; the retry ends with `StreamInterrupted`."""
    with replay_server(recorded_body(), keep=lambda _: False) as replay:
        client = driver.client(base_url=replay.base_url, retry=RETRY)
        replay.plan.append(error_response(503, {"detail": "not now"}))
        events, fault = driver.drain(driver.run(client.conversations.messages.create(CONVERSATION, **SEND)))
        assert events == []
        assert isinstance(fault, StreamInterrupted)
        assert len(replay.sends) == 1
