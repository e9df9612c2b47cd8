"""Iterators that survive an exception.

A generator ends when it raises an exception, and then looks complete. These iterators start another generator instead.
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


class AsyncResumableIterator(AutoClosing, AsyncIterator[T], Generic[T]):
    """An iterator over a generator that starts another generator after an exception.

    Args:
        begin: Makes a generator that continues after the last item. It keeps its position outside of the generator, and
            updates it by the assignment right before the `yield`, where no signal handler can run.
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
            if is_finished(self._items):  # another task may be running it
                self._items = None
            raise
        self._over = True
        raise StopAsyncIteration

    async def aclose(self) -> None:
        """End the iterator, and close its connections."""
        self._over = True
        if self._items is not None:
            await self._items.aclose()


class AsyncFailingIterator(AutoClosing, AsyncIterator[T], Generic[T]):
    """An iterator over a generator that cannot continue after an exception. All later calls fail."""

    def __init__(self, begin: Callable[[], AsyncGenerator[T, None]]) -> None:
        # The garbage collector finalizes the older object of a cycle first. This iterator has to be older than its
        # generator, which it closes.
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
        """End the iterator, and close its connection."""
        if self._items is None:
            self._items = self._begin()
        await self._items.aclose()


def keeps_failing(generate: Callable[P, AsyncIterator[T]]) -> Callable[P, AsyncFailingIterator[T]]:
    """Make a generator function return an `AsyncFailingIterator`."""

    @wraps(generate)
    def iterate(*args: P.args, **kwargs: P.kwargs) -> AsyncFailingIterator[T]:
        return AsyncFailingIterator(cast("Callable[[], AsyncGenerator[T, None]]", partial(generate, *args, **kwargs)))

    return iterate
