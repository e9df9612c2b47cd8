"""The cancellation of a run on the server if its reader is interrupted."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any, Generic, TypeVar

from .._streaming.interruption import (
    ReadsRun,
    cancel_options,
    check_target,
    is_interruption,
    log_failed_cancel,
    run_to_cancel,
)
from ..async_primitives import uninterrupted

T_run = TypeVar("T_run", bound=ReadsRun | str)
"""A stream, a turn, or the id of a run."""


class AsyncCancelling(Generic[T_run]):
    """A context manager that cancels a run if its block is interrupted. `client.runs.cancelling` returns it."""

    def __init__(self, cancel: Callable[..., Awaitable[Any]], target: T_run, timeout: float) -> None:
        check_target(target, timeout)
        self._cancel = cancel
        self._target = target
        self._timeout = timeout

    async def __aenter__(self) -> T_run:
        return self._target

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        run_id = run_to_cancel(self._target) if is_interruption(error) else None
        if run_id is None:
            return
        with uninterrupted(self._timeout):
            try:
                await self._cancel(run_id, **cancel_options(self._timeout))
            except Exception as failure:  # noqa: BLE001  # the interruption is the exception of the block
                log_failed_cancel(run_id, failure)
