"""The published client, letta-client, works with the embedded server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, Callable, Iterator
from typing import Any

import pytest
from letta_client import APIStatusError, AsyncLetta, ConflictError, Letta, NotFoundError

from letta_ext.testing import EmbeddedServer, Fault, Respond

UNKNOWN_STEP = "step-00000000-0000-4000-8000-000000000000"
OPERATIONS = {
    ("POST", "/v1/conversations/{conversation}/messages"),
    ("POST", "/v1/conversations/{conversation}/stream"),
    ("POST", "/v1/conversations/{conversation}/compact"),
    ("GET", "/v1/conversations/{conversation}/messages"),
    ("GET", "/v1/steps/"),
    ("GET", "/v1/steps/{step}"),
    ("GET", "/v1/steps/{step}/metrics"),
    ("GET", "/v1/steps/{step}/trace"),
    ("GET", "/v1/steps/{step}/messages"),
    ("PATCH", "/v1/steps/{step}/feedback"),
}


def requested_operations(server: EmbeddedServer, step_id: str) -> set[tuple[str, str]]:
    """Return the requested operations, with placeholders for ids."""
    named = {server.conversation_id: "{conversation}", step_id: "{step}"}

    def path(given: str) -> str:
        for found, name in named.items():
            given = given.replace(found, name)
        return given

    return {(request.method, path(request.path)) for request in server.requests}


@pytest.fixture
def client(letta_server: EmbeddedServer) -> Iterator[Letta]:
    with Letta(base_url=letta_server.base_url, api_key="k") as client:
        yield client


def test_sync_methods_reach_all_operations(letta_server: EmbeddedServer, client: Letta) -> None:
    """letta-client's methods work for all ten operations."""
    conversation = letta_server.conversation_id
    messages = client.conversations.messages

    events = list(messages.create(conversation, input="hello", background=True, stream_tokens=True))
    assert [event.message_type for event in events[-2:]] == ["stop_reason", "usage_statistics"]
    text = "".join(str(event.content) for event in events if event.message_type == "assistant_message")
    assert text == "Hello! How can I help you? "
    run_id = next(event.run_id for event in events if event.message_type == "assistant_message")
    assert list(messages.stream(conversation, run_id=run_id, starting_after=3)) == events[3:]

    listed = messages.list(conversation, order="asc").items
    assert [message.message_type for message in listed] == ["system_message", "user_message", "assistant_message"]

    steps = client.steps.list(agent_id=letta_server.agent_id).items
    assert [step.status for step in steps] == ["success"]
    step_id = steps[0].id
    assert client.steps.retrieve(step_id) == steps[0]
    assert client.steps.metrics.retrieve(step_id).id == step_id
    trace = client.steps.trace.retrieve(step_id)
    assert trace is not None
    assert trace.step_id == step_id
    assert client.steps.feedback.create(step_id, feedback="positive").feedback == "positive"
    step_messages = client.steps.messages.list(step_id, order="asc").items
    assert [message.message_type for message in step_messages] == ["user_message", "reasoning_message"]

    compaction = messages.compact(conversation, compaction_settings={"mode": "all", "model": "openai/gpt-4o-mini"})
    assert (compaction.num_messages_before, compaction.num_messages_after) == (3, 2)
    assert requested_operations(letta_server, step_id) == OPERATIONS


def test_async_methods_reach_all_operations(letta_server: EmbeddedServer) -> None:
    """Async version of the previous test."""

    async def collected(items: AsyncIterable[Any]) -> list[Any]:
        return [item async for item in items]

    async def use_all_operations() -> str:
        conversation = letta_server.conversation_id
        async with AsyncLetta(base_url=letta_server.base_url, api_key="k") as client:
            messages = client.conversations.messages
            events = await collected(await messages.create(conversation, input="hello", background=True))
            run_id = events[0].run_id
            resumed = await collected(await messages.stream(conversation, run_id=run_id, starting_after=1))
            assert resumed == events[1:]
            assert len(await collected(messages.list(conversation, order="asc"))) == 3
            step_id: str = (await client.steps.list(agent_id=letta_server.agent_id)).items[0].id
            assert (await client.steps.retrieve(step_id)).id == step_id
            assert (await client.steps.metrics.retrieve(step_id)).id == step_id
            assert (await client.steps.trace.retrieve(step_id)) is not None
            assert (await client.steps.feedback.create(step_id, feedback="negative")).feedback == "negative"
            assert len(await collected(client.steps.messages.list(step_id))) == 2
            settings = {"mode": "all", "model": "openai/gpt-4o-mini"}
            assert (await messages.compact(conversation, compaction_settings=settings)).num_messages_after == 2  # type: ignore[arg-type]  # a plain dict will do
            return step_id

    assert requested_operations(letta_server, asyncio.run(use_all_operations())) == OPERATIONS


@pytest.mark.parametrize(
    ("call", "error", "faults"),
    [
        (lambda client, _: client.steps.retrieve(UNKNOWN_STEP), NotFoundError, {}),
        (
            lambda client, whom: list(client.conversations.messages.create(whom, input="x")),
            ConflictError,
            {"conversations.messages.create": Respond(409)},
        ),
        (lambda client, _: client.steps.list(), APIStatusError, {"steps.list": Respond(503)}),
    ],
)
def test_error_response_raises_error_of_client(
    letta_server: EmbeddedServer,
    call: Callable[[Letta, str], object],
    error: type[APIStatusError],
    faults: dict[str, Fault],
) -> None:
    """Error responses raise letta-client's exceptions."""
    for operation, fault in faults.items():
        letta_server.faults.add(fault, on=operation)
    with Letta(base_url=letta_server.base_url, api_key="k", max_retries=0) as client, pytest.raises(error):
        call(client, letta_server.conversation_id)
