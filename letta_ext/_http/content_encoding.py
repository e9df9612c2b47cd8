"""Content encodings, undone in small steps. Nothing here does I/O.

httpx decodes each chunk that arrives in one step: 64 KiB of gzip can become 64 MiB, and of zstd 2 GiB. These decoders
take the encodings that httpx offers to servers, and return pieces of bounded size.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, Protocol

import httpx

PIECE: Final = 65_536
"""Bytes of decoded content in one step, about; brotli and zstd add the rest of a block."""

MAX_LAYERS: Final = 5
"""Encodings of one body."""

ZSTD_STEP: Final = 256
"""Bytes of zstd that are decoded at once. A block takes 4 bytes or more and holds up to 128 KiB."""

ZSTD_WINDOW: Final = 8 * 1024 * 1024
"""Bytes of memory that a zstd frame may require (RFC 9659)."""

BROTLI_STEP: Final = 16
"""Bytes of brotli that are decoded at once by versions without a limit on their output."""


class BodyTooLargeError(Exception):
    """A body has more decoded bytes than it may have."""


class Decoder(Protocol):
    """One encoding."""

    def decode(self, data: bytes) -> Iterator[bytes]:
        """Yield what this data decodes to."""
        ...

    def flush(self) -> bytes:
        """Return what is left at the end."""
        ...


class _Zlib:
    """gzip and deflate."""

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
            except zlib.error as fault:
                raise httpx.DecodingError(str(fault)) from fault
            data = self._inflate.unconsumed_tail
            if piece:
                yield piece
            if not data and len(piece) < PIECE:
                return

    def _without_header(self, data: bytes) -> bytes:
        """Return deflate data; servers send it with the header of zlib, as they should, or without."""
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
        return b""  # `decode` leaves nothing


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
        except self._error as fault:
            raise httpx.DecodingError(str(fault)) from fault

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
                except self._error as fault:
                    raise httpx.DecodingError(str(fault)) from fault
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
"""Makes the decoder of an encoding; None if a library that httpx uses for it is not installed."""


class ContentDecoder:
    """Undoes the content encodings of one body.

    Args:
        encodings: The encodings in the order in which they were applied. Unknown ones are ignored, as httpx does.
        limit: The most bytes that any of them may decode to. None for no limit.
    """

    def __init__(self, encodings: Sequence[str], limit: int | None = None) -> None:
        self._applied = len(encodings)
        names = [each.strip().lower() for each in reversed(encodings[-MAX_LAYERS:])]
        makers = [DECODERS[name] for name in names if name in DECODERS]
        self._decoders = [layer for make in makers if (layer := make()) is not None]
        self._limit = limit
        self._decoded = [0] * len(self._decoders)

    def decode(self, data: bytes) -> Iterator[bytes]:
        """Yield what a chunk decodes to, in pieces.

        Raises:
            httpx.DecodingError: If the data is not what the encodings allow, or these are too many.
            BodyTooLargeError: If there is more than the limit.
        """
        if self._applied > MAX_LAYERS:
            raise httpx.DecodingError(f"{self._applied} content encodings")
        return self._decode_from(0, data)

    def flush(self) -> Iterator[bytes]:
        """Yield what is left at the end of the body.

        Raises:
            httpx.DecodingError: If the data is incomplete.
            BodyTooLargeError: If there is more than the limit.
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
    """Return the decoder of a body; None for one that is not encoded."""
    if response.headers.get("content-encoding", "identity") == "identity":
        return None
    return ContentDecoder(response.headers.get_list("content-encoding", split_commas=True), limit)
