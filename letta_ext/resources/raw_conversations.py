"""`client.conversations` and what lies below it, with HTTP answers in place of values."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import TYPE_CHECKING, Any, Literal, cast, overload

from letta_api.operations import CONVERSATIONS_MESSAGES_CREATE

from ..raw.calls import async_raw, async_unread, raw, unread
from .conversations import AsyncConversations, Conversations
from .messages import Messages
from .messages_async import AsyncMessages
from .signatures import takes

if TYPE_CHECKING:
    from typing import Unpack

    from letta_api.models import LettaResponse

    from ..raw.responses import AsyncRawResponse, AsyncResponseContext, RawResponse, ResponseContext
    from ..streams.stream import AsyncStream, Stream
    from .arguments import MessagesCreateArguments


class MessagesWithRawResponse:
    """`client.conversations.messages`: each call returns the HTTP answer; its `parse()` gives the value."""

    def __init__(self, messages: Messages) -> None:
        self._messages = messages
        self.list = raw(messages.list)
        self.stream = raw(messages.stream)
        self.compact = raw(messages.compact)

    @overload
    def create(
        self, conversation_id: str, *, streaming: Literal[False], **arguments: Unpack[MessagesCreateArguments]
    ) -> RawResponse[LettaResponse]: ...

    @overload
    def create(
        self, conversation_id: str, *, streaming: Literal[True] = ..., **arguments: Unpack[MessagesCreateArguments]
    ) -> RawResponse[Stream]: ...

    @overload
    def create(
        self, conversation_id: str, *, streaming: bool, **arguments: Unpack[MessagesCreateArguments]
    ) -> RawResponse[LettaResponse | Stream]: ...

    @takes(CONVERSATIONS_MESSAGES_CREATE)
    def create(self, conversation_id: str, **arguments: Any) -> Any:
        """Sends messages to a conversation: see `Messages.create`."""
        return raw(cast(Any, self._messages.create))(conversation_id, **arguments)


class ConversationsWithRawResponse:
    """`client.conversations`: each call returns the HTTP answer; its `parse()` gives the value."""

    def __init__(self, conversations: Conversations) -> None:
        self.messages = MessagesWithRawResponse(conversations.messages)


class AsyncMessagesWithRawResponse:
    """`client.conversations.messages`: each call returns the HTTP answer; its `parse()` gives the value."""

    def __init__(self, messages: AsyncMessages) -> None:
        self._messages = messages
        self.list = async_raw(messages.list)
        self.stream = async_raw(messages.stream)
        self.compact = async_raw(messages.compact)

    @overload
    def create(
        self, conversation_id: str, *, streaming: Literal[False], **arguments: Unpack[MessagesCreateArguments]
    ) -> Awaitable[AsyncRawResponse[LettaResponse]]: ...

    @overload
    def create(
        self, conversation_id: str, *, streaming: Literal[True] = ..., **arguments: Unpack[MessagesCreateArguments]
    ) -> Awaitable[AsyncRawResponse[AsyncStream]]: ...

    @overload
    def create(
        self, conversation_id: str, *, streaming: bool, **arguments: Unpack[MessagesCreateArguments]
    ) -> Awaitable[AsyncRawResponse[LettaResponse | AsyncStream]]: ...

    @takes(CONVERSATIONS_MESSAGES_CREATE)
    def create(self, conversation_id: str, **arguments: Any) -> Any:
        """Sends messages to a conversation: see `AsyncMessages.create`."""
        return async_raw(cast(Any, self._messages.create))(conversation_id, **arguments)


class AsyncConversationsWithRawResponse:
    """`client.conversations`: each call returns the HTTP answer; its `parse()` gives the value."""

    def __init__(self, conversations: AsyncConversations) -> None:
        self.messages = AsyncMessagesWithRawResponse(conversations.messages)


class MessagesWithStreamingResponse:
    """`client.conversations.messages`: each call is for a `with` block and leaves the body unread."""

    def __init__(self, messages: Messages) -> None:
        self._messages = messages
        self.list = unread(messages.list)
        self.stream = unread(messages.stream)
        self.compact = unread(messages.compact)

    @overload
    def create(
        self, conversation_id: str, *, streaming: Literal[False], **arguments: Unpack[MessagesCreateArguments]
    ) -> ResponseContext[LettaResponse]: ...

    @overload
    def create(
        self, conversation_id: str, *, streaming: Literal[True] = ..., **arguments: Unpack[MessagesCreateArguments]
    ) -> ResponseContext[Stream]: ...

    @overload
    def create(
        self, conversation_id: str, *, streaming: bool, **arguments: Unpack[MessagesCreateArguments]
    ) -> ResponseContext[LettaResponse | Stream]: ...

    @takes(CONVERSATIONS_MESSAGES_CREATE)
    def create(self, conversation_id: str, **arguments: Any) -> Any:
        """Sends messages to a conversation: see `Messages.create`."""
        return unread(cast(Any, self._messages.create))(conversation_id, **arguments)


class ConversationsWithStreamingResponse:
    """`client.conversations`: each call is for a `with` block and leaves the body unread."""

    def __init__(self, conversations: Conversations) -> None:
        self.messages = MessagesWithStreamingResponse(conversations.messages)


class AsyncMessagesWithStreamingResponse:
    """`client.conversations.messages`: each call is for an `async with` block and leaves the body unread."""

    def __init__(self, messages: AsyncMessages) -> None:
        self._messages = messages
        self.list = async_unread(messages.list)
        self.stream = async_unread(messages.stream)
        self.compact = async_unread(messages.compact)

    @overload
    def create(
        self, conversation_id: str, *, streaming: Literal[False], **arguments: Unpack[MessagesCreateArguments]
    ) -> AsyncResponseContext[LettaResponse]: ...

    @overload
    def create(
        self, conversation_id: str, *, streaming: Literal[True] = ..., **arguments: Unpack[MessagesCreateArguments]
    ) -> AsyncResponseContext[AsyncStream]: ...

    @overload
    def create(
        self, conversation_id: str, *, streaming: bool, **arguments: Unpack[MessagesCreateArguments]
    ) -> AsyncResponseContext[LettaResponse | AsyncStream]: ...

    @takes(CONVERSATIONS_MESSAGES_CREATE)
    def create(self, conversation_id: str, **arguments: Any) -> Any:
        """Sends messages to a conversation: see `AsyncMessages.create`."""
        return async_unread(cast(Any, self._messages.create))(conversation_id, **arguments)


class AsyncConversationsWithStreamingResponse:
    """`client.conversations`: each call is for an `async with` block and leaves the body unread."""

    def __init__(self, conversations: AsyncConversations) -> None:
        self.messages = AsyncMessagesWithStreamingResponse(conversations.messages)
