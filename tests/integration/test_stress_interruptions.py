"""Iterators that are interrupted on the real server: nothing is lost, and nothing comes twice."""

from __future__ import annotations

import asyncio
import random
from typing import Any, Final

import pytest

from letta_ext import AsyncLetta, Letta
from tests.client.interruptions import interrupted
from tests.stress.figures import FULL, SEED, figure

pytestmark = pytest.mark.stress

TRIES: Final = 40 if FULL else 5


def told(events: list[Any]) -> list[Any]:
    """What the events say, without pings, which come when time passes."""
    return [each.to_dict() for each in events if each.to_dict().get("message_type") != "ping"]


def test_background_streams_survive_an_exception_at_any_place(address: str, conversation: str) -> None:
    """Each event that the run has comes once."""
    chance, places = random.Random(SEED), 0
    with Letta(base_url=address, timeout=60) as client:
        messages = client.conversations.messages
        for _ in range(TRIES):
            stream = messages.create(conversation, input="Say hello.", background=True, stream_tokens=True)
            found, fault, seen = interrupted(iter(stream), chance.randrange(max(places, 300)))
            places = max(places, seen)
            assert fault is None
            assert stream.run_id is not None
            assert told(found) == told(list(messages.stream(conversation, run_id=stream.run_id)))
        figure("interrupted, live, sync background events", f"{TRIES} of {places} places")


def test_async_background_streams_survive_time_limits(address: str, conversation: str) -> None:
    """Async version: time limits of all lengths are passed while it waits."""
    chance, beats = random.Random(SEED), 0

    async def main() -> None:
        nonlocal beats
        async with AsyncLetta(base_url=address, timeout=60) as client:
            messages = client.conversations.messages
            for _ in range(TRIES):
                stream = await messages.create(conversation, input="Say hello.", background=True, stream_tokens=True)
                events, found = aiter(stream), list[Any]()
                limit = 0.002
                while True:
                    try:
                        found.append(await asyncio.wait_for(anext(events), chance.uniform(0, limit)))
                    except TimeoutError:
                        beats += 1
                        limit *= 1.3  # the server takes its time, and shall come to answer
                    except StopAsyncIteration:
                        break
                assert stream.run_id is not None
                whole = [event async for event in await messages.stream(conversation, run_id=stream.run_id)]
                assert told(found) == told(whole)
        figure("interrupted, live, async background events", f"{TRIES} streams, {beats} time limits passed")

    asyncio.run(main())


def test_lists_survive_an_exception_at_any_place(address: str, conversation: str) -> None:
    """Each item comes once."""
    chance = random.Random(SEED)
    with Letta(base_url=address, timeout=60) as client:
        messages = client.conversations.messages
        for _ in range(3):
            list(messages.create(conversation, input="Say hello.", background=True))
        whole, _, places = interrupted(iter(messages.list(conversation, order="asc", limit=2)), None)
        for _ in range(TRIES):
            listed = messages.list(conversation, order="asc", limit=2)
            found, fault, _ = interrupted(iter(listed), chance.randrange(places))
            assert fault is None
            assert [each.to_dict() for each in found] == [each.to_dict() for each in whole]
        figure("interrupted, live, sync items", f"{TRIES} of {places} places")
