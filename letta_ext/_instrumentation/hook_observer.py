"""Calls the functions of `Hooks`."""

from __future__ import annotations

import httpx

from letta_api.operations import Operation

from ..hooks import AttemptReport, BusyReport, Hooks, ResumeReport
from ..retry import Attempt
from .observer import Observer, Outcome


class HookObserver(Observer):
    """An observer that calls the functions of `Hooks`. Their exceptions propagate out of the call."""

    receives_events = False

    def __init__(self, hooks: Hooks) -> None:
        self._hooks = hooks

    def on_attempt_end(
        self, operation: Operation, attempt: Attempt, seconds: float, delay: float | None, outcome: Outcome
    ) -> None:
        """Call `on_attempt`."""
        if self._hooks.on_attempt is not None:
            error = None if isinstance(outcome, httpx.Response) else outcome
            self._hooks.on_attempt(AttemptReport(operation.id, attempt, error, delay))

    def on_resume(self, report: ResumeReport) -> None:
        """Call `on_resume`."""
        if self._hooks.on_resume is not None:
            self._hooks.on_resume(report)

    def on_busy(self, report: BusyReport) -> None:
        """Call `on_busy`."""
        if self._hooks.on_busy is not None:
            self._hooks.on_busy(report)
