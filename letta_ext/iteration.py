"""Iterators that go on after an exception.

A generator is over when an exception leaves it, and then looks complete. These begin another one instead.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Iterator
from inspect import GEN_CLOSED, getgeneratorstate
from typing import Any, Generic, Self, TypeVar

T = TypeVar("T")


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
