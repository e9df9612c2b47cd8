"""Errors of iterators that are iterated again, and closing of async iterators without an event loop."""

from __future__ import annotations

import copy
from contextlib import suppress
from contextvars import ContextVar
from typing import Any, Final

from .errors import APIConnectionError, LettaError

ALREADY_ITERATED: Final = "The turn is already being iterated. End that loop first."

_can_wait: Final[ContextVar[bool]] = ContextVar("letta_ext_can_wait", default=True)


def can_wait() -> bool:
    """Return whether code that closes a connection may await. Code run by `run_without_event_loop` may not."""
    return _can_wait.get()


def run_without_event_loop(coroutine: Any) -> None:
    """Run a coroutine without an event loop. It is ended at the first `await` that suspends.

    Args:
        coroutine: A coroutine, or the result of `aclose()` of an async generator.
    """
    before = _can_wait.set(False)
    try:
        with suppress(Exception, GeneratorExit):  # no caller is left to receive the error
            coroutine.send(None)
            coroutine.throw(GeneratorExit)
    finally:
        _can_wait.reset(before)


def error_to_repeat(error: BaseException) -> LettaError:
    """Return the error to raise when an iterator is used again after this error ended it."""
    if isinstance(error, LettaError):
        return copy.copy(error)  # without its traceback, which each raise extends
    kind = type(error).__name__
    return APIConnectionError(f"The body was not read to its end: reading raised {kind}. Send the request again.")
