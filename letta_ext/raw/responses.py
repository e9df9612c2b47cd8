"""The HTTP answer of a call beside its decoded value: `with_raw_response` and `with_streaming_response`.

`client.steps.with_raw_response.retrieve(…)` is the same call with the same arguments. It returns a `RawResponse`, whose
`parse()` gives what the call itself would have returned. `with_streaming_response` leaves the body unread, and is for a
`with` block. How a resource comes by them is in `calls.py`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Final, Generic, TypeVar

import httpx
from attrs import evolve

from ..calls.charsets import Lines, text_of
from ..calls.refusals import transport_error
from ..calls.transport_errors import transport_fault
from ..errors import LettaError
from ..iteration import async_fails_again, fails_again
from ..limits import ResponseLimits
from ..sending.attempts import out_of_bounds
from ..sending.reading import BOUNDS, read_whole, read_whole_async
from ..streams.bodies import as_they_come, async_as_they_come
from ..streams.leaving import close_outside_transport

T_co = TypeVar("T_co", covariant=True)

NOTHING: Final[Any] = object()
UNREAD: Final = "The body has not been read: go over what parse() returns, or call read() first."


class _Answer(Generic[T_co]):
    """What all of them are.

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
            raise out_of_bounds(self.limits, self._response, bound) from None
        except Exception as error:  # noqa: BLE001  # any class; the caller's own are raised again
            fault = transport_fault(error, request)
        raise transport_error(request, fault) from fault


class _Sync(_Answer[T_co]):
    def parse(self) -> T_co:
        """What the call itself would have returned; the same object each time.

        Raises:
            APIResponseValidationError: the answer is not what the API document says.
            APIConnectionError: the rest of the answer did not come, or not in time.
            ResponseTooLargeError: it is larger than `response_limits` allow.
        """
        if self._value is NOTHING:
            if self._stream is None:
                self.read()
            self._value = self._parse()
        value: T_co = self._value
        return value

    def read(self) -> bytes:
        """Reads the body, if that was not done yet.

        Raises:
            APIConnectionError: the rest of it did not come, or not in time.
            ResponseTooLargeError: it is larger than `response_limits` allow.
        """
        with self._translated():
            read_whole(self._response, self.limits)
        return self._response.content

    def close(self) -> None:
        """Closes the connection, where the body was not read to its end."""
        if self._stream is not None:
            self.parse().close()  # type: ignore[attr-defined]  # pyright: ignore  (then it is a Stream)
        close_outside_transport(self._response.close)


class _Async(_Answer[T_co]):
    async def parse(self) -> T_co:
        """What the call itself would have returned when awaited; the same object each time.

        Raises:
            APIResponseValidationError: the answer is not what the API document says.
            APIConnectionError: the rest of the answer did not come, or not in time.
            ResponseTooLargeError: it is larger than `response_limits` allow.
        """
        if self._value is NOTHING:
            if self._stream is None:
                await self.read()
            self._value = await self._parse()
        value: T_co = self._value
        return value

    async def read(self) -> bytes:
        """Reads the body, if that was not done yet.

        Raises:
            APIConnectionError: the rest of it did not come, or not in time.
            ResponseTooLargeError: it is larger than `response_limits` allow.
        """
        with self._translated():
            await read_whole_async(self._response, self.limits)
        return self._response.content

    async def close(self) -> None:
        """Closes the connection, where the body was not read to its end."""
        if self._stream is not None:
            await (await self.parse()).close()  # type: ignore[attr-defined]  # pyright: ignore  (an AsyncStream)
        await self._response.aclose()


class RawResponse(_Sync[T_co]):
    """An answer that has been read, except for a stream of events, which `parse()` returns.

    Attributes:
        http_response: the httpx response.
        limits: the bounds of its body, where it is read whole.
    """


class AsyncRawResponse(_Async[T_co]):
    """What `RawResponse` is, for async code.

    Attributes:
        http_response: the httpx response.
        limits: the bounds of its body, where it is read whole.
    """


class StreamingResponse(_Sync[T_co]):
    """An answer whose body has not been read yet.

    Attributes:
        http_response: the httpx response.
        limits: the bounds of its body, where it is read whole.
    """

    @fails_again
    def iter_bytes(self) -> Iterator[bytes]:
        """The body in pieces, as they come.

        Raises:
            APIConnectionError: the rest of it did not come.
        """
        with self._translated():
            yield from as_they_come(self._response)

    @fails_again
    def iter_lines(self) -> Iterator[str]:
        """The body line by line, as they come.

        Raises:
            APIConnectionError: the rest of it did not come.
        """
        with self._translated():
            lines = Lines(self._response)
            for piece in as_they_come(self._response):
                yield from lines.split(piece)
            yield from lines.rest()


class AsyncStreamingResponse(_Async[T_co]):
    """What `StreamingResponse` is, for async code."""

    @async_fails_again
    async def iter_bytes(self) -> AsyncIterator[bytes]:
        """The body in pieces, as they come.

        Raises:
            APIConnectionError: the rest of it did not come.
        """
        with self._translated():
            async for piece in async_as_they_come(self._response):
                yield piece

    @async_fails_again
    async def iter_lines(self) -> AsyncIterator[str]:
        """The body line by line, as they come.

        Raises:
            APIConnectionError: the rest of it did not come.
        """
        with self._translated():
            lines = Lines(self._response)
            async for piece in async_as_they_come(self._response):
                for line in lines.split(piece):
                    yield line
            for line in lines.rest():
                yield line


class ResponseContext(Generic[T_co]):
    """A call that is made when its `with` block begins, and whose connection is closed when that ends."""

    def __init__(self, send: Callable[[], StreamingResponse[T_co]]) -> None:
        self._send = send
        self._answer: StreamingResponse[T_co] | None = None

    def __enter__(self) -> StreamingResponse[T_co]:
        self._answer = self._send()
        return self._answer

    def __exit__(self, kind: type[BaseException] | None, fault: BaseException | None, at: TracebackType | None) -> None:
        if self._answer is not None:
            self._answer.close()


class AsyncResponseContext(Generic[T_co]):
    """What `ResponseContext` is, for an `async with` block."""

    def __init__(self, send: Callable[[], Awaitable[AsyncStreamingResponse[T_co]]]) -> None:
        self._send = send
        self._answer: AsyncStreamingResponse[T_co] | None = None

    async def __aenter__(self) -> AsyncStreamingResponse[T_co]:
        self._answer = await self._send()
        return self._answer

    async def __aexit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, at: TracebackType | None
    ) -> None:
        if self._answer is not None:
            await self._answer.close()
