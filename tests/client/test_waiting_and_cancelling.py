"""Waiting for the end of a run, and cancelling a run whose reader is interrupted."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from typing import Any

import anyio
import httpx
import pytest

from letta_ext import APITimeoutError, AsyncLetta, Letta, NotFoundError
from letta_ext.testing import EmbeddedServer

from .helpers import ClientDriver, loopback, make_response, respond_with
from .interrupted_program import INTERRUPTED, interrupt_program

RUN = "run-123e4567-e89b-42d3-8456-426614174000"


class Clock:
    """A clock that moves while it is waited on."""

    def __init__(self) -> None:
        self.now = 0.0
        self.delays: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.delays.append(seconds)
        self.now += seconds

    async def async_sleep(self, seconds: float) -> None:
        self.sleep(seconds)

    def arguments(self, driver: ClientDriver) -> dict[str, Any]:
        return {"clock": self, "sleep": self.async_sleep if driver.is_async else self.sleep}


def run_json(status: str) -> Callable[[], httpx.Response]:
    return make_response(200, json={"id": RUN, "agent_id": "agent-1", "status": status})


@pytest.mark.parametrize("status", ["completed", "failed", "cancelled"])
def test_wait_returns_run_that_has_ended(driver: ClientDriver, status: str) -> None:
    """A run is polled at growing intervals until it has ended, with any status."""
    clock, handler = Clock(), respond_with(*[run_json("created"), run_json("running")] * 2, run_json(status))
    run = driver.run(driver.client(handler).runs.wait(RUN, max_interval=0.5, **clock.arguments(driver)))
    assert run.status == status
    assert clock.delays == [0.2, pytest.approx(0.3), pytest.approx(0.45), 0.5]
    assert {request.url.path for request in handler.requests} == {f"/v1/runs/{RUN}"}


@pytest.mark.parametrize("timeout", [0, 1, 12.5])
def test_wait_beyond_timeout_raises_api_timeout_error(driver: ClientDriver, timeout: float) -> None:
    """A run that does not end in time raises an error with its id, status and a remedy, exactly at the timeout."""
    clock, handler = Clock(), respond_with(run_json("running"))
    with pytest.raises(
        APITimeoutError, match=r"'running'\. Increase timeout, or cancel it with runs\.cancel"
    ) as caught:
        driver.run(driver.client(handler).runs.wait(RUN, timeout=timeout, **clock.arguments(driver)))
    assert caught.value.run_id == RUN
    assert clock.now == pytest.approx(timeout)
    assert len(handler.requests) == len(clock.delays) + 1


def test_wait_without_timeout_is_not_bounded(driver: ClientDriver) -> None:
    """None means no limit."""
    clock, handler = Clock(), respond_with(*[run_json("running")] * 300, run_json("completed"))
    driver.run(driver.client(handler).runs.wait(RUN, timeout=None, **clock.arguments(driver)))
    assert clock.now > 1000


def test_wait_for_unknown_run_raises_not_found(driver: ClientDriver) -> None:
    """An error response ends the wait."""
    with pytest.raises(NotFoundError):
        driver.run(driver.client(respond_with(404)).runs.wait(RUN))


@pytest.mark.parametrize(
    ("arguments", "error", "name"),
    [
        ({"timeout": -1}, ValueError, "timeout"),
        ({"timeout": "1"}, TypeError, "timeout"),
        ({"interval": 0}, ValueError, "interval"),
        ({"max_interval": 0.1}, ValueError, "max_interval"),
        ({"clock": 1}, TypeError, "clock"),
        ({"sleep": 1}, TypeError, "sleep"),
    ],
)
def test_wait_rejects_invalid_argument_before_sending(
    driver: ClientDriver, arguments: dict[str, Any], error: type[Exception], name: str
) -> None:
    """An invalid argument is named, and nothing is sent."""
    handler = respond_with(run_json("completed"))
    with pytest.raises(error, match=f"^{name} must be "):
        driver.run(driver.client(handler).runs.wait(RUN, **arguments))
    assert handler.requests == []


def test_wait_for_background_run_returns_its_stop_reason(driver: ClientDriver, server: EmbeddedServer) -> None:
    """A run whose stream was left is completed by the server."""
    client = driver.client(base_url=server.base_url)

    async def leave() -> str:
        stream = await client.conversations.messages.create(server.conversation_id, input="Hi", background=True)
        async with stream:
            async for _ in stream:
                break
        return str(stream.run_id)

    def leave_sync() -> str:
        with client.conversations.messages.create(server.conversation_id, input="Hi", background=True) as stream:
            next(iter(stream))
        return str(stream.run_id)

    run_id = driver.run(leave() if driver.is_async else leave_sync())
    run = driver.run(client.runs.wait(run_id, interval=0.01))
    assert (run.id, run.status, run.stop_reason) == (run_id, "completed", "end_turn")


# Cancelling

LONG = "LONG 100000"
PATIENT = 60.0
"""Seconds for requests to cancel on a machine under load."""


def statuses(server: EmbeddedServer) -> list[str]:
    with Letta(base_url=server.base_url) as client:
        return [str(run.status) for run in client.runs.list()]


def cancel_requests(server: EmbeddedServer) -> int:
    return sum(request.path.endswith("/cancel") for request in server.requests)


@pytest.fixture
def server() -> Iterator[EmbeddedServer]:
    with EmbeddedServer(delay=0.001) as server:
        yield server


def read_and_raise(client: Letta, target: Any, error: BaseException | None, events: int | None = 1) -> None:
    """Read some events of a stream or a turn, or all, and raise an exception within the block."""
    with client.runs.cancelling(target, timeout=PATIENT) as same:
        assert same is target
        for number, _ in enumerate(same, 1):
            if number == events:
                break
        if error is not None:
            raise error


@pytest.mark.parametrize("background", [False, True])
@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_interrupted_block_cancels_run_and_raises(
    server: EmbeddedServer, error: type[BaseException], *, background: bool
) -> None:
    """An interruption cancels the run on the server, and passes through."""
    raised = error("stop")
    with Letta(base_url=server.base_url) as client:
        stream = client.conversations.messages.create(
            server.conversation_id, input=LONG, stream_tokens=True, background=background
        )
        with pytest.raises(error) as caught, stream:
            read_and_raise(client, stream, raised)
        assert caught.value is raised
        assert client.runs.retrieve(str(stream.run_id)).status == "cancelled"


@pytest.mark.parametrize("error", [ValueError(), TimeoutError(), GeneratorExit()])
def test_other_exception_cancels_nothing(server: EmbeddedServer, error: BaseException) -> None:
    """An exception of the program, and the end of a generator, leave the run alone."""
    with Letta(base_url=server.base_url) as client:
        stream = client.conversations.messages.create(server.conversation_id, input="LONG 50", background=True)
        with pytest.raises(type(error)), stream:
            read_and_raise(client, stream, error)
    assert cancel_requests(server) == 0


@pytest.mark.parametrize("error", [None, KeyboardInterrupt()])
def test_run_that_has_ended_is_not_cancelled(server: EmbeddedServer, error: BaseException | None) -> None:
    """Neither the end of the block nor an interruption after the end of the stream cancels the run."""
    with Letta(base_url=server.base_url) as client:
        stream = client.conversations.messages.create(server.conversation_id, input="Hi")
        with nullcontext() if error is None else pytest.raises(type(error)):
            read_and_raise(client, stream, error, events=None)
    assert cancel_requests(server) == 0


def test_interruption_before_first_event_cancels_nothing(server: EmbeddedServer) -> None:
    """A stream that is interrupted before an event names the run cancels none."""
    with Letta(base_url=server.base_url) as client:
        stream = client.conversations.messages.create(server.conversation_id, input="Hi")
        with pytest.raises(KeyboardInterrupt), stream, client.runs.cancelling(stream, timeout=PATIENT):
            raise KeyboardInterrupt
    assert cancel_requests(server) == 0


def test_run_id_is_cancelled_when_block_is_interrupted(server: EmbeddedServer) -> None:
    """The id of a run can be given instead of its stream."""
    with Letta(base_url=server.base_url) as client:
        stream = client.conversations.messages.create(
            server.conversation_id, input=LONG, background=True, stream_tokens=True
        )
        next(iter(stream))
        with pytest.raises(KeyboardInterrupt), client.runs.cancelling(str(stream.run_id), timeout=PATIENT):
            raise KeyboardInterrupt
        assert client.runs.retrieve(str(stream.run_id)).status == "cancelled"
        stream.close()


def test_turn_of_tools_is_cancelled_when_block_is_interrupted(server: EmbeddedServer) -> None:
    """A turn of `run_tools` names the run of its current round."""
    with Letta(base_url=server.base_url) as client:
        turn = client.conversations.messages.run_tools(server.conversation_id, input=LONG, stream_tokens=True)
        with pytest.raises(KeyboardInterrupt):
            read_and_raise(client, turn, KeyboardInterrupt())
        assert cancel_requests(server) == 1
    assert statuses(server) == ["cancelled"]


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@pytest.mark.parametrize("how", ["scope", "error"])
def test_cancelled_task_cancels_run(server: EmbeddedServer, backend: str, how: str) -> None:
    """The cancellation of a task, and an interruption of async code, cancel the run on the server."""

    async def read() -> None:
        async with AsyncLetta(base_url=server.base_url) as client:
            with anyio.CancelScope() as scope:
                stream = await client.conversations.messages.create(
                    server.conversation_id, input=LONG, stream_tokens=True, background=True
                )
                async with stream, client.runs.cancelling(stream, timeout=PATIENT):
                    async for _ in stream:
                        if how == "error":
                            raise KeyboardInterrupt
                        scope.cancel()
            assert scope.cancelled_caught

    if how == "error":
        with pytest.raises(KeyboardInterrupt):
            anyio.run(read, backend=backend)
    else:
        anyio.run(read, backend=backend)
    assert statuses(server) == ["cancelled"]


def test_cancelled_asyncio_task_cancels_run_and_stays_cancelled(server: EmbeddedServer) -> None:
    """A task that is cancelled by asyncio cancels the run, and ends as cancelled."""

    async def read(began: asyncio.Event) -> None:
        async with AsyncLetta(base_url=server.base_url) as client:
            stream = await client.conversations.messages.create(server.conversation_id, input=LONG, stream_tokens=True)
            async with stream, client.runs.cancelling(stream, timeout=PATIENT):
                async for _ in stream:
                    began.set()

    async def cancel() -> None:
        began = asyncio.Event()
        task = asyncio.create_task(read(began))
        await began.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancel())
    assert statuses(server) == ["cancelled"]


@pytest.mark.parametrize("kind", INTERRUPTED)
def test_signal_cancels_run_of_program(server: EmbeddedServer, kind: str) -> None:
    """Ctrl+C in a program that reads a stream cancels the run, and ends the program by its signal."""
    interrupt_program(kind, server.base_url, server.conversation_id)
    assert statuses(server) == ["cancelled"]


def cancel_run(client: Letta, timeout: float = 5.0) -> None:
    with client.runs.cancelling(RUN, timeout=timeout):
        raise KeyboardInterrupt


async def cancel_run_async(base_url: str, seconds: float) -> None:
    async with AsyncLetta(base_url=base_url) as client, client.runs.cancelling(RUN, timeout=seconds):
        raise KeyboardInterrupt


@pytest.mark.parametrize("is_async", [False, True])
def test_unresponsive_server_delays_interruption_only_for_timeout(*, is_async: bool) -> None:
    """The request to cancel is abandoned after the timeout, and the interruption passes through."""
    with loopback(b"") as silent, Letta(base_url=silent.base_url) as client:
        with pytest.raises(KeyboardInterrupt):
            anyio.run(cancel_run_async, silent.base_url, 0.5) if is_async else cancel_run(client, 0.5)
        assert len(silent.requests) <= 1


def test_failed_cancel_is_logged_without_hiding_interruption(caplog: pytest.LogCaptureFixture) -> None:
    """A failed request to cancel is logged, and the interruption passes through."""
    with httpx.Client(transport=httpx.MockTransport(respond_with(500))) as http, pytest.raises(KeyboardInterrupt):
        cancel_run(Letta(base_url="http://letta.test", http_client=http))
    assert [record.getMessage() for record in caplog.records if record.levelname == "WARNING"] == [
        f"cancel failed run_id={RUN} error=InternalServerError"
    ]


@pytest.mark.parametrize(
    ("target", "timeout", "error", "name"),
    [(1, 5.0, TypeError, "target"), ("a/b", 5.0, ValueError, "run_id"), (RUN, 0, ValueError, "timeout")],
)
def test_cancelling_rejects_invalid_argument(
    driver: ClientDriver, target: Any, timeout: float, error: type[Exception], name: str
) -> None:
    """An invalid argument is named at once."""
    with pytest.raises(error, match=f"^{name} must be "):
        driver.client(respond_with(200)).runs.cancelling(target, timeout=timeout)
