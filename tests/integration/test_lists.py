"""`conversations.messages.list`: orders, limits, filters, pages, and what a compaction does to them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, Final, Literal

import pytest

from letta_api.models import UserMessage
from letta_ext import AsyncLetta

from .reading import asked, collect, kinds, only, plain
from .scene import Agent, Scene
from .talking import LENGTH, TEXTS, compact, messages, talk, walk

pytestmark = pytest.mark.anyio


ORDERS: Final[tuple[Literal["asc"], Literal["desc"]]] = ("asc", "desc")


def identities(found: Iterable[Any]) -> list[tuple[str, str, str | None]]:
    return [(message.id, message.message_type, message.otid) for message in found]


async def test_a_walk_finds_every_message_once_and_in_order(client: AsyncLetta, conversation: str) -> None:
    await talk(client, conversation)
    expected = identities(await messages(client, conversation))
    assert len(expected) == LENGTH

    for limit in (1, 2, 3, 7, 8):
        assert identities(await walk(client, conversation, "asc", limit=limit)) == expected, limit
        assert identities(await walk(client, conversation, "desc", limit=limit)) == expected[::-1], limit


async def test_newest_first_is_the_default(client: AsyncLetta, conversation: str) -> None:
    await talk(client, conversation)

    walked = await collect(client.conversations.messages.list(conversation, limit=2))

    assert asked(walked) == TEXTS[::-1]
    assert kinds(walked)[-1] == "system_message"


async def test_parts_of_one_message_stay_together(client: AsyncLetta, conversation: str) -> None:
    for _ in range(2):
        await client.conversations.messages.create(conversation, input="REASON", streaming=False)
    expected = identities(await messages(client, conversation))
    assert len(expected) == 1 + 2 * 3

    # The server counts stored messages: reasoning and answer are one of them, and two items.
    assert identities(await walk(client, conversation, "asc", limit=1)) == expected
    assert sorted(identities(await walk(client, conversation, "desc", limit=1))) == sorted(expected)


async def test_a_filter_loses_nothing(client: AsyncLetta, conversation: str) -> None:
    await talk(client, conversation)

    # The server filters what is on a page already, so that a page with nothing on it is not the last.
    for limit in (1, 2, 100):
        wanted: dict[str, Any] = {"limit": limit, "include_return_message_types": ["user_message"]}
        oldest_first = await walk(client, conversation, "asc", **wanted)
        newest_first = await walk(client, conversation, "desc", **wanted)

        assert asked(oldest_first) == TEXTS, limit
        assert plain(newest_first) == plain(oldest_first[::-1]), limit
        assert len(only(oldest_first, UserMessage)) == len(oldest_first), limit


async def test_a_filter_of_several_types(client: AsyncLetta, conversation: str) -> None:
    await client.conversations.messages.create(conversation, input="REASON", streaming=False)

    walked = await collect(
        client.conversations.messages.list(
            conversation, order="asc", include_return_message_types=["user_message", "reasoning_message"]
        )
    )

    assert kinds(walked) == ["user_message", "reasoning_message"]


async def test_pages_one_by_one(client: AsyncLetta, conversation: str) -> None:
    await talk(client, conversation)
    expected = identities(await messages(client, conversation))

    page = await client.conversations.messages.list(conversation, order="asc", limit=4)
    rest = await page.get_next_page()

    assert identities(page.items) == expected[:4]
    assert page.has_next_page()
    assert (page.next_page_info() or {})["after"] == expected[3][0]
    assert identities(rest.items) == expected[4:]
    assert [identities(one.items) for one in await collect(page.iter_pages())] == [expected[:4], expected[4:]]


async def test_from_a_message_on(client: AsyncLetta, conversation: str) -> None:
    await talk(client, conversation)
    expected = await messages(client, conversation)

    later = await collect(
        client.conversations.messages.list(conversation, order="asc", limit=2, after=expected[2].to_dict()["id"])
    )

    assert plain(later) == plain(expected[3:])


async def test_agent_direct(client: AsyncLetta, own_agent: Agent) -> None:
    direct: dict[str, Any] = {"agent_id": own_agent.id}
    await talk(client, "default", **direct)

    # The server hands out newest-first pages with the oldest on top; the walk is in the order asked for.
    for limit in (2, 100):
        oldest_first = await walk(client, "default", "asc", limit=limit, **direct)
        newest_first = await walk(client, "default", "desc", limit=limit, **direct)

        assert asked(oldest_first) == TEXTS, limit
        assert plain(newest_first) == plain(oldest_first[::-1]), limit
        assert len(oldest_first) == LENGTH, limit


async def test_a_walk_after_two_runs_at_once_finds_every_message_once(client: AsyncLetta, conversation: str) -> None:
    async with await client.conversations.messages.create(
        conversation, input="LONG 20", stream_tokens=True, background=True
    ) as stream:
        await client.conversations.messages.create(conversation, input="LONG 2", streaming=False)
        await collect(stream)
    expected = identities(await messages(client, conversation))
    assert len(expected) == 5

    # Positions repeat here too: neither run knew of the other's messages.
    for limit in (1, 3, 100):
        for order in ORDERS:
            walked = identities(await walk(client, conversation, order, limit=limit))
            assert sorted(walked, key=str) == sorted(expected, key=str), (order, limit)


async def test_a_conversation_that_is_not_there_has_no_messages(client: AsyncLetta) -> None:
    page = await client.conversations.messages.list("conv-00000000-0000-4000-8000-000000000000")

    assert page.items == []
    assert not page.has_next_page()


async def test_a_walk_after_a_compaction_finds_every_message_once(
    client: AsyncLetta, conversation: str, model: str
) -> None:
    await talk(client, conversation)
    await compact(client, conversation, model)
    await talk(client, conversation)
    expected = identities(await messages(client, conversation))
    assert len(expected) == LENGTH + 1 + 2 * len(TEXTS)

    # Positions repeat after a compaction, so that the server itself has no order to keep.
    for limit in (1, 3, 100):
        for order in ORDERS:
            walked = identities(await walk(client, conversation, order, limit=limit))
            assert sorted(walked, key=str) == sorted(expected, key=str), (order, limit)


async def test_messages_that_arrive_during_a_walk(client: AsyncLetta, conversation: str) -> None:
    await talk(client, conversation)
    before = identities(await messages(client, conversation))

    newest_first, oldest_first = [
        await client.conversations.messages.list(conversation, order=order, limit=2) for order in ("desc", "asc")
    ]
    await client.conversations.messages.create(conversation, input="LONG 4", streaming=False)

    assert identities(await collect(newest_first)) == before[::-1]
    after = identities(await collect(oldest_first))
    assert after == identities(await messages(client, conversation))
    assert after[: len(before)] == before
    assert len(after) == len(before) + 2


async def test_a_walk_goes_on_from_a_checkpoint(client: AsyncLetta, conversation: str) -> None:
    await talk(client, conversation)

    for order in ORDERS:
        page = await client.conversations.messages.list(conversation, order=order, limit=2)
        checkpoint = json.loads(json.dumps(page.checkpoint()))
        rest = await collect(client.conversations.messages.list(conversation, checkpoint=checkpoint, prefetch=True))
        assert identities([*page.items, *rest]) == identities(await walk(client, conversation, order)), order


async def test_a_checkpoint_of_another_conversation_is_refused(
    client: AsyncLetta, conversation: str, scene: Scene, agent: Agent
) -> None:
    await talk(client, conversation)
    page = await client.conversations.messages.list(conversation, order="asc", limit=2)
    other = scene.conversation(agent.id)
    await talk(client, other)

    with pytest.raises(ValueError, match="checkpoint must be of the list"):
        await client.conversations.messages.list(other, checkpoint=page.checkpoint())
