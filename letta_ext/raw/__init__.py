"""Answers as they came over HTTP, and calls of what this library has no method for.

What can be imported from here are the types that programs write down; each is loaded when it is asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from letta_api._lazy import lazy as _lazy

if TYPE_CHECKING:
    from .._async.responses import AsyncRawResponse, AsyncResponseContext, AsyncStreamingResponse
    from .._sync.responses import RawResponse, ResponseContext, StreamingResponse

__all__ = [
    "AsyncRawResponse",
    "AsyncResponseContext",
    "AsyncStreamingResponse",
    "RawResponse",
    "ResponseContext",
    "StreamingResponse",
]

if not TYPE_CHECKING:  # a type checker would take any name for one that is here
    __getattr__, __dir__, _ = _lazy(
        __name__, {name: "._async.responses" if name.startswith("Async") else "._sync.responses" for name in __all__}
    )
