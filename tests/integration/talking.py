"""Common operations on a conversation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Literal

import anyio

from letta_api.models import CompactionResponse
from letta_api.params import ClientToolParam
from letta_ext import AsyncLetta
from letta_ext.types import Message

TEXTS: Final = ["LONG 1", "LONG 2", "LONG 3"]
"""The user messages of a short conversation."""

LENGTH: Final = 1 + 2 * len(TEXTS)
"""Messages of that conversation: user messages, replies, and the system message."""

CLIENT_TOOLS: Final[list[ClientToolParam]] = [
    {
        "name": name,
        "description": "Looks something up here.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    }
    for name in ("local_weather", "local_time")
]
"""Tools that the client runs. The model calls each with Paris."""

DEADLINE: Final = 30.0
"""Seconds to wait for work that the server does after its response."""


async def send_texts(client: AsyncLetta, conversation: str, **arguments: Any) -> None:
    """Send each of the texts and receive its reply."""
    for text in TEXTS:
        await client.conversations.messages.create(conversation, input=text, streaming=False, **arguments)


async def compact(client: AsyncLetta, conversation: str, model: str, **arguments: Any) -> CompactionResponse:
    """Compact the whole conversation."""
    return await client.conversations.messages.compact(
        conversation, compaction_settings={"mode": "all", "model": model}, **arguments
    )


async def messages(client: AsyncLetta, conversation: str, **arguments: Any) -> list[Message]:
    """Return the messages of a short conversation, oldest first."""
    page = await client.conversations.messages.list(conversation, order="asc", limit=100, **arguments)
    return page.items


async def list_all(
    client: AsyncLetta, conversation: str, order: Literal["asc", "desc"], **arguments: Any
) -> list[Message]:
    """Return the messages of a conversation, listed page by page."""
    return [message async for message in client.conversations.messages.list(conversation, order=order, **arguments)]


async def wait_for_messages(
    client: AsyncLetta, conversation: str, matches: Callable[[list[Message]], bool]
) -> list[Message]:
    """Return the messages as soon as they match; at the deadline, as they are."""
    found = await messages(client, conversation)
    with anyio.move_on_after(DEADLINE):
        while not matches(found):
            await anyio.sleep(0.1)
            found = await messages(client, conversation)
    return found
