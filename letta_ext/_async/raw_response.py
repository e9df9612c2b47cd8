"""The HTTP responses of `with_raw_response` and `with_streaming_response`.

`client.steps.with_raw_response.retrieve(…)` sends the same request as `client.steps.retrieve(…)`. It returns an
`AsyncRawResponse`, whose `parse()` returns the value. `with_streaming_response` leaves the body unread, for an
`async with` block. `raw_accessor.py` adds both to the resources.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from types import TracebackType
from typing import Any, Generic, TypeVar, get_origin, overload

from .._http.charsets import LineDecoder, TextDecoder, text_of
from .._response.conversion import check_supported, parse_content, parse_json
from .._response.pieces import Pieces, check_chunk_size
from .._response.raw_response import NOT_PARSED, BaseResponse
from ..async_primitives import close_unread
from .body_reader import read_whole
from .pagination import AsyncPage
from .raw_body import iter_body
from .resilient_iterators import AsyncFailingIterator, keeps_failing

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class _Readable(BaseResponse[T_co]):
    @overload
    async def parse(self) -> T_co: ...

    @overload
    async def parse(self, *, to: type[T]) -> T: ...

    async def parse(self, *, to: type[T] | None = None) -> T_co | T:
        """Return the value that the method itself returns when awaited. Each call returns the same object.

        Args:
            to: The type to convert the body to: a model of `letta_api`, pydantic or letta-client, `dict`, `list`, a
                union of these, `str`, `bytes`, a number, or `httpx.Response`. A page or a stream only accepts its own
                class. Defaults to the type of the method.

        Raises:
            TypeError: If a body cannot be converted to `to`.
            APIResponseValidationError: If the response does not match the API specification, or `to`.
            APIConnectionError: If the rest of the body does not arrive, or not in time.
            ResponseTooLargeError: If the body exceeds `response_limits`.
        """
        if to is not None:
            return await self._parse_to(to)
        if self._value is NOT_PARSED:
            if self._stream is None:
                await self.read()
            self._value = await self._parse()
        value: T_co = self._value
        return value

    async def _parse_to(self, to: type[T]) -> T:
        origin = get_origin(to) or to
        if self._stream is not None:
            stream: T = self._parse_stream(to)
            return stream
        if origin is AsyncPage:
            page: Any = await self.parse()
            found: T = page
            return found
        check_supported(to)
        await self.read()
        if to not in self._converted:
            self._converted[to] = parse_content(self._response, to)
        converted: T = self._converted[to]
        return converted

    async def text(self) -> str:
        """Read the body, and return it as text.

        Raises:
            APIConnectionError: If the rest of the body does not arrive, or not in time.
            ResponseTooLargeError: If the body exceeds `response_limits`.
        """
        return text_of(self._response, await self.read())

    async def json(self) -> Any:
        """Read the body, and return its JSON.

        Raises:
            APIResponseValidationError: If the body is not JSON.
            APIConnectionError: If the rest of the body does not arrive, or not in time.
            ResponseTooLargeError: If the body exceeds `response_limits`.
        """
        await self.read()
        return parse_json(self._response)

    def iter_bytes(self, chunk_size: int | None = None) -> AsyncFailingIterator[bytes]:
        """Return an iterator over the body in chunks, as they arrive.

        Args:
            chunk_size: The bytes of each chunk except for the last. Defaults to None, for any number.

        Raises:
            TypeError: If `chunk_size` is not an integer.
            ValueError: If `chunk_size` is not positive.
            APIConnectionError: If the rest of the body does not arrive.
        """
        check_chunk_size(chunk_size)
        return self._iter_bytes(chunk_size)

    @keeps_failing
    async def _iter_bytes(self, chunk_size: int | None) -> AsyncIterator[bytes]:
        with self._translated():
            pieces = Pieces(chunk_size, b"")
            async for chunk in iter_body(self._response):
                for piece in pieces.add(chunk):
                    yield piece
            await self._response.aclose()  # as the iterators of httpx do at the end of a body
            for piece in pieces.flush():
                yield piece

    def iter_text(self, chunk_size: int | None = None) -> AsyncFailingIterator[str]:
        """Return an iterator over the text of the body in chunks, as they arrive.

        Args:
            chunk_size: The characters of each chunk except for the last. Defaults to None, for any number.

        Raises:
            TypeError: If `chunk_size` is not an integer.
            ValueError: If `chunk_size` is not positive.
            APIConnectionError: If the rest of the body does not arrive.
        """
        check_chunk_size(chunk_size)
        return self._iter_text(chunk_size)

    @keeps_failing
    async def _iter_text(self, chunk_size: int | None) -> AsyncIterator[str]:
        with self._translated():
            decoder, pieces = TextDecoder(self._response), Pieces(chunk_size, "")
            async for chunk in iter_body(self._response):
                for piece in pieces.add(decoder.decode(chunk)):
                    yield piece
            await self._response.aclose()  # as the iterators of httpx do at the end of a body
            for piece in [*pieces.add(decoder.decode(b"", final=True)), *pieces.flush()]:
                yield piece

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
            await self._response.aclose()  # as the iterators of httpx do at the end of a body
            for line in lines.flush():
                yield line

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
