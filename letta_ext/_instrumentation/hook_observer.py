"""Calls the functions of `Hooks`. Nothing here does I/O."""

from __future__ import annotations

import httpx

from letta_api.operations import Operation

from ..hooks import AttemptReport, BusyReport, Hooks, ResumeReport
from ..retry import Attempt
from .observer import Became, Observer


class HookObserver(Observer):
    """Passes what happens to the functions of `Hooks`. What they raise is raised by the call."""

    hears_events = False

    def __init__(self, hooks: Hooks) -> None:
        self._hooks = hooks

    def attempted(
        self, operation: Operation, attempt: Attempt, seconds: float, delay: float | None, became: Became
    ) -> None:
        """An attempt has ended."""
        if self._hooks.on_attempt is not None:
            fault = None if isinstance(became, httpx.Response) else became
            self._hooks.on_attempt(AttemptReport(operation.id, attempt, fault, delay))

    def resumed(self, report: ResumeReport) -> None:
        """A cut stream is about to go on."""
        if self._hooks.on_resume is not None:
            self._hooks.on_resume(report)

    def waits(self, report: BusyReport) -> None:
        """The call is about to wait for its turn."""
        if self._hooks.on_busy is not None:
            self._hooks.on_busy(report)
