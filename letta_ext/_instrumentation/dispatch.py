"""Passes what happens during a call to its observers: the log, a span, and the functions of `Hooks`.

`make_instrumentation` is called once for each call. Without observers a call
keeps `SILENT`, which costs next to nothing.
Nothing here does I/O; the observers are in `logs.py`, `tracing.py` and `reports.py`.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

import httpx

from ..hooks import NO_HOOKS, BusyReport, ResumeReport
from ..retry import Attempt
from .hook_observer import HookObserver
from .log_observer import INFO, LOG, LogObserver
from .observer import TRACING, Became, Observer, Watched

if TYPE_CHECKING:
    from letta_api.operations import Operation
    from letta_api.unions import StreamEvent


class Watch:
    """Where a call says how it goes. This one tells nobody."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, fault: BaseException | None, at: TracebackType | None) -> None:
        pass

    def sent(self, request: httpx.Request, number: int) -> None:
        """See `Observer.sent`."""

    def attempted(
        self, operation: Operation, attempt: Attempt, seconds: float, delay: float | None, became: Became
    ) -> None:
        """See `Observer.attempted`."""

    def resumed(self, report: ResumeReport) -> None:
        """See `Observer.resumed`."""

    def waits(self, report: BusyReport) -> None:
        """See `Observer.waits`."""

    def observer(self) -> Callable[[StreamEvent], None] | None:
        """What is told of the events of a stream, where anybody listens."""
        return None

    def stays_open(self) -> None:
        """Says that the call has become a stream, and is over when that is."""

    def end(self, fault: BaseException | None = None) -> None:
        """Says that all is over; only the first time counts."""


SILENT: Final = Watch()
"""The watch of a call that nobody listens to."""


class _Watching(Watch):
    """Tells observers, in this order."""

    def __init__(self, observers: list[Observer]) -> None:
        self._observers = observers
        self._began = time.monotonic()
        self._events: int | None = None
        self._open = True

    def __enter__(self) -> Self:
        for each in self._observers:
            each.enter()
        return self

    def __exit__(self, kind: type[BaseException] | None, fault: BaseException | None, at: TracebackType | None) -> None:
        for each in reversed(self._observers):
            each.leave()
        if fault is not None or self._events is None:
            self.end(fault)

    def sent(self, request: httpx.Request, number: int) -> None:
        for each in self._observers:
            each.sent(request, number)

    def attempted(
        self, operation: Operation, attempt: Attempt, seconds: float, delay: float | None, became: Became
    ) -> None:
        for each in self._observers:
            each.attempted(operation, attempt, seconds, delay, became)

    def resumed(self, report: ResumeReport) -> None:
        for each in self._observers:
            each.resumed(report)

    def waits(self, report: BusyReport) -> None:
        for each in self._observers:
            each.waits(report)

    def observer(self) -> Callable[[StreamEvent], None] | None:
        hearing = [each for each in self._observers if each.hears_events]
        if not hearing:
            return None

        def observed(event: StreamEvent) -> None:
            self._events = (self._events or 0) + 1
            try:
                data = event.to_dict()
            except RecursionError:  # nested too deeply to be written again
                data = None
            for each in hearing:
                each.event(data)

        return observed

    def stays_open(self) -> None:
        self._events = 0

    def end(self, fault: BaseException | None = None) -> None:
        if self._open:
            self._open = False
            for each in self._observers:
                each.end(fault, time.monotonic() - self._began, self._events)

    def __del__(self) -> None:
        self.end(GeneratorExit())  # a stream that nobody went over, nor closed


def make_instrumentation(call: Watched) -> Watch:
    """Return the watch of a call; `SILENT` if it has no observers."""
    logged, hooked = LOG.isEnabledFor(INFO), call.hooks is not NO_HOOKS
    if not logged and not hooked and TRACING not in sys.modules:
        return SILENT
    observers: list[Observer] = []
    if TRACING in sys.modules:
        from .span_observer import begin_span  # most programs make no spans

        observers += begin_span(call)
    if logged:
        observers.append(LogObserver(call))
    if hooked:
        observers.append(HookObserver(call.hooks))  # the last: what they raise must not keep it from the others
    return _Watching(observers) if observers else SILENT
