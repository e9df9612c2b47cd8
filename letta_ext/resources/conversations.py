"""`client.conversations`."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from ..raw.calls import View
from ..sending.transport import AsyncTransport, Transport
from .messages import Messages
from .messages_async import AsyncMessages

if TYPE_CHECKING:
    from .raw_conversations import (
        AsyncConversationsWithRawResponse,
        AsyncConversationsWithStreamingResponse,
        ConversationsWithRawResponse,
        ConversationsWithStreamingResponse,
    )


class Conversations:
    """`client.conversations`."""

    with_raw_response: View[ConversationsWithRawResponse] = View("raw_conversations", "ConversationsWithRawResponse")
    with_streaming_response: View[ConversationsWithStreamingResponse] = View(
        "raw_conversations", "ConversationsWithStreamingResponse", unread=True
    )

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    @cached_property
    def messages(self) -> Messages:
        """The messages of conversations."""
        return Messages(self._transport)


class AsyncConversations:
    """`client.conversations`."""

    with_raw_response: View[AsyncConversationsWithRawResponse] = View(
        "raw_conversations", "AsyncConversationsWithRawResponse"
    )
    with_streaming_response: View[AsyncConversationsWithStreamingResponse] = View(
        "raw_conversations", "AsyncConversationsWithStreamingResponse", unread=True
    )

    def __init__(self, transport: AsyncTransport) -> None:
        self._transport = transport

    @cached_property
    def messages(self) -> AsyncMessages:
        """The messages of conversations."""
        return AsyncMessages(self._transport)
