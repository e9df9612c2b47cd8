"""What tests ask of messages and events."""

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
"""What the model answers unless it is told otherwise."""


def words(count: int) -> str:
    """What the model answers to `LONG count`, token by token."""
    return "".join(f"word{index} " for index in range(count))


async def collect(items: AsyncIterable[T]) -> list[T]:
    """Everything that can be iterated."""
    return [item async for item in items]


async def take(items: AsyncIterable[T], enough: Callable[[T], bool]) -> list[T]:
    """What comes up to the first item that is enough; the loop is left there."""
    taken: list[T] = []
    async for item in items:
        taken.append(item)
        if enough(item):
            break
    return taken


def only(items: Iterable[object], kind: type[T]) -> list[T]:
    """Those of one class, in their order."""
    return [item for item in items if isinstance(item, kind)]


def kinds(items: Iterable[Any]) -> list[str]:
    """The types of messages or events; what repeats, as the tokens of one message do, is named once."""
    found: list[str] = []
    for item in items:
        if not found or found[-1] != item.message_type:
            found.append(item.message_type)
    return found


def said(items: Iterable[object]) -> str:
    """What the agent answered, whole or in tokens."""
    return "".join(str(message.content) for message in only(items, AssistantMessage))


def thought(items: Iterable[object]) -> str:
    """What the agent reasoned, whole or in tokens."""
    return "".join(message.reasoning for message in only(items, ReasoningMessage))


def asked(items: Iterable[object]) -> list[str]:
    """What users said."""
    return [str(message.content) for message in only(items, UserMessage)]


def without_pings(items: Iterable[T]) -> list[T]:
    """Events that say something."""
    return [item for item in items if not isinstance(item, LettaPing)]


def stop_reason(events: Iterable[object]) -> str:
    """Why the one turn of a stream ended."""
    (event,) = only(events, LettaStopReason)
    return event.stop_reason


def tool_calls(messages: Iterable[object]) -> list[ToolCall]:
    """The calls of messages that were not sent in tokens."""
    calls: list[ToolCall] = []
    for message in messages:
        if isinstance(message, (ToolCallMessage, ApprovalRequestMessage)) and isinstance(message.tool_calls, list):
            calls.extend(message.tool_calls)
    return calls


def plain(items: Iterable[Any]) -> list[dict[str, Any]]:
    """As JSON, to be compared."""
    return [item.to_dict() for item in items]
