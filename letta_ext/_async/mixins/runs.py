"""The methods of `client.runs` that have no operation of their own: `cancel`, `wait` and `cancelling`."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from letta_api import api

from ...async_primitives import IS_ASYNC
from ...async_primitives import sleep as sleep_for
from ..transport import AsyncTransport

if TYPE_CHECKING:
    from typing import Unpack

    from letta_api.models import Run

    from ..._http.requests import RequestOptions
    from ..cancelling import AsyncCancelling, T_run


class AsyncRunsMixin:
    """`cancel`, `wait` and `cancelling`."""

    _transport: AsyncTransport

    async def cancel(self, run_id: str, **options: Unpack[RequestOptions]) -> dict[str, Any]:
        """Cancel one run. Two requests: the server cancels runs by their agent, which `retrieve` returns.

        Args:
            run_id: The ID of the run in the format 'run-<uuid4>'
            **options: Options of both requests, such as `timeout` and `extra_headers`: see `RequestOptions`.

        Returns:
            `{run_id: "cancelled"}`, also for a run that has ended.

        Raises:
            BadRequestError: If `run_id` is malformed.
            NotFoundError: If the run does not exist.
            APIError: If a request fails: see `letta_ext.errors`.
        """
        reading = {name: value for name, value in options.items() if name != "extra_body"}
        run = await self._transport.call(api.runs.runs_retrieve, (run_id,), reading)
        arguments = {**options, "run_ids": [run_id]}
        return await self._transport.call(api.agents_messages.agents_messages_cancel, (run.agent_id,), arguments)

    async def wait(
        self,
        run_id: str,
        *,
        timeout: float | None = 600.0,  # noqa: ASYNC109  # the time of all polls, also in sync code
        interval: float = 0.2,
        max_interval: float = 5.0,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[object]] | None = None,
    ) -> Run:
        """Poll a run until it has ended, and return it. A failed run is returned as well: see its `status`.

        The status is `"completed"`, `"failed"` or `"cancelled"`. A run whose agent waits for tool returns or approvals
        is completed, with the stop reason `"requires_approval"`.

        Args:
            run_id: The ID of the run in the format 'run-<uuid4>'
            timeout: The seconds after which no further poll begins, or None for no limit. Defaults to 600.
            interval: The delay before the second poll [seconds]. It grows. Defaults to 0.2.
            max_interval: The maximum delay between two polls [seconds]. Defaults to 5.
            clock: A monotonic clock [seconds]. Defaults to `time.monotonic`.
            sleep: The function that waits between polls, which takes seconds. Defaults to a real delay.

        Raises:
            APITimeoutError: If the run has not ended in time. It continues on the server.
            BadRequestError: If `run_id` is malformed.
            NotFoundError: If the run does not exist.
            APIError: If a request fails: see `letta_ext.errors`.
            TypeError: If an argument is of the wrong type. Nothing is sent.
            ValueError: If an argument has an invalid value. Nothing is sent.
        """
        from ..._http.busy_wait import run_timeout_error, status_has_ended
        from ...follow.backoff import Backoff
        from ...follow.base import check_function

        check_function("clock", clock, may_be_async=False)
        check_function("sleep", sleep, may_be_async=IS_ASYNC)
        backoff = Backoff(interval, max_interval, timeout, clock())
        while True:
            run = await self._transport.call(api.runs.runs_retrieve, (run_id,), {})
            if status_has_ended(run.status):
                return run
            if backoff.remaining(clock()) == 0:
                raise run_timeout_error(run_id, run.status, timeout)
            await (sleep or sleep_for)(backoff.next_delay(clock()))

    def cancelling(self, target: T_run, *, timeout: float = 10.0) -> AsyncCancelling[T_run]:
        """Return a context manager that cancels a run on the server if its block is interrupted.

        An interruption is an exception that is not an `Exception`: Ctrl+C, the cancellation of the task, or the end of
        the program. It passes through. Other exceptions cancel nothing. No signal handler is installed.

        Args:
            target: A stream, a turn of `run_tools`, or the id of a run. The block gets it as `as` value.
            timeout: The seconds after which the requests to cancel are abandoned. Defaults to 10.

        Returns:
            The context manager. A stream or a turn names its run as soon as its first event has arrived. Without it,
            nothing is cancelled. A failed request to cancel is logged.

        Raises:
            TypeError: If an argument is of the wrong type.
            ValueError: If `timeout` is not positive.
        """
        from ..cancelling import AsyncCancelling

        return AsyncCancelling(self.cancel, target, timeout)
