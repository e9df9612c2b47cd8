"""Lists of messages that are compacted between two pages."""

from __future__ import annotations

import os
from itertools import product
from typing import Any, Final

import pytest

from letta_ext import AsyncLetta

from .reading import to_dicts
from .server_resources import ServerResources
from .talking import messages

pytestmark = pytest.mark.anyio

FULL: Final = os.environ.get("LETTA_STRESS") == "full"


async def send(client: AsyncLetta, conversation: str, turns: int) -> None:
    """Send some turns."""
    for _ in range(turns):
        await client.conversations.messages.create(conversation, input="LONG 1", streaming=False)


async def compact_sliding(client: AsyncLetta, conversation: str, model: str) -> None:
    """Compact a conversation so that its last messages stay in the context window."""
    await client.conversations.messages.compact(
        conversation, compaction_settings={"mode": "sliding_window", "model": model}
    )


async def check_list(client: AsyncLetta, conversation: str, model: str, after_page: int, **arguments: Any) -> None:
    """List a conversation that is compacted after a page, and check that each message comes once."""
    before = [each["id"] for each in to_dicts(await messages(client, conversation))]
    found: list[str] = []
    number = 0
    first = await client.conversations.messages.list(conversation, **arguments)
    async for page in first.iter_pages():
        found += [each["id"] for each in to_dicts(page.items)]
        number += 1
        if number == after_page:
            await compact_sliding(client, conversation, model)
    assert number > after_page
    assert len(set(found)) == len(found)
    assert set(before) <= set(found)


@pytest.mark.parametrize(("order", "limit", "after_page"), [("asc", 4, 1), ("desc", 3, 3)])
async def test_list_yields_every_message_once_while_compacted(
    client: AsyncLetta, conversation: str, model: str, order: str, limit: int, after_page: int
) -> None:
    """A compaction that moves messages past the position of the list loses and repeats none of them."""
    await send(client, conversation, 6)

    await check_list(client, conversation, model, after_page, order=order, limit=limit)


@pytest.mark.stress
async def test_lists_yield_every_message_once_at_every_compaction(
    client: AsyncLetta, resources: ServerResources, model: str
) -> None:
    """A compaction after any page, with several limits, also of a conversation compacted before."""
    agent = resources.agent()
    every = [*product(("asc", "desc"), (False, True), (False, True), (2, 5, 10), (1, 2, 3, 4))]
    sample = [("asc", False, False, 5, 1), ("desc", True, True, 5, 3)]
    for order, prefetch, compacted, limit, page in every if FULL else sample:
        conversation = resources.conversation(agent.id)
        await send(client, conversation, 8)
        if compacted:
            await compact_sliding(client, conversation, model)
            await send(client, conversation, 6)
        try:
            await check_list(client, conversation, model, page, order=order, limit=limit, prefetch=prefetch)
        except AssertionError as error:
            raise AssertionError(f"{order=}, {prefetch=}, {compacted=}, {limit=}, {page=}") from error
