"""Everything that this library raises on purpose, in one tree under `LettaError`.

The classes that the published `letta-client` has are here under the same names and for the same cases, so that
`except` clauses survive a change of the import. What httpx, JSON and Unicode raise is translated into them. They carry
what an answer said rather than the answer: httpx's requests hold the key, and can go into no other process.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from ._types import truncate_nesting

_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""Characters that steer a terminal, forge a line or turn the direction of writing, and halves of surrogate pairs."""


def printable(text: str) -> str:
    """Return a text that any terminal shows as it is, its control characters and lone surrogates escaped."""
    return _UNPRINTABLE.sub(lambda found: ascii(found[0])[1:-1], text)


class LettaError(Exception):
    """The base of all errors of this library. Its message can be printed wherever its characters can."""

    def __init__(self, message: str = "") -> None:
        super().__init__(printable(message))


class APIError(LettaError):
    """A request did not bring what it was sent for.

    Attributes:
        message: one line: what happened, and what to do.
        body: the decoded body of the answer, its text where it is no JSON, or None; without what is nested deeper than
            100 levels.
        headers: the answer's headers in lower case; empty where there was none.
        request_id: the server's id of the request, where it gave one.
        run_id: the run that is concerned, where known.
        error_type: the server's own name for the error, where it gave one.
        detail: the server's own words in full, where it gave some.
    """

    message: str
    body: Any
    headers: Mapping[str, str]
    request_id: str | None
    run_id: str | None
    error_type: str | None
    detail: str | None

    def __init__(
        self,
        message: str,
        *,
        status_code: int | None = None,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        request_id: str | None = None,
        run_id: str | None = None,
        error_type: str | None = None,
        detail: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = str(self)
        self._status_code = status_code
        self.body = truncate_nesting(body)  # a deeper one could not be pickled
        self.headers = dict(headers or {})
        self.request_id = request_id
        self.run_id = run_id
        self.error_type = error_type
        self.detail = detail

    @property
    def status_code(self) -> int | None:
        """The HTTP status, or None where there was no answer."""
        return self._status_code

    def __reduce__(self) -> tuple[Callable[..., APIError], tuple[type[APIError], dict[str, Any]]]:
        return _restore, (type(self), dict(self.__dict__))


def _restore(cls: type[APIError], state: dict[str, Any]) -> APIError:
    """Unpickles an error whatever arguments its class takes."""
    error = cls.__new__(cls, state["message"])
    Exception.__init__(error, state["message"])
    error.__dict__.update(state)
    return error


class APIConnectionError(APIError):
    """No answer came: the connection failed, or broke before the answer was complete.

    Attributes:
        may_have_been_processed: False if the request surely did not reach the server. That is determined for requests
            that are not repeated otherwise, such as messages in the foreground; for others it is always True.
    """

    may_have_been_processed: bool = True


class APITimeoutError(APIConnectionError):
    """No answer came in time."""


class APIResponseValidationError(APIError):
    """An answer came that is not what the API document says; `detail` names the path in the body."""


class APIStatusError(APIError):
    """The server refused the request."""

    @property
    def status_code(self) -> int:
        """The HTTP status."""
        return self._status_code or 0


class BadRequestError(APIStatusError):
    """400: the request makes no sense in the present state, such as resuming where no run is active."""


class AuthenticationError(APIStatusError):
    """401: the API key is missing or wrong."""


class PermissionDeniedError(APIStatusError):
    """403: the API key does not allow this."""


class NotFoundError(APIStatusError):
    """404: there is no such thing."""


class ConflictError(APIStatusError):
    """409: the request is at odds with the present state."""


class ConversationBusyError(ConflictError):
    """409: another run holds the conversation; `run_id` says which, where the server does."""


class PendingApprovalError(ConflictError):
    """409, or a streamed error: the agent waits for tool returns or approvals before it takes anything else.

    Attributes:
        pending_request_id: the id of the approval request, where the server names it.
    """

    pending_request_id: str | None = None


class RunExpiredError(APIStatusError):
    """410: the run is over for so long that the server no longer keeps its events."""


class UnprocessableEntityError(APIStatusError):
    """422: the server could not make sense of a value; `detail` says which."""


class RateLimitError(APIStatusError):
    """429: the server, or the model's provider behind it, asks for fewer requests."""


class InternalServerError(APIStatusError):
    """5xx: the server, or the model's provider behind it, failed."""


class RunError(APIStatusError):
    """A streamed run failed: the server sent an error event; `error_type` and `detail` are its words.

    The status is that of the stream, 200. The published client raises an `APIStatusError` here.
    """


class StreamInterrupted(APIConnectionError):  # noqa: N818  (it tells what happened, as its name is known)
    """A stream broke off before its end.

    The server finishes and stores the run all the same: what is missing can be listed, or, for a run in the
    background, resumed with `conversations.messages.stream(run_id=…, starting_after=…)`.

    Attributes:
        run_id: the run, where an event named it.
        last_seq_id: the number of the last event that was received, on background streams.
        partial: what `result()` had by then: messages, the last of them perhaps without its end. Whoever goes over a
            stream has seen its events, and finds nothing here.
        gap: the first and last missing number, where numbers are missing; else None.
    """

    last_seq_id: int | None = None
    partial: tuple[Any, ...] = ()
    gap: tuple[int, int] | None = None


class StreamTimeoutError(StreamInterrupted, APITimeoutError):
    """A stream was silent, or lasted, longer than its `StreamLimits` allow."""


class EventTooLargeError(APIError):
    """One event of a stream is larger than its `StreamLimits` allow."""


class ResponseTooLargeError(APIError):
    """A response is larger than its `ResponseLimits` allow. The server has processed the request."""


class TooManyRoundsError(LettaError):
    """An agent called tools in more rounds than it was allowed; the last calls still wait for their answers."""


class ListChangedError(LettaError):
    """A list cannot be walked on: what the walk stood at is gone, or the server began the list again."""


STATUS_ERRORS: Mapping[int, type[APIStatusError]] = {
    400: BadRequestError,
    401: AuthenticationError,
    403: PermissionDeniedError,
    404: NotFoundError,
    409: ConflictError,
    410: RunExpiredError,
    422: UnprocessableEntityError,
    429: RateLimitError,
}
