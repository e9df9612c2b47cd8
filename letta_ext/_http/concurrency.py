"""Limits how many requests are in flight at once; further requests wait in the order in which they came.

httpcore's pool does this itself, and goes over all waiting requests and all connections for each request: its time
grows with the square of their number (1,300 requests at once took 57 s). Here each step takes constant time.

A limiter has no lock: every step is one atomic operation of a deque. So it may be left from any thread, any event loop,
and from the garbage collector in the middle of any other step.
"""

from __future__ import annotations

import asyncio
import sys
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

import anyio
import httpcore

T = TypeVar("T")


class Waiter:
    """A request that waits for its turn.

    Args:
        wake: A function that ends the wait, from any thread.
    """

    def __init__(self, wake: Callable[[], object]) -> None:
        self._wake = wake
        self._claim = [True]  # popped once: by the limiter that admits, or by the request that stops waiting

    def admit(self) -> bool:
        """End the wait. Returns whether the request was still waiting."""
        if not self.claim():
            return False
        try:
            self._wake()
        except RuntimeError:  # its event loop is closed
            return False
        return True

    def claim(self) -> bool:
        """Return whether this is the first call."""
        try:
            return self._claim.pop()
        except IndexError:
            return False


class RequestLimiter:
    """Admits a number of requests at once.

    Args:
        limit: The number, or None for no limit.
    """

    def __init__(self, limit: int | None) -> None:
        self._limited = limit is not None
        self._free = deque([True] * (limit or 0))
        self._waiting: deque[Waiter] = deque()

    def try_acquire(self, slot: list[bool]) -> bool:
        """Return whether a request is admitted at once. Its slot is put into a list."""
        return not self._limited or (not self._waiting and move(self._free, slot))

    def enqueue(self, wake: Callable[[], object]) -> Waiter:
        """Join the queue."""
        waiter = Waiter(wake)
        self._waiting.append(waiter)
        self._admit()  # a request may have left since `enter`
        return waiter

    def release(self, slot: list[bool]) -> None:
        """Make room for the next request, unless that was done."""
        if move(slot, self._free):
            self._admit()

    def cancel(self, waiter: Waiter) -> None:
        """Leave the queue, or the limiter if the request was admitted in the meantime."""
        if waiter.claim():
            with suppress(ValueError):
                self._waiting.remove(waiter)
        else:
            self.release([True])

    def _admit(self) -> None:
        while self._waiting:
            try:
                self._free.pop()
            except IndexError:
                return
            try:
                admitted = self._waiting.popleft().admit()
            except IndexError:  # another thread was faster
                admitted = False
            if not admitted:
                self._free.append(True)


def move(source: deque[T] | list[T], target: deque[T] | list[T]) -> bool:
    """Move the last item in one step, in which no signal handler runs. Returns whether there was one."""
    pop: Callable[[object], T] = type(source).pop  # type: ignore[assignment]  # mypy joins the two classes
    try:
        target.extend(map(pop, (source,)))
    except IndexError:
        return False
    return True


def acquire_slot(limiter: RequestLimiter, slot: list[bool], timeout: float | None) -> None:
    """Wait until a request is admitted.

    Args:
        limiter: The limiter.
        slot: What the slot of the request is put into, for `leave`.
        timeout: The most seconds to wait, or None.

    Raises:
        httpcore.PoolTimeout: If it is not admitted in time.
    """
    if limiter.try_acquire(slot):
        return
    turn = threading.Lock()
    turn.acquire()
    waiter = limiter.enqueue(turn.release)
    try:
        admitted = turn.acquire(timeout=-1 if timeout is None else timeout)
    except BaseException:  # of a signal handler
        limiter.cancel(waiter)
        raise
    if not admitted:
        limiter.cancel(waiter)
        raise httpcore.PoolTimeout(_timed_out(timeout))
    slot.append(True)  # no signal handler runs ahead of it


async def async_acquire_slot(
    limiter: RequestLimiter,
    slot: list[bool],
    timeout: float | None,  # noqa: ASYNC109  # httpcore's own signature
) -> None:
    """Async version of `acquire_slot`."""
    if limiter.try_acquire(slot):
        return
    turn = anyio.Event()
    waiter = limiter.enqueue(_setter(turn))
    try:
        with anyio.fail_after(timeout):
            await turn.wait()
    except TimeoutError:
        limiter.cancel(waiter)
        raise httpcore.PoolTimeout(_timed_out(timeout)) from None
    except BaseException:
        limiter.cancel(waiter)
        raise
    slot.append(True)


def _setter(event: anyio.Event) -> Callable[[], object]:
    """Return a function that sets an event of the running event loop, from any thread."""
    if (trio := sys.modules.get("trio")) is not None and anyio.get_cancelled_exc_class() is trio.Cancelled:
        token = trio.lowlevel.current_trio_token()
        return lambda: token.run_sync_soon(event.set)
    loop = asyncio.get_running_loop()
    return lambda: loop.call_soon_threadsafe(event.set)


def _timed_out(timeout: float | None) -> str:
    return f"no connection became free within {timeout:g} s: as many requests are in flight as the client allows"
