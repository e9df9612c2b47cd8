"""One way to write a scenario for both clients.

A test is written against `AsyncLetta`, as its users write. `awaited` lends the same face to a sync client: what it
does, it does in the sync surface's own code, at the moment the test awaits or iterates it.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from functools import partial
from typing import Any, Final, Self, cast

from letta_ext import AsyncLetta, Letta

WITHOUT_IO: Final = frozenset({"has_next_page", "next_page_info", "checkpoint"})
"""What is a plain method of the async classes too, because it asks nobody."""


def awaited(client: Letta) -> AsyncLetta:
    """The sync client, to be used as if it were the async one."""
    return cast(AsyncLetta, _Face(client))


def _face(value: Any) -> Any:
    """A thing of the library gets a face of its own; a value, such as a message, is what it is."""
    return _Face(value) if type(value).__module__.startswith("letta_ext.") else value


class _Face:
    """A sync object whose methods can be awaited."""

    def __init__(self, target: Any) -> None:
        self._target = target

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._target, name)
        if not callable(value) or name in WITHOUT_IO:
            return _face(value)
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
    """A call that is made when it is awaited, or iterated, as a coroutine's or a paginator's is."""

    def __init__(self, function: Callable[..., Any], *arguments: Any, **options: Any) -> None:
        self._make = partial(function, *arguments, **options)

    def __await__(self) -> Generator[Any, None, Any]:
        return self._outcome().__await__()

    async def _outcome(self) -> Any:
        return _face(self._make())

    def __aiter__(self) -> _Items:
        return _Items(iter(self._make()))


class _Items:
    # No async generator: leaving a loop must let go of the sync iterator at once, as it does in sync code.
    def __init__(self, items: Iterator[Any]) -> None:
        self._items = items

    def __aiter__(self) -> _Items:
        return self

    async def __anext__(self) -> Any:
        try:
            return _face(next(self._items))
        except StopIteration:
            raise StopAsyncIteration from None
