"""Helpers for tests of turns."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterable
from typing import Any, Final

import httpx

from letta_ext import RetryPolicy
from letta_ext.testing import EmbeddedServer
from letta_ext.tools import ToolResult

from ..client import helpers
from ..client.helpers import Handler

NO_TLS: Final = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""A context without certificates. Loading them takes longer than a whole turn, and loopback needs none."""

RETRY = RetryPolicy(max_retries=3, initial_delay=0)


class ClientDriver(helpers.ClientDriver):
    """A driver whose clients load no certificates."""

    def client(self, handler: Handler | None = None, **settings: Any) -> Any:
        if handler is None and "http_client" not in settings:
            settings["http_client"] = (httpx.AsyncClient if self.is_async else httpx.Client)(verify=NO_TLS)
            self._to_close.append(settings["http_client"])
        return super().client(handler, **settings)


def begin(
    driver: ClientDriver, server: EmbeddedServer, tools: Iterable[Any] = (), base_url: str = "", **arguments: Any
) -> Any:
    """Return a turn in the conversation of the server."""
    client = driver.client(base_url=base_url or server.base_url, retry=arguments.pop("retry", RETRY))
    return client.conversations.messages.run_tools(server.conversation_id, tools=list(tools), **arguments)


def result(
    driver: ClientDriver, server: EmbeddedServer, tools: Iterable[Any] = (), base_url: str = "", **arguments: Any
) -> ToolResult:
    """Return the result of a turn."""
    turn = begin(driver, server, tools, base_url, **arguments)
    found: ToolResult = driver.run(turn.result())
    return found


def listed(driver: ClientDriver, server: EmbeddedServer) -> list[Any]:
    """Return the messages of the conversation."""
    client = driver.client(base_url=server.base_url)
    return driver.items(client.conversations.messages.list(server.conversation_id, order="asc"))


def kinds(messages: Iterable[Any]) -> list[str]:
    """Return the types of messages."""
    return [message.message_type.removesuffix("_message") for message in messages]


def returns(messages: Iterable[Any]) -> list[tuple[str, Any]]:
    """Return the stored tool returns, in the order of their calls."""
    noted = [
        each for message in messages if message.message_type == "tool_return_message" for each in message.tool_returns
    ]
    return [(each.status, each.tool_return) for each in noted]


class Weather:
    """A tool that records its calls."""

    def __init__(self, respond: Callable[[str], Any] = lambda city: f"sunny in {city}") -> None:
        self.cities: list[str] = []
        self.respond = respond

    def weather(self, city: str) -> Any:
        """Looks up the weather.

        Args:
            city: where
        """
        self.cities.append(city)
        return self.respond(city)
