"""Background runs: sequence numbers, `conversations.messages.stream`, and idempotency keys."""

from __future__ import annotations

from typing import Any

import pytest

from letta_api.models import AssistantMessage, LettaPing, UserMessage
from letta_ext import AsyncLetta, RunError

from .reading import assistant_text, collect, kinds, only, stop_reason, take, to_dicts, without_pings, words
from .server_resources import Agent, ServerResources
from .talking import messages

pytestmark = pytest.mark.anyio


def send_arguments(text: str, otid: str) -> dict[str, Any]:
    """Return the arguments of a background send."""
    return {
        "messages": [{"role": "user", "content": text, "otid": otid}],
        "background": True,
        "stream_tokens": True,
    }


def numbers(events: list[Any]) -> list[int]:
    return [event.seq_id for event in events if getattr(event, "seq_id", None) is not None]


async def test_background_events_are_numbered_consecutively(client: AsyncLetta, conversation: str) -> None:
    """The events of a background run have consecutive numbers."""
    async with await client.conversations.messages.create(
        conversation, **send_arguments("LONG 20", conversation), include_pings=True
    ) as stream:
        events = await collect(stream)

    assert isinstance(events[0], LettaPing)
    assert sorted(set(numbers(events))) == list(range(1, 22))
    assert assistant_text(events) == words(20)
    assert (stream.run_id, stream.last_seq_id) == (events[0].run_id, 21)


async def test_stream_by_run_id_replays_whole_run(client: AsyncLetta, conversation: str) -> None:
    """A stream by run id yields the whole run again."""
    async with await client.conversations.messages.create(
        conversation, **send_arguments("LONG 9", conversation)
    ) as stream:
        first = await collect(stream)
    assert stream.run_id is not None

    async with await client.conversations.messages.stream(conversation, run_id=stream.run_id) as again:
        events = await collect(again)

    assert assistant_text(events) == words(9)
    assert to_dicts(without_pings(events)) == to_dicts(without_pings(first))
    assert again.run_id == stream.run_id


async def test_stream_by_otid_replays_whole_run(client: AsyncLetta, conversation: str) -> None:
    """A stream by idempotency key yields the whole run again."""
    async with await client.conversations.messages.create(
        conversation, **send_arguments("LONG 9", conversation)
    ) as stream:
        first = await collect(stream)

    async with await client.conversations.messages.stream(conversation, otid=conversation) as again:
        events = await collect(again)

    assert assistant_text(events) == words(9)
    assert to_dicts(without_pings(events)) == to_dicts(without_pings(first))
    assert again.run_id == stream.run_id


@pytest.mark.parametrize("by", ["run_id", "otid"])
async def test_stream_starting_after_yields_rest_of_run(client: AsyncLetta, conversation: str, by: str) -> None:
    """`starting_after` skips the earlier events."""
    async with await client.conversations.messages.create(
        conversation, **send_arguments("LONG 9", conversation)
    ) as stream:
        first = await collect(stream)
    which: dict[str, Any] = {"run_id": stream.run_id} if by == "run_id" else {"otid": conversation}

    async with await client.conversations.messages.stream(
        conversation, starting_after=5, batch_size=2, poll_interval=0.1, **which
    ) as rest:
        events = await collect(rest)

    assert numbers(events) == [6, 7, 8, 9, 10]
    assert to_dicts(events) == to_dicts(without_pings(first))[4:]


async def test_stream_after_last_number_yields_end_only(client: AsyncLetta, conversation: str) -> None:
    """After the last number, only the unnumbered events are left."""
    async with await client.conversations.messages.create(
        conversation, **send_arguments("LONG 9", conversation)
    ) as stream:
        await collect(stream)
    assert stream.last_seq_id == 10

    async with await client.conversations.messages.stream(
        conversation, otid=conversation, starting_after=stream.last_seq_id
    ) as rest:
        assert kinds(await collect(rest)) == ["stop_reason", "usage_statistics"]


async def test_left_stream_continues_from_last_seq_id(client: AsyncLetta, conversation: str) -> None:
    """A stream that was left continues after its last sequence number."""
    async with await client.conversations.messages.create(
        conversation, **send_arguments("LONG 60", conversation)
    ) as stream:
        received = await take(stream, lambda event: getattr(event, "content", None) == "word9 ")
    assert stream.last_seq_id == 11

    # Without run id and idempotency key, the server uses the active run.
    async with await client.conversations.messages.stream(conversation, starting_after=stream.last_seq_id) as rest:
        missed = await collect(rest)

    assert assistant_text(received) + assistant_text(missed) == words(60)
    assert assistant_text(await messages(client, conversation)) == words(60)
    assert rest.run_id == stream.run_id


async def test_send_with_same_otid_returns_same_run(client: AsyncLetta, conversation: str) -> None:
    """A send with the same idempotency key returns the first run."""
    async with await client.conversations.messages.create(
        conversation, **send_arguments("LONG 9", conversation)
    ) as stream:
        first = await collect(stream)

    async with await client.conversations.messages.create(
        conversation, **send_arguments("LONG 9", conversation)
    ) as again:
        events = await collect(again)

    assert again.run_id == stream.run_id
    assert to_dicts(without_pings(events)) == to_dicts(without_pings(first))
    assert [user.otid for user in only(await messages(client, conversation), UserMessage)] == [conversation]


async def test_background_send_with_input_stores_message_once(client: AsyncLetta, conversation: str) -> None:
    """A background send with `input` stores one message."""
    async with await client.conversations.messages.create(conversation, input="LONG 9", background=True) as stream:
        events = await collect(stream)

    assert assistant_text(events).split() == words(9).split()
    assert numbers(without_pings(events)) == [2]
    assert [user.content for user in only(await messages(client, conversation), UserMessage)] == ["LONG 9"]


async def test_agent_direct_background_stream_continues_after_left_stream(client: AsyncLetta, own_agent: Agent) -> None:
    """Agent-direct mode resumes a background run."""
    direct: dict[str, Any] = {"agent_id": own_agent.id}
    async with await client.conversations.messages.create(
        "default", **direct, **send_arguments("LONG 9", own_agent.id)
    ) as stream:
        received = await take(stream, lambda event: isinstance(event, AssistantMessage))

    async with await client.conversations.messages.stream(
        "default", **direct, otid=own_agent.id, starting_after=stream.last_seq_id
    ) as rest:
        assert assistant_text(received) + assistant_text(await collect(rest)) == words(9)


async def test_cancelled_run_ends_original_and_resumed_stream(
    client: AsyncLetta, conversation: str, resources: ServerResources
) -> None:
    """Both streams end with the stop reason `cancelled`."""
    async with await client.conversations.messages.create(
        conversation, **send_arguments("LONG 500", conversation)
    ) as stream:
        events = []
        async for event in stream:
            events.append(event)
            if len(events) == 3:
                resources.cancel(conversation)
    async with await client.conversations.messages.stream(conversation, otid=conversation) as again:
        resumed = await collect(again)

    assert stop_reason(events) == stop_reason(resumed) == "cancelled"
    assert to_dicts(without_pings(resumed)) == to_dicts(without_pings(events))


async def test_failed_run_raises_same_error_when_resumed(client: AsyncLetta, conversation: str) -> None:
    """A resumed failed run raises the same `RunError`."""
    async with await client.conversations.messages.create(
        conversation, **send_arguments("FAIL 400", conversation)
    ) as stream:
        with pytest.raises(RunError) as failed:
            await collect(stream)
    async with await client.conversations.messages.stream(conversation, otid=conversation) as again:
        with pytest.raises(RunError) as repeated:
            await collect(again)

    assert failed.value.run_id == repeated.value.run_id is not None
    assert (failed.value.error_type, failed.value.detail) == (repeated.value.error_type, repeated.value.detail)
    assert failed.value.error_type == "llm_error"
