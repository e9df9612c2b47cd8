"""`conversations.messages.list`: orders, limits, filters, pages, and compactions."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, Final, Literal

import pytest

from letta_api.models import UserMessage
from letta_ext import AsyncLetta

from .reading import collect, kinds, only, to_dicts, user_texts
from .server_resources import Agent, ServerResources
from .talking import LENGTH, TEXTS, compact, list_all, messages, send_texts

pytestmark = pytest.mark.anyio


ORDERS: Final[tuple[Literal["asc"], Literal["desc"]]] = ("asc", "desc")


def message_keys(found: Iterable[Any]) -> list[tuple[str, str, str | None]]:
    return [(message.id, message.message_type, message.otid) for message in found]


async def test_list_yields_every_message_once_in_order(client: AsyncLetta, conversation: str) -> None:
    """Each limit and order yields each message once, in order."""
    await send_texts(client, conversation)
    expected = message_keys(await messages(client, conversation))
    assert len(expected) == LENGTH

    for limit in (1, 2, 3, 7, 8):
        assert message_keys(await list_all(client, conversation, "asc", limit=limit)) == expected, limit
        assert message_keys(await list_all(client, conversation, "desc", limit=limit)) == expected[::-1], limit


async def test_list_order_defaults_to_newest_first(client: AsyncLetta, conversation: str) -> None:
    """The default order is newest first."""
    await send_texts(client, conversation)

    listed = await collect(client.conversations.messages.list(conversation, limit=2))

    assert user_texts(listed) == TEXTS[::-1]
    assert kinds(listed)[-1] == "system_message"


async def test_list_limit_of_one_keeps_parts_of_stored_message(client: AsyncLetta, conversation: str) -> None:
    """Reasoning and reply of one stored message are both listed."""
    for _ in range(2):
        await client.conversations.messages.create(conversation, input="REASON", streaming=False)
    expected = message_keys(await messages(client, conversation))
    assert len(expected) == 1 + 2 * 3

    # The server counts stored messages: reasoning and reply are one of them, and two items.
    assert message_keys(await list_all(client, conversation, "asc", limit=1)) == expected
    assert sorted(message_keys(await list_all(client, conversation, "desc", limit=1))) == sorted(expected)


async def test_list_filter_yields_all_matching_messages(client: AsyncLetta, conversation: str) -> None:
    """A filter by type yields all matching messages."""
    await send_texts(client, conversation)

    # The server filters each page after it is cut, so an empty page is not the last one.
    for limit in (1, 2, 100):
        wanted: dict[str, Any] = {"limit": limit, "include_return_message_types": ["user_message"]}
        oldest_first = await list_all(client, conversation, "asc", **wanted)
        newest_first = await list_all(client, conversation, "desc", **wanted)

        assert user_texts(oldest_first) == TEXTS, limit
        assert to_dicts(newest_first) == to_dicts(oldest_first[::-1]), limit
        assert len(only(oldest_first, UserMessage)) == len(oldest_first), limit


async def test_list_filter_accepts_several_types(client: AsyncLetta, conversation: str) -> None:
    """A filter accepts several types."""
    await client.conversations.messages.create(conversation, input="REASON", streaming=False)

    listed = await collect(
        client.conversations.messages.list(
            conversation, order="asc", include_return_message_types=["user_message", "reasoning_message"]
        )
    )

    assert kinds(listed) == ["user_message", "reasoning_message"]


async def test_get_next_page_and_iter_pages_yield_same_pages(client: AsyncLetta, conversation: str) -> None:
    """`get_next_page` and `iter_pages` return the same pages."""
    await send_texts(client, conversation)
    expected = message_keys(await messages(client, conversation))

    page = await client.conversations.messages.list(conversation, order="asc", limit=4)
    rest = await page.get_next_page()

    assert message_keys(page.items) == expected[:4]
    assert page.has_next_page()
    assert (page.next_page_info() or {})["after"] == expected[3][0]
    assert message_keys(rest.items) == expected[4:]
    assert [message_keys(one.items) for one in await collect(page.iter_pages())] == [expected[:4], expected[4:]]


async def test_list_after_message_yields_later_messages(client: AsyncLetta, conversation: str) -> None:
    """`after` starts after a message."""
    await send_texts(client, conversation)
    expected = await messages(client, conversation)

    later = await collect(
        client.conversations.messages.list(conversation, order="asc", limit=2, after=expected[2].to_dict()["id"])
    )

    assert to_dicts(later) == to_dicts(expected[3:])


async def test_agent_direct_list_is_in_requested_order(client: AsyncLetta, own_agent: Agent) -> None:
    """Agent-direct lists are in the requested order."""
    direct: dict[str, Any] = {"agent_id": own_agent.id}
    await send_texts(client, "default", **direct)

    # The server returns newest-first pages with the oldest on top; the client restores the requested order.
    for limit in (2, 100):
        oldest_first = await list_all(client, "default", "asc", limit=limit, **direct)
        newest_first = await list_all(client, "default", "desc", limit=limit, **direct)

        assert user_texts(oldest_first) == TEXTS, limit
        assert to_dicts(newest_first) == to_dicts(oldest_first[::-1]), limit
        assert len(oldest_first) == LENGTH, limit


async def test_list_after_concurrent_runs_yields_every_message_once(client: AsyncLetta, conversation: str) -> None:
    """Concurrent runs give equal positions; each message is listed once."""
    async with await client.conversations.messages.create(
        conversation, input="LONG 20", stream_tokens=True, background=True
    ) as stream:
        await client.conversations.messages.create(conversation, input="LONG 2", streaming=False)
        await collect(stream)
    expected = message_keys(await messages(client, conversation))
    assert len(expected) == 5

    # Positions repeat: neither run saw the messages of the other.
    for limit in (1, 3, 100):
        for order in ORDERS:
            listed = message_keys(await list_all(client, conversation, order, limit=limit))
            assert sorted(listed, key=str) == sorted(expected, key=str), (order, limit)


async def test_list_of_missing_conversation_is_empty(client: AsyncLetta) -> None:
    """The list of a missing conversation is empty."""
    page = await client.conversations.messages.list("conv-00000000-0000-4000-8000-000000000000")

    assert page.items == []
    assert not page.has_next_page()


async def test_list_after_compaction_yields_every_message_once(
    client: AsyncLetta, conversation: str, model: str
) -> None:
    """A compaction repeats positions; each message is listed once."""
    await send_texts(client, conversation)
    await compact(client, conversation, model)
    await send_texts(client, conversation)
    expected = message_keys(await messages(client, conversation))
    assert len(expected) == LENGTH + 1 + 2 * len(TEXTS)

    # Positions repeat after a compaction, so the server has no defined order.
    for limit in (1, 3, 100):
        for order in ORDERS:
            listed = message_keys(await list_all(client, conversation, order, limit=limit))
            assert sorted(listed, key=str) == sorted(expected, key=str), (order, limit)


async def test_list_during_new_messages_is_consistent(client: AsyncLetta, conversation: str) -> None:
    """New messages appear in an oldest-first list only."""
    await send_texts(client, conversation)
    before = message_keys(await messages(client, conversation))

    newest_first, oldest_first = [
        await client.conversations.messages.list(conversation, order=order, limit=4) for order in ("desc", "asc")
    ]
    await client.conversations.messages.create(conversation, input="LONG 4", streaming=False)

    assert message_keys(await collect(newest_first)) == before[::-1]
    after = message_keys(await collect(oldest_first))
    assert after == message_keys(await messages(client, conversation))
    assert after[: len(before)] == before
    assert len(after) == len(before) + 2


async def test_list_from_checkpoint_yields_rest(client: AsyncLetta, conversation: str) -> None:
    """A checkpoint continues the list in either order."""
    await send_texts(client, conversation)

    for order in ORDERS:
        page = await client.conversations.messages.list(conversation, order=order, limit=2)
        checkpoint = json.loads(json.dumps(page.checkpoint()))
        rest = await collect(client.conversations.messages.list(conversation, checkpoint=checkpoint, prefetch=True))
        assert message_keys([*page.items, *rest]) == message_keys(await list_all(client, conversation, order)), order


async def test_list_with_checkpoint_of_other_conversation_raises_value_error(
    client: AsyncLetta, conversation: str, resources: ServerResources, agent: Agent
) -> None:
    """A checkpoint belongs to one list."""
    await send_texts(client, conversation)
    page = await client.conversations.messages.list(conversation, order="asc", limit=2)
    other = resources.conversation(agent.id)
    await send_texts(client, other)

    with pytest.raises(ValueError, match="checkpoint must be of the list"):
        await client.conversations.messages.list(other, checkpoint=page.checkpoint())
