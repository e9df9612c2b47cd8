"""The types of the calls that manage agents, conversations and runs. Strict mypy and strict pyright read it."""

from __future__ import annotations

from typing import Any, assert_type

from letta_api import api
from letta_api.models import AgentState, Block, Conversation, HealthResponse, Run, Step, Tool
from letta_ext import (
    AsyncLetta,
    AsyncPage,
    AsyncPaginator,
    AsyncRawResponse,
    AsyncResponseContext,
    Letta,
    RawResponse,
    ResponseContext,
    SyncPage,
)
from letta_ext.types import Message


def resources(client: Letta) -> None:
    assert_type(client.health(timeout=5), HealthResponse)
    assert_type(client.with_raw_response.health(), RawResponse[HealthResponse])
    assert_type(client.with_streaming_response.health(), ResponseContext[HealthResponse])

    agent = client.agents.create(
        name="helper",
        model="openai/gpt-4o-mini",
        memory_blocks=[{"label": "human", "value": "Ann"}],
        secrets={"KEY": "value"},
        tags=["a"],
    )
    assert_type(agent, AgentState)
    assert_type(agent.blocks, list[Block])
    assert_type(agent.tools, list[Tool])
    client.agents.create(model=1)  # type: ignore[arg-type]  # pyright: ignore
    assert_type(client.agents.retrieve(agent.id, include=["agent.blocks"]), AgentState)
    assert_type(client.agents.update(agent.id, description=None), AgentState)
    assert_type(client.agents.list(tags=["a"], order="asc", limit=5), SyncPage[AgentState])
    assert_type(client.agents.messages.cancel(agent.id, run_ids=["run-1"]), dict[str, Any])
    assert_type(client.agents.delete(agent.id), Any)

    conversation = client.conversations.create(agent_id=agent.id, summary="first")
    assert_type(conversation, Conversation)
    client.conversations.create(summary="first")  # type: ignore[call-arg]  # pyright: ignore
    assert_type(client.conversations.retrieve(conversation.id), Conversation)
    assert_type(client.conversations.update(conversation.id, summary="new"), Conversation)
    assert_type(client.conversations.list(agent_id=agent.id, order_by="created_at"), SyncPage[Conversation])
    client.conversations.list(before="conv-1")  # type: ignore[call-arg]  # pyright: ignore
    assert_type(client.conversations.cancel("default", agent_id=agent.id), dict[str, Any])
    assert_type(client.conversations.delete(conversation.id), Any)

    assert_type(client.runs.list(conversation_id=conversation.id, statuses=["completed"]), SyncPage[Run])
    assert_type(client.runs.retrieve("run-1"), Run)
    assert_type(client.runs.cancel("run-1", timeout=5), dict[str, Any])
    assert_type(client.runs.wait("run-1", timeout=5), Run)
    with client.runs.cancelling("run-1", timeout=5) as run_id:
        assert_type(run_id, str)
    with client.runs.cancelling(client.conversations.messages.create(conversation.id, input="Hi")) as stream:
        assert_type(stream.run_id, str | None)
    client.runs.cancelling(1)  # type: ignore[type-var]  # pyright: ignore
    assert_type(client.runs.messages.list("run-1", order="desc"), SyncPage[Message])
    assert_type(client.runs.steps.list("run-1", limit=1), SyncPage[Step])
    assert_type(client.runs.with_raw_response.retrieve("run-1"), RawResponse[Run])


async def resources_async(client: AsyncLetta) -> None:
    assert_type(await client.health(timeout=5), HealthResponse)
    assert_type(await client.with_raw_response.health(), AsyncRawResponse[HealthResponse])

    agent = await client.agents.create(model="openai/gpt-4o-mini")
    assert_type(agent, AgentState)
    assert_type(await client.agents.retrieve(agent.id), AgentState)
    assert_type(await client.agents.update(agent.id, name="new"), AgentState)
    assert_type(client.agents.list(name="new"), AsyncPaginator[AgentState])
    assert_type(await client.agents.list(name="new"), AsyncPage[AgentState])
    assert_type(await client.agents.messages.cancel(agent.id), dict[str, Any])
    assert_type(await client.agents.delete(agent.id), Any)

    conversation = await client.conversations.create(agent_id=agent.id)
    assert_type(conversation, Conversation)
    assert_type(await client.conversations.retrieve(conversation.id), Conversation)
    assert_type(await client.conversations.update(conversation.id, summary=None), Conversation)
    assert_type(client.conversations.list(agent_id=agent.id), AsyncPaginator[Conversation])
    assert_type(await client.conversations.cancel(conversation.id), dict[str, Any])
    assert_type(await client.conversations.delete(conversation.id), Any)

    assert_type(client.runs.list(active=True), AsyncPaginator[Run])
    assert_type(await client.runs.retrieve("run-1"), Run)
    assert_type(await client.runs.cancel("run-1"), dict[str, Any])
    assert_type(await client.runs.wait("run-1"), Run)
    sent = await client.conversations.messages.create(conversation.id, input="Hi")
    async with client.runs.cancelling(sent) as stream:
        assert_type(stream.run_id, str | None)
    assert_type(client.runs.messages.list("run-1"), AsyncPaginator[Message])
    assert_type(client.runs.steps.list("run-1"), AsyncPaginator[Step])
    assert_type(await client.runs.with_raw_response.retrieve("run-1"), AsyncRawResponse[Run])


def endpoints(client: Letta) -> None:
    assert_type(client.call(api.agents.agents_list, limit=1), list[AgentState])
    assert_type(client.call(api.agents.agents_retrieve, "agent-1", include=["agent.blocks"]), AgentState)
    assert_type(client.call(api.agents.agents_retrieve, agent_id="agent-1"), AgentState)
    assert_type(client.call(api.health.health), HealthResponse)
    assert_type(client.with_options(timeout=5).call(api.health.health), HealthResponse)
    assert_type(client.with_raw_response.call(api.health.health), RawResponse[HealthResponse])
    assert_type(client.with_streaming_response.call(api.health.health), ResponseContext[HealthResponse])


async def async_endpoints(client: AsyncLetta) -> None:
    assert_type(await client.call(api.agents.agents_list, limit=1), list[AgentState])
    assert_type(await client.call(api.agents.agents_retrieve, "agent-1"), AgentState)
    assert_type(await client.with_raw_response.call(api.health.health), AsyncRawResponse[HealthResponse])
    assert_type(client.with_streaming_response.call(api.health.health), AsyncResponseContext[HealthResponse])
