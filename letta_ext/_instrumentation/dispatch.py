"""Dispatches the events of a call to its observers: logging, tracing and hooks."""

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
from .observer import TRACING, ObservedCall, Observer, Outcome

if TYPE_CHECKING:
    from letta_api.operations import Operation
    from letta_api.unions import StreamEvent


class Instrumentation:
    """The dispatcher of one call, to be used as a context manager. This base class has no observers."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        pass

    def on_attempt_start(self, request: httpx.Request, number: int) -> None:
        """See `Observer.on_attempt_start`."""

    def on_attempt_end(
        self, operation: Operation, attempt: Attempt, seconds: float, delay: float | None, outcome: Outcome
    ) -> None:
        """See `Observer.on_attempt_end`."""

    def on_resume(self, report: ResumeReport) -> None:
        """See `Observer.on_resume`."""

    def on_busy(self, report: BusyReport) -> None:
        """See `Observer.on_busy`."""

    def event_callback(self) -> Callable[[StreamEvent], None] | None:
        """Return the function to call with each stream event, or None if no observer receives events."""
        return None

    def on_stream_open(self) -> None:
        """Record that the call returns a stream, and ends when the stream ends."""

    def on_end(self, error: BaseException | None = None) -> None:
        """Dispatch the end of the call or stream. Only the first call has an effect."""


NOOP: Final = Instrumentation()
"""The instrumentation of a call without observers. Its methods do nothing."""


class _ActiveInstrumentation(Instrumentation):
    """The instrumentation of a call with observers, which are called in order."""

    _is_finalizing = staticmethod(sys.is_finalizing)  # an attribute: the globals are None when the interpreter exits

    def __init__(self, observers: list[Observer]) -> None:
        self._observers = observers
        self._started = time.monotonic()
        self._events: int | None = None
        self._open = True

    def __enter__(self) -> Self:
        for each in self._observers:
            each.enter()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for each in reversed(self._observers):
            each.leave()
        if error is not None or self._events is None:
            self.on_end(error)

    def on_attempt_start(self, request: httpx.Request, number: int) -> None:
        for each in self._observers:
            each.on_attempt_start(request, number)

    def on_attempt_end(
        self, operation: Operation, attempt: Attempt, seconds: float, delay: float | None, outcome: Outcome
    ) -> None:
        for each in self._observers:
            each.on_attempt_end(operation, attempt, seconds, delay, outcome)

    def on_resume(self, report: ResumeReport) -> None:
        for each in self._observers:
            each.on_resume(report)

    def on_busy(self, report: BusyReport) -> None:
        for each in self._observers:
            each.on_busy(report)

    def event_callback(self) -> Callable[[StreamEvent], None] | None:
        receivers = [each for each in self._observers if each.receives_events]
        if not receivers:
            return None

        def dispatch(event: StreamEvent) -> None:
            self._events = (self._events or 0) + 1
            try:
                data = event.to_dict()
            except RecursionError:  # nested too deeply to be encoded
                data = None
            for each in receivers:
                each.on_event(data)

        return dispatch

    def on_stream_open(self) -> None:
        self._events = 0

    def on_end(self, error: BaseException | None = None) -> None:
        if self._open:
            self._open = False
            for each in self._observers:
                each.on_end(error, time.monotonic() - self._started, self._events)

    def __del__(self) -> None:
        if not self._is_finalizing():
            self.on_end(GeneratorExit())  # a stream that was neither iterated nor closed


def make_instrumentation(call: ObservedCall) -> Instrumentation:
    """Return the instrumentation of a call, or `NOOP` if it has no observers."""
    logged, hooked = LOG.isEnabledFor(INFO), call.hooks is not NO_HOOKS
    if not logged and not hooked and TRACING not in sys.modules:
        return NOOP
    observers: list[Observer] = []
    if TRACING in sys.modules:
        from .span_observer import begin_span  # not imported by programs without tracing

        observers += begin_span(call)
    if logged:
        observers.append(LogObserver(call))
    if hooked:
        observers.append(HookObserver(call.hooks))  # last, because a hook that raises stops the dispatch
    return _ActiveInstrumentation(observers) if observers else NOOP
