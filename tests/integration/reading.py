"""Functions that select and summarize messages and events."""

from __future__ import annotations

from collections.abc import AsyncIterable, Callable, Iterable
from typing import Any, Final, TypeVar

from letta_api.models import (
    ApprovalRequestMessage,
    AssistantMessage,
    LettaPing,
    LettaStopReason,
    ReasoningMessage,
    ToolCall,
    ToolCallMessage,
    UserMessage,
)

T = TypeVar("T")

SIX_WORDS: Final = "word0 word1 word2 word3 word4 word5"
"""The default output of the model."""


def words(count: int) -> str:
    """Return the output of the model for `LONG count`."""
    return "".join(f"word{index} " for index in range(count))


async def collect(items: AsyncIterable[T]) -> list[T]:
    """Return all items."""
    return [item async for item in items]


async def take(items: AsyncIterable[T], enough: Callable[[T], bool]) -> list[T]:
    """Return the items up to the first for which `enough` is true, and leave the loop."""
    taken: list[T] = []
    async for item in items:
        taken.append(item)
        if enough(item):
            break
    return taken


def only(items: Iterable[object], kind: type[T]) -> list[T]:
    """Return the items of one class, in order."""
    return [item for item in items if isinstance(item, kind)]


def kinds(items: Iterable[Any]) -> list[str]:
    """Return the types of messages or events, with consecutive duplicates merged."""
    found: list[str] = []
    for item in items:
        if not found or found[-1] != item.message_type:
            found.append(item.message_type)
    return found


def assistant_text(items: Iterable[object]) -> str:
    """Return the text of the agent, whole or joined from tokens."""
    return "".join(str(message.content) for message in only(items, AssistantMessage))


def reasoning_text(items: Iterable[object]) -> str:
    """Return the reasoning of the agent, whole or joined from tokens."""
    return "".join(message.reasoning for message in only(items, ReasoningMessage))


def user_texts(items: Iterable[object]) -> list[str]:
    """Return the texts of the user messages."""
    return [str(message.content) for message in only(items, UserMessage)]


def without_pings(items: Iterable[T]) -> list[T]:
    """Return the events except pings."""
    return [item for item in items if not isinstance(item, LettaPing)]


def stop_reason(events: Iterable[object]) -> str:
    """Return the stop reason of the only turn of a stream."""
    (event,) = only(events, LettaStopReason)
    return event.stop_reason


def tool_calls(messages: Iterable[object]) -> list[ToolCall]:
    """Return the tool calls of complete messages."""
    calls: list[ToolCall] = []
    for message in messages:
        if isinstance(message, (ToolCallMessage, ApprovalRequestMessage)) and isinstance(message.tool_calls, list):
            calls.extend(message.tool_calls)
    return calls


def to_dicts(items: Iterable[Any]) -> list[dict[str, Any]]:
    """Return the JSON of items, for comparison."""
    return [item.to_dict() for item in items]
