"""The text of stream events."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from letta_api.unions import StreamEvent


def assistant_text(event: StreamEvent) -> str:
    """Return the text of an assistant message. Return an empty string for any other event."""
    from letta_api.models import AssistantMessage

    from .accumulator import text_content

    return text_content(event) if isinstance(event, AssistantMessage) else ""
