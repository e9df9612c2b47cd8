"""The common part of sync and async HTTP responses."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, Final, Generic, TypeVar, get_origin

import httpx
from attrs import evolve

from .._http.attempts import RETRIES, body_limit_error
from .._http.body_limits import BOUNDS
from .._http.errors_from_response import transport_error
from .._http.transport_errors import sanitize_transport_error
from ..errors import LettaError
from ..limits import ResponseLimits

T_co = TypeVar("T_co", covariant=True)

NOT_PARSED: Final[Any] = object()
NOT_ENDED: Final = "The body has not ended. Read or close it first."
UNREAD: Final = "The body has not been read. Call read(), or iterate the stream that parse() returns."


class BaseResponse(Generic[T_co]):
    """The common part of sync and async HTTP responses.

    Args:
        http_response: The httpx response.
        parse: Returns the decoded value after the body was read.
        limits: The limits for reading the body.
        stream: The stream of events that reads the body, if there is one.

    Attributes:
        limits: The limits for reading the body.
    """

    def __init__(
        self, http_response: httpx.Response, parse: Callable[[], Any], limits: ResponseLimits, *, stream: Any = None
    ) -> None:
        self._response = http_response
        self._parse = parse
        self.limits = limits if stream is None else evolve(limits, total=None)
        self._stream = stream
        self._value = NOT_PARSED
        self._converted: dict[Any, Any] = {}

    @property
    def http_response(self) -> httpx.Response:
        """The httpx response. The response of a stream stays open while it or this object is referenced."""
        found: httpx.Response = self._response if self._stream is None else self._stream.response
        return found

    @property
    def status_code(self) -> int:
        """The HTTP status code."""
        return self._response.status_code

    @property
    def headers(self) -> httpx.Headers:
        """The HTTP headers."""
        return self._response.headers

    @property
    def request_id(self) -> str | None:
        """The request id that the server assigned, if any."""
        found: str | None = self.headers.get("x-request-id")
        return found

    @property
    def http_request(self) -> httpx.Request:
        """The httpx request. Unlike the request of an error, it contains the API key."""
        return self._response.request

    @property
    def url(self) -> httpx.URL:
        """The URL of the request."""
        return self._response.request.url

    @property
    def method(self) -> str:
        """The HTTP method of the request."""
        return self._response.request.method

    @property
    def http_version(self) -> str:
        """The HTTP version of the response, such as `HTTP/1.1`."""
        return self._response.http_version

    @property
    def elapsed(self) -> timedelta:
        """The time from the request to the end of the body.

        Raises:
            LettaError: If the body was neither read nor closed.
        """
        try:
            return self._current.elapsed
        except RuntimeError:
            raise LettaError(NOT_ENDED) from None

    @property
    def is_closed(self) -> bool:
        """Whether the body was read to its end, or its connection was closed."""
        return self._current.is_closed

    @property
    def retries_taken(self) -> int:
        """The number of retries before this response."""
        retries: int = self._response.extensions.get(RETRIES, 0)
        return retries

    @property
    def _current(self) -> httpx.Response:
        """The response of the current connection. A stream that was resumed has another than the first."""
        found: httpx.Response = self._response if self._stream is None else self._stream.connection_response
        return found

    @property
    def content(self) -> bytes:
        """The body.

        Raises:
            LettaError: If it has not been read.
        """
        try:
            return self._response.content
        except httpx.ResponseNotRead:
            raise LettaError(UNREAD) from None

    def _parse_stream(self, to: Any) -> Any:
        """Return the stream, whose class must be `to`."""
        if not isinstance(self._stream, get_origin(to) or to):
            raise TypeError(f"to must be {type(self._stream).__name__} for a streamed response, got {to!r:.80}")
        return self._stream

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.status_code})"

    @contextmanager
    def _translated(self) -> Generator[None, None, None]:
        """Convert exceptions of httpx to errors of this library while a body is read."""
        request = self._response.request
        try:
            yield
            return
        except BOUNDS as bound:
            raise body_limit_error(self.limits, self._response, bound) from None
        except Exception as error:  # noqa: BLE001  # any class; exceptions of the caller are raised again
            fault = sanitize_transport_error(error, request)
        raise transport_error(request, fault) from fault
