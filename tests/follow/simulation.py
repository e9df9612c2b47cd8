"""A conversation in which others write while somebody follows it, in a time of its own."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

import httpx

from letta_ext import BadRequestError, ConflictError, Letta, RetryPolicy

from ..tools.turns import NO_TLS, ClientDriver

RETRY: Final = RetryPolicy(max_retries=5, initial_delay=0)

Action = Callable[["FollowSimulation"], object]


def identity(message: Any) -> tuple[Any, Any, Any]:
    """What makes a message the same as another."""
    return message.id, message.message_type, message.otid


def text_of(message: Any) -> str:
    """What a message says."""
    return str(getattr(message, "content", "")).strip()


class FollowSimulation:
    """Time, and what others do in it.

    Whenever the follower sleeps, time passes and the next thing of `plan` happens; when all has happened, time leaps to
    the end. Things of `between` happen before the follower's requests.

    Args:
        server: has a `base_url`, an `agent_id` and a `conversation_id`.
        side: the follower's client.
        plan: what happens.
        direct: whether it is the agent's own conversation.
        base_url: where the follower's requests go; by default where the writer's do.

    Attributes:
        now: seconds.
        slept: how long the follower slept, each time.
        requests: the follower's, their methods and paths.
    """

    def __init__(
        self, server: Any, side: ClientDriver, *plan: Action, direct: bool = False, base_url: str = ""
    ) -> None:
        self.server = server
        self.side = side
        self.plan = list(plan)
        self.between: Callable[[], object] = lambda: None
        self.now = 0.0
        self.slept: list[float] = []
        self.requests: list[str] = []
        self.base_url = base_url or server.base_url
        self.model = "openai-proxy/gpt-4o-mini"
        self.where: dict[str, Any] = {"agent_id": server.agent_id} if direct else {}
        self.conversation = "default" if direct else server.conversation_id
        self.writer = Letta(base_url=server.base_url, http_client=httpx.Client(verify=NO_TLS))

    def close(self) -> None:
        """Closes what the writer has open."""
        self.writer._transport.http.close()

    def clock(self) -> float:
        """The time."""
        return self.now

    def _pass(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds
        if self.plan:
            self.plan.pop(0)(self)
        else:
            self.now += 1e6

    def attempt(self, action: Action) -> None:
        """Lets something happen, unless the conversation is busy."""
        with suppress(ConflictError):
            action(self)

    def follow(self, **arguments: Any) -> Any:
        """A new follower, of a client of its own."""

        async def sleep(seconds: float) -> None:
            self._pass(seconds)

        async def hook(request: httpx.Request) -> None:
            self._before(request)

        hooks: Any = {"request": [hook if self.side.is_async else self._before]}
        kind: Any = httpx.AsyncClient if self.side.is_async else httpx.Client
        http = kind(verify=NO_TLS, event_hooks=hooks)
        self.side._to_close.append(http)
        client = ClientDriver.client(self.side, base_url=self.base_url, retry=RETRY, http_client=http)
        arguments = {"timeout": 1000.0, "clock": self.clock, **self.where, **arguments}
        arguments.setdefault("sleep", sleep if self.side.is_async else self._pass)
        return client.conversations.messages.follow(self.conversation, **arguments)

    def _before(self, request: httpx.Request) -> None:
        self.requests.append(f"{request.method} {request.url.path.rpartition('/')[2]}")
        self.between()

    def settle(self) -> None:
        """Waits until no run is active in the background."""
        with suppress(BadRequestError):
            while True:
                list(self.writer.conversations.messages.stream(self.conversation, **self.where))

    def everything(self) -> list[Any]:
        """All that the server has, in its own order."""
        return self.writer.conversations.messages.list(self.conversation, order="asc", limit=1000, **self.where).items

    def said(self) -> set[tuple[Any, Any, Any]]:
        """The identities of all that the server has."""
        return set(map(identity, self.everything()))


def write(text: str = "hi", **arguments: Any) -> Action:
    """Somebody writes, and gets an answer."""

    def action(world: FollowSimulation) -> None:
        stream = world.writer.conversations.messages.create(world.conversation, input=text, **world.where, **arguments)
        list(stream)

    return action


def write_at_once(world: FollowSimulation) -> None:
    """Somebody writes without streaming."""
    world.writer.conversations.messages.create(world.conversation, input="LONG 2", streaming=False, **world.where)


def begin(text: str, **arguments: Any) -> Action:
    """Somebody begins a run in the background, and hangs up."""

    def action(world: FollowSimulation) -> None:
        with world.writer.conversations.messages.create(
            world.conversation, input=text, background=True, **world.where, **arguments
        ) as stream:
            next(iter(stream))

    return action


def compact(mode: str) -> Action:
    """Somebody compacts, if there is anything to compact."""

    def action(world: FollowSimulation) -> None:
        settings: Any = {"mode": mode, "model": world.model}
        with suppress(BadRequestError):
            world.writer.conversations.messages.compact(world.conversation, compaction_settings=settings, **world.where)

    return action


def nothing(_: FollowSimulation) -> None:
    """Nobody does anything."""


ACTIONS: Final[list[Action]] = [
    write("hi"),
    write("LONG 3", stream_tokens=True),
    write("CALL get_time"),
    write("REASON LONG 1"),
    write_at_once,
    begin("CALL get_weather get_time"),
    begin("LONG 20", stream_tokens=True),
    compact("all"),
    compact("sliding_window"),
    nothing,
]


def perhaps(action: Action) -> Action:
    """What does something unless the conversation is busy."""
    return lambda world: world.attempt(action)


class StopAfter:
    """Says that it is enough when so many have come, and one."""

    def __init__(self, size: int) -> None:
        self.size = size

    def __call__(self, _: Any) -> bool:
        self.size -= 1
        return self.size < 0
