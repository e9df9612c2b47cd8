"""The decision whether a run is cancelled because its reader was interrupted."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from typing import Any, Final

import httpx

from .._http.validation import check_id
from .._settings_checks import MAX_WAIT, check_seconds
from ..limits import ResponseLimits
from ..retry import RetryPolicy

LOG: Final = logging.getLogger("letta_ext")
REQUESTS: Final = 2
"""The number of requests that cancel a run: the server cancels runs by their agent."""


class ReadsRun(ABC):
    """An object that reads the events of a run: a stream, or a turn of `run_tools`."""

    @property
    @abstractmethod
    def active_run_id(self) -> str | None:
        """The id of the run until it has ended. None before an event has it."""


def check_target(target: object, timeout: object) -> None:
    """Check the arguments of `runs.cancelling`.

    Raises:
        TypeError: If an argument is of the wrong type.
        ValueError: If the id or the timeout is invalid.
    """
    check_seconds("timeout", timeout, f"must be a positive number of seconds up to {MAX_WAIT}", zero=False)
    if isinstance(target, str):
        check_id("run_id", target)
    elif not isinstance(target, ReadsRun):
        raise TypeError(f"target must be a stream, a turn of run_tools or the id of a run, got {type(target).__name__}")


def is_interruption(error: BaseException | None) -> bool:
    """Return whether an exception interrupts the program or the task, such as `KeyboardInterrupt`.

    A generator that is closed cannot wait for a request.
    """
    return error is not None and not isinstance(error, Exception | GeneratorExit)


def run_to_cancel(target: ReadsRun | str) -> str | None:
    """Return the id of the run, or None if it has ended or is not known yet."""
    return target if isinstance(target, str) else target.active_run_id


def cancel_options(timeout: float) -> dict[str, Any]:
    """Return the options of the requests, whose phases together take at most `timeout` seconds."""
    share = min(timeout, MAX_WAIT) / REQUESTS / 10
    return {
        "timeout": httpx.Timeout(connect=2 * share, write=share, pool=share, read=4 * share),
        "response_limits": ResponseLimits(total=2 * share),
        "retry": RetryPolicy(max_retries=0),
    }


def log_failed_cancel(run_id: str, error: Exception) -> None:
    """Log that a run was not cancelled. Its message contains no secret."""
    LOG.warning("cancel failed run_id=%s error=%s", run_id, type(error).__name__)
