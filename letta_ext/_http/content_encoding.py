"""Decompression of response bodies with bounded memory.

httpx decompresses each chunk in one step: 64 KiB of gzip can expand to 64 MiB, and of zstd to 2 GiB. These decoders
support the encodings in the `Accept-Encoding` header of httpx, and yield pieces of bounded size.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, Protocol

import httpx

PIECE: Final = 65_536
"""Approximate bytes of decoded content per step. brotli and zstd add the rest of a block."""

MAX_LAYERS: Final = 5
"""Maximum number of encodings of one body."""

ZSTD_STEP: Final = 256
"""Bytes of zstd per step. A block has at least 4 bytes and expands to at most 128 KiB."""

ZSTD_WINDOW: Final = 8 * 1024 * 1024
"""Maximum window of a zstd frame [bytes] (RFC 9659)."""

BROTLI_STEP: Final = 16
"""Bytes of brotli per step for versions without an output limit."""


class BodyTooLargeError(Exception):
    """A decoded body exceeds its size limit."""


class Decoder(Protocol):
    """A decoder of one encoding."""

    def decode(self, data: bytes) -> Iterator[bytes]:
        """Yield the decoded data in pieces."""
        ...

    def flush(self) -> bytes:
        """Return the remaining data at the end."""
        ...


class _Zlib:
    """A decoder of gzip and deflate."""

    def __init__(self, bits: int) -> None:
        self._bits = bits
        self._inflate = zlib.decompressobj(bits)
        self._begin: bytes = b""

    def decode(self, data: bytes) -> Iterator[bytes]:
        if self._bits == zlib.MAX_WBITS:
            data = self._without_header(data)
        while not self._inflate.eof:
            try:
                piece = self._inflate.decompress(data, PIECE)
            except zlib.error as error:
                raise httpx.DecodingError(str(error)) from error
            data = self._inflate.unconsumed_tail
            if piece:
                yield piece
            if not data and len(piece) < PIECE:
                return

    def _without_header(self, data: bytes) -> bytes:
        """Choose between zlib and raw deflate data by the first two bytes. Servers send both as "deflate"."""
        data = self._begin + data
        if len(data) < 2:
            self._begin = data
            return b""
        zlib_header = data[0] & 0x0F == zlib.DEFLATED and int.from_bytes(data[:2], "big") % 31 == 0
        self._bits = 0 if zlib_header else -zlib.MAX_WBITS
        if not zlib_header:
            self._inflate = zlib.decompressobj(self._bits)
        return data

    def flush(self) -> bytes:
        return b""  # `decode` yields all data


class _Brotli:
    def __init__(self, decompressor: Any, error: type[Exception]) -> None:
        self._decompressor = decompressor
        self._error = error
        self._step: Callable[..., bytes] = getattr(decompressor, "decompress", None) or decompressor.process
        self._bounded = hasattr(decompressor, "can_accept_more_data")

    def decode(self, data: bytes) -> Iterator[bytes]:
        if self._decompressor.is_finished():
            return
        try:
            if not self._bounded:
                for start in range(0, len(data), BROTLI_STEP):
                    yield self._step(data[start : start + BROTLI_STEP])
                return
            piece = self._step(data, output_buffer_limit=PIECE)
            while piece:
                yield piece
                if self._decompressor.is_finished():
                    return
                piece = self._step(b"", output_buffer_limit=PIECE)
        except self._error as error:
            raise httpx.DecodingError(str(error)) from error

    def flush(self) -> bytes:
        return b""


class _Zstd:
    def __init__(self, make: Callable[[], Any], error: type[Exception]) -> None:
        self._make = make
        self._error = error
        self._decompressor = make()
        self._begun = False

    def decode(self, data: bytes) -> Iterator[bytes]:
        for start in range(0, len(data), ZSTD_STEP):
            step = data[start : start + ZSTD_STEP]
            while step:
                if self._decompressor.eof:
                    self._decompressor = self._make()  # the next frame
                self._begun = True
                try:
                    piece = self._decompressor.decompress(step)
                except self._error as error:
                    raise httpx.DecodingError(str(error)) from error
                step = self._decompressor.unused_data if self._decompressor.eof else b""
                yield piece

    def flush(self) -> bytes:
        if self._begun and not self._decompressor.eof:
            raise httpx.DecodingError("Zstandard data is incomplete")
        return b""


def _brotli() -> Decoder | None:
    try:
        import brotli  # type: ignore[import-untyped, import-not-found, unused-ignore]  # pyright: ignore  # optional
    except ImportError:
        try:
            import brotlicffi as brotli  # type: ignore[import-untyped, import-not-found, unused-ignore]  # pyright: ignore  # optional
        except ImportError:
            return None
    return _Brotli(brotli.Decompressor(), brotli.error)  # pyright: ignore  # untyped


def _zstd() -> Decoder | None:
    try:
        import zstandard
    except ImportError:
        return None
    return _Zstd(zstandard.ZstdDecompressor(max_window_size=ZSTD_WINDOW).decompressobj, zstandard.ZstdError)


DECODERS: Final[dict[str, Callable[[], Decoder | None]]] = {
    "gzip": lambda: _Zlib(zlib.MAX_WBITS | 16),
    "x-gzip": lambda: _Zlib(zlib.MAX_WBITS | 16),
    "deflate": lambda: _Zlib(zlib.MAX_WBITS),
    "br": _brotli,
    "zstd": _zstd,
}
"""Factories of decoders. They return None if the optional library is not installed."""


class ContentDecoder:
    """A decoder of all content encodings of one body.

    Args:
        encodings: The encodings in the order of application. Unknown ones are ignored, as by httpx.
        limit: The maximum output of each encoding [bytes], or None for no limit.
    """

    def __init__(self, encodings: Sequence[str], limit: int | None = None) -> None:
        self._applied = len(encodings)
        names = [each.strip().lower() for each in reversed(encodings[-MAX_LAYERS:])]
        makers = [DECODERS[name] for name in names if name in DECODERS]
        self._decoders = [layer for make in makers if (layer := make()) is not None]
        self._limit = limit
        self._decoded = [0] * len(self._decoders)

    def decode(self, data: bytes) -> Iterator[bytes]:
        """Yield the decoded chunk in pieces.

        Raises:
            httpx.DecodingError: If the data is invalid, or there are too many encodings.
            BodyTooLargeError: If the output exceeds the limit.
        """
        if self._applied > MAX_LAYERS:
            raise httpx.DecodingError(f"{self._applied} content encodings")
        return self._decode_from(0, data)

    def flush(self) -> Iterator[bytes]:
        """Yield the remaining data at the end of the body.

        Raises:
            httpx.DecodingError: If the data is incomplete.
            BodyTooLargeError: If the output exceeds the limit.
        """
        for number, layer in enumerate(self._decoders):
            yield from self._decode_from(number + 1, layer.flush())

    def _decode_from(self, number: int, data: bytes) -> Iterator[bytes]:
        if number == len(self._decoders):
            if data:
                yield data
            return
        for piece in self._decoders[number].decode(data):
            self._decoded[number] += len(piece)
            if self._limit is not None and self._decoded[number] > self._limit:
                raise BodyTooLargeError
            yield from self._decode_from(number + 1, piece)


def content_decoder(response: httpx.Response, limit: int | None = None) -> ContentDecoder | None:
    """Return the decoder of a body, or None if the body is not encoded."""
    if response.headers.get("content-encoding", "identity") == "identity":
        return None
    return ContentDecoder(response.headers.get_list("content-encoding", split_commas=True), limit)
