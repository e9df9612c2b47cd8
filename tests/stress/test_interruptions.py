"""An iterator that is interrupted, anywhere, goes on or keeps failing; no item is lost or comes twice."""

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
    # A profile function is also called where a generator is released. No signal handler runs there, nothing is lost.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

PLACES: Final = 100_000 if FULL else 25
"""How many places of each kind are tried, without LETTA_STRESS=full a sample."""

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


WAYS: Final[dict[str, Callable[[Any, str], Any]]] = {
    "background events": lambda client, at: stream(client, at, background=True),
    "background texts": lambda client, at: ("text", stream(client, at, background=True)),
    "background messages": lambda client, at: ("messages", stream(client, at, background=True)),
    "foreground events": stream,
    "foreground messages": lambda client, at: ("messages", stream(client, at)),
    "items": lambda client, at: client.conversations.messages.list(at, limit=2, order="asc"),
    "pages": lambda client, at: ("iter_pages", client.conversations.messages.list(at, limit=2, order="asc")),
    "items ahead": lambda client, at: client.conversations.messages.list(at, limit=2, order="asc", prefetch=True),
    "follow": follow,
    "turn": lambda client, at: turn(client, at, stream_tokens=True),
    "turn messages": lambda client, at: ("messages", turn(client, at)),
    "foreground turn": lambda client, at: ("messages", turn(client, at, background=False)),
}
READS: Final = ("items", "pages", "items ahead", "follow")
MAY_FAIL: Final = ("foreground events", "foreground messages", "foreground turn")
"""What cannot be resumed: it is interrupted then, and says so again and again."""


def prepare(server: EmbeddedServer, client: Any) -> str:
    """Return a conversation whose agent answers the same each time."""
    if not server.state.script.rules:
        server.state.script.when("go", Turn(calls=[Call("weather", {"city": "Rome"})]), Turn(text=TEXT))
        server.state.script.when("hi", Turn(text=TEXT))
    return fresh(client)


def fresh(client: Any) -> str:
    """Return a new conversation."""
    made: Any = client.post("/v1/conversations/", query={"agent_id": AGENT[0]}, body={})
    found: str = made["id"]
    return found


AGENT: Final[list[str]] = []


def shown(item: Any) -> Any:
    """What an item is, apart from what differs between two runs of the same script."""
    if isinstance(item, str):
        return item
    if hasattr(item, "items"):
        return [shown(each) for each in item.items]
    fields = item.to_dict()
    kind = fields.get("message_type")
    kept = ("content", "reasoning", "tool_return", "stop_reason", "seq_id", "arguments")
    # A tool that was interrupted itself is not run again.
    return kind, str({name: fields[name] for name in kept if name in fields and name != "tool_return"})


def without_pings(items: list[Any]) -> list[Any]:
    return [each for each in map(shown, items) if not (isinstance(each, tuple) and each[0] == "ping")]


@pytest.mark.parametrize("way", WAYS)
def test_sync_iterators_survive_an_exception_at_any_place(way: str, server: EmbeddedServer) -> None:
    """They hand over the same items as without it, or those ahead of it and then fail again and again."""
    AGENT[:] = [server.agent_id]
    with Letta(base_url=server.base_url) as client:
        at = prepare(server, client)
        if way in READS:
            for _ in range(3):
                list(stream(client, at))

        def run(place: int | None) -> tuple[list[Any], BaseException | None, int]:
            where = at if way in READS else prepare(server, client)
            things = WAYS[way](client, where)
            iterator = getattr(things[1], things[0])() if isinstance(things, tuple) else iter(things)
            items, fault, places = interrupted(iter(iterator), place)
            return without_pings(items), fault, places

        run(None)  # what is loaded on demand is loaded
        expected, _, places = run(None)
        assert expected
        tried = sample(range(places), PLACES)
        failed = 0
        for place in tried:
            found, fault, _ = run(place)
            failed += fault is not None
            if way not in MAY_FAIL:
                assert (found, fault) == (expected, None), place
            elif fault is None:
                assert found == expected, place
            else:
                assert isinstance(fault, LettaError)
                assert found == expected[: len(found)], place
        figure(f"interrupted, sync {way}", f"{len(tried)} of {places} places, {failed} interrupted for good")


@pytest.mark.parametrize("way", WAYS)
def test_async_iterators_survive_cancellation_at_any_place(way: str, server: EmbeddedServer) -> None:
    """Async version: cancelled where they wait, as `asyncio.wait_for` does."""
    AGENT[:] = [server.agent_id]
    with Letta(base_url=server.base_url) as plain:
        at = prepare(server, plain)
        if way in READS:
            for _ in range(3):
                list(stream(plain, at))

        async def run(client: AsyncLetta, place: int | None) -> tuple[list[Any], BaseException | None, int]:
            where = at if way in READS else prepare(server, plain)
            things = WAYS[way](client, where)
            name, things = things if isinstance(things, tuple) else (None, things)
            if hasattr(things, "__await__") and not hasattr(things, "__aiter__"):
                things = await things
            iterator = getattr(things, name)() if name else things
            items, fault, places = await async_interrupted(aiter(iterator), place)
            return without_pings(items), fault, places

        async def main() -> None:
            async with AsyncLetta(base_url=server.base_url) as client:
                await run(client, None)
                expected, _, places = await run(client, None)
                assert expected
                tried = sample(range(places), PLACES)
                failed = 0
                for place in tried:
                    found, fault, _ = await run(client, place)
                    failed += fault is not None
                    if way not in MAY_FAIL:
                        assert (found, fault) == (expected, None), place
                    elif fault is None:
                        assert found == expected, place
                    else:
                        assert isinstance(fault, LettaError)
                        assert found == expected[: len(found)], place
                figure(f"interrupted, async {way}", f"{len(tried)} of {places} waits, {failed} interrupted for good")

        asyncio.run(main())
