"""The result of a sync list call. `async_paginator.py` has the same names for async code."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from ._pagination.iterator import ListIterator
from ._sync.pagination import Fetch, first_page
from ._sync.pagination import SyncPage as SyncPage

T = TypeVar("T")


def open_list(start: Callable[[], ListIterator], fetch: Fetch[T]) -> SyncPage[T]:
    """Fetch and return the first page of a list."""
    return first_page(start(), fetch)
