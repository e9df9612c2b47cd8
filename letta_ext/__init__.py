"""A Python client for Letta agents: typed, sync and async, streaming, and careful with every answer.

```python
from letta_ext import Letta

with Letta() as client:
    for event in client.conversations.messages.create("conv-…", input="Hello"):
        print(event)
```
"""

from __future__ import annotations

import os as _os

from httpx import Timeout

from ._version import __version__
from .busy import BusyPolicy
from .client import AsyncLetta, Letta
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
    InternalServerError,
    LettaError,
    ListChangedError,
    NotFoundError,
    PendingApprovalError,
    PermissionDeniedError,
    RateLimitError,
    RunError,
    RunExpiredError,
    StreamInterrupted,
    StreamTimeoutError,
    TooManyRoundsError,
    UnprocessableEntityError,
)
from .hooks import Hooks
from .limits import StreamLimits
from .logs import configure as _configure
from .pages import AsyncArrayPage, AsyncPage, AsyncPaginator, SyncArrayPage, SyncPage
from .paging import Checkpoint
from .requests import RequestOptions
from .retry import Attempt, RetryPolicy
from .streams import AsyncStream, Stream

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
    "AsyncStream",
    "Attempt",
    "AuthenticationError",
    "BadRequestError",
    "BusyPolicy",
    "Checkpoint",
    "Client",
    "ConflictError",
    "ConversationBusyError",
    "DefaultAsyncHttpxClient",
    "DefaultHttpxClient",
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
    "RequestOptions",
    "RetryPolicy",
    "RunError",
    "RunExpiredError",
    "Stream",
    "StreamInterrupted",
    "StreamLimits",
    "StreamTimeoutError",
    "SyncArrayPage",
    "SyncPage",
    "Timeout",
    "TooManyRoundsError",
    "UnprocessableEntityError",
    "__version__",
    "not_given",
    "omit",
]

_configure(_os.environ)
