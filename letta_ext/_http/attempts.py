"""The attempts of one call: retry decisions, and the error of the last attempt."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Final

import httpx
from attrs import define, field

from .._instrumentation.observer import Outcome
from ..errors import APIError, LettaError
from ..limits import ResponseLimits
from ..retry import Attempt, retry_after
from .charsets import text_of
from .content_encoding import BodyTooLargeError
from .delivery_evidence import DeliveryEvidence
from .errors_from_response import MAY_HAVE_BEEN_PROCESSED, status_error, too_large, too_slow, transport_error
from .requests import Call, decode_body
from .transport_errors import describe_request, sanitize_transport_error

RETRIES: Final = "letta_ext.retries"
"""The extension of a response with the number of retries before it."""


@define
class RetryState:
    """The state of the attempts of one call.

    Attributes:
        evidence: Detects attempts that did not reach the server, for calls that are not idempotent.
        attempts: The number of attempts so far.
    """

    call: Call
    evidence: DeliveryEvidence | None = None
    clock: Callable[[], float] = time.monotonic
    now: Callable[[], datetime] = field(default=lambda: datetime.now(UTC))
    attempts: int = field(init=False, default=0)
    _started: float = field(init=False, default=0.0)
    _began: float = field(init=False, default=0.0)
    _request: httpx.Request = field(init=False, repr=False)
    _unsent: bool = field(init=False, default=False)

    def begin_attempt(self, request: httpx.Request) -> None:
        """Begin an attempt."""
        self._request = request
        self._began = self.clock()
        if self.attempts == 0:
            self._started = self._began
        self.attempts += 1
        self.call.instrumentation.on_attempt_start(request, self.attempts)

    def classify_error(self, error: Exception) -> Exception:
        """Return the transport error of the attempt, without secrets.

        Raises:
            Exception: If the caller's own code raised the error. A note is added if the request may have been
                processed.
        """
        self._unsent = self.evidence is not None and self.evidence.unsent(error)
        try:
            return sanitize_transport_error(error, self._request)
        except Exception as caller_error:
            if self._in_doubt and not isinstance(caller_error, LettaError):
                caller_error.add_note(f"{describe_request(self._request)}: {MAY_HAVE_BEEN_PROCESSED}")
            raise

    def delay_after_error(self, error: Exception) -> float:
        """Return the seconds until the next attempt after a transport error.

        Raises:
            APIConnectionError: If the request is not retried.
        """
        delay = self._end_attempt(Attempt(self.attempts, self._elapsed, unsent=self._unsent), error)
        if delay is None:
            api_error = transport_error(self._request, error, in_doubt=self._in_doubt)
            api_error.may_have_been_processed = not self._unsent
            raise api_error from error
        return delay

    @property
    def _in_doubt(self) -> bool:
        return self.call.idempotency == "none" and not self._unsent

    def delay_after_response(self, response: httpx.Response) -> float | None:
        """Return the seconds until the next attempt after a response, or None to stop."""
        requested = None if response.is_success else retry_after(response.headers, self.now)
        attempt = Attempt(self.attempts, self._elapsed, status=response.status_code, retry_after=requested)
        return self._end_attempt(attempt, response)

    def body_limit_error(self, response: httpx.Response, error: Exception) -> APIError:
        """Return the error for a successful response whose body exceeds its bounds. It is not retried."""
        self._end_attempt(Attempt(self.attempts, self._elapsed, status=response.status_code), response)
        return body_limit_error(self.call.limits, response, error)

    @property
    def _elapsed(self) -> float:
        return self.clock() - self._started

    def _end_attempt(self, attempt: Attempt, outcome: Outcome) -> float | None:
        success = attempt.status is not None and 200 <= attempt.status < 300
        delay = None if success else self.call.retry.delay(attempt, self.call.idempotency)
        self.call.instrumentation.on_attempt_end(
            self.call.operation, attempt, self.clock() - self._began, delay, outcome
        )
        return delay

    def response_error(self, response: httpx.Response) -> APIError:
        """Return the exception for an error response."""
        headers = {name.lower(): value for name, value in response.headers.items()}
        status, body = response.status_code, decode_body(response)
        in_doubt = self.call.idempotency == "none" and status >= 500
        text, elapsed = text_of(response, response.content), None
        with suppress(RuntimeError):  # httpx raises it for a response that its client did not send
            elapsed = response.elapsed
        return status_error(response.request, status, headers, body, text=text, elapsed=elapsed, in_doubt=in_doubt)


def body_limit_error(limits: ResponseLimits, response: httpx.Response, bound: Exception) -> APIError:
    """Return the error for a successful response whose body is too large or too slow."""
    if isinstance(bound, BodyTooLargeError):
        return too_large(response, limits.max_bytes)
    return too_slow(response, limits.total)


def response_of_status_error(error: httpx.HTTPStatusError, request: httpx.Request) -> httpx.Response:
    """Return the error response for which a hook or an `auth=` flow called `raise_for_status`.

    httpx has closed the response, so its body is empty unless the hook has read it.

    Raises:
        httpx.HTTPStatusError: If the response belongs to another request or is successful.
    """
    response = error.response
    is_own = response.request is request or (response.request.method, response.request.url) == (
        request.method,
        request.url,
    )
    if not is_own or response.is_success:
        raise error
    return response
