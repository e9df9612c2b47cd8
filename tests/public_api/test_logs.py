"""Logging: lines, levels and the absence of secrets."""

from __future__ import annotations

import logging
import os
import re
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

import letta_ext
from letta_ext import APIError, LettaError, RetryPolicy
from letta_ext._instrumentation.log_observer import LOG, configure
from letta_ext._instrumentation.redaction import is_secret, redact, secrets_of
from letta_ext.testing import EmbeddedServer

from ..client.helpers import (
    CONVERSATION,
    KEY,
    NO_DELAY,
    STEP,
    ClientDriver,
    event_stream,
    make_response,
    recording,
    respond_with,
    sse,
)

PROMPT = "What I say to my agent"


@pytest.fixture
def level() -> Iterator[None]:
    before, handlers = LOG.level, list(LOG.handlers)
    yield
    LOG.setLevel(before)
    LOG.handlers[:] = handlers


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == "letta_ext"]


def test_log_attempt_writes_one_line(driver: ClientDriver, caplog: pytest.LogCaptureFixture) -> None:
    """Each attempt is logged with its outcome, duration and retry delay."""
    caplog.set_level(logging.INFO, "letta_ext")
    handler = respond_with(503, httpx.ReadError("cut"), make_response(200, json={"id": STEP}))
    driver.run(driver.client(handler, retry=NO_DELAY).steps.retrieve(STEP))
    first, second, third = lines(caplog)
    outcomes = [(first, "status=503"), (second, "error=ReadError"), (third, "status=200")]
    for number, (line, outcome) in enumerate(outcomes, start=1):
        prefix = f"attempt ended method=GET path=/v1/steps/{STEP} attempt={number} {outcome} duration_ms="
        assert re.fullmatch(rf"{re.escape(prefix)}\d+\.\d( retry_in=0)?", line)
    assert [line.endswith("retry_in=0") for line in (first, second, third)] == [True, True, False]


def test_log_stream_end_writes_one_line(driver: ClientDriver, caplog: pytest.LogCaptureFixture) -> None:
    """The end of a stream is logged, whether it ended or was closed early."""
    caplog.set_level(logging.INFO, "letta_ext")
    streamed = recording("send_tokens_stream")
    client = driver.client(lambda _: streamed.response())
    events = driver.items(driver.run(client.conversations.messages.create(CONVERSATION, input=PROMPT)))
    request = f"method=POST path=/v1/conversations/{CONVERSATION}/messages duration_ms="
    assert lines(caplog)[-1].startswith(f"stream ended events={len(events)} {request}")
    driver.drain(driver.run(client.conversations.messages.create(CONVERSATION, input=PROMPT)), lambda _: True)
    assert lines(caplog)[-1].startswith(f"stream closed early events=1 {request}")
    stream = driver.run(client.conversations.messages.create(CONVERSATION, input=PROMPT))
    driver.run(stream.close())
    assert lines(caplog)[-1].startswith(f"stream closed early events=0 {request}")
    assert len(lines(caplog)) == 6


def test_log_failure_writes_one_line(driver: ClientDriver, caplog: pytest.LogCaptureFixture) -> None:
    """A failed call and a failed stream are logged with the class of the error."""
    caplog.set_level(logging.INFO, "letta_ext")
    cut = event_stream(sse({"message_type": "ping", "run_id": "run-1"}))
    client = driver.client(respond_with(404, lambda: cut))
    with pytest.raises(LettaError):
        driver.run(client.steps.retrieve(STEP))
    assert lines(caplog)[-1].startswith(
        f"call failed error=NotFoundError method=GET path=/v1/steps/{STEP} duration_ms="
    )
    driver.drain(driver.run(client.conversations.messages.create(CONVERSATION, input=PROMPT)))
    assert lines(caplog)[-1].startswith("stream failed events=1 error=StreamInterrupted method=POST path=")


def test_log_interrupted_stream_writes_one_line(driver: ClientDriver, caplog: pytest.LogCaptureFixture) -> None:
    """An interrupted stream is logged with its position and the delay."""
    caplog.set_level(logging.INFO, "letta_ext")
    events = [{"message_type": "ping", "run_id": "run-1", "seq_id": 1}, {"message_type": "x", "id": "m", "seq_id": 2}]
    handler = respond_with(lambda: event_stream(sse(events[0])), lambda: event_stream(sse(events[1], "[DONE]")))
    create = driver.client(handler, retry=NO_DELAY).conversations.messages.create
    driver.items(driver.run(create(CONVERSATION, input=PROMPT, background=True)))
    assert lines(caplog)[1] == (
        "stream interrupted last_seq_id=1 retry_in=0 resumption=1"
        f" method=POST path=/v1/conversations/{CONVERSATION}/messages"
    )
    assert lines(caplog)[-1].startswith("stream ended events=2 ")


def test_log_debug_writes_redacted_headers(driver: ClientDriver, caplog: pytest.LogCaptureFixture) -> None:
    """DEBUG logs headers and query parameters with their secrets redacted."""
    caplog.set_level(logging.DEBUG, "letta_ext")
    handler = respond_with(
        make_response(200, json=[], headers={"set-cookie": "session=abc123", "x-request-id": "req-7"})
    )
    client = driver.client(handler, default_headers={"X-My-Token": "tok-999", "Cookie": "c=secret-c", "X-A": "shown"})
    driver.run(client.get("/v1/x", query={"api_key": "key-in-query", "limit": 3}))
    text = "\n".join(lines(caplog))
    assert "x-request-id='req-7'" in text
    assert "x-a='shown'" in text.lower()
    assert "limit='3'" in text
    for secret in (KEY, "tok-999", "secret-c", "abc123", "key-in-query"):
        assert secret not in text
    assert "authorization=***" in text.lower()


def test_log_bodies_require_setting_and_debug(
    driver: ClientDriver, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bodies are logged only with LETTA_LOG_BODIES and DEBUG."""
    caplog.set_level(logging.DEBUG, "letta_ext")
    streamed = recording("send_tokens_stream")
    client = driver.client(
        lambda r: streamed.response() if r.method == "POST" else httpx.Response(200, json=["stored"])
    )

    def logged_text() -> str:
        caplog.clear()
        driver.items(driver.run(client.conversations.messages.create(CONVERSATION, input=PROMPT)))
        driver.run(client.get("/v1/x"))
        return "\n".join(lines(caplog))

    without_bodies = logged_text()
    assert PROMPT not in without_bodies
    assert "assistant_message" not in without_bodies
    assert "stored" not in without_bodies
    monkeypatch.setenv("LETTA_LOG_BODIES", "1")
    with_bodies = logged_text()
    assert PROMPT in with_bodies
    assert "assistant_message" in with_bodies
    assert '["stored"]' in with_bodies
    caplog.set_level(logging.INFO, "letta_ext")
    assert PROMPT not in logged_text()


def test_log_disabled_writes_nothing(driver: ClientDriver, caplog: pytest.LogCaptureFixture) -> None:
    """Without a configured level nothing is logged."""
    caplog.set_level(logging.WARNING)  # the default level of the root logger
    driver.run(driver.client(respond_with(make_response(200, json={"id": STEP}))).steps.retrieve(STEP))
    assert lines(caplog) == []


@pytest.mark.usefixtures("level")
@pytest.mark.parametrize(("value", "expected"), [("info", logging.INFO), (" DEBUG ", logging.DEBUG)])
def test_configure_valid_level_sets_level_and_one_handler(value: str, expected: int) -> None:
    """LETTA_LOG sets the level, and adds one handler only."""
    configure({"LETTA_LOG": value})
    configure({"LETTA_LOG": value})
    assert LOG.level == expected
    assert len(LOG.handlers) == 1


@pytest.mark.usefixtures("level")
def test_configure_invalid_level_warns() -> None:
    """An invalid LETTA_LOG warns, and adds no handler."""
    with pytest.warns(UserWarning, match="LETTA_LOG must be info or debug, got 'loud'"):
        configure({"LETTA_LOG": "loud"})
    assert LOG.handlers == []


SCRIPT = """
import logging
import httpx
import letta_ext
{before}
transport = httpx.MockTransport(lambda request: httpx.Response(200, json=1))
http = httpx.Client(transport=transport)
with letta_ext.Letta(api_key="sk-hidden-key", base_url="http://a.test", http_client=http) as client:
    client.get("/v1/x")
"""


@pytest.mark.parametrize(
    ("value", "before", "count"),
    [
        ("", "", 0),
        ("info", "", 1),
        ("debug", "", 3),
        ("", "logging.basicConfig(level='INFO', format='LOG %(name)s %(message)s')", 1),
        ("info", "logging.basicConfig(format='LOG %(name)s %(message)s')", 1),
    ],
)
def test_log_variable_in_program_writes_to_stderr(value: str, before: str, count: int) -> None:
    """LETTA_LOG writes to standard error unless the program has configured logging."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT.format(before=before)],
        env={**os.environ, "LETTA_LOG": value},
        capture_output=True,
        text=True,
        check=True,
    )
    assert len([line for line in done.stderr.splitlines() if "letta_ext" in line]) == count
    assert "sk-hidden-key" not in done.stderr


# The absence of secrets.

FAULTS: dict[str, Any] = {
    **{
        str(status): make_response(status, json={"detail": "no"})
        for status in (400, 401, 403, 404, 409, 410, 422, 429, 500)
    },
    "307": make_response(307, headers={"location": "http://elsewhere.test/"}),
    "no json": make_response(200, content=b"<html>"),
    "another shape": make_response(200, json=[1]),
    "refused": httpx.ConnectError("refused"),
    "cut": httpx.ReadError("cut"),
    "silent": httpx.ReadTimeout("silent"),
    "pool": httpx.PoolTimeout("pool"),
    "protocol": httpx.RemoteProtocolError("what is this"),
    "stream cut": lambda: event_stream(sse({"message_type": "ping"}), httpx.ReadError("cut")),
    "run failed": lambda: event_stream(sse({"message_type": "error_message", "detail": "no"}, event="error")),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_api_key_is_absent_from_reprs_errors_and_logs(
    driver: ClientDriver,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    fault: str,
) -> None:
    """The API key is not in any repr, error or log line, with any fault."""
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("LETTA_LOG_BODIES", "1")
    client = driver.client(respond_with(FAULTS[fault]), retry=RetryPolicy(max_retries=1, initial_delay=0))
    changed = client.with_options(default_headers={"X-A": "1"}, default_query={"my_key": f"{KEY}-2"})
    seen: list[object] = [client, changed, client.steps, client._transport, client._transport.config]
    calls: list[Callable[[Any], Any]] = [
        lambda c: c.steps.retrieve(STEP),
        lambda c: c.steps.list(),
        lambda c: c.get("/v1/x", query={"token": KEY}, extra_headers={"X-Key": KEY}),
        lambda c: c.steps.with_raw_response.retrieve(STEP),
        lambda c: c.conversations.messages.create(CONVERSATION, input="hi", background=True),
        lambda c: c.conversations.messages.create(CONVERSATION, input="hi"),
    ]
    for each in (client, changed):
        for call in calls:
            try:
                found = driver.run(call(each))
                seen.append(found)
                if hasattr(found, "result"):
                    seen.append(driver.run(found.result()))
                elif hasattr(found, "parse"):
                    seen.append(driver.run(found.parse()))
            except APIError as error:
                seen += [error, error.args, str(error), vars(error), "".join(traceback.format_exception(error))]
                seen += [error.__cause__, error.__context__]
    # httpx logs addresses with their query to its own logger, which this library does not configure.
    records = [record for record in caplog.records if record.name == "letta_ext"]
    text = repr(seen) + "".join(record.getMessage() + str(vars(record)) for record in records)
    assert "method=GET path=/v1/steps" in text
    assert KEY not in text


PROGRAM = """
import asyncio, logging, os, pickle, traceback
import letta_ext
from letta_ext import AsyncLetta, Letta

logging.basicConfig(level="DEBUG")  # includes the loggers of httpx and httpcore
client = Letta()
print(client, client.steps, client.conversations.messages, vars(client), client._transport)
messages = client.conversations.messages
for made in (
    lambda: messages.create(CONVERSATION, input="hi", streaming=False),
    lambda: list(messages.create(CONVERSATION, input="hi", stream_tokens=True, background=True)),
    lambda: messages.create(CONVERSATION, input="hi"),
    lambda: messages.list(CONVERSATION),
    lambda: list(client.steps.list(limit=1, prefetch=True)),
    lambda: client.steps.with_raw_response.list(),
    lambda: client.steps.with_raw_response.list().http_response.request.headers,
    lambda: client.steps.retrieve("step-00000000-0000-4000-8000-000000000000"),
    lambda: client.steps.retrieve("abc"),
    lambda: client.steps.retrieve(".."),
    lambda: client.get("/v1/nothing"),
    lambda: client.get("http://elsewhere.test/"),
    lambda: messages.create("conv-00000000-0000-4000-8000-000000000000", input="hi"),
    lambda: client.with_options(base_url="http://127.0.0.1:9", max_retries=0).steps.list(),
    lambda: client.with_options(default_headers={"Authorization": os.environ["LETTA_API_KEY"] + "\\n"}),
):
    try:
        print(repr(made()))
    except Exception as error:
        traceback.print_exc()
        print(repr(error), error.args, vars(error), pickle.dumps(error))


async def main():
    async with AsyncLetta() as client:
        print(client, [step async for step in client.steps.list()])
        async for event in await client.conversations.messages.create(CONVERSATION, input="hi"):
            print(repr(event))


asyncio.run(main())
print("that is all")
"""


@pytest.mark.parametrize("bodies", ["", "1"])
def test_api_key_is_absent_from_output_of_program(server: EmbeddedServer, bodies: str) -> None:
    """The output of a program that prints everything does not contain the API key."""
    hidden_key = "sk-never-to-be-shown"
    program = PROGRAM.replace("CONVERSATION", repr(server.conversation_id))
    settings = {"LETTA_API_KEY": hidden_key, "LETTA_BASE_URL": server.base_url, "LETTA_LOG_BODIES": bodies}
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "LETTA_LOG": "debug", **settings},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    shown = done.stdout + done.stderr
    assert shown.count("response received") > 10
    assert shown.count("Traceback") > 5
    assert "that is all" in shown
    assert hidden_key not in shown


@pytest.mark.parametrize(
    ("name", "secret"),
    [
        ("Authorization", True),
        ("proxy-authorization", True),
        ("Cookie", True),
        ("Set-Cookie", True),
        ("X-API-Key", True),
        ("api_key", True),
        ("access_token", True),
        ("client-secret", True),
        ("X-Project", False),
        ("content-type", False),
        ("limit", False),
    ],
)
def test_is_secret_by_name(name: str, secret: bool) -> None:
    """The name of a header or parameter decides whether it is secret."""
    assert is_secret(name) is secret


def test_redact_replaces_each_occurrence() -> None:
    """Each occurrence of a secret is replaced, except for very short ones."""
    secrets = secrets_of([("Authorization", "Bearer sk-1234567"), ("api-key", "1"), ("x", "sk-shown")])
    assert redact("sk-1234567 1 sk-shown Bearer sk-1234567", secrets) == "*** 1 sk-shown ***"


def test_logger_has_the_name_of_the_package() -> None:
    """The logger has the name of the package."""
    assert LOG.name == letta_ext.__name__
