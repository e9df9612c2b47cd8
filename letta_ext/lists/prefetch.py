"""Doing the next thing while the present one is used: in a thread, or in a task of asyncio."""

from __future__ import annotations

import _thread
import sys
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from contextvars import copy_context
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

if TYPE_CHECKING:
    import asyncio

T = TypeVar("T")
LONGEST_WAIT: Final = 1.0
"""Seconds after which a thread that waits looks again whether there is anything to wait for."""


class Ahead(Generic[T]):
    """Something that another thread does meanwhile. It does not keep the program from ending.

    `threading.Thread` waits for its beginning under a lock, and raises RuntimeError if a signal handler raises then.
    """

    def __init__(self, work: Callable[[], T]) -> None:
        self._work = work
        self._value: list[T] = []
        self._fault: BaseException | None = None
        self._over = False
        self._running = _thread.allocate_lock()
        self._running.acquire()
        _thread.start_new_thread(copy_context().run, (self._do,))

    def _do(self) -> None:
        try:
            self._value.append(self._work())
        except BaseException as fault:  # noqa: BLE001  (whoever asks for the result is told)
            self._fault = fault
        finally:
            self._over = True
            self._running.release()

    @property
    def is_done(self) -> bool:
        """Whether it is over."""
        return self._over

    def result(self) -> T:
        """Waits for what came of it, and returns or raises that. It may be called again after an interruption."""
        while not self._over:  # the lock may stay taken where a signal handler raised in another thread's call
            if self._running.acquire(timeout=LONGEST_WAIT):
                self._running.release()
        if self._fault is not None:
            raise self._fault
        return self._value[0]


class AsyncAhead(Generic[T]):
    """Something that another task does meanwhile. Other event loops than asyncio's do it when it is asked for."""

    def __init__(self, work: Callable[[], Coroutine[Any, Any, T]]) -> None:
        self._work: Callable[[], Awaitable[T]] = work
        self._task: asyncio.Task[T] | None = None
        if "asyncio" not in sys.modules:  # nobody can run its loop then
            return
        import asyncio

        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return
        self._task = loop.create_task(work())
        self._task.add_done_callback(_hear)

    @property
    def is_done(self) -> bool:
        """Whether it is over."""
        return self._task is None or self._task.done()

    async def result(self) -> T:
        """Waits for what comes of it, and returns or raises that."""
        return await (self._work() if self._task is None else self._task)

    def leave(self) -> None:
        """Ends it, where it is not done."""
        if self._task is not None:
            self._task.cancel()

    def __del__(self) -> None:
        if self._task is not None and not self.is_done:
            with suppress(RuntimeError):  # its loop is closed, and has ended it
                self._task.get_loop().call_soon_threadsafe(self._task.cancel)


def _hear(task: asyncio.Task[Any]) -> None:
    # Of a fault that nobody asks for, asyncio would complain.
    if not task.cancelled():
        task.exception()
