"""The log: what is written to the logger `letta_ext`, and the settings `LETTA_LOG` and `LETTA_LOG_BODIES`.

Each attempt has a line at level INFO, and so have the end of a stream and the failure of a call. DEBUG adds a line with
the headers, secrets left out, before and after each attempt. Bodies hold what people say to their agents: they are
written only at level DEBUG, and only where `LETTA_LOG_BODIES` is `1`.
"""

from __future__ import annotations

import logging
import os
import sys
import warnings
from collections.abc import Mapping
from typing import Any, Final

import httpx

from letta_api.operations import Operation

from ..hooks import ResumeReport
from ..retry import Attempt
from .observer import Became, Observer, Watched
from .redaction import secrets_of, secrets_of_request, shown_pairs, without

LOG: Final = logging.getLogger("letta_ext")
DEBUG: Final = logging.DEBUG
INFO: Final = logging.INFO
LEVELS: Final = {"info": INFO, "debug": DEBUG}
FORMAT: Final = "%(asctime)s %(name)s %(levelname)s %(message)s"
SHOWN: Final = 10_000
"""Characters of a body that are written."""


class _UnlessConfigured(logging.StreamHandler[Any]):
    """Writes to standard error as long as the program has set up no logging of its own."""

    def __init__(self) -> None:
        super().__init__(sys.stderr)
        self.setFormatter(logging.Formatter(FORMAT))

    def emit(self, record: logging.LogRecord) -> None:
        if not logging.getLogger().handlers:
            super().emit(record)


def configure(environ: Mapping[str, str]) -> None:
    """Does what `LETTA_LOG` says: `info` or `debug`; unset or empty, it says nothing and nothing is done."""
    name = environ.get("LETTA_LOG", "").strip().lower()
    if not name:
        return
    if name not in LEVELS:
        warnings.warn(f"LETTA_LOG must be info or debug, not {name!r}: nothing is logged", stacklevel=2)
        return
    LOG.setLevel(LEVELS[name])
    if not any(isinstance(handler, _UnlessConfigured) for handler in LOG.handlers):
        LOG.addHandler(_UnlessConfigured())


def _read(answer: httpx.Response) -> bytes | None:
    try:
        return answer.content
    except httpx.ResponseNotRead:
        return None


class LogObserver(Observer):
    """Writes what becomes of one call."""

    def __init__(self, call: Watched) -> None:
        query = [(name, str(value)) for name, value in call.request.query]
        self._what = f"{call.request.method} {call.request.path}"
        self._query = query
        self._secrets = secrets_of([*call.headers.items(), *query])
        self._bodies = os.environ.get("LETTA_LOG_BODIES") == "1"

    def _write(self, level: int, text: str) -> None:
        if LOG.isEnabledFor(level):
            LOG.log(level, "%s", without(f"{self._what} {text}", self._secrets))

    def _details(self, headers: httpx.Headers, body: bytes | None) -> str:
        shown = f"headers: {shown_pairs(headers.multi_items())}"
        if body and self._bodies:
            shown += f"; body: {body.decode('utf-8', 'replace')[:SHOWN]}"
        return shown

    def sent(self, request: httpx.Request, number: int) -> None:
        """An attempt begins."""
        if LOG.isEnabledFor(DEBUG):
            query = f"query: {shown_pairs(self._query)}; " if self._query else ""
            self._write(DEBUG, f"is sent, attempt {number}; {query}{self._details(request.headers, request.content)}")

    def attempted(
        self, operation: Operation, attempt: Attempt, seconds: float, delay: float | None, became: Became
    ) -> None:
        """An attempt has ended."""
        answer = became if isinstance(became, httpx.Response) else None
        outcome = answer.status_code if answer is not None else type(became).__name__
        again = "" if delay is None else f", again in {delay:.3g} s"
        self._write(INFO, f"{outcome} in {seconds * 1000:.1f} ms, attempt {attempt.number}{again}")
        if answer is not None and LOG.isEnabledFor(DEBUG):
            self._secrets |= secrets_of_request(answer.request)  # an auth flow has put credentials into it by now
            details = self._details(answer.headers, _read(answer))
            self._write(DEBUG, f"was answered, attempt {attempt.number}; {details}")

    def resumed(self, report: ResumeReport) -> None:
        """A cut stream is about to go on."""
        fault = "" if report.error is None else f" by {type(report.error).__name__}"
        behind = f"behind event {report.last_seq_id} " if report.last_seq_id is not None else ""
        self._write(INFO, f"stream cut{fault}, goes on {behind}in {report.delay:.3g} s, resumption {report.number}")

    def event(self, data: Any) -> None:
        """The JSON of an event came."""
        if self._bodies and LOG.isEnabledFor(DEBUG):
            self._write(DEBUG, f"event: {str(data)[:SHOWN]}")

    def end(self, fault: BaseException | None, seconds: float, events: int | None) -> None:
        """All is over."""
        took = f"{seconds * 1000:.1f} ms"
        failed = fault is not None and not isinstance(fault, GeneratorExit)
        if events is None and failed:
            self._write(INFO, f"failed in {took}: {type(fault).__name__}")
        elif events is not None:
            how = f"failed, {type(fault).__name__}," if failed else "left" if fault is not None else "ended"
            self._write(INFO, f"stream {how} after {events} events in {took}")
