"""A limit on the number of concurrent requests, with a first-in, first-out queue.

The pool of httpcore scans all waiting requests and all connections for each request, which takes quadratic time: 1,300
concurrent requests took 57 s. Here each step takes constant time.

The limiter has no lock: each step is one atomic operation of a deque. A slot can be released from any thread, any event
loop, and the garbage collector during any other step.
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
    """A request in the queue.

    Args:
        wake: A function that ends the wait, callable from any thread.
    """

    def __init__(self, wake: Callable[[], object]) -> None:
        self._wake = wake
        self._claim = [True]  # popped once, on admission or on cancellation

    def admit(self) -> bool:
        """End the wait, and return whether the request was still waiting."""
        if not self.claim():
            return False
        try:
            self._wake()
        except RuntimeError:  # the event loop is closed
            return False
        return True

    def claim(self) -> bool:
        """Return True on the first call, and False afterwards."""
        try:
            return self._claim.pop()
        except IndexError:
            return False


class RequestLimiter:
    """A semaphore for requests.

    Args:
        limit: The maximum number of concurrent requests, or None for no limit.
    """

    def __init__(self, limit: int | None) -> None:
        self._limited = limit is not None
        self._free = deque([True] * (limit or 0))
        self._waiting: deque[Waiter] = deque()

    def try_acquire(self, slot: list[bool]) -> bool:
        """Move a free slot to the list `slot`, and return whether there was one."""
        return not self._limited or (not self._waiting and move(self._free, slot))

    def enqueue(self, wake: Callable[[], object]) -> Waiter:
        """Add a request to the queue."""
        waiter = Waiter(wake)
        self._waiting.append(waiter)
        self._admit()  # a slot may have become free since `try_acquire`
        return waiter

    def release(self, slot: list[bool]) -> None:
        """Release the slot, if the list still contains it."""
        if move(slot, self._free):
            self._admit()

    def cancel(self, waiter: Waiter) -> None:
        """Remove a request from the queue, or release its slot if it was admitted meanwhile."""
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
    """Move the last item in one step that no signal handler interrupts, and return whether there was one."""
    pop: Callable[[object], T] = type(source).pop  # type: ignore[assignment]  # mypy joins the two classes
    try:
        target.extend(map(pop, (source,)))
    except IndexError:
        return False
    return True


def acquire_slot(limiter: RequestLimiter, slot: list[bool], timeout: float | None) -> None:
    """Wait for a slot.

    Args:
        limiter: The limiter.
        slot: The list to which the slot is added, for `release`.
        timeout: The maximum waiting time [s], or None.

    Raises:
        httpcore.PoolTimeout: If no slot becomes free in time.
    """
    if limiter.try_acquire(slot):
        return
    turn = threading.Lock()
    turn.acquire()
    waiter = limiter.enqueue(turn.release)
    try:
        admitted = turn.acquire(timeout=-1 if timeout is None else timeout)
    except BaseException:  # raised by a signal handler
        limiter.cancel(waiter)
        raise
    if not admitted:
        limiter.cancel(waiter)
        raise httpcore.PoolTimeout(_timed_out(timeout))
    slot.append(True)  # no signal handler runs between `acquire` and this statement


async def async_acquire_slot(
    limiter: RequestLimiter,
    slot: list[bool],
    timeout: float | None,  # noqa: ASYNC109  # the signature of httpcore
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
    return f"no connection became free within {timeout:g} s: the maximum number of requests is in flight"
