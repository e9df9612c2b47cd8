"""Interrupting an iterator wherever a signal handler or a cancellation can, one place after the other."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterator
from types import FrameType, coroutine
from typing import Any, Final

from letta_ext import LettaError

OURS: Final = ("letta_ext.", "letta_api.")
NOT_OURS: Final = ("letta_ext.testing", "letta_ext._http.")
"""What runs in the server, and the connections: an exception there is a connection that fails."""

WITHOUT_CALLER: Final = ("__del__", "_guard", "close", "leave", "<genexpr>")
"""Finalizers: Python reports what they raise, and raises it nowhere."""


class PlannedError(Exception):
    """What a signal handler raises."""


class Interrupter:
    """Raises an exception at one of the places where CPython runs signal handlers.

    Those are the beginning of a function, the resumption of a generator and the return of a function in C; a profile
    function is called at each of them.

    Args:
        place: The number of the place, or None to count them.
    """

    def __init__(self, place: int | None) -> None:
        self.place = place
        self.places = 0

    def next(self, iterator: Iterator[Any]) -> Any:
        """Take the next item, and be interrupted if the place comes."""
        sys.setprofile(self._profile)
        try:
            for item in iterator:  # a call of `next` would lose an item itself: a handler runs behind it
                return item
        finally:
            sys.setprofile(None)
        raise StopIteration

    def _profile(self, frame: FrameType, event: str, _: object) -> None:
        if event not in ("call", "c_return"):
            return
        module = str(frame.f_globals.get("__name__"))
        if not module.startswith(OURS) or module.startswith(NOT_OURS) or frame.f_code.co_name in WITHOUT_CALLER:
            return
        self.places += 1
        if self.places - 1 == self.place:
            raise PlannedError


def interrupted(iterator: Iterator[Any], place: int | None) -> tuple[list[Any], BaseException | None, int]:
    """Go through an iterator that is interrupted once; return the items, how it failed, and how many places passed."""
    interrupter = Interrupter(place)
    items: list[Any] = []
    while True:
        try:
            items.append(interrupter.next(iterator))
        except PlannedError:
            continue
        except StopIteration:
            assert next(iterator, None) is None  # it stays at its end
            return items, None, interrupter.places
        except LettaError as fault:
            for _ in range(2):
                try:
                    next(iterator)
                except LettaError:
                    continue
                raise AssertionError("a failed iterator went on") from None
            return items, fault, interrupter.places


@coroutine
def _driven(awaitable: Awaitable[Any], cancel: Callable[[], bool]) -> Generator[Any, Any, Any]:
    steps = awaitable.__await__()
    try:
        waited = next(steps)
        while True:
            if cancel():
                waited = steps.throw(asyncio.CancelledError())
                continue
            try:
                yield waited
            except BaseException as fault:  # noqa: BLE001  # a timeout of its own, which it is told of
                waited = steps.throw(fault)
            else:
                waited = next(steps)
    except StopIteration as done:
        return done.value


async def async_interrupted(
    iterator: AsyncIterator[Any], place: int | None
) -> tuple[list[Any], BaseException | None, int]:
    """Async version of `interrupted`: it is cancelled at one of the places where it waits."""
    places = 0

    def cancel() -> bool:
        nonlocal places
        places += 1
        return places - 1 == place

    items: list[Any] = []
    while True:
        try:
            items.append(await _driven(anext(iterator), cancel))
        except asyncio.CancelledError:
            continue
        except StopAsyncIteration:
            assert await anext(iterator, None) is None
            return items, None, places
        except LettaError as fault:
            for _ in range(2):
                try:
                    await anext(iterator)
                except LettaError:
                    continue
                raise AssertionError("a failed iterator went on") from None
            return items, fault, places
