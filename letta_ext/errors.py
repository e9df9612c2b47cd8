"""The exceptions of the library, all derived from `LettaError`.

Classes that `letta-client` also has keep their names and meanings, so `except` clauses work with either package. Errors
of httpx, JSON and Unicode are converted to these classes. `request` and `response` of an error are copies without
secrets, since those of httpx contain the API key. Errors can be pickled, copied and built by tests.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, ClassVar, TypedDict, cast

from ._exchange import RequestCopy, response_copy
from ._types import truncate_nesting

if TYPE_CHECKING:
    from datetime import timedelta
    from typing import Unpack

    import httpx

    from letta_api.models import ToolCall

_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""Control characters, line separators, bidirectional controls and lone surrogates."""


def printable(text: str) -> str:
    """Return the text with control characters and lone surrogates escaped."""
    return _UNPRINTABLE.sub(lambda found: ascii(found[0])[1:-1], text)


class LettaError(Exception):
    """Base class of all errors of the library. Control characters in its message are escaped."""

    def __init__(self, message: str = "") -> None:
        super().__init__(printable(message))


class _NoRequestError(LettaError, AttributeError):
    """The error of `request` for an error that was built without one. `getattr` with a default returns the default."""


class ErrorDetails(TypedDict, total=False):
    """Keyword arguments of all errors about a request. They are the attributes of `APIError`."""

    status_code: int | None
    headers: Mapping[str, str] | None
    request_id: str | None
    run_id: str | None
    error_type: str | None
    detail: str | None


class APIError(LettaError):
    """Base class of errors about a request.

    Args:
        message: The cause and a remedy.
        request: The request. Defaults to that of `response`.
        response: The response. Its status code and headers are the defaults of `status_code` and `headers`.
        body: The decoded response body.
        **details: Further attributes.

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

    default_status: ClassVar[int | None] = None
    """The status code of an error that is built without one."""

    def __init__(
        self,
        message: str = "",
        request: httpx.Request | None = None,
        *,
        response: httpx.Response | None = None,
        body: Any = None,
        **details: Unpack[ErrorDetails],
    ) -> None:
        super().__init__(message)
        self.message = str(self)
        self.body = truncate_nesting(body)  # pickle fails on deeply nested values
        self._request: httpx.Request | RequestCopy | None = request
        self._response = response
        self._text: str | None = None
        self._elapsed: timedelta | None = None
        status, headers = details.get("status_code"), details.get("headers")
        if response is not None:
            status = response.status_code if status is None else status
            headers = response.headers if headers is None else headers
        self._status_code = status if isinstance(status, int) else self.default_status
        lower = {str(name).lower(): value for name, value in headers.items()} if isinstance(headers, Mapping) else {}
        self.headers = lower
        self.request_id = details.get("request_id") or lower.get("x-request-id")
        self.run_id = details.get("run_id")
        self.error_type = details.get("error_type")
        self.detail = details.get("detail")

    @property
    def status_code(self) -> int | None:
        """The HTTP status code, or None without a response."""
        return self._status_code

    @property
    def request(self) -> httpx.Request:
        """The request: its method, URL and headers, with secrets redacted and without the body.

        Raises:
            LettaError: If the error was built without a request. It is an AttributeError too.
        """
        request = self._request
        if isinstance(request, RequestCopy):
            request = request.to_httpx()
        if request is None and self._response is not None:
            with suppress(RuntimeError):  # httpx raises it for a response without a request
                request = self._response.request
        if request is None:
            raise _NoRequestError(f"The {type(self).__name__} has no request. Pass request=… to build it with one.")
        self._request = request
        return request

    @property
    def response(self) -> httpx.Response | None:
        """The response with its text and headers, with secrets redacted. None if no response arrived."""
        if self._response is None and self._status_code is not None:
            request = getattr(self, "request", None)
            self._response = response_copy(
                self._status_code, self.headers, self._text, self.body, request, self._elapsed
            )
        return self._response

    def add_exchange(self, request: RequestCopy, text: str | None = None, elapsed: timedelta | None = None) -> None:
        """Add a request, and the text and the duration of its response. Secrets are removed from the first two."""
        self._request, self._text, self._elapsed = request, text, elapsed

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

    def __init__(
        self,
        message: str = "Connection error.",
        request: httpx.Request | None = None,
        *,
        response: httpx.Response | None = None,
        body: Any = None,
        **details: Unpack[ErrorDetails],
    ) -> None:
        super().__init__(message, request, response=response, body=body, **details)


class APITimeoutError(APIConnectionError):
    """The response did not arrive in time.

    Args:
        request: The request, as in letta-client, or the message.
        message: The message. Defaults to `Request timed out.`
        response: The response, if its body is late.
        body: The decoded response body.
        **details: Further attributes.
    """

    def __init__(
        self,
        request: httpx.Request | str | None = None,
        *,
        message: str = "Request timed out.",
        response: httpx.Response | None = None,
        body: Any = None,
        **details: Unpack[ErrorDetails],
    ) -> None:
        if isinstance(request, str):
            message, request = request, None
        super().__init__(message, request, response=response, body=body, **details)


class APIResponseValidationError(APIError):
    """The response does not match the API document. `detail` names the path in the body.

    Args:
        response: The response, as in letta-client, or the message.
        body: The decoded response body.
        message: The message.
        request: The request. Defaults to that of `response`.
        **details: Further attributes.
    """

    def __init__(
        self,
        response: httpx.Response | str | None = None,
        body: Any = None,
        *,
        message: str | None = None,
        request: httpx.Request | None = None,
        **details: Unpack[ErrorDetails],
    ) -> None:
        if isinstance(response, str):
            message, response = response, None
        message = "Data returned by API invalid for expected schema." if message is None else message
        super().__init__(message, request, response=response, body=body, **details)


class APIStatusError(APIError):
    """The server returned an error response."""

    default_status = 500

    @property
    def status_code(self) -> int:
        """The HTTP status code."""
        return self._status_code or 500

    @property
    def response(self) -> httpx.Response:
        """The response with its text and headers, with secrets redacted. Without one, it is made from `body`."""
        return cast("httpx.Response", super().response)  # there is always a status


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
        pending_request_id: The id of the approval request, or None if it could not be determined.
        calls: The tool calls that the agent waits for. Empty if they could not be determined.
    """

    pending_request_id: str | None = None
    calls: tuple[ToolCall, ...] = ()


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

    `status_code` is 502, so that a program that passes it on does not report success: the stream itself has 200.
    `response` contains the event. `letta-client` raises `APIStatusError` with status 200 in this case.
    """

    default_status = 502


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
for _status, _class in STATUS_ERRORS.items():
    _class.default_status = _status
