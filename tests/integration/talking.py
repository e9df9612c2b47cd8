"""What tests do with a conversation time and again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Literal

import anyio

from letta_api.models import CompactionResponse
from letta_api.params import ClientToolParam
from letta_ext import AsyncLetta
from letta_ext.types import Message

TEXTS: Final = ["LONG 1", "LONG 2", "LONG 3"]
"""What the user says in a short talk."""

LENGTH: Final = 1 + 2 * len(TEXTS)
"""How many messages it leaves: questions, answers, and the system message before them."""

CLIENT_TOOLS: Final[list[ClientToolParam]] = [
    {
        "name": name,
        "description": "Looks something up here.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    }
    for name in ("local_weather", "local_time")
]
"""Tools that the client runs; the model calls each for Paris."""

DEADLINE: Final = 30.0
"""Seconds to wait for what the server does behind our backs; the machine may be a small and busy one."""


async def talk(client: AsyncLetta, conversation: str, **arguments: Any) -> None:
    """A question and an answer for each text."""
    for text in TEXTS:
        await client.conversations.messages.create(conversation, input=text, streaming=False, **arguments)


async def compact(client: AsyncLetta, conversation: str, model: str, **arguments: Any) -> CompactionResponse:
    """Summarizes everything."""
    return await client.conversations.messages.compact(
        conversation, compaction_settings={"mode": "all", "model": model}, **arguments
    )


async def messages(client: AsyncLetta, conversation: str, **arguments: Any) -> list[Message]:
    """A conversation as the server has it, oldest first; one that is short enough for one page."""
    page = await client.conversations.messages.list(conversation, order="asc", limit=100, **arguments)
    return page.items


async def walk(client: AsyncLetta, conversation: str, order: Literal["asc", "desc"], **arguments: Any) -> list[Message]:
    """A conversation page by page."""
    return [message async for message in client.conversations.messages.list(conversation, order=order, **arguments)]


async def eventually(client: AsyncLetta, conversation: str, seen: Callable[[list[Message]], bool]) -> list[Message]:
    """A conversation as soon as it is as expected; without that, as it is when the patience ends."""
    found = await messages(client, conversation)
    with anyio.move_on_after(DEADLINE):
        while not seen(found):
            await anyio.sleep(0.1)
            found = await messages(client, conversation)
    return found
