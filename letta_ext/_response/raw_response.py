"""An HTTP response beside its decoded value, without I/O."""

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

NOTHING: Final[Any] = object()
UNREAD: Final = "The body has not been read: go over what parse() returns, or call read() first."


class BaseResponse(Generic[T_co]):
    """What the HTTP responses of sync and async code have in common.

    Args:
        http_response: the httpx response.
        parse: makes the value of it, once it was read.
        limits: the bounds of the body, where it is read whole.
        stream: the value, if it is a stream of events, which reads the body itself.

    Attributes:
        limits: the bounds of the body, where it is read whole.
    """

    def __init__(
        self, http_response: httpx.Response, parse: Callable[[], Any], limits: ResponseLimits, *, stream: Any = None
    ) -> None:
        self._response = http_response
        self._parse = parse
        self.limits = limits if stream is None else evolve(limits, total=None)
        self._stream = stream
        self._value = NOTHING

    @property
    def http_response(self) -> httpx.Response:
        """The httpx response. That of a stream of events stays open while it, or this object, is referred to."""
        found: httpx.Response = self._response if self._stream is None else self._stream.response
        return found

    @property
    def status_code(self) -> int:
        """The HTTP status."""
        return self._response.status_code

    @property
    def headers(self) -> httpx.Headers:
        """The HTTP headers."""
        return self._response.headers

    @property
    def request_id(self) -> str | None:
        """The server's id of the request, where it gave one."""
        found: str | None = self.headers.get("x-request-id")
        return found

    @property
    def content(self) -> bytes:
        """The body.

        Raises:
            LettaError: it has not been read.
        """
        try:
            return self._response.content
        except httpx.ResponseNotRead:
            raise LettaError(UNREAD) from None

    @property
    def text(self) -> str:
        """The body as text.

        Raises:
            LettaError: it has not been read.
        """
        return text_of(self._response, self.content)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.status_code})"

    @contextmanager
    def _translated(self) -> Generator[None, None, None]:
        """Turns what httpx raises while a body is read into an error of this library."""
        request = self._response.request
        try:
            yield
            return
        except BOUNDS as bound:
            raise body_limit_error(self.limits, self._response, bound) from None
        except Exception as error:  # noqa: BLE001  # any class; the caller's own are raised again
            fault = sanitize_transport_error(error, request)
        raise transport_error(request, fault) from fault
