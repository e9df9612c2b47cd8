"""How the call of a list begins in sync code. `async_paginator.py` has the same names for async code."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from ._sync.pages import Fetch, first_page
from ._sync.pages import SyncPage as SyncPage
from .lists.walk import Walk

T = TypeVar("T")


def open_list(start: Callable[[], Walk], fetch: Fetch[T]) -> SyncPage[T]:
    """Fetch the first page of a list."""
    return first_page(start(), fetch)
