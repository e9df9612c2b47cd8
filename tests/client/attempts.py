"""Calls that may have reached the server, and checks of what their errors and hook reports state."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable
from typing import Any, Final

import httpx

from letta_ext import APIConnectionError, Hooks, LettaError
from letta_ext._http.errors_from_response import MAY_HAVE_BEEN_PROCESSED
from letta_ext.hooks import AttemptReport

from .helpers import CONVERSATION, NO_DELAY, ClientDriver, recording
from .servers import response

TRUST: Final = ssl.create_default_context()
OK_RESPONSE: Final = response(recording("send_json").content)
PATH: Final = f"/v1/conversations/{CONVERSATION}/messages"
CALLS: dict[str, Callable[[Any], Any]] = {
    "foreground": lambda client: client.conversations.messages.create(CONVERSATION, input="hi"),
    "json": lambda client: client.conversations.messages.create(CONVERSATION, input="hi", streaming=False),
    "compact": lambda client: client.conversations.messages.compact(CONVERSATION),
    "post": lambda client: client.post("/v1/agents/", body={}),
    "patch": lambda client: client.patch("/v1/agents/agent-1", body={}),
}
CLASSES = [httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError, httpx.LocalProtocolError]


def respond_ok(connection: socket.socket, *_: object) -> None:
    connection.sendall(OK_RESPONSE)


def http_client(driver: ClientDriver, **settings: Any) -> Any:
    """Return an httpx client of the driver's kind, closed with the driver."""
    hooks = settings.pop("hooks", {})
    settings.setdefault("verify", TRUST)
    settings["event_hooks"] = {name: [as_coroutine(hook) if driver.is_async else hook] for name, hook in hooks.items()}
    made = httpx.AsyncClient(**settings) if driver.is_async else httpx.Client(**settings)
    driver._to_close.append(made)
    return made


def as_coroutine(function: Callable[..., Any]) -> Callable[..., Any]:
    async def wait(*arguments: Any) -> Any:
        return function(*arguments)

    return wait


def attempt(
    driver: ClientDriver, base_url: str, http: Any = None, call: str = "json", **settings: Any
) -> tuple[Exception | None, list[AttemptReport]]:
    """Make a call; return its exception, if any, and the reports of its attempts."""
    reports: list[AttemptReport] = []
    client = driver.client(
        base_url=base_url,
        retry=NO_DELAY,
        hooks=Hooks(on_attempt=reports.append),
        **({} if http is None else {"http_client": http}),
        **settings,
    )
    try:
        driver.run(CALLS[call](client))
    except (LettaError, httpx.HTTPError) as error:
        return error, reports
    return None, reports


def check_may_have_been_processed(error: Exception | None, reports: list[AttemptReport]) -> None:
    """Check that the request was not retried and that the error states the doubt."""
    assert isinstance(error, APIConnectionError)
    assert error.may_have_been_processed
    assert MAY_HAVE_BEEN_PROCESSED in str(error)
    assert [report.attempt.unsent for report in reports] == [False]


def check_note_on_callers_error(error: Exception | None, reports: list[AttemptReport]) -> None:
    """Check that the caller's own exception is raised with a note that states the doubt."""
    assert isinstance(error, httpx.TransportError)
    assert any(MAY_HAVE_BEEN_PROCESSED in note for note in error.__notes__)
    assert reports == []


def check_retried_as_unsent(error: Exception | None, reports: list[AttemptReport]) -> None:
    """Check that an unsent request was retried and that the error states no doubt."""
    assert isinstance(error, APIConnectionError)
    assert not error.may_have_been_processed
    assert MAY_HAVE_BEEN_PROCESSED not in str(error)
    assert [report.attempt.unsent for report in reports] == [True, True, True]
