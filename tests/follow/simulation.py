"""A simulation of a conversation with other writers and its own clock."""

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
    """Return the fields that identify a message."""
    return message.id, message.message_type, message.otid


def text_of(message: Any) -> str:
    """Return the text of a message."""
    return str(getattr(message, "content", "")).strip()


class FollowSimulation:
    """A conversation, a clock, and the actions of other writers.

    Each sleep of the follower advances the clock and runs the next action of `plan`. After the last action the clock
    jumps to the end. `between` is called before each request of the follower.

    Args:
        server: An object with a `base_url`, an `agent_id` and a `conversation_id`.
        driver: The driver of the follower's client.
        plan: The actions.
        direct: Whether to use the default conversation of the agent. Defaults to False.
        base_url: The address for the follower. Defaults to that of the server.

    Attributes:
        now: The time in seconds.
        slept: The durations of the follower's sleeps.
        requests: The methods and paths of the follower's requests.
    """

    def __init__(
        self, server: Any, driver: ClientDriver, *plan: Action, direct: bool = False, base_url: str = ""
    ) -> None:
        self.server = server
        self.driver = driver
        self.plan = list(plan)
        self.between: Callable[[], object] = lambda: None
        self.now = 0.0
        self.slept: list[float] = []
        self.requests: list[str] = []
        self.base_url = base_url or server.base_url
        self.model = "openai-proxy/gpt-4o-mini"
        self.scope: dict[str, Any] = {"agent_id": server.agent_id} if direct else {}
        self.conversation = "default" if direct else server.conversation_id
        self.writer = Letta(base_url=server.base_url, http_client=httpx.Client(verify=NO_TLS))

    def close(self) -> None:
        """Close the connections of the writer."""
        self.writer._transport.http.close()

    def clock(self) -> float:
        """Return the time."""
        return self.now

    def _pass(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds
        if self.plan:
            self.plan.pop(0)(self)
        else:
            self.now += 1e6

    def attempt(self, action: Action) -> None:
        """Run an action, unless the conversation is busy."""
        with suppress(ConflictError):
            action(self)

    def follow(self, **arguments: Any) -> Any:
        """Return a new follower with a new client."""

        async def sleep(seconds: float) -> None:
            self._pass(seconds)

        async def hook(request: httpx.Request) -> None:
            self._before(request)

        hooks: Any = {"request": [hook if self.driver.is_async else self._before]}
        kind: Any = httpx.AsyncClient if self.driver.is_async else httpx.Client
        http = kind(verify=NO_TLS, event_hooks=hooks)
        self.driver._to_close.append(http)
        client = ClientDriver.client(self.driver, base_url=self.base_url, retry=RETRY, http_client=http)
        arguments = {"timeout": 1000.0, "clock": self.clock, **self.scope, **arguments}
        arguments.setdefault("sleep", sleep if self.driver.is_async else self._pass)
        return client.conversations.messages.follow(self.conversation, **arguments)

    def _before(self, request: httpx.Request) -> None:
        self.requests.append(f"{request.method} {request.url.path.rpartition('/')[2]}")
        self.between()

    def settle(self) -> None:
        """Wait until no background run is active."""
        with suppress(BadRequestError):
            while True:
                list(self.writer.conversations.messages.stream(self.conversation, **self.scope))

    def stored_messages(self) -> list[Any]:
        """Return all messages of the server, in its order."""
        return self.writer.conversations.messages.list(self.conversation, order="asc", limit=1000, **self.scope).items

    def stored_identities(self) -> set[tuple[Any, Any, Any]]:
        """Return the identities of all messages of the server."""
        return set(map(identity, self.stored_messages()))


def write(text: str = "hi", **arguments: Any) -> Action:
    """Return an action that sends a message and reads its stream."""

    def action(simulation: FollowSimulation) -> None:
        stream = simulation.writer.conversations.messages.create(
            simulation.conversation, input=text, **simulation.scope, **arguments
        )
        list(stream)

    return action


def write_at_once(simulation: FollowSimulation) -> None:
    """Send a message without streaming."""
    simulation.writer.conversations.messages.create(
        simulation.conversation, input="LONG 2", streaming=False, **simulation.scope
    )


def begin(text: str, **arguments: Any) -> Action:
    """Return an action that starts a background run and disconnects."""

    def action(simulation: FollowSimulation) -> None:
        with simulation.writer.conversations.messages.create(
            simulation.conversation, input=text, background=True, **simulation.scope, **arguments
        ) as stream:
            next(iter(stream))

    return action


def compact(mode: str) -> Action:
    """Return an action that compacts the conversation, unless it is empty."""

    def action(simulation: FollowSimulation) -> None:
        settings: Any = {"mode": mode, "model": simulation.model}
        with suppress(BadRequestError):
            simulation.writer.conversations.messages.compact(
                simulation.conversation, compaction_settings=settings, **simulation.scope
            )

    return action


def nothing(_: FollowSimulation) -> None:
    """Do nothing."""


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


def unless_busy(action: Action) -> Action:
    """Return an action that runs unless the conversation is busy."""
    return lambda simulation: simulation.attempt(action)


class StopAfter:
    """A stop condition that is True after `size` items."""

    def __init__(self, size: int) -> None:
        self.size = size

    def __call__(self, _: Any) -> bool:
        self.size -= 1
        return self.size < 0
