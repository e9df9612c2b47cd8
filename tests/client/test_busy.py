"""Waiting for a busy conversation when the server describes the active run in malformed ways."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from letta_ext import BusyPolicy, ConversationBusyError

from .helpers import CONVERSATION, ClientDriver

POLICY = BusyPolicy(deadline=0.05, initial_delay=0.01)
STATUSES: list[Any] = [None, [], {}, 7, "no", True]


@pytest.mark.parametrize("run_id", ["..", ".", "/", "", "\ud800", "a\x00b", "x" * 70_000])
def test_busy_wait_with_unusable_run_id_raises_busy_error(driver: ClientDriver, run_id: str) -> None:
    """A run id that no URL can contain is not polled, and the wait ends with `ConversationBusyError`."""
    body = json.dumps({"detail": "currently being processed", "run_id": run_id}).encode()
    client = driver.client(lambda _: httpx.Response(409, content=body))
    with pytest.raises(ConversationBusyError):
        driver.run(client.conversations.messages.create(CONVERSATION, input="hi", when_busy=POLICY))


@pytest.mark.parametrize("run", [None, 7, [], {}, *({"status": status} for status in STATUSES)])
def test_busy_wait_with_malformed_run_ends_at_deadline(driver: ClientDriver, run: Any) -> None:
    """A malformed run ends the wait at its deadline."""
    busy = {"detail": "currently being processed", "run_id": "run-1"}

    def handler(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json=run) if "/runs/" in request.url.path else httpx.Response(409, json=busy)

    create = driver.client(handler).conversations.messages.create
    with pytest.raises(ConversationBusyError):
        driver.run(create(CONVERSATION, input="hi", when_busy=POLICY))
