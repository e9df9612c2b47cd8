"""Following a conversation: `news.py` decides what is new in it, `_async/follow.py` asks.

What can be imported from here are the types that programs write down; each is loaded when it is fetch for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from letta_api._lazy import lazy as _lazy

if TYPE_CHECKING:
    from .._async.follow import AsyncFollow
    from .._sync.follow import Follow
    from .sync_state import FollowCursor

__all__ = [
    "AsyncFollow",
    "Follow",
    "FollowCursor",
]

_NAMES = {"AsyncFollow": "._async.follow", "Follow": "._sync.follow", "FollowCursor": "sync_state"}
if not TYPE_CHECKING:  # a type checker would take any name for one that is here
    __getattr__, __dir__, _ = _lazy(__name__, _NAMES)
