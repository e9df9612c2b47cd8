"""The walks of `proof.py` on the embedded server, with cursors of either meaning."""

from __future__ import annotations

import os

import httpx
import pytest

from letta_ext import AsyncLetta, Letta
from letta_ext.testing import EmbeddedServer
from tests.pagination.proof import LIMITS, ORDERS, Scene, walk_everything

MODEL = "openai-proxy/gpt-4o-mini"
FULL = os.environ.get("LETTA_STRESS") == "full"


@pytest.mark.stress
@pytest.mark.parametrize("order_relative", [False, True], ids=["chronological", "order-relative"])
def test_walks_of_an_embedded_server_lose_and_repeat_nothing(order_relative: bool) -> None:
    limits = LIMITS if FULL else (2, 5, None)
    with EmbeddedServer() as server, httpx.Client(base_url=server.base_url) as http:
        server.state.order_relative_cursors = order_relative
        figures = walk_everything(server.base_url, http, MODEL, limits=limits, turns=5 if FULL else 2)
    meaning = "order-relative" if order_relative else "chronological"
    print(f"\nPROOF walks, embedded server, {meaning} cursors\n{figures}")
    assert figures.faults == []
    assert len(figures.walks) == 22 * len(limits)


async def test_the_async_client_walks_as_the_sync_one_does(anyio_backend: str) -> None:
    with EmbeddedServer() as server, httpx.Client(base_url=server.base_url) as http:
        client = Letta(base_url=server.base_url)
        scene = Scene(client, http, MODEL, turns=2)
        async with AsyncLetta(base_url=server.base_url) as other:
            for order in ORDERS:
                for _, conversation_id, where in scene.lists():
                    whole = list(client.conversations.messages.list(conversation_id, order=order, limit=2, **where))
                    listed = other.conversations.messages.list(conversation_id, order=order, limit=2, **where)
                    assert [message async for message in listed] == whole != []
                steps = list(client.steps.list(agent_id=scene.agent_id, order=order, limit=2))
                assert [step async for step in other.steps.list(agent_id=scene.agent_id, order=order, limit=2)] == steps
                parts = list(client.steps.messages.list(scene.step_id, order=order, limit=1))
                listed = other.steps.messages.list(scene.step_id, order=order, limit=1, prefetch=True)
                assert [message async for message in listed] == parts != []
        client.close()
