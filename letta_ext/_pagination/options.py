"""The keyword arguments that every list method accepts in addition to those of its operation."""

from __future__ import annotations

from .._http.requests import RequestOptions
from .iterator import Checkpoint


class ListOptions(RequestOptions, total=False):
    """Keyword arguments of every list method.

    Attributes:
        checkpoint: The position to continue at, as returned by a page's `checkpoint()`. It holds the other arguments.
        prefetch: Whether to fetch the next page while the current one is used, in a thread or an asyncio task. Hooks
            are called there. Defaults to False.
    """

    checkpoint: Checkpoint
    prefetch: bool
