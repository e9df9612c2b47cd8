"""A typed sync and async client for the Letta API, with streaming, retries and pagination.

```python
from letta_ext import Letta

with Letta() as client:
    for event in client.conversations.messages.create("conv-…", input="Hello"):
        print(event)
```
"""

from __future__ import annotations

import os as _os
from typing import TYPE_CHECKING

from letta_api._lazy import lazy as _lazy

if TYPE_CHECKING:
    from . import pagination as pagination
    from . import types as types
    from ._async.client import AsyncLetta
    from ._async.pagination import AsyncArrayPage, AsyncPage
    from ._async.raw_response import AsyncRawResponse, AsyncResponseContext, AsyncStreamingResponse
    from ._async.stream import AsyncStream
    from ._http.aiohttp_client import DefaultAioHttpClient
    from ._http.requests import RequestOptions
    from ._pagination.checkpoints import Checkpoint
    from ._sync.client import Letta
    from ._sync.pagination import SyncArrayPage, SyncPage
    from ._sync.raw_response import RawResponse, ResponseContext, StreamingResponse
    from ._sync.stream import Stream
    from ._version import __version__
    from .async_paginator import AsyncPaginator
    from .busy import BusyPolicy
    from .compat import (
        DEFAULT_CONNECTION_LIMITS,
        DEFAULT_MAX_RETRIES,
        APIResponse,
        AsyncAPIResponse,
        AsyncClient,
        Client,
        DefaultAsyncHttpxClient,
        DefaultHttpxClient,
        Omit,
        Timeout,
        not_given,
        omit,
    )
    from .config import DEFAULT_TIMEOUT, ENVIRONMENTS, NOT_GIVEN, NotGiven
    from .errors import (
        APIConnectionError,
        APIError,
        APIResponseValidationError,
        APIStatusError,
        APITimeoutError,
        AuthenticationError,
        BadRequestError,
        ConflictError,
        ConversationBusyError,
        EventTooLargeError,
        InternalServerError,
        LettaError,
        ListChangedError,
        NotFoundError,
        PendingApprovalError,
        PermissionDeniedError,
        RateLimitError,
        ResponseTooLargeError,
        RunError,
        RunExpiredError,
        StreamInterrupted,
        StreamTimeoutError,
        TooManyRoundsError,
        UnprocessableEntityError,
    )
    from .hooks import Hooks
    from .limits import ResponseLimits, StreamLimits
    from .retry import Attempt, RetryPolicy

__all__ = [
    "DEFAULT_CONNECTION_LIMITS",
    "DEFAULT_MAX_RETRIES",
    "DEFAULT_TIMEOUT",
    "ENVIRONMENTS",
    "NOT_GIVEN",
    "APIConnectionError",
    "APIError",
    "APIResponse",
    "APIResponseValidationError",
    "APIStatusError",
    "APITimeoutError",
    "AsyncAPIResponse",
    "AsyncArrayPage",
    "AsyncClient",
    "AsyncLetta",
    "AsyncPage",
    "AsyncPaginator",
    "AsyncRawResponse",
    "AsyncResponseContext",
    "AsyncStream",
    "AsyncStreamingResponse",
    "Attempt",
    "AuthenticationError",
    "BadRequestError",
    "BusyPolicy",
    "Checkpoint",
    "Client",
    "ConflictError",
    "ConversationBusyError",
    "DefaultAioHttpClient",
    "DefaultAsyncHttpxClient",
    "DefaultHttpxClient",
    "EventTooLargeError",
    "Hooks",
    "InternalServerError",
    "Letta",
    "LettaError",
    "ListChangedError",
    "NotFoundError",
    "NotGiven",
    "Omit",
    "PendingApprovalError",
    "PermissionDeniedError",
    "RateLimitError",
    "RawResponse",
    "RequestOptions",
    "ResponseContext",
    "ResponseLimits",
    "ResponseTooLargeError",
    "RetryPolicy",
    "RunError",
    "RunExpiredError",
    "Stream",
    "StreamInterrupted",
    "StreamLimits",
    "StreamTimeoutError",
    "StreamingResponse",
    "SyncArrayPage",
    "SyncPage",
    "Timeout",
    "TooManyRoundsError",
    "UnprocessableEntityError",
    "__version__",
    "not_given",
    "omit",
    "pagination",
    "types",
]

# The module of each public name. A module is imported at the first access to one of its names, which keeps
# `import letta_ext` fast.
_NAMES = {
    "_async.client": "AsyncLetta",
    "_async.pagination": "AsyncArrayPage AsyncPage",
    "_async.raw_response": "AsyncRawResponse AsyncResponseContext AsyncStreamingResponse",
    "_async.stream": "AsyncStream",
    "_sync.client": "Letta",
    "_sync.pagination": "SyncArrayPage SyncPage",
    "_sync.raw_response": "RawResponse ResponseContext StreamingResponse",
    "_sync.stream": "Stream",
    "_version": "__version__",
    "async_paginator": "AsyncPaginator",
    "busy": "BusyPolicy",
    "compat": (
        "DEFAULT_CONNECTION_LIMITS DEFAULT_MAX_RETRIES APIResponse AsyncAPIResponse AsyncClient Client "
        "DefaultAsyncHttpxClient DefaultHttpxClient Omit Timeout not_given omit"
    ),
    "config": "DEFAULT_TIMEOUT ENVIRONMENTS NOT_GIVEN NotGiven",
    "errors": (
        "APIConnectionError APIError APIResponseValidationError APIStatusError APITimeoutError "
        "AuthenticationError BadRequestError ConflictError ConversationBusyError EventTooLargeError "
        "InternalServerError LettaError ListChangedError NotFoundError PendingApprovalError PermissionDeniedError "
        "RateLimitError ResponseTooLargeError RunError RunExpiredError StreamInterrupted StreamTimeoutError "
        "TooManyRoundsError UnprocessableEntityError"
    ),
    "hooks": "Hooks",
    "limits": "ResponseLimits StreamLimits",
    "_pagination.checkpoints": "Checkpoint",
    "_http.aiohttp_client": "DefaultAioHttpClient",
    "_http.requests": "RequestOptions",
    "retry": "Attempt RetryPolicy",
    "pagination": "",
    "types": "",
}
if not TYPE_CHECKING:  # `__getattr__` would make type checkers accept any name
    __getattr__, __dir__, _ = _lazy(
        __name__,
        {**dict.fromkeys(_NAMES), **{name: module for module, names in _NAMES.items() for name in names.split()}},
    )

if _os.environ.get("LETTA_LOG"):
    from ._instrumentation.log_observer import configure as _configure

    _configure(_os.environ)
