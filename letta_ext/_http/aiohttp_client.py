"""The async httpx client that sends requests with aiohttp. It needs the optional package `httpx-aiohttp`."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final

import httpx

from ..config import DEFAULT_LIMITS, DEFAULT_TIMEOUT
from ..errors import LettaError

IS_INSTALLED: Final = find_spec("httpx_aiohttp") is not None
MISSING: Final = "DefaultAioHttpClient needs the package httpx-aiohttp. Install it: pip install 'letta-ext[aiohttp]'"

if TYPE_CHECKING or not IS_INSTALLED:
    Base = httpx.AsyncClient
else:
    from httpx_aiohttp import HttpxAiohttpClient as Base


class DefaultAioHttpClient(Base):
    """An async httpx client with the transport of aiohttp, and the default limits and timeout of `AsyncLetta`.

    Args:
        **settings: Arguments of `httpx.AsyncClient`, which override the defaults. `follow_redirects` has no effect:
            `AsyncLetta` follows redirects that keep method, body and origin.

    Raises:
        LettaError: If the package `httpx-aiohttp` is not installed.
    """

    def __init__(self, **settings: Any) -> None:
        if not IS_INSTALLED:
            raise LettaError(MISSING)
        defaults: dict[str, Any] = {"limits": DEFAULT_LIMITS, "timeout": DEFAULT_TIMEOUT}
        super().__init__(**defaults | settings)
