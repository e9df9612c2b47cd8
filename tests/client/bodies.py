"""Response bodies with content encodings."""

from __future__ import annotations

import zlib
from typing import Final

import brotli  # type: ignore[import-untyped]  # no types are published
import httpx
import zstandard

from .helpers import Body, recording

OK: Final = recording("step_retrieve")
ENDLESS: Final = b"transfer-encoding: chunked\r\ncontent-type: application/json\r\n\r\n"


def encoded(content: bytes, *names: str, level: int = 6) -> bytes:
    """Return content with these encodings applied, the first of them innermost."""
    for name in names:
        if name == "br":
            content = brotli.compress(content, quality=min(level, 5))
        elif name == "zstd":
            content = zstandard.ZstdCompressor().compress(content)
        else:
            bits = {"gzip": zlib.MAX_WBITS | 16, "deflate": zlib.MAX_WBITS, "raw": -zlib.MAX_WBITS}[name]
            packer = zlib.compressobj(level, wbits=bits)
            content = packer.compress(content) + packer.flush()
    return content


def streamed(content: bytes, *names: str, status: int = 200, size: int = 65_536, **headers: str) -> httpx.Response:
    """Return a response whose encoded body arrives in chunks of this size."""
    content = encoded(content, *names)
    chunks = [content[at : at + size] for at in range(0, len(content), size)]
    fields = {"content-type": "application/json", "content-encoding": ", ".join(names).replace("raw", "deflate")}
    fields |= {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx.Response(status, headers={k: v for k, v in fields.items() if v}, stream=Body(chunks))
