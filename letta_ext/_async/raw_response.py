"""The HTTP responses of `with_raw_response` and `with_streaming_response`.

`client.steps.with_raw_response.retrieve(…)` sends the same request as `client.steps.retrieve(…)`. It returns an
`AsyncRawResponse`, whose `parse()` returns the value. `with_streaming_response` leaves the body unread, for an
`async with` block. `raw_accessor.py` adds both to the resources.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from types import TracebackType
from typing import Generic, TypeVar

from .._http.charsets import LineDecoder
from .._response.raw_response import NOT_PARSED, BaseResponse
from ..async_primitives import close_unread
from .body_reader import read_whole
from .raw_body import iter_body
from .resilient_iterators import keeps_failing

T_co = TypeVar("T_co", covariant=True)


class _Readable(BaseResponse[T_co]):
    async def parse(self) -> T_co:
        """Return the value that the method itself returns when awaited. Each call returns the same object.

        Raises:
            APIResponseValidationError: If the response does not match the API specification.
            APIConnectionError: If the rest of the body does not arrive, or not in time.
            ResponseTooLargeError: If the body exceeds `response_limits`.
        """
        if self._value is NOT_PARSED:
            if self._stream is None:
                await self.read()
            self._value = await self._parse()
        value: T_co = self._value
        return value

    async def read(self) -> bytes:
        """Read the body, unless it was read before.

        Raises:
            APIConnectionError: If the rest of the body does not arrive, or not in time.
            ResponseTooLargeError: If the body exceeds `response_limits`.
        """
        with self._translated():
            await read_whole(self._response, self.limits)
        return self._response.content

    async def close(self) -> None:
        """Close the connection, unless the body was read to its end."""
        if self._stream is not None:
            await (await self.parse()).close()  # type: ignore[attr-defined]  # pyright: ignore  # it is an AsyncStream
        await close_unread(self._response)


class AsyncRawResponse(_Readable[T_co]):
    """An HTTP response that has been read. The body of a stream is read by the stream that `parse()` returns.

    Attributes:
        http_response: The httpx response.
        limits: The limits for reading the body.
    """


class AsyncStreamingResponse(_Readable[T_co]):
    """An HTTP response whose body has not been read.

    Attributes:
        http_response: The httpx response.
        limits: The limits for reading the body.
    """

    @keeps_failing
    async def iter_bytes(self) -> AsyncIterator[bytes]:
        """Iterate over the body in chunks, as they arrive.

        Raises:
            APIConnectionError: If the rest of the body does not arrive.
        """
        with self._translated():
            async for chunk in iter_body(self._response):
                yield chunk

    @keeps_failing
    async def iter_lines(self) -> AsyncIterator[str]:
        """Iterate over the lines of the body, as they arrive.

        Raises:
            APIConnectionError: If the rest of the body does not arrive.
        """
        with self._translated():
            lines = LineDecoder(self._response)
            async for chunk in iter_body(self._response):
                for line in lines.decode(chunk):
                    yield line
            for line in lines.flush():
                yield line


class AsyncResponseContext(Generic[T_co]):
    """A request that is sent when its `async with` block starts. The connection is closed when the block ends."""

    def __init__(self, send: Callable[[], Awaitable[AsyncStreamingResponse[T_co]]]) -> None:
        self._send = send
        self._streaming_response: AsyncStreamingResponse[T_co] | None = None

    async def __aenter__(self) -> AsyncStreamingResponse[T_co]:
        self._streaming_response = await self._send()
        return self._streaming_response

    async def __aexit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, at: TracebackType | None
    ) -> None:
        if self._streaming_response is not None:
            await self._streaming_response.close()
