"""The attempts of one call: which are repeated, and which error the last one becomes. Nothing here does I/O."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime

import httpx
from attrs import define, field

from .._instrumentation.observer import Outcome
from ..errors import APIError, LettaError
from ..limits import ResponseLimits
from ..retry import Attempt, retry_after
from .content_encoding import BodyTooLargeError
from .delivery_evidence import DeliveryEvidence
from .errors_from_response import MAY_HAVE_BEEN_PROCESSED, status_error, too_large, too_slow, transport_error
from .requests import Call, decode_body
from .transport_errors import describe_request, sanitize_transport_error


@define
class RetryState:
    """Decides, attempt by attempt, whether a request is sent again. The client does the sending and the waiting.

    Attributes:
        evidence: what shows that an attempt sent nothing, for a call that is repeated only then.
        attempts: how many there were.
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
        """Says that an attempt begins."""
        self._request = request
        self._began = self.clock()
        if self.attempts == 0:
            self._started = self._began
        self.attempts += 1
        self.call.instrumentation.on_attempt_start(request, self.attempts)

    def classify_error(self, error: Exception) -> Exception:
        """Return what ended the attempt without an answer, for `failed`.

        Raises:
            Exception: If it is the caller's own. A note on it says whether the request may have been processed.
        """
        self._unsent = self.evidence is not None and self.evidence.unsent(error)
        try:
            return sanitize_transport_error(error, self._request)
        except Exception as own:
            if self._in_doubt and not isinstance(own, LettaError):
                own.add_note(f"{describe_request(self._request)}: {MAY_HAVE_BEEN_PROCESSED}")
            raise

    def delay_after_error(self, fault: Exception) -> float:
        """Seconds until the next attempt after one that brought no answer.

        Raises:
            APIConnectionError: there shall be no further attempt.
        """
        delay = self._after(Attempt(self.attempts, self._elapsed, unsent=self._unsent), fault)
        if delay is None:
            error = transport_error(self._request, fault, in_doubt=self._in_doubt)
            error.may_have_been_processed = not self._unsent
            raise error from fault
        return delay

    @property
    def _in_doubt(self) -> bool:
        return self.call.idempotency == "none" and not self._unsent

    def delay_after_response(self, response: httpx.Response) -> float | None:
        """Seconds until the next attempt after an answer, or None where there shall be none."""
        asked = None if response.is_success else retry_after(response.headers, self.now)
        attempt = Attempt(self.attempts, self._elapsed, status=response.status_code, retry_after=asked)
        return self._after(attempt, response)

    def body_limit_error(self, response: httpx.Response, fault: Exception) -> APIError:
        """The error for a successful answer whose body has left its bounds; there is no further attempt."""
        self._after(Attempt(self.attempts, self._elapsed, status=response.status_code), response)
        return body_limit_error(self.call.limits, response, fault)

    @property
    def _elapsed(self) -> float:
        return self.clock() - self._started

    def _after(self, attempt: Attempt, became: Outcome) -> float | None:
        success = attempt.status is not None and 200 <= attempt.status < 300
        delay = None if success else self.call.retry.delay(attempt, self.call.idempotency)
        self.call.instrumentation.on_attempt_end(
            self.call.operation, attempt, self.clock() - self._began, delay, became
        )
        return delay

    def response_error(self, response: httpx.Response) -> APIError:
        """The error for an answer that is no success and has been read."""
        headers = {name.lower(): value for name, value in response.headers.items()}
        status, body = response.status_code, decode_body(response)
        lost = self.call.idempotency == "none" and status >= 500
        return status_error(response.request, status, headers, body, in_doubt=lost)


def body_limit_error(limits: ResponseLimits, response: httpx.Response, bound: Exception) -> APIError:
    """The error for a successful answer whose body is too large or too slow."""
    if isinstance(bound, BodyTooLargeError):
        return too_large(response, limits.max_bytes)
    return too_slow(response, limits.total)


def response_of_status_error(fault: httpx.HTTPStatusError, request: httpx.Request) -> httpx.Response:
    """The answer to a request for which a hook or an `auth=` flow has called `raise_for_status`.

    httpx has closed it, so its body is lost unless the hook has read it.

    Raises:
        httpx.HTTPStatusError: it is the answer to another request, or a success.
    """
    response = fault.response
    mine = response.request is request or (response.request.method, response.request.url) == (
        request.method,
        request.url,
    )
    if not mine or response.is_success:
        raise fault
    return response
