"""Logging to the logger `letta_ext`, configured by `LETTA_LOG` and `LETTA_LOG_BODIES`.

A log line is an event name followed by `key=value` pairs. INFO has a line for each attempt, for each interrupted or
ended stream, and for each failed call. DEBUG adds the redacted headers of requests and responses. Bodies contain
conversations: they are logged at DEBUG only, and only if `LETTA_LOG_BODIES` is `1`.
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
from .observer import ObservedCall, Observer, Outcome
from .redaction import format_pairs, redact, secrets_of, secrets_of_request

LOG: Final = logging.getLogger("letta_ext")
DEBUG: Final = logging.DEBUG
INFO: Final = logging.INFO
LEVELS: Final = {"info": INFO, "debug": DEBUG}
FORMAT: Final = "%(asctime)s %(name)s %(levelname)s %(message)s"
MAX_BODY: Final = 10_000
"""The maximum length of a logged body, in characters."""


class _UnlessConfigured(logging.StreamHandler[Any]):
    """A handler that writes to standard error unless the program has configured logging."""

    def __init__(self) -> None:
        super().__init__(sys.stderr)
        self.setFormatter(logging.Formatter(FORMAT))

    def emit(self, record: logging.LogRecord) -> None:
        if not logging.getLogger().handlers:
            super().emit(record)


def configure(environ: Mapping[str, str]) -> None:
    """Set the log level from `LETTA_LOG`, which is `info`, `debug` or empty."""
    name = environ.get("LETTA_LOG", "").strip().lower()
    if not name:
        return
    if name not in LEVELS:
        warnings.warn(f"LETTA_LOG must be info or debug, got {name!r}; logging stays disabled", stacklevel=2)
        return
    LOG.setLevel(LEVELS[name])
    if not any(isinstance(handler, _UnlessConfigured) for handler in LOG.handlers):
        LOG.addHandler(_UnlessConfigured())


def _content_if_read(response: httpx.Response) -> bytes | None:
    try:
        return response.content
    except httpx.ResponseNotRead:
        return None


class LogObserver(Observer):
    """An observer that logs the events of one call."""

    def __init__(self, call: ObservedCall) -> None:
        query = [(name, str(value)) for name, value in call.request.query]
        self._request = f"method={call.request.method} path={call.request.path}"
        self._query = query
        self._secrets = secrets_of([*call.headers.items(), *query])
        self._bodies = os.environ.get("LETTA_LOG_BODIES") == "1"

    def _write(self, level: int, event: str, fields: str) -> None:
        if LOG.isEnabledFor(level):
            LOG.log(level, "%s", redact(f"{event} {fields}", self._secrets))

    def _details(self, headers: httpx.Headers, body: bytes | None) -> str:
        details = f"headers=[{format_pairs(headers.multi_items())}]"
        if body and self._bodies:
            details += f" body={body.decode('utf-8', 'replace')[:MAX_BODY]}"
        return details

    def on_attempt_start(self, request: httpx.Request, number: int) -> None:
        """Log the request at DEBUG."""
        if LOG.isEnabledFor(DEBUG):
            query = f"query=[{format_pairs(self._query)}] " if self._query else ""
            details = self._details(request.headers, request.content)
            self._write(DEBUG, "request sent", f"{self._request} attempt={number} {query}{details}")

    def on_attempt_end(
        self, operation: Operation, attempt: Attempt, seconds: float, delay: float | None, outcome: Outcome
    ) -> None:
        """Log the attempt, and the response at DEBUG."""
        response = outcome if isinstance(outcome, httpx.Response) else None
        result = f"status={response.status_code}" if response is not None else f"error={type(outcome).__name__}"
        retry = "" if delay is None else f" retry_in={delay:.3g}"
        attempted = f"{self._request} attempt={attempt.number}"
        self._write(INFO, "attempt ended", f"{attempted} {result} duration_ms={seconds * 1000:.1f}{retry}")
        if response is not None and LOG.isEnabledFor(DEBUG):
            self._secrets |= secrets_of_request(response.request)  # includes the credentials of an auth flow
            details = self._details(response.headers, _content_if_read(response))
            self._write(DEBUG, "response received", f"{attempted} {details}")

    def on_resume(self, report: ResumeReport) -> None:
        """Log the interruption of a stream."""
        error = "" if report.error is None else f"error={type(report.error).__name__} "
        position = "" if report.last_seq_id is None else f"last_seq_id={report.last_seq_id} "
        fields = f"{error}{position}retry_in={report.delay:.3g} resumption={report.number} {self._request}"
        self._write(INFO, "stream interrupted", fields)

    def on_event(self, data: Any) -> None:
        """Log a stream event at DEBUG."""
        if self._bodies and LOG.isEnabledFor(DEBUG):
            self._write(DEBUG, "event received", f"{self._request} data={str(data)[:MAX_BODY]}")

    def on_end(self, error: BaseException | None, seconds: float, events: int | None) -> None:
        """Log the end of a stream, or the failure of a call."""
        failed = error is not None and not isinstance(error, GeneratorExit)
        fields = f"{self._request} duration_ms={seconds * 1000:.1f}"
        if failed:
            fields = f"error={type(error).__name__} {fields}"
        if events is None and failed:
            self._write(INFO, "call failed", fields)
        elif events is not None:
            name = "stream failed" if failed else "stream closed early" if error is not None else "stream ended"
            self._write(INFO, name, f"events={events} {fields}")
