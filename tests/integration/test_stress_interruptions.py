"""Interrupted iterators on the real server: no item is lost or repeated."""

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


def without_pings(events: list[Any]) -> list[Any]:
    """Return the JSON of the events without pings, which depend on time."""
    return [each.to_dict() for each in events if each.to_dict().get("message_type") != "ping"]


def test_background_stream_interrupted_anywhere_yields_each_event_once(address: str, conversation: str) -> None:
    """Each event of the run is yielded once."""
    chance, places = random.Random(SEED), 0
    with Letta(base_url=address, timeout=60) as client:
        messages = client.conversations.messages
        for _ in range(TRIES):
            stream = messages.create(conversation, input="Say hello.", background=True, stream_tokens=True)
            found, fault, seen = interrupted(iter(stream), chance.randrange(max(places, 300)))
            places = max(places, seen)
            assert fault is None
            assert stream.run_id is not None
            assert without_pings(found) == without_pings(list(messages.stream(conversation, run_id=stream.run_id)))
        figure("interrupted, real server, sync background events", f"{TRIES} of {places} places")


def test_async_background_stream_with_time_limits_yields_each_event_once(address: str, conversation: str) -> None:
    """Async version, with expired time limits of many lengths."""
    chance, timeouts = random.Random(SEED), 0

    async def main() -> None:
        nonlocal timeouts
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
                        timeouts += 1
                        limit *= 1.3  # long enough for the server to respond eventually
                    except StopAsyncIteration:
                        break
                assert stream.run_id is not None
                whole = [event async for event in await messages.stream(conversation, run_id=stream.run_id)]
                assert without_pings(found) == without_pings(whole)
        figure("interrupted, real server, async background events", f"{TRIES} streams, {timeouts} time limits passed")

    asyncio.run(main())


def test_list_interrupted_anywhere_yields_each_item_once(address: str, conversation: str) -> None:
    """Each item is yielded once."""
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
        figure("interrupted, real server, sync items", f"{TRIES} of {places} places")
