"""The base class of observers, which receive the events of a call."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Final, Protocol, TypeAlias

import httpx

from letta_api.operations import Operation
from letta_api.types import Request

from ..hooks import BusyReport, Hooks, ResumeReport
from ..retry import Attempt

TRACING: Final = "opentelemetry.trace"
"""The module of the tracing API. Calls are traced if the program has imported it; this library never does."""

Outcome: TypeAlias = httpx.Response | Exception
"""The outcome of an attempt: a response of any status, or the exception of the transport."""


class ObservedCall(Protocol):
    """The part of a call that observers use."""

    @property
    def operation(self) -> Operation: ...  # see `Call`

    @property
    def request(self) -> Request: ...  # see `Call`

    @property
    def headers(self) -> Mapping[str, str]: ...  # see `Call`

    @property
    def hooks(self) -> Hooks: ...  # see `Call`


class Observer:
    """A receiver of the events of a call. The methods of this base class do nothing.

    Attributes:
        receives_events: Whether it receives stream events, which costs time for each of them.
    """

    receives_events: ClassVar[bool] = True

    def enter(self) -> None:
        """Handle the start of a call."""

    def leave(self) -> None:
        """Handle the return of a call. A stream stays open."""

    def on_attempt_start(self, request: httpx.Request, number: int) -> None:
        """Handle the start of an attempt. The first has number 1."""

    def on_attempt_end(
        self, operation: Operation, attempt: Attempt, seconds: float, delay: float | None, outcome: Outcome
    ) -> None:
        """Handle the end of an attempt.

        Args:
            operation: The operation of the call.
            attempt: The attempt.
            seconds: Its duration.
            delay: The seconds until the next attempt, or None if it was the last.
            outcome: Its response or exception.
        """

    def on_resume(self, report: ResumeReport) -> None:
        """Handle the interruption of a stream that is about to be resumed."""

    def on_busy(self, report: BusyReport) -> None:
        """Handle the start of a wait for a busy conversation."""

    def on_event(self, data: Any) -> None:
        """Handle a stream event, given its JSON."""

    def on_end(self, error: BaseException | None, seconds: float, events: int | None) -> None:
        """Handle the end of a call or stream.

        Args:
            error: The exception that ended it, a `GeneratorExit` if a stream was closed early, or None.
            seconds: Its duration.
            events: The number of stream events, or None if no stream was opened.
        """
