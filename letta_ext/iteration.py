"""Iterators that go on after an exception.

A generator is over when an exception leaves it, and then looks complete. These begin another one instead.
"""

from __future__ import annotations

import copy
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Iterator
from contextlib import suppress
from contextvars import ContextVar
from functools import partial, wraps
from inspect import GEN_CLOSED, getgeneratorstate
from typing import Any, Final, Generic, ParamSpec, Self, TypeVar, cast

from .errors import APIConnectionError, LettaError

T = TypeVar("T")
P = ParamSpec("P")


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


def _leave(items: AsyncGenerator[Any, None] | None) -> None:
    """End an async generator that nothing refers to any more.

    Python would hand it to its event loop, which may be closed before it ends it: Python 3.13 warns of that.
    """
    if items is not None and not is_closed(items) and not sys.is_finalizing():
        finish(items.aclose())


def is_closed(items: Any) -> bool:
    """Return whether an async generator has ended. `inspect` tells it from Python 3.12 on."""
    return items.ag_frame is None


class ContinuingIterator(Iterator[T], Generic[T]):
    """The items of a generator, and after an exception those of another one.

    Args:
        begin: Makes a generator that goes on where the last one stood. The place is kept outside of it, and moves on in
            the assignment ahead of the `yield`: a signal handler cannot run between those two.
    """

    def __init__(self, begin: Callable[[], Generator[T, None, None]]) -> None:
        self._begin = begin
        self._items: Generator[T, None, None] | None = None
        self._over = False

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> T:
        if self._over:
            raise StopIteration
        if self._items is None:
            self._items = self._begin()
        try:
            for item in self._items:
                return item
        except BaseException:
            if getgeneratorstate(self._items) == GEN_CLOSED:  # another thread may be in it
                self._items = None
            raise
        self._over = True
        raise StopIteration

    def close(self) -> None:
        """End the iterator, and close the connections that it has."""
        self._over = True
        if self._items is not None:
            self._items.close()


class AsyncContinuingIterator(AsyncIterator[T], Generic[T]):
    """Async version of `ContinuingIterator`."""

    def __init__(self, begin: Callable[[], AsyncGenerator[T, None]]) -> None:
        self._begin = begin
        self._items: AsyncGenerator[T, None] | None = None
        self._over = False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T:
        if self._over:
            raise StopAsyncIteration
        if self._items is None:
            self._items = self._begin()
        try:
            async for item in self._items:
                return item
        except BaseException:
            if is_closed(self._items):  # another task may be in it
                self._items = None
            raise
        self._over = True
        raise StopAsyncIteration

    async def aclose(self) -> None:
        """End the iterator, and close the connections that it has."""
        self._over = True
        if self._items is not None:
            await self._items.aclose()

    def __del__(self) -> None:
        _leave(self._items)


def _failure_of(error: BaseException) -> LettaError:
    """Return the error that is raised again where this one has ended a generator."""
    if isinstance(error, LettaError):
        return copy.copy(error)  # without its traceback, which would grow
    kind = type(error).__name__
    return APIConnectionError(f"The body was not read to its end: {kind} was raised meanwhile. Make the request again.")


class FailingIterator(Iterator[T], Generic[T]):
    """The items of a generator that cannot go on after an exception: from then on, each call fails."""

    def __init__(self, items: Generator[T, None, None]) -> None:
        self._items = items
        self._failure: LettaError | None = None

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> T:
        if self._failure is not None:
            raise copy.copy(self._failure)
        try:
            for item in self._items:
                return item
        except BaseException as error:
            if getgeneratorstate(self._items) == GEN_CLOSED:
                self._failure = _failure_of(error)
            raise
        raise StopIteration

    def close(self) -> None:
        """End the iterator, and close the connection that it reads."""
        self._items.close()


class AsyncFailingIterator(AsyncIterator[T], Generic[T]):
    """Async version of `FailingIterator`."""

    def __init__(self, begin: Callable[[], AsyncGenerator[T, None]]) -> None:
        # The collector ends the older object of a cycle first: this one ends its generator, and so is the older one.
        self._begin = begin
        self._items: AsyncGenerator[T, None] | None = None
        self._failure: LettaError | None = None

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T:
        if self._failure is not None:
            raise copy.copy(self._failure)
        if self._items is None:
            self._items = self._begin()
        try:
            async for item in self._items:
                return item
        except BaseException as error:
            if is_closed(self._items):
                self._failure = _failure_of(error)
            raise
        raise StopAsyncIteration

    async def aclose(self) -> None:
        """End the iterator, and close the connection that it reads."""
        if self._items is None:
            self._items = self._begin()
        await self._items.aclose()

    def __del__(self) -> None:
        _leave(self._items)


def fails_again(generate: Callable[P, Iterator[T]]) -> Callable[P, FailingIterator[T]]:
    """Make a generator function return a `FailingIterator`."""

    @wraps(generate)
    def iterate(*args: P.args, **kwargs: P.kwargs) -> FailingIterator[T]:
        return FailingIterator(cast("Generator[T, None, None]", generate(*args, **kwargs)))

    return iterate


def async_fails_again(generate: Callable[P, AsyncIterator[T]]) -> Callable[P, AsyncFailingIterator[T]]:
    """Async version of `fails_again`."""

    @wraps(generate)
    def iterate(*args: P.args, **kwargs: P.kwargs) -> AsyncFailingIterator[T]:
        return AsyncFailingIterator(cast("Callable[[], AsyncGenerator[T, None]]", partial(generate, *args, **kwargs)))

    return iterate
