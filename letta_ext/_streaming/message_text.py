"""What an event of a stream amounts to."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from letta_api.unions import StreamEvent


def said(event: StreamEvent) -> str:
    """Return the piece of text that the agent says by this event."""
    from letta_api.models import AssistantMessage

    from .accumulator import text_of

    return text_of(event) if isinstance(event, AssistantMessage) else ""
