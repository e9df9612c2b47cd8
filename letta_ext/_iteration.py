"""How iterators over generators fail again, and how async ones end without an event loop."""

from __future__ import annotations

import copy
from contextlib import suppress
from contextvars import ContextVar
from typing import Any, Final

from .errors import APIConnectionError, LettaError

ALREADY_ITERATED: Final = "This turn is being gone over already. Leave that loop first."

_can_wait: Final[ContextVar[bool]] = ContextVar("letta_ext_can_wait", default=True)


def can_wait() -> bool:
    """Return whether async code that closes a connection may wait. Where `finish` runs it, it may not."""
    return _can_wait.get()


def finish(closing: Any) -> None:
    """Run async code to its end that closes something, without an event loop. An `await` that would wait fails.

    Args:
        closing: A coroutine, or the result of `aclose()` of an async generator.
    """
    before = _can_wait.set(False)
    try:
        with suppress(Exception, GeneratorExit):  # no caller is left to be told
            closing.send(None)
            closing.throw(GeneratorExit)
    finally:
        _can_wait.reset(before)


def error_to_repeat(error: BaseException) -> LettaError:
    """Return the error that is raised again where this one has ended a generator."""
    if isinstance(error, LettaError):
        return copy.copy(error)  # without its traceback, which would grow
    kind = type(error).__name__
    return APIConnectionError(f"The body was not read to its end: {kind} was raised meanwhile. Make the request again.")
