"""What hears of a call while it goes on. Nothing here does I/O."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Final, Protocol, TypeAlias

import httpx

from letta_api.operations import Operation
from letta_api.types import Request

from ..hooks import BusyReport, Hooks, ResumeReport
from ..retry import Attempt

TRACING: Final = "opentelemetry.trace"
"""The module that every program has loaded which makes spans; this library never loads it."""

Became: TypeAlias = httpx.Response | Exception
"""What became of an attempt: an answer, whatever its status, or a fault."""


class Watched(Protocol):
    """A call, as far as observers need it."""

    @property
    def operation(self) -> Operation: ...  # see `Call`

    @property
    def request(self) -> Request: ...  # see `Call`

    @property
    def headers(self) -> Mapping[str, str]: ...  # see `Call`

    @property
    def hooks(self) -> Hooks: ...  # see `Call`


class Observer:
    """Receives what happens during a call: the log, a span, and the functions of `Hooks`. This one does nothing.

    Attributes:
        hears_events: Whether it receives the events of streams, which costs time for each of them.
    """

    hears_events: ClassVar[bool] = True

    def enter(self) -> None:
        """The call begins to be made."""

    def leave(self) -> None:
        """The call has returned or raised. A stream goes on."""

    def sent(self, request: httpx.Request, number: int) -> None:
        """An attempt begins; `number` is 1 for the first."""

    def attempted(
        self, operation: Operation, attempt: Attempt, seconds: float, delay: float | None, became: Became
    ) -> None:
        """An attempt has ended, after so many seconds; `delay` seconds later there is another, or none."""

    def resumed(self, report: ResumeReport) -> None:
        """A cut stream is about to go on."""

    def waits(self, report: BusyReport) -> None:
        """The call is about to wait for its turn."""

    def event(self, data: Any) -> None:
        """The JSON of an event came."""

    def end(self, fault: BaseException | None, seconds: float, events: int | None) -> None:
        """All is over: well, or by a fault, which is a GeneratorExit where a stream was left.

        `events` says how many a stream had; it is None where the call is no stream, or has failed to become one.
        """
