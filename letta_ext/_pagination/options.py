"""The keyword arguments that every list method accepts in addition to those of its operation."""

from __future__ import annotations

from .._http.requests import RequestOptions
from .checkpoints import Checkpoint


class ListOptions(RequestOptions, total=False):
    """Keyword arguments of every list method.

    Attributes:
        max_items: The maximum number of items of all pages. `limit` is the size of one page. Defaults to None, for all.
        checkpoint: The position to continue at, as returned by a page's `checkpoint()`. It holds the other arguments.
        prefetch: Whether to fetch the next page while the current one is used, in a thread or an asyncio task. Hooks
            are called there. Defaults to False.
    """

    max_items: int | None
    checkpoint: Checkpoint
    prefetch: bool
