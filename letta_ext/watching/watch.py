"""Watching a call go on: the one place that log lines and spans hear of attempts, resumptions, events and the end.

`watch_of` is asked once a call. Where neither the log nor a tracer listens, the call keeps `SILENT`, which costs next
to nothing. Nothing here does I/O; `logs.py` and `tracing.py` say what is made of it.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

import httpx
from attrs import evolve

from ..hooks import Hooks, ResumeReport
from ..retry import Attempt
from .logs import INFO, LOG, LogObserver
from .observer import TRACING, Became, Observer, Watched

if TYPE_CHECKING:
    from letta_api.unions import StreamEvent


class Watch:
    """Where a call says how it goes. This one tells nobody."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, fault: BaseException | None, at: TracebackType | None) -> None:
        pass

    def sent(self, request: httpx.Request, number: int) -> None:
        """See `Observer.sent`."""

    def attempted(self, attempt: Attempt, seconds: float, delay: float | None, became: Became) -> None:
        """See `Observer.attempted`."""

    def hooks(self, hooks: Hooks) -> Hooks:
        """The hooks of a stream, which hear of its resumptions."""
        return hooks

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

    def attempted(self, attempt: Attempt, seconds: float, delay: float | None, became: Became) -> None:
        for each in self._observers:
            each.attempted(attempt, seconds, delay, became)

    def hooks(self, hooks: Hooks) -> Hooks:
        def on_resume(report: ResumeReport) -> None:
            for each in self._observers:
                each.resumed(report)
            if hooks.on_resume is not None:
                hooks.on_resume(report)

        return evolve(hooks, on_resume=on_resume)

    def observer(self) -> Callable[[StreamEvent], None]:
        def observed(event: StreamEvent) -> None:
            self._events = (self._events or 0) + 1
            try:
                data = event.to_dict()
            except RecursionError:  # nested too deeply to be written again
                data = None
            for each in self._observers:
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


def watch_of(call: Watched) -> Watch:
    """The watch of a call; `SILENT` if nobody listens."""
    logged = LOG.isEnabledFor(INFO)
    if not logged and TRACING not in sys.modules:
        return SILENT
    observers: list[Observer] = []
    if TRACING in sys.modules:
        from .tracing import begin_span  # most programs make no spans

        observers += begin_span(call)
    if logged:
        observers.append(LogObserver(call))
    return _Watching(observers) if observers else SILENT
