"""Followers of servers that report nothing new, send messages without ids, or get broken cursors."""

from __future__ import annotations

import copy
import json
import math
import random
import time
from collections.abc import Callable
from typing import Any, Final

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from letta_ext import ListChangedError

from ..client.helpers import CONVERSATION, EVENTS, NO_RETRIES, ClientDriver, sse
from .mutating import Mutator, at, places
from .playing import Time
from .test_lists import JSON, message

OTHER: Final = "conv-11111111-1111-4111-8111-111111111111"
AGENT: Final = "agent-11111111-1111-4111-8111-111111111111"
GOOD: Final[dict[str, Any]] = {
    "version": 1,
    "of": CONVERSATION,
    "anchor": "message-1",
    "date": "2026-01-01T00:00:00+00:00",
    "recent": ["message-0", "message-1"],
    "head": "message-0",
    "part": [["message-2", "reasoning_message", None]],
}


class Conversation:
    """A server with one conversation.

    Args:
        events: The stream of its active run. None without an active run.
        items: The items of its list.
        context: The ids in its context window. None if the server does not report them.
    """

    def __init__(self, events: bytes | None, items: list[Any], context: list[Any] | None = None) -> None:
        self.events = events
        self.items = items
        self.context = context
        self.requests: list[str] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        name = request.url.path.rpartition("/")[2]
        self.requests.append(name)
        if name == "stream":
            return (
                httpx.Response(400) if self.events is None else httpx.Response(200, headers=EVENTS, content=self.events)
            )
        if name == "messages":
            return httpx.Response(200, content=json.dumps(self.items))
        if self.context is None:
            return httpx.Response(404, json={"detail": "Not Found"})
        return httpx.Response(200, content=json.dumps({"in_context_message_ids": self.context}))


def follow_conversation(
    driver: ClientDriver, server: Callable[[httpx.Request], httpx.Response], virtual: Time, **arguments: Any
) -> Any:
    def sleep(seconds: float) -> None:
        virtual.sleep(seconds)

    async def sleep_async(seconds: float) -> None:
        virtual.sleep(seconds)

    settings = {
        "timeout": 100.0,
        "clock": virtual.clock,
        "sleep": sleep_async if driver.is_async else sleep,
        **arguments,
    }
    return driver.client(server, retry=NO_RETRIES).conversations.messages.follow(CONVERSATION, **settings)


# Requests

ONE: Final = sse({"message_type": "ping", "id": "ping-1", "run_id": "run-1", "seq_id": 1})
DONE: Final = b"data: [DONE]\n\n"
STREAMS: Final = {
    "a ping": ONE + DONE,
    "many pings": ONE * 500 + DONE,
    "a message that is not listed": sse(message("message-9"), {"message_type": "stop_reason", "stop_reason": "x"})
    + DONE,
    "many messages that are not listed": sse(*(message(f"message-{n}") for n in range(300))) + DONE,
    "many unknown events": sse(*({"message_type": "newer", "id": f"x-{n}"} for n in range(300))) + DONE,
    "nothing": DONE,
    "half an event": ONE + b"data: {",
}


@pytest.mark.parametrize("events", STREAMS.values(), ids=STREAMS)
@pytest.mark.parametrize("context", [None, []])
def test_follow_of_run_without_new_messages_backs_off(
    driver: ClientDriver, events: bytes, context: list[Any] | None
) -> None:
    """The follower backs off while there is nothing new."""
    server, virtual = Conversation(events, [], context), Time()
    assert driver.items(follow_conversation(driver, server, virtual)) == []
    assert 5 < len(server.requests) < 100
    assert virtual.now >= 100


def test_follow_yields_new_message_of_run_without_pause(driver: ClientDriver) -> None:
    """A new message of the run is yielded without a pause."""
    server, virtual = Conversation(None, [message("message-0")], ["message-0"]), Time()

    def respond(request: httpx.Request) -> httpx.Response:
        response = server(request)
        if server.requests[-1] == "stream":
            server.items.append(message("message-1"))
            server.context = ["message-0", "message-1"]
            return httpx.Response(200, headers=EVENTS, content=sse(message("message-1")) + DONE)
        return response

    follow = follow_conversation(driver, respond, virtual, from_start=True, until=lambda found: found.id == "message-1")
    assert [found.id for found in driver.items(follow)] == ["message-0", "message-1"]
    assert virtual.now == 0


# Messages without ids


@pytest.mark.parametrize("id", [None, "", [], {}, 7, "\ud800"])
def test_follow_yields_messages_without_ids_once(driver: ClientDriver, id: Any) -> None:
    """A message that cannot be a cursor is identified by its content."""
    server = Conversation(None, [message(id, n=n) for n in range(3)])
    virtual = Time()
    follow = follow_conversation(driver, server, virtual, from_start=True)
    found, fault = driver.drain(follow)
    assert fault is None or isinstance(fault, ListChangedError)
    assert [each.extra_fields["n"] for each in found] == [0, 1, 2]


# Arguments


@pytest.mark.parametrize(
    ("arguments", "kind"),
    [
        ({"after": ""}, ValueError),
        ({"after": "\ud800"}, ValueError),
        ({"after": "x" * 5000}, ValueError),
        ({"after": []}, TypeError),
        ({"from_start": 1}, TypeError),
        ({"interval": math.inf, "max_interval": math.inf}, ValueError),
        ({"interval": math.nan}, ValueError),
        ({"interval": 1e300, "max_interval": 1e301}, ValueError),
        ({"max_interval": 10**400}, ValueError),
        ({"timeout": 10**400}, ValueError),
        ({"timeout": math.inf}, ValueError),
        ({"timeout": True}, TypeError),
        ({"clock": 3}, TypeError),
        ({"sleep": 3}, TypeError),
        ({"until": "x"}, TypeError),
    ],
    ids=repr,
)
def test_follow_with_invalid_argument_raises_naming_it(
    driver: ClientDriver, arguments: dict[str, Any], kind: type
) -> None:
    """An unusable argument is rejected by name when the follower is made."""
    server = Conversation(None, [])
    with pytest.raises(kind, match=next(iter(arguments)).removeprefix("max_")):
        driver.client(server).conversations.messages.follow(CONVERSATION, **arguments)
    assert server.requests == []


def test_follow_with_async_function_in_sync_place_raises_type_error(driver: ClientDriver) -> None:
    """An async `until` would always be true; an async `sleep` would not sleep."""

    async def later(_: Any) -> bool:
        return False

    follow = driver.client(Conversation(None, [])).conversations.messages.follow
    with pytest.raises(TypeError, match="until must be a function that is not async"):
        follow(CONVERSATION, until=later)
    with pytest.raises(TypeError, match="sleep must be"):
        follow(CONVERSATION, sleep=time.sleep if driver.is_async else later)


# Cursors


@pytest.mark.parametrize("conversation", [OTHER, "default"])
def test_follow_with_cursor_of_other_conversation_raises_value_error(driver: ClientDriver, conversation: str) -> None:
    """A cursor belongs to one conversation."""
    follow = driver.client(Conversation(None, [])).conversations.messages.follow
    agent = {"agent_id": AGENT} if conversation == "default" else {}
    cursor = json.loads(json.dumps(follow(CONVERSATION).cursor))
    assert follow(CONVERSATION, after=cursor).cursor == cursor
    with pytest.raises(ValueError, match=f"after must be a cursor of {agent.get('agent_id', OTHER)}, got one of"):
        follow(conversation, after=cursor, **agent)


def test_follow_cursor_of_default_conversation_equals_cursor_of_agent(driver: ClientDriver) -> None:
    """`"default"` of an agent and the agent's id are one conversation."""
    follow = driver.client(Conversation(None, [])).conversations.messages.follow
    cursor = follow("default", agent_id=AGENT).cursor
    assert follow(AGENT, after=cursor).cursor == cursor


@pytest.mark.parametrize("name", GOOD)
@pytest.mark.parametrize("value", [..., None, 7, True, "yesterday", "\ud800", [None], [[]], {}, [["a"]], "2026-01-01"])
def test_follow_cursor_with_odd_value_is_rejected_by_name_or_accepted(name: str, value: Any) -> None:
    """A value that a cursor cannot have raises a `ValueError` that names the argument."""
    cursor = {key: item for key, item in GOOD.items() if key != name}
    if value is not ...:
        cursor[name] = value
    driver = ClientDriver(is_async=False)
    server = Conversation(None, [])
    try:
        follow = follow_conversation(driver, server, Time(), after=cursor)
    except ValueError as fault:
        assert str(fault).startswith("after must be")  # noqa: PT017  # some values are valid
        assert server.requests == []
    else:
        assert name in ("anchor", "date", "head", "recent", "part")
        raised = driver.drain(follow)[1]
        assert raised is None or isinstance(raised, ListChangedError)
    finally:
        driver.close()


@settings(max_examples=200, deadline=None)
@given(place=st.integers(0, 10_000), value=JSON, drop=st.booleans(), is_async=st.booleans())
def test_follow_cursor_with_changed_value_is_rejected_by_name_or_accepted(
    place: int, value: Any, drop: bool, is_async: bool
) -> None:
    """A cursor with a value replaced or dropped is rejected by name, or can be followed."""
    cursor = copy.deepcopy(GOOD)
    paths = list(places(cursor))
    path = paths[place % len(paths)]
    if drop:
        del at(cursor, path[:-1])[path[-1]]
    else:
        at(cursor, path[:-1])[path[-1]] = value
    check_cursor(cursor, is_async=is_async)


@pytest.mark.parametrize("seed", range(100))
def test_follow_with_mutated_cursor_raises_no_other_error(seed: int) -> None:
    """Mutated cursors raise the same errors."""
    check_cursor(Mutator(random.Random(seed)).value(GOOD), is_async=seed % 2 == 1)


def check_cursor(cursor: Any, *, is_async: bool) -> None:
    driver = ClientDriver(is_async=is_async)
    server = Conversation(None, [message(f"message-{n}") for n in range(4)], [f"message-{n}" for n in range(4)])
    try:
        _, fault = driver.drain(follow_conversation(driver, server, Time(), after=cursor))
        assert fault is None or isinstance(fault, ListChangedError)
    except (TypeError, ValueError) as fault:
        assert "after" in str(fault)  # noqa: PT017  # some values look valid
        assert server.requests == []
    finally:
        driver.close()
