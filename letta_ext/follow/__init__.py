"""Followers of a conversation. Each name is imported on first access."""

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
if not TYPE_CHECKING:  # a type checker would accept any name
    __getattr__, __dir__, _ = _lazy(__name__, _NAMES)
