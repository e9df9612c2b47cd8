"""What agents, conversations, runs and the health of a server do, as checks for any server and either client."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, Final, Literal
from uuid import uuid4

import pytest

from letta_api.models import AgentState, Conversation
from letta_api.params import CreateBlockParam
from letta_ext import AsyncLetta, BadRequestError, ConflictError, ConversationBusyError, NotFoundError
from letta_ext import UnprocessableEntityError as InvalidError

Check = Callable[[AsyncLetta, str], Awaitable[None]]

COUNT: Final = 7
LIMITS: Final = (1, 3, COUNT - 1, COUNT, 50)
ORDERS: Final[tuple[Literal["asc"], Literal["desc"]]] = ("asc", "desc")
DATES: Final[tuple[Literal["created_at"], Literal["last_run_completion"], Literal["last_message_at"]]] = (
    "created_at",
    "last_run_completion",
    "last_message_at",
)


@asynccontextmanager
async def new_agent(client: AsyncLetta, model: str, **settings: Any) -> AsyncIterator[AgentState]:
    agent = await client.agents.create(model=model, include_base_tools=False, **settings)
    yield agent
    await client.agents.delete(agent.id)


async def ids(items: AsyncIterable[Any]) -> list[str]:
    return [item.id async for item in items]


async def send(client: AsyncLetta, conversation: Conversation, text: str = "hello") -> str:
    """Send a message, read the stream to its end, and return the id of its run."""
    stream = await client.conversations.messages.create(conversation.id, input=text)
    async for _ in stream:
        pass
    assert stream.run_id is not None
    return stream.run_id


async def health(client: AsyncLetta, model: str) -> None:
    """`health` returns the version of the server, also through the raw variants."""
    found = await client.health()
    assert (found.status, bool(found.version)) == ("ok", True)
    raw = await client.with_raw_response.health()
    assert raw.http_response.status_code == 200


async def agents(client: AsyncLetta, model: str) -> None:
    """An agent is created, retrieved, changed and deleted."""
    name = f"agent {uuid4()}"
    blocks: list[CreateBlockParam] = [{"label": "human", "value": "Ann"}]
    agent = await client.agents.create(name=name, model=model, include_base_tools=False, memory_blocks=blocks)
    assert (agent.name, agent.model, [block.value for block in agent.blocks]) == (name, model, ["Ann"])
    found = await client.agents.retrieve(agent.id, include=["agent.blocks"])
    assert (found.name, found.blocks, found.created_at) == (name, agent.blocks, agent.created_at)
    changed = await client.agents.update(agent.id, name=f"{name}!", description="first", metadata={"a": 1})
    assert (changed.name, changed.description, changed.metadata) == (f"{name}!", "first", {"a": 1})
    assert (await client.agents.update(agent.id, description=None)).description == "first"
    assert await ids(client.agents.list(name=f"{name}!")) == [agent.id]
    await client.agents.delete(agent.id)
    for call in (client.agents.retrieve, client.agents.update, client.agents.delete):
        with pytest.raises(NotFoundError):
            await call(agent.id)
    with pytest.raises(BadRequestError, match="Must specify either model"):
        await client.agents.create(name=name)


async def agents_keep_unknown_fields(client: AsyncLetta, model: str) -> None:
    """All that the server sends of an agent is in its JSON form."""
    async with new_agent(client, model) as agent:
        raw = await client.agents.with_raw_response.retrieve(agent.id)
        dates = {"created_at": None, "updated_at": None}  # written with another offset
        assert (await raw.parse()).to_dict() | dates == raw.http_response.json() | dates


async def agent_lists(client: AsyncLetta, model: str) -> None:
    """Agents are listed once each, in both orders, at any limit."""
    tag = str(uuid4())
    made = [await client.agents.create(model=model, include_base_tools=False, tags=[tag]) for _ in range(COUNT)]
    expected = [agent.id for agent in made]
    for limit in LIMITS:
        assert await ids(client.agents.list(tags=[tag], order="asc", limit=limit)) == expected
        assert await ids(client.agents.list(tags=[tag], order="desc", limit=limit)) == expected[::-1]
        updated = client.agents.list(tags=[tag], order="asc", order_by="updated_at", limit=limit)
        assert sorted(await ids(updated)) == sorted(expected)
    assert await ids(client.agents.list(tags=[tag])) == expected[::-1]
    after, before = expected[1], expected[4]
    assert await ids(client.agents.list(tags=[tag], order="asc", after=after, limit=2)) == expected[2:]
    assert await ids(client.agents.list(tags=[tag], order="asc", after=after, before=before)) == expected[2:4]
    for agent in made:
        await client.agents.delete(agent.id)


async def conversations(client: AsyncLetta, model: str) -> None:
    """A conversation is created, retrieved, changed and deleted."""
    async with new_agent(client, model) as agent:
        made = await client.conversations.create(agent_id=agent.id, summary="first")
        assert (made.agent_id, made.summary) == (agent.id, "first")
        assert (await client.conversations.retrieve(made.id)).summary == "first"
        assert (await client.conversations.update(made.id, summary="second")).summary == "second"
        assert (await client.conversations.update(made.id, summary=None)).summary == "second"
        assert await ids(client.conversations.list(agent_id=agent.id, summary_search="sec")) == [made.id]
        assert await client.conversations.delete(made.id) is None
        for call in (client.conversations.retrieve, client.conversations.update, client.conversations.delete):
            with pytest.raises(NotFoundError):
                await call(made.id)
        with pytest.raises(InvalidError):
            await client.conversations.retrieve("default")
    with pytest.raises(NotFoundError):
        await client.conversations.create(agent_id=agent.id)


async def conversation_lists(client: AsyncLetta, model: str) -> None:
    """Conversations are listed once each, at any limit, by dates that some do not have too."""
    async with new_agent(client, model) as agent:
        made = [await client.conversations.create(agent_id=agent.id) for _ in range(COUNT)]
        expected = [conversation.id for conversation in made]
        for number in (5, 1, 3):
            await send(client, made[number])
        for limit in LIMITS:
            for date in DATES:
                for order in ORDERS:
                    listed = client.conversations.list(agent_id=agent.id, order=order, order_by=date, limit=limit)
                    found = await ids(listed)
                    assert sorted(found) == sorted(expected), (date, order, limit)
                    if date == "created_at":
                        assert found == (expected if order == "asc" else expected[::-1])
        after = client.conversations.list(agent_id=agent.id, order="asc", after=expected[2], limit=1)
        assert await ids(after) == expected[3:]


async def runs(client: AsyncLetta, model: str) -> None:
    """A run has its status, messages and steps."""
    async with new_agent(client, model) as agent:
        conversation = await client.conversations.create(agent_id=agent.id)
        run = await client.runs.retrieve(await send(client, conversation))
        assert (run.agent_id, run.conversation_id) == (agent.id, conversation.id)
        assert run.created_at is not None
        for limit in (1, 2, 50):
            found = client.runs.messages.list(run.id, limit=limit)
            assert [type(message).__name__ async for message in found] == ["UserMessage", "AssistantMessage"]
            newest = client.runs.messages.list(run.id, limit=limit, order="desc")
            assert [type(message).__name__ async for message in newest] == ["AssistantMessage", "UserMessage"]
            assert len(await ids(client.runs.steps.list(run.id, limit=limit))) == 1
        assert await ids(client.runs.list(agent_id=agent.id, stop_reason="end_turn")) == [run.id]
        with pytest.raises(BadRequestError):
            await client.runs.list(statuses=["none"])
        with pytest.raises(BadRequestError):
            await client.runs.retrieve("none")
    with pytest.raises(NotFoundError):
        await client.runs.retrieve(run.id)


async def run_lists(client: AsyncLetta, model: str) -> None:
    """Runs are listed once each, in both orders, at any limit, although their cursors run against the order."""
    async with new_agent(client, model) as agent:
        conversation = await client.conversations.create(agent_id=agent.id)
        expected = [await send(client, conversation) for _ in range(COUNT)]
        for limit in (*LIMITS, 999, 1000):
            assert await ids(client.runs.list(agent_id=agent.id, order="asc", limit=limit)) == expected
            assert await ids(client.runs.list(conversation_id=conversation.id, limit=limit)) == expected[::-1]
        page = await client.runs.list(agent_id=agent.id, order="asc", limit=3)
        rest = client.runs.list(checkpoint=page.checkpoint())
        assert await ids(rest) == expected[3:]


async def cancellation(client: AsyncLetta, model: str) -> None:
    """Runs are canceled by their conversation, by their ids with their agent, and each by its id."""
    async with new_agent(client, model) as agent:
        conversation = await client.conversations.create(agent_id=agent.id)
        with pytest.raises(ConflictError, match="No active runs") as caught:
            await client.conversations.cancel(conversation.id)
        assert not isinstance(caught.value, ConversationBusyError)
        with pytest.raises(NotFoundError):
            await client.runs.cancel(f"run-{uuid4()}")
        for way in ("conversation", "agent", "run"):
            create = client.conversations.messages.create
            stream = await create(conversation.id, input="LONG 2000", stream_tokens=True, background=True)
            async for _ in stream:
                match way:
                    case "conversation":
                        found = await client.conversations.cancel(conversation.id)
                    case "agent":
                        found = await client.agents.messages.cancel(agent.id, run_ids=[str(stream.run_id)])
                    case _:
                        found = await client.runs.cancel(str(stream.run_id), timeout=30)
                break
            assert found == {stream.run_id: "cancelled"}
            await stream.close()
            assert (await client.runs.retrieve(str(stream.run_id))).status == "cancelled"


CHECKS: Final[list[Check]] = [
    health,
    agents,
    agents_keep_unknown_fields,
    agent_lists,
    conversations,
    conversation_lists,
    runs,
    run_lists,
    cancellation,
]
