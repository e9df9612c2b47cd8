"""The pages of lists at the path that they have in `letta-client`. Each class is imported on first access."""

from __future__ import annotations

from typing import TYPE_CHECKING

from letta_api._lazy import lazy as _lazy

if TYPE_CHECKING:
    from ._async.pagination import AsyncArrayPage, AsyncPage
    from ._sync.pagination import SyncArrayPage, SyncPage
    from .async_paginator import AsyncPaginator

__all__ = ["AsyncArrayPage", "AsyncPage", "AsyncPaginator", "SyncArrayPage", "SyncPage"]

if not TYPE_CHECKING:  # `__getattr__` would make type checkers accept any name
    __getattr__, __dir__, _ = _lazy(
        "letta_ext",
        {
            **dict.fromkeys(["AsyncArrayPage", "AsyncPage"], "_async.pagination"),
            **dict.fromkeys(["SyncArrayPage", "SyncPage"], "_sync.pagination"),
            "AsyncPaginator": "async_paginator",
        },
    )
