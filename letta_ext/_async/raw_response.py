"""The HTTP answer of a call beside its decoded value: `with_raw_response` and `with_streaming_response`.

`client.steps.with_raw_response.retrieve(…)` is the same call with the same arguments. It returns an `AsyncRawResponse`,
whose `parse()` gives what the call itself would have returned. `with_streaming_response` leaves the body unread, and is
for an `async with` block. How a resource comes by them is in `raw_calls.py`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from types import TracebackType
from typing import Generic, TypeVar

from .._http.charsets import LineDecoder
from .._response.raw_response import NOTHING, BaseResponse
from ..async_primitives import close_unread
from .body_reader import read_whole
from .raw_body import iter_body
from .resilient_iterators import fails_again

T_co = TypeVar("T_co", covariant=True)


class _Readable(BaseResponse[T_co]):
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
            await read_whole(self._response, self.limits)
        return self._response.content

    async def close(self) -> None:
        """Closes the connection, where the body was not read to its end."""
        if self._stream is not None:
            await (await self.parse()).close()  # type: ignore[attr-defined]  # pyright: ignore  (then it is an AsyncStream)
        await close_unread(self._response)


class AsyncRawResponse(_Readable[T_co]):
    """An answer that has been read, except for a stream of events, which `parse()` returns.

    Attributes:
        http_response: the httpx response.
        limits: the bounds of its body, where it is read whole.
    """


class AsyncStreamingResponse(_Readable[T_co]):
    """An answer whose body has not been read yet.

    Attributes:
        http_response: the httpx response.
        limits: the bounds of its body, where it is read whole.
    """

    @fails_again
    async def iter_bytes(self) -> AsyncIterator[bytes]:
        """The body in pieces, as they come.

        Raises:
            APIConnectionError: the rest of it did not come.
        """
        with self._translated():
            async for piece in iter_body(self._response):
                yield piece

    @fails_again
    async def iter_lines(self) -> AsyncIterator[str]:
        """The body line by line, as they come.

        Raises:
            APIConnectionError: the rest of it did not come.
        """
        with self._translated():
            lines = LineDecoder(self._response)
            async for piece in iter_body(self._response):
                for line in lines.decode(piece):
                    yield line
            for line in lines.flush():
                yield line


class AsyncResponseContext(Generic[T_co]):
    """A call that is made when its `async with` block begins, and whose connection is closed when that ends."""

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
