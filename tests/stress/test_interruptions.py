"""Interrupted iterators continue or keep raising; no item is lost or repeated."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final

import pytest

from letta_ext import AsyncLetta, Letta, LettaError
from letta_ext.testing import EmbeddedServer
from letta_ext.testing.engine.agent import Call, Turn

from ..client.interruptions import async_interrupted, interrupted
from .figures import FULL, figure, sample

pytestmark = [
    pytest.mark.stress,
    # A profile function is also called when a generator is released, where no signal handler runs.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

MAX_PLACES: Final = 100_000 if FULL else 25
"""Places that are tried for each iterator; without LETTA_STRESS=full a sample."""

TEXT: Final = "one two three four five six"


def weather(city: str) -> str:
    """Tell the weather.

    Args:
        city: A city.
    """
    return f"sunny in {city}"


def stream(client: Any, conversation: str, **options: Any) -> Any:
    return client.conversations.messages.create(conversation, input="hi", stream_tokens=True, **options)


def follow(client: Any, conversation: str) -> Any:
    return client.conversations.messages.follow(
        conversation, from_start=True, timeout=0.05, interval=0.01, max_interval=0.01
    )


def turn(client: Any, conversation: str, **options: Any) -> Any:
    return client.conversations.messages.run_tools(conversation, tools=[weather], input="go", **options)


ITERATORS: Final[dict[str, Callable[[Any, str], Any]]] = {
    "background events": lambda client, conversation: stream(client, conversation, background=True),
    "background texts": lambda client, conversation: ("text", stream(client, conversation, background=True)),
    "background messages": lambda client, conversation: ("messages", stream(client, conversation, background=True)),
    "foreground events": stream,
    "foreground messages": lambda client, conversation: ("messages", stream(client, conversation)),
    "items": lambda client, conversation: client.conversations.messages.list(conversation, limit=2, order="asc"),
    "pages": lambda client, conversation: (
        "iter_pages",
        client.conversations.messages.list(conversation, limit=2, order="asc"),
    ),
    "items ahead": lambda client, conversation: client.conversations.messages.list(
        conversation, limit=2, order="asc", prefetch=True
    ),
    "follow": follow,
    "turn": lambda client, conversation: turn(client, conversation, stream_tokens=True),
    "turn messages": lambda client, conversation: ("messages", turn(client, conversation)),
    "foreground turn": lambda client, conversation: ("messages", turn(client, conversation, background=False)),
}
READ_ONLY: Final = ("items", "pages", "items ahead", "follow")
NOT_RESUMABLE: Final = ("foreground events", "foreground messages", "foreground turn")
"""Iterators that cannot be resumed and raise on each further `next`."""


def prepare(server: EmbeddedServer, client: Any) -> str:
    """Return a conversation whose agent responds the same each time."""
    if not server.state.script.rules:
        server.state.script.when("go", Turn(calls=[Call("weather", {"city": "Rome"})]), Turn(text=TEXT))
        server.state.script.when("hi", Turn(text=TEXT))
    return new_conversation(client)


def new_conversation(client: Any) -> str:
    """Return the id of a new conversation."""
    made: Any = client.post("/v1/conversations/", query={"agent_id": AGENT_IDS[0]}, body={})
    found: str = made["id"]
    return found


AGENT_IDS: Final[list[str]] = []


def comparable(item: Any) -> Any:
    """Return the content of an item without the fields that differ between runs."""
    if isinstance(item, str):
        return item
    if hasattr(item, "items"):
        return [comparable(each) for each in item.items]
    fields = item.to_dict()
    kind = fields.get("message_type")
    kept = ("content", "reasoning", "tool_return", "stop_reason", "seq_id", "arguments")
    # A tool that was interrupted is not run again.
    return kind, str({name: fields[name] for name in kept if name in fields and name != "tool_return"})


def without_pings(items: list[Any]) -> list[Any]:
    return [each for each in map(comparable, items) if not (isinstance(each, tuple) and each[0] == "ping")]


@pytest.mark.parametrize("kind", ITERATORS)
def test_sync_iterator_interrupted_anywhere_loses_no_item(kind: str, server: EmbeddedServer) -> None:
    """A resumable iterator yields the same items; another yields those before the exception and keeps raising."""
    AGENT_IDS[:] = [server.agent_id]
    with Letta(base_url=server.base_url) as client:
        conversation = prepare(server, client)
        if kind in READ_ONLY:
            for _ in range(3):
                list(stream(client, conversation))

        def run(place: int | None) -> tuple[list[Any], BaseException | None, int]:
            target = conversation if kind in READ_ONLY else prepare(server, client)
            iterable = ITERATORS[kind](client, target)
            iterator = getattr(iterable[1], iterable[0])() if isinstance(iterable, tuple) else iter(iterable)
            items, fault, places = interrupted(iter(iterator), place)
            return without_pings(items), fault, places

        run(None)  # loads modules on demand
        expected, _, places = run(None)
        assert expected
        tried = sample(range(places), MAX_PLACES)
        failed = 0
        for place in tried:
            found, fault, _ = run(place)
            failed += fault is not None
            if kind not in NOT_RESUMABLE:
                assert (found, fault) == (expected, None), place
            elif fault is None:
                assert found == expected, place
            else:
                assert isinstance(fault, LettaError)
                assert found == expected[: len(found)], place
        figure(f"interrupted, sync {kind}", f"{len(tried)} of {places} places, {failed} not resumed")


@pytest.mark.parametrize("kind", ITERATORS)
def test_async_iterator_cancelled_anywhere_loses_no_item(kind: str, server: EmbeddedServer) -> None:
    """Async version, cancelled at each await as by `asyncio.wait_for`."""
    AGENT_IDS[:] = [server.agent_id]
    with Letta(base_url=server.base_url) as plain:
        conversation = prepare(server, plain)
        if kind in READ_ONLY:
            for _ in range(3):
                list(stream(plain, conversation))

        async def run(client: AsyncLetta, place: int | None) -> tuple[list[Any], BaseException | None, int]:
            target = conversation if kind in READ_ONLY else prepare(server, plain)
            iterable = ITERATORS[kind](client, target)
            name, iterable = iterable if isinstance(iterable, tuple) else (None, iterable)
            if hasattr(iterable, "__await__") and not hasattr(iterable, "__aiter__"):
                iterable = await iterable
            iterator = getattr(iterable, name)() if name else iterable
            items, fault, places = await async_interrupted(aiter(iterator), place)
            return without_pings(items), fault, places

        async def main() -> None:
            async with AsyncLetta(base_url=server.base_url) as client:
                await run(client, None)
                expected, _, places = await run(client, None)
                assert expected
                tried = sample(range(places), MAX_PLACES)
                failed = 0
                for place in tried:
                    found, fault, _ = await run(client, place)
                    failed += fault is not None
                    if kind not in NOT_RESUMABLE:
                        assert (found, fault) == (expected, None), place
                    elif fault is None:
                        assert found == expected, place
                    else:
                        assert isinstance(fault, LettaError)
                        assert found == expected[: len(found)], place
                figure(f"interrupted, async {kind}", f"{len(tried)} of {places} waits, {failed} not resumed")

        asyncio.run(main())
