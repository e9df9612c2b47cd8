"""Iterators that go on after an exception.

A generator is over when an exception leaves it, and then looks complete. These begin another one instead.
"""

from __future__ import annotations

import copy
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from functools import partial, wraps
from typing import Generic, ParamSpec, Self, TypeVar, cast

from .._iteration import error_to_repeat
from ..async_primitives import AutoClosing, is_finished
from ..errors import LettaError

T = TypeVar("T")
P = ParamSpec("P")


class AsyncContinuingIterator(AutoClosing, AsyncIterator[T], Generic[T]):
    """The items of a generator, and after an exception those of another one.

    Args:
        begin: Makes a generator that goes on where the last one stood. The place is kept outside of it, and moves on in
            the assignment ahead of the `yield`: a signal handler cannot run between those two.
    """

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
            if is_finished(self._items):  # another task may be in it
                self._items = None
            raise
        self._over = True
        raise StopAsyncIteration

    async def aclose(self) -> None:
        """End the iterator, and close the connections that it has."""
        self._over = True
        if self._items is not None:
            await self._items.aclose()


class AsyncFailingIterator(AutoClosing, AsyncIterator[T], Generic[T]):
    """The items of a generator that cannot go on after an exception: from then on, each call fails."""

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
            if is_finished(self._items):
                self._failure = error_to_repeat(error)
            raise
        raise StopAsyncIteration

    async def aclose(self) -> None:
        """End the iterator, and close the connection that it reads."""
        if self._items is None:
            self._items = self._begin()
        await self._items.aclose()


def fails_again(generate: Callable[P, AsyncIterator[T]]) -> Callable[P, AsyncFailingIterator[T]]:
    """Make a generator function return an `AsyncFailingIterator`."""

    @wraps(generate)
    def iterate(*args: P.args, **kwargs: P.kwargs) -> AsyncFailingIterator[T]:
        return AsyncFailingIterator(cast("Callable[[], AsyncGenerator[T, None]]", partial(generate, *args, **kwargs)))

    return iterate
