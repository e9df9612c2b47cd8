"""Waiting for one's turn where the server says odd things about the run that holds the conversation."""

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
def test_a_run_that_no_address_can_hold_is_not_asked_for(driver: ClientDriver, run_id: str) -> None:
    body = json.dumps({"detail": "currently being processed", "run_id": run_id}).encode()
    client = driver.client(lambda _: httpx.Response(409, content=body))
    with pytest.raises(ConversationBusyError):
        driver.run(client.conversations.messages.create(CONVERSATION, input="hi", when_busy=POLICY))


@pytest.mark.parametrize("run", [None, 7, [], {}, *({"status": status} for status in STATUSES)])
def test_a_run_of_any_form_is_waited_for_no_longer_than_allowed(driver: ClientDriver, run: Any) -> None:
    busy = {"detail": "currently being processed", "run_id": "run-1"}

    def handler(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json=run) if "/runs/" in request.url.path else httpx.Response(409, json=busy)

    create = driver.client(handler).conversations.messages.create
    with pytest.raises(ConversationBusyError):
        driver.run(create(CONVERSATION, input="hi", when_busy=POLICY))
