"""The common part of sync and async HTTP responses."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any, Final, Generic, TypeVar

import httpx
from attrs import evolve

from .._http.attempts import body_limit_error
from .._http.body_limits import BOUNDS
from .._http.charsets import text_of
from .._http.errors_from_response import transport_error
from .._http.transport_errors import sanitize_transport_error
from ..errors import LettaError
from ..limits import ResponseLimits

T_co = TypeVar("T_co", covariant=True)

NOT_PARSED: Final[Any] = object()
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
    def content(self) -> bytes:
        """The body.

        Raises:
            LettaError: If it has not been read.
        """
        try:
            return self._response.content
        except httpx.ResponseNotRead:
            raise LettaError(UNREAD) from None

    @property
    def text(self) -> str:
        """The body as text.

        Raises:
            LettaError: If it has not been read.
        """
        return text_of(self._response, self.content)

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
