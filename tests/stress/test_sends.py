"""What was sent is there once: whatever becomes of the answer, and however often it is sent again."""

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
from .replay import CONVERSATION, recorded, refusal, replaying

pytestmark = pytest.mark.stress

RETRY = RetryPolicy(max_retries=2, initial_delay=0)
SEND: dict[str, Any] = {"input": "LONG 20", "stream_tokens": True, "background": True}


def busy(run_id: str | None) -> bytes:
    """The answer to a send while another request holds the conversation."""
    detail = f"CONFLICT: Cannot send a new message: Another request (run_id={run_id}) is currently being processed."
    return refusal(409, {"detail": detail, "run_id": run_id})


def listed(server: EmbeddedServer) -> tuple[int, int]:
    """How many user messages and runs the server has."""
    stored = server.state.conversations[server.conversation_id].thread.stored
    return sum(placed.message.role == "user" for placed in stored), len(server.state.runs)


# Sends in the background.


FAULTS: dict[str, list[Fault]] = {
    "lost answer": [LOST],
    "two lost answers": [LOST, LOST],
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
    "lost answer": LOST,
    "client gone first": Fault(late=0.0, response=0),
    "cut in the headers": Fault(response=40),
    "cut in the body": Fault(response=250),
}


@pytest.mark.parametrize("faults", FAULTS.values(), ids=FAULTS)
def test_a_background_send_is_there_once(driver: ClientDriver, server: EmbeddedServer, faults: list[Fault]) -> None:
    with proxied(server.base_url) as proxy:
        messages = driver.client(base_url=proxy.base_url, retry=RETRY).conversations.messages
        proxy.plan.extend(faults)
        result = driver.run(driver.run(messages.create(server.conversation_id, **SEND)).result())
        proxy.settle()
        assert not proxy.plan
        sends = [body["messages"] for path, body in proxy.requests if path.endswith("/messages")]
    assert "".join(message.content for message in result.messages).split() == [f"word{n}" for n in range(20)]
    assert listed(server) == (1, 1)
    assert all(send == sends[0] for send in sends)  # the otids too


def test_a_resend_that_meets_its_own_lock_finds_its_run(driver: ClientDriver) -> None:
    with replaying(recorded()) as replay:
        messages = driver.client(base_url=replay.base_url, retry=RETRY).conversations.messages
        replay.plan.extend([0, busy(None)])
        result = driver.run(driver.run(messages.create(CONVERSATION, **SEND)).result())
        first, second, third = replay.requests
    assert len(result.messages) == 1
    assert first.otids == second.otids == replay.sends[0]
    assert third.path.endswith("/stream")
    assert third.body["otid"] == first.otids[0]


def test_a_resend_whose_run_is_unknown_meets_a_busy_conversation(driver: ClientDriver) -> None:
    with replaying(recorded()) as replay:
        messages = driver.client(base_url=replay.base_url, retry=RETRY).conversations.messages
        # Neither request came to anything: another one holds the conversation.
        replay.plan.extend([refusal(503, {"detail": "not now"}), busy("run-of-another")])
        with pytest.raises(ConversationBusyError) as caught:
            driver.run(messages.create(CONVERSATION, **SEND))
        assert [exchange.path.rpartition("/")[2] for exchange in replay.requests] == ["messages", "messages", "stream"]
        assert replay.sends == []
    assert caught.value.run_id == "run-of-another"


def test_a_first_send_to_a_busy_conversation_asks_for_nothing(driver: ClientDriver) -> None:
    with replaying(recorded()) as replay:
        messages = driver.client(base_url=replay.base_url, retry=RETRY).conversations.messages
        replay.plan.extend([busy("run-of-another")])
        with pytest.raises(ConversationBusyError):
            driver.run(messages.create(CONVERSATION, **SEND))
        assert len(replay.requests) == 1


# Sends in the foreground.


def read(driver: ClientDriver, call: Any) -> None:
    driver.items(driver.run(call))


def foreground(streaming: bool) -> dict[str, Any]:
    return {"input": "hello", "streaming": streaming}


@pytest.mark.parametrize("streaming", [True, False])
@pytest.mark.parametrize("fault", LOSSES.values(), ids=LOSSES)
def test_a_foreground_send_is_never_repeated(
    driver: ClientDriver, server: EmbeddedServer, fault: Fault, streaming: bool
) -> None:
    with proxied(server.base_url) as proxy:
        messages = driver.client(base_url=proxy.base_url, retry=RETRY).conversations.messages
        proxy.plan.append(fault)
        with pytest.raises(APIConnectionError, match=r"may have been processed|list the messages before"):
            read(driver, messages.create(server.conversation_id, **foreground(streaming)))
        proxy.settle()
        assert len(proxy.requests) == 1
    assert listed(server) == (1, 1)


@pytest.mark.parametrize(("status", "remedy"), [(429, "Send fewer requests"), (503, "may have been processed")])
def test_a_refused_foreground_send_is_not_repeated(driver: ClientDriver, status: int, remedy: str) -> None:
    with replaying(recorded()) as replay:
        messages = driver.client(base_url=replay.base_url, retry=RETRY).conversations.messages
        replay.plan.append(refusal(status, {"detail": "not now"}))
        with pytest.raises(APIStatusError, match=f"{status} .*not now. .*{remedy}"):
            driver.run(messages.create(CONVERSATION, input="hello"))
        assert len(replay.requests) == 1


@pytest.mark.parametrize("streaming", [True, False])
def test_a_send_that_found_no_server_is_repeated(driver: ClientDriver, streaming: bool) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    reports: list[AttemptReport] = []
    client = driver.client(base_url=f"http://127.0.0.1:{port}", retry=RETRY, hooks=Hooks(on_attempt=reports.append))
    with pytest.raises(APIConnectionError):
        driver.run(client.conversations.messages.create(CONVERSATION, **foreground(streaming)))
    assert [(report.attempt.number, report.attempt.unsent) for report in reports] == [(1, True), (2, True), (3, True)]
    assert [report.delay for report in reports] == [0, 0, None]


# How it is sent again.


def test_retry_after_is_waited_for(driver: ClientDriver) -> None:
    reports: list[AttemptReport] = []
    with replaying(recorded()) as replay:
        client = driver.client(base_url=replay.base_url, retry=RETRY, hooks=Hooks(on_attempt=reports.append))
        replay.plan.append(refusal(429, {"detail": "slowly"}, retry_after_ms="30"))
        driver.items(driver.run(client.conversations.messages.create(CONVERSATION, **SEND)))
    assert [(report.attempt.status, report.delay) for report in reports] == [(429, 0.03), (200, None)]


def test_a_retry_after_beyond_patience_is_told_at_once(driver: ClientDriver) -> None:
    with replaying(recorded()) as replay:
        client = driver.client(base_url=replay.base_url, retry=RETRY)
        replay.plan.append(refusal(429, {"detail": "slowly"}, retry_after="61"))
        with pytest.raises(RateLimitError) as caught:
            driver.run(client.conversations.messages.create(CONVERSATION, **SEND))
        assert len(replay.requests) == 1
    assert caught.value.headers["retry-after"] == "61"


def test_hooks_see_every_attempt(driver: ClientDriver) -> None:
    reports: list[AttemptReport] = []
    with replaying(recorded()) as replay:
        client = driver.client(base_url=replay.base_url, retry=RETRY, hooks=Hooks(on_attempt=reports.append))
        replay.plan.extend([0, refusal(503, {"detail": "not now"})])
        driver.items(driver.run(client.conversations.messages.create(CONVERSATION, **SEND)))
        otids = {exchange.otids for exchange in replay.requests}
    assert [(report.attempt.number, report.attempt.status) for report in reports] == [(1, None), (2, 503), (3, 200)]
    assert isinstance(reports[0].error, Exception)
    assert len(otids) == 1


def test_what_a_hook_raises_leaves_no_connection_open(driver: ClientDriver) -> None:
    class StopError(Exception):
        pass

    def stop(_: AttemptReport) -> None:
        raise StopError

    with replaying(recorded()) as replay:
        client = driver.client(base_url=replay.base_url, retry=RETRY, hooks=Hooks(on_attempt=stop))
        with pytest.raises(StopError):
            driver.run(client.conversations.messages.create(CONVERSATION, **SEND))
        pool = client._transport.http._transport._pool
        assert not pool.store._open


def test_an_error_that_was_noted_as_a_run_is_told_and_ends(driver: ClientDriver) -> None:
    """The server noted the otid and failed: the resend finds a run that never says anything."""
    with replaying(recorded(), keep=lambda _: False) as replay:
        client = driver.client(base_url=replay.base_url, retry=RETRY)
        replay.plan.append(refusal(503, {"detail": "not now"}))
        events, fault = driver.drain(driver.run(client.conversations.messages.create(CONVERSATION, **SEND)))
        assert events == []
        assert isinstance(fault, StreamInterrupted)
        assert len(replay.sends) == 1
