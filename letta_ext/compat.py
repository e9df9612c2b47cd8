"""Aliases for names of `letta-client`."""

from __future__ import annotations

from typing import Any, Final, TypeAlias

import httpx
from httpx import Timeout as Timeout

from ._async.client import AsyncLetta
from ._async.raw_response import AsyncRawResponse
from ._sync.client import Letta
from ._sync.raw_response import RawResponse
from .config import DEFAULT_LIMITS, DEFAULT_TIMEOUT, NOT_GIVEN, NotGiven
from .retry import RetryPolicy

Client: TypeAlias = Letta
AsyncClient: TypeAlias = AsyncLetta

Omit: TypeAlias = NotGiven
not_given: Final[Any] = NOT_GIVEN  # of type Any, so that type checkers accept it as every argument
omit: Final[Any] = NOT_GIVEN  # likewise

DEFAULT_CONNECTION_LIMITS: Final = DEFAULT_LIMITS
DEFAULT_MAX_RETRIES: Final = RetryPolicy().max_retries

APIResponse = RawResponse
AsyncAPIResponse = AsyncRawResponse


class DefaultHttpxClient(httpx.Client):
    """An httpx client with the default connection limits and timeout of `Letta`.

    Args:
        **settings: Arguments of `httpx.Client`, which override the defaults. `follow_redirects` has no effect: `Letta`
            follows redirects that keep method, body and origin.
    """

    def __init__(self, **settings: Any) -> None:
        defaults: dict[str, Any] = {"limits": DEFAULT_LIMITS, "timeout": DEFAULT_TIMEOUT}
        super().__init__(**defaults | settings)


class DefaultAsyncHttpxClient(httpx.AsyncClient):
    """Async version of `DefaultHttpxClient`."""

    def __init__(self, **settings: Any) -> None:
        defaults: dict[str, Any] = {"limits": DEFAULT_LIMITS, "timeout": DEFAULT_TIMEOUT}
        super().__init__(**defaults | settings)


__all__ = [
    "DEFAULT_CONNECTION_LIMITS",
    "DEFAULT_MAX_RETRIES",
    "APIResponse",
    "AsyncAPIResponse",
    "AsyncClient",
    "Client",
    "DefaultAsyncHttpxClient",
    "DefaultHttpxClient",
    "Omit",
    "not_given",
    "omit",
]
