"""One way to write a test for both clients.

Tests are written against `AsyncLetta`. `awaited` gives a sync client the same interface: the sync code runs when the
test awaits or iterates.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from functools import partial
from typing import Any, Final, Self, cast

from letta_ext import AsyncLetta, Letta

WITHOUT_IO: Final = frozenset({"has_next_page", "next_page_info", "checkpoint"})
"""Methods that the async classes do not await either, because they make no request."""


def awaited(client: Letta) -> AsyncLetta:
    """Return a sync client with the interface of the async one."""
    return cast(AsyncLetta, _Wrapper(client))


def _wrap(value: Any) -> Any:
    """Wrap an object of the library; return other values unchanged."""
    return _Wrapper(value) if type(value).__module__.startswith("letta_ext.") else value


class _Wrapper:
    """A sync object whose methods can be awaited."""

    def __init__(self, target: Any) -> None:
        self._target = target

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._target, name)
        if not callable(value) or name in WITHOUT_IO:
            return _wrap(value)
        return partial(_Call, value)

    def __len__(self) -> int:
        return len(self._target)

    def __aiter__(self) -> _Items:
        return _Items(iter(self._target))

    async def __aenter__(self) -> Self:
        self._target.__enter__()
        return self

    async def __aexit__(self, *details: object) -> None:
        self._target.__exit__(*details)


class _Call:
    """A call that is made when it is awaited or iterated."""

    def __init__(self, function: Callable[..., Any], *arguments: Any, **options: Any) -> None:
        self._make = partial(function, *arguments, **options)

    def __await__(self) -> Generator[Any, None, Any]:
        return self._result().__await__()

    async def _result(self) -> Any:
        return _wrap(self._make())

    def __aiter__(self) -> _Items:
        return _Items(iter(self._make()))


class _Items:
    # Not an async generator: `break` must release the sync iterator at once, as in sync code.
    def __init__(self, items: Iterator[Any]) -> None:
        self._items = items

    def __aiter__(self) -> _Items:
        return self

    async def __anext__(self) -> Any:
        try:
            return _wrap(next(self._items))
        except StopIteration:
            raise StopAsyncIteration from None
