"""Runs in the background: their numbers, `conversations.messages.stream`, and otids that make a send repeatable."""

from __future__ import annotations

from typing import Any

import pytest

from letta_api.models import AssistantMessage, LettaPing, UserMessage
from letta_ext import AsyncLetta, RunError

from .reading import collect, kinds, only, plain, said, stop_reason, take, without_pings, words
from .scene import Agent, Scene
from .talking import messages

pytestmark = pytest.mark.anyio


def sending(text: str, otid: str) -> dict[str, Any]:
    """The arguments of a send in the background."""
    return {
        "messages": [{"role": "user", "content": text, "otid": otid}],
        "background": True,
        "stream_tokens": True,
    }


def numbers(events: list[Any]) -> list[int]:
    return [event.seq_id for event in events if getattr(event, "seq_id", None) is not None]


async def test_every_event_has_its_number(client: AsyncLetta, conversation: str) -> None:
    async with await client.conversations.messages.create(
        conversation, **sending("LONG 20", conversation), include_pings=True
    ) as stream:
        events = await collect(stream)

    assert isinstance(events[0], LettaPing)
    assert sorted(set(numbers(events))) == list(range(1, 22))
    assert said(events) == words(20)
    assert (stream.run_id, stream.last_seq_id) == (events[0].run_id, 21)


async def test_a_whole_run_again_by_its_id(client: AsyncLetta, conversation: str) -> None:
    async with await client.conversations.messages.create(conversation, **sending("LONG 9", conversation)) as stream:
        first = await collect(stream)
    assert stream.run_id is not None

    async with await client.conversations.messages.stream(conversation, run_id=stream.run_id) as again:
        events = await collect(again)

    assert said(events) == words(9)
    assert plain(without_pings(events)) == plain(without_pings(first))
    assert again.run_id == stream.run_id


async def test_a_whole_run_again_by_its_otid(client: AsyncLetta, conversation: str) -> None:
    async with await client.conversations.messages.create(conversation, **sending("LONG 9", conversation)) as stream:
        first = await collect(stream)

    async with await client.conversations.messages.stream(conversation, otid=conversation) as again:
        events = await collect(again)

    assert said(events) == words(9)
    assert plain(without_pings(events)) == plain(without_pings(first))
    assert again.run_id == stream.run_id


@pytest.mark.parametrize("by", ["run_id", "otid"])
async def test_the_rest_of_a_run(client: AsyncLetta, conversation: str, by: str) -> None:
    async with await client.conversations.messages.create(conversation, **sending("LONG 9", conversation)) as stream:
        first = await collect(stream)
    which: dict[str, Any] = {"run_id": stream.run_id} if by == "run_id" else {"otid": conversation}

    async with await client.conversations.messages.stream(
        conversation, starting_after=5, batch_size=2, poll_interval=0.1, **which
    ) as rest:
        events = await collect(rest)

    assert numbers(events) == [6, 7, 8, 9, 10]
    assert plain(events) == plain(without_pings(first))[4:]


async def test_behind_the_last_number_only_the_end_is_left(client: AsyncLetta, conversation: str) -> None:
    async with await client.conversations.messages.create(conversation, **sending("LONG 9", conversation)) as stream:
        await collect(stream)
    assert stream.last_seq_id == 10

    async with await client.conversations.messages.stream(
        conversation, otid=conversation, starting_after=stream.last_seq_id
    ) as rest:
        assert kinds(await collect(rest)) == ["stop_reason", "usage_statistics"]


async def test_a_stream_that_was_left_goes_on_where_it_was_left(client: AsyncLetta, conversation: str) -> None:
    async with await client.conversations.messages.create(conversation, **sending("LONG 60", conversation)) as stream:
        heard = await take(stream, lambda event: getattr(event, "content", None) == "word9 ")
    assert stream.last_seq_id == 11

    # Neither run nor otid: the run that is active, which this one still is.
    async with await client.conversations.messages.stream(conversation, starting_after=stream.last_seq_id) as rest:
        missed = await collect(rest)

    assert said(heard) + said(missed) == words(60)
    assert said(await messages(client, conversation)) == words(60)
    assert rest.run_id == stream.run_id


async def test_a_send_with_the_same_otid_is_the_same_run(client: AsyncLetta, conversation: str) -> None:
    async with await client.conversations.messages.create(conversation, **sending("LONG 9", conversation)) as stream:
        first = await collect(stream)

    async with await client.conversations.messages.create(conversation, **sending("LONG 9", conversation)) as again:
        events = await collect(again)

    assert again.run_id == stream.run_id
    assert plain(without_pings(events)) == plain(without_pings(first))
    assert [user.otid for user in only(await messages(client, conversation), UserMessage)] == [conversation]


async def test_an_input_is_sent_in_the_background(client: AsyncLetta, conversation: str) -> None:
    async with await client.conversations.messages.create(conversation, input="LONG 9", background=True) as stream:
        events = await collect(stream)

    assert said(events).split() == words(9).split()
    assert numbers(without_pings(events)) == [2]
    assert [user.content for user in only(await messages(client, conversation), UserMessage)] == ["LONG 9"]


async def test_agent_direct_in_the_background(client: AsyncLetta, own_agent: Agent) -> None:
    direct: dict[str, Any] = {"agent_id": own_agent.id}
    async with await client.conversations.messages.create(
        "default", **direct, **sending("LONG 9", own_agent.id)
    ) as stream:
        heard = await take(stream, lambda event: isinstance(event, AssistantMessage))

    async with await client.conversations.messages.stream(
        "default", **direct, otid=own_agent.id, starting_after=stream.last_seq_id
    ) as rest:
        assert said(heard) + said(await collect(rest)) == words(9)


async def test_a_cancelled_run_ends_its_stream_and_every_resumed_one(
    client: AsyncLetta, conversation: str, scene: Scene
) -> None:
    async with await client.conversations.messages.create(conversation, **sending("LONG 500", conversation)) as stream:
        events = []
        async for event in stream:
            events.append(event)
            if len(events) == 3:
                scene.cancel(conversation)
    async with await client.conversations.messages.stream(conversation, otid=conversation) as again:
        resumed = await collect(again)

    assert stop_reason(events) == stop_reason(resumed) == "cancelled"
    assert plain(without_pings(resumed)) == plain(without_pings(events))


async def test_a_failed_run_fails_again_where_it_is_resumed(client: AsyncLetta, conversation: str) -> None:
    async with await client.conversations.messages.create(conversation, **sending("FAIL 400", conversation)) as stream:
        with pytest.raises(RunError) as failed:
            await collect(stream)
    async with await client.conversations.messages.stream(conversation, otid=conversation) as again:
        with pytest.raises(RunError) as repeated:
            await collect(again)

    assert failed.value.run_id == repeated.value.run_id is not None
    assert (failed.value.error_type, failed.value.detail) == (repeated.value.error_type, repeated.value.detail)
    assert failed.value.error_type == "llm_error"
