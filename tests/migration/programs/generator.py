"""A pipeline wrapper: it turns the stream of an agent into pieces of text, with notes about tools and reasoning."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import Any

from letta_ext import Letta, Stream
from letta_ext.types import MessageCreateParam, ToolReturnMessage
from letta_ext.types.agents import AssistantMessage, ReasoningMessage, TextContent, ToolCallMessage
from letta_ext.types.agents.letta_streaming_response import LettaStopReason, LettaStreamingResponse


def to_params(messages: list[dict[str, Any]]) -> list[MessageCreateParam]:
    """Return the last user message, as the request needs it."""
    last = next(message for message in reversed(messages) if message["role"] == "user")
    return [MessageCreateParam(role="user", content=str(last["content"]))]


def text_of(message: AssistantMessage) -> str:
    """Return the text of a message, whose content is text or parts."""
    if isinstance(message.content, str):
        return message.content
    return "".join(part.text for part in message.content if isinstance(part, TextContent))


def pieces(stream: Stream[LettaStreamingResponse]) -> Iterator[str]:
    """Yield the text of each event."""
    for event in stream:
        if isinstance(event, AssistantMessage):
            yield text_of(event)
        elif isinstance(event, ReasoningMessage):
            yield f"<think>{event.reasoning}</think>"
        elif isinstance(event, ToolCallMessage):
            yield "[calls a tool]"
        elif isinstance(event, ToolReturnMessage):
            yield f"[{event.status}]"
        elif isinstance(event, LettaStopReason):
            yield f"[{event.stop_reason}]"


def run_chat_completion(client: Letta, model: str, messages: list[dict[str, Any]]) -> Generator[str, None, None]:
    """Yield the pieces of the reply: the model is the id of a conversation."""
    with client.conversations.messages.create(model, messages=to_params(messages), stream_tokens=True) as stream:
        yield from pieces(stream)
