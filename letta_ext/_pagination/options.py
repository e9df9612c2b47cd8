"""The keyword arguments that every list takes besides its own."""

from __future__ import annotations

from .._http.requests import RequestOptions
from .iterator import Checkpoint


class ListOptions(RequestOptions, total=False):
    """What every list takes besides its own arguments.

    Attributes:
        checkpoint: where an earlier walk stood, as its page's `checkpoint()` said; it holds that walk's arguments.
        prefetch: whether the next page is fetched while the present one is used: by a thread, or a task of asyncio.
            Hooks are called there then.
    """

    checkpoint: Checkpoint
    prefetch: bool
