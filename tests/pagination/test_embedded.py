"""Iterations over every list of the embedded server, with cursors of either meaning."""

from __future__ import annotations

import os

import httpx
import pytest

from letta_ext import AsyncLetta, Letta
from letta_ext.testing import EmbeddedServer
from tests.pagination.comparison import LIMITS, ORDERS, SampleAgent, iterate_all_lists

MODEL = "openai-proxy/gpt-4o-mini"
FULL = os.environ.get("LETTA_STRESS") == "full"


@pytest.mark.stress
@pytest.mark.parametrize("order_relative", [False, True], ids=["chronological", "order-relative"])
def test_lists_of_the_embedded_server_are_complete_and_in_order(order_relative: bool) -> None:
    """No list loses, repeats or misplaces an item, at any limit and with any filter."""
    limits = LIMITS if FULL else (2, 5, None)
    with EmbeddedServer() as server, httpx.Client(base_url=server.base_url) as http:
        server.state.order_relative_cursors = order_relative
        results = iterate_all_lists(server.base_url, http, MODEL, limits=limits, turns=5 if FULL else 2)
    meaning = "order-relative" if order_relative else "chronological"
    print(f"\nFIGURE lists, embedded server, {meaning} cursors\n{results}")
    assert results.faults == []
    assert len(results.iterations) == 22 * len(limits)


async def test_async_lists_equal_sync_lists(anyio_backend: str) -> None:
    """The async client yields the items of the sync client, in the same order."""
    with EmbeddedServer() as server, httpx.Client(base_url=server.base_url) as http:
        client = Letta(base_url=server.base_url)
        agent = SampleAgent(client, http, MODEL, turns=2)
        async with AsyncLetta(base_url=server.base_url) as other:
            for order in ORDERS:
                for _, conversation_id, extra in agent.lists():
                    whole = list(client.conversations.messages.list(conversation_id, order=order, limit=2, **extra))
                    listed = other.conversations.messages.list(conversation_id, order=order, limit=2, **extra)
                    assert [message async for message in listed] == whole != []
                steps = list(client.steps.list(agent_id=agent.agent_id, order=order, limit=2))
                assert [step async for step in other.steps.list(agent_id=agent.agent_id, order=order, limit=2)] == steps
                parts = list(client.steps.messages.list(agent.step_id, order=order, limit=1))
                listed = other.steps.messages.list(agent.step_id, order=order, limit=1, prefetch=True)
                assert [message async for message in listed] == parts != []
        client.close()
