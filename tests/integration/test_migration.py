"""What a program that moves from letta-client relies on, with both clients on a real server."""

from __future__ import annotations

import letta_client
import pytest

from letta_ext import AsyncLetta

from .server_resources import Agent

pytestmark = pytest.mark.anyio


async def test_default_conversation_is_that_of_the_agent(client: AsyncLetta, address: str, own_agent: Agent) -> None:
    """The methods that replace those of `agents.messages` send to and list the same messages."""
    messages = client.conversations.messages
    sent = await messages.create("default", agent_id=own_agent.id, input="hello", streaming=False)
    listed = [message.id async for message in messages.list("default", agent_id=own_agent.id, order="asc")]
    with letta_client.Letta(base_url=address, api_key="k") as published:
        found = published.agents.messages.list(own_agent.id, order="asc").items
    assert listed == [message.id for message in found]
    assert listed[-1] == sent.messages[-1].id


async def test_agent_has_its_blocks_without_include(client: AsyncLetta, address: str, model: str) -> None:
    """letta-client receives the blocks of an agent only if `include` names them, this client in any case."""
    agent = await client.agents.create(model=model, memory_blocks=[{"label": "human", "value": "Ann"}])
    try:
        with letta_client.Letta(base_url=address, api_key="k") as published:
            assert published.agents.retrieve(agent.id).blocks == []
            found = published.agents.retrieve(agent.id, include=["agent.blocks"]).blocks
        for again in (
            await client.agents.retrieve(agent.id),
            await client.agents.retrieve(agent.id, include=["agent.blocks"]),
        ):
            assert [block.value for block in again.blocks] == [block.value for block in found] == ["Ann"]
        assert (await client.agents.retrieve(agent.id, include=["agent.tags"])).blocks == []
    finally:
        await client.agents.delete(agent.id)
