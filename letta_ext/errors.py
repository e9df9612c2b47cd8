"""The exceptions of the library, all derived from `LettaError`.

Classes that `letta-client` also has keep their names and meanings, so `except` clauses work with either package. Errors
of httpx, JSON and Unicode are converted to these classes. An error stores headers and body rather than the
`httpx.Response`, whose request contains the API key and cannot be pickled.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from ._types import truncate_nesting

_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""Control characters, line separators, bidirectional controls and lone surrogates."""


def printable(text: str) -> str:
    """Return the text with control characters and lone surrogates escaped."""
    return _UNPRINTABLE.sub(lambda found: ascii(found[0])[1:-1], text)


class LettaError(Exception):
    """Base class of all errors of the library. Control characters in its message are escaped."""

    def __init__(self, message: str = "") -> None:
        super().__init__(printable(message))


class APIError(LettaError):
    """Base class of errors about a request.

    Attributes:
        message: The cause and a remedy, on one line.
        body: The decoded response body, its text if it is not JSON, or None without a response. Values nested more than
            100 levels deep are replaced by "…".
        headers: The response headers, with lowercase names. Empty without a response.
        request_id: The `x-request-id` or trace id of the response, or None.
        run_id: The id of the run that the error is about, or None if unknown.
        error_type: The server's name for the error, or None.
        detail: The server's description of the error, in full, or None.
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
        self.body = truncate_nesting(body)  # pickle fails on deeply nested values
        self.headers = dict(headers or {})
        self.request_id = request_id
        self.run_id = run_id
        self.error_type = error_type
        self.detail = detail

    @property
    def status_code(self) -> int | None:
        """The HTTP status code, or None without a response."""
        return self._status_code

    def __reduce__(self) -> tuple[Callable[..., APIError], tuple[type[APIError], dict[str, Any]]]:
        return _restore, (type(self), dict(self.__dict__))


def _restore(cls: type[APIError], state: dict[str, Any]) -> APIError:
    """Unpickle an error without calling the constructor of its class."""
    error = cls.__new__(cls, state["message"])
    Exception.__init__(error, state["message"])
    error.__dict__.update(state)
    return error


class APIConnectionError(APIError):
    """The connection failed, or was lost before the response was complete.

    Attributes:
        may_have_been_processed: False if the request certainly did not reach the server. It is determined only for
            requests that are not idempotent, such as foreground messages. For all others it is True.
    """

    may_have_been_processed: bool = True


class APITimeoutError(APIConnectionError):
    """The response did not arrive in time."""


class APIResponseValidationError(APIError):
    """The response does not match the API document. `detail` names the path in the body."""


class APIStatusError(APIError):
    """The server returned an error response."""

    @property
    def status_code(self) -> int:
        """The HTTP status code."""
        return self._status_code or 0


class BadRequestError(APIStatusError):
    """400: The request is invalid in the current state, such as resuming a stream without an active run."""


class AuthenticationError(APIStatusError):
    """401: The API key is missing or invalid."""


class PermissionDeniedError(APIStatusError):
    """403: The API key does not permit the request."""


class NotFoundError(APIStatusError):
    """404: The resource does not exist."""


class ConflictError(APIStatusError):
    """409: The request conflicts with the current state."""


class ConversationBusyError(ConflictError):
    """409: Another run is active in the conversation. `run_id` is its id, if the server sent it."""


class PendingApprovalError(ConflictError):
    """409 or an error event: The agent waits for tool returns or approvals and accepts no other message.

    Attributes:
        pending_request_id: The id of the approval request, or None if the server did not send it.
    """

    pending_request_id: str | None = None


class RunExpiredError(APIStatusError):
    """410: The server no longer stores the events of the run."""


class UnprocessableEntityError(APIStatusError):
    """422: A value is invalid. `detail` names it."""


class RateLimitError(APIStatusError):
    """429: The server or the model provider limits the rate of requests."""


class InternalServerError(APIStatusError):
    """5xx: The server or the model provider failed."""


class RunError(APIStatusError):
    """A streamed run failed, and the server sent an error event with `error_type` and `detail`.

    `status_code` is 200, the status of the stream. `letta-client` raises `APIStatusError` in this case.
    """


class StreamInterrupted(APIConnectionError):  # noqa: N818  # describes an event, and the name is public
    """A stream ended before its terminal event.

    The server still completes and stores the run. List the messages of the conversation to get the rest. Resume a
    background run with `conversations.messages.stream(run_id=…, starting_after=…)`.

    Attributes:
        run_id: The id of the run, or None if no event contained it.
        last_seq_id: The sequence number of the last event received, or None for a foreground stream.
        partial: The messages that `result()` had received; the last may be incomplete. Empty if the stream was
            iterated.
        gap: The first and last missing sequence number, or None.
    """

    last_seq_id: int | None = None
    partial: tuple[Any, ...] = ()
    gap: tuple[int, int] | None = None


class StreamTimeoutError(StreamInterrupted, APITimeoutError):
    """A stream exceeded the `idle` or `total` bound of its `StreamLimits`."""


class EventTooLargeError(APIError):
    """An event of a stream exceeds `StreamLimits.max_event_bytes`."""


class ResponseTooLargeError(APIError):
    """A response body exceeds `ResponseLimits.max_bytes`. The server has processed the request."""


class TooManyRoundsError(LettaError):
    """An agent exceeded the maximum number of tool rounds. The last tool calls are still pending."""


class ListChangedError(LettaError):
    """Iteration of a list cannot continue: its last item was deleted, or the server restarted the list."""


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
