"""Interrupts an iterator at each place where a signal handler or a cancellation can."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterator
from types import FrameType, coroutine
from typing import Any, Final

from letta_ext import LettaError

OURS: Final = ("letta_ext.", "letta_api.")
NOT_OURS: Final = ("letta_ext.testing", "letta_ext._http.")
"""The server, and the transport: an exception there is a failed connection, which other tests cover."""

WITHOUT_CALLER: Final = ("__del__", "_guard", "close", "leave", "<genexpr>")
"""Finalizers: Python reports their exceptions and does not propagate them."""


class PlannedError(Exception):
    """The exception that the simulated signal handler raises."""


class Interrupter:
    """Raises an exception at one of the places where CPython runs signal handlers.

    The places are the start of a function, the resumption of a generator and the return of a C function. CPython calls
    a profile function at each of them.

    Args:
        place: The number of the place. None to count the places only.
    """

    def __init__(self, place: int | None) -> None:
        self.place = place
        self.places = 0

    def next(self, iterator: Iterator[Any]) -> Any:
        """Return the next item, interrupted if the place is reached."""
        sys.setprofile(self._profile)
        try:
            for item in iterator:  # `next()` itself would lose an item: the handler runs after it returns
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
    """Iterate with one interruption; return the items, the final exception and the number of places passed."""
    interrupter = Interrupter(place)
    items: list[Any] = []
    while True:
        try:
            items.append(interrupter.next(iterator))
        except PlannedError:
            continue
        except StopIteration:
            assert next(iterator, None) is None  # an exhausted iterator stays exhausted
            return items, None, interrupter.places
        except LettaError as error:
            for _ in range(2):
                try:
                    next(iterator)
                except LettaError:
                    continue
                raise AssertionError("a failed iterator continued") from None
            return items, error, interrupter.places


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
            except BaseException as error:  # noqa: BLE001  # the iterator's own timeout, passed in
                waited = steps.throw(error)
            else:
                waited = next(steps)
    except StopIteration as done:
        return done.value


async def async_interrupted(
    iterator: AsyncIterator[Any], place: int | None
) -> tuple[list[Any], BaseException | None, int]:
    """Async version of `interrupted`: the iterator is cancelled at one of the places where it waits."""
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
        except LettaError as error:
            for _ in range(2):
                try:
                    await anext(iterator)
                except LettaError:
                    continue
                raise AssertionError("a failed iterator continued") from None
            return items, error, places
