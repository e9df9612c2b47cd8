"""The requests for the pages of a list, of which those after the first are copies of earlier ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from .helpers import ClientDriver

IDS = [f"step-{number:08}-0000-4000-8000-000000000000" for number in range(30)]


class StepServer:
    """A handler that serves a list of steps and records the requests.

    Attributes:
        on_request: Called with the number of each request, from 1.
    """

    def __init__(self) -> None:
        self.requests: list[httpx.Request] = []
        self.on_request: Callable[[int], object] = lambda _: None

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        self.on_request(len(self.requests))
        after, limit = request.url.params.get("after"), int(request.url.params.get_list("limit")[0])
        begin = IDS.index(after) + 1 if after else 0
        return httpx.Response(200, json=[{"id": each} for each in IDS[begin : begin + limit]])


@pytest.mark.parametrize(
    "arguments",
    [
        {"limit": 4},
        {"limit": 7, "order": "asc", "agent_id": "agent-1", "timeout": 5.0},
        {"limit": 4, "tags": ["a", "b"], "extra_query": {"x": "é"}, "max_retries": 1},
        {"limit": 4, "has_feedback": True, "trace_ids": None, "extra_headers": {"x-mine": "1"}},
    ],
)
def test_request_of_each_page_equals_that_of_a_separate_call(driver: ClientDriver, arguments: dict[str, Any]) -> None:
    """A request of an iteration has the URL and the headers of a call with the same cursor and limit."""
    server = StepServer()
    client = driver.client(server)
    assert [step.id for step in driver.items(client.steps.list(**arguments))] == IDS
    of_pages = list(server.requests)
    assert len(of_pages) > len(IDS) // arguments["limit"]
    for request in of_pages:
        params = request.url.params
        cursor = {"after": params["after"]} if "after" in params else {}
        driver.run(client.steps.list(**{**arguments, **cursor, "limit": int(params["limit"])}))
        assert server.requests[-1].url == request.url
        assert server.requests[-1].headers == request.headers
        assert server.requests[-1].extensions["timeout"] == request.extensions["timeout"]


def test_key_assigned_between_pages_is_sent(driver: ClientDriver) -> None:
    """A setting that is assigned to the client while a list is iterated applies to the next page."""
    server = StepServer()
    client = driver.client(server)

    def assign(number: int) -> None:
        client.api_key = f"key-{number}"

    server.on_request = assign
    driver.items(client.steps.list(limit=4))
    sent = [request.headers["authorization"] for request in server.requests[1:]]
    assert sent == [f"Bearer key-{number}" for number in range(1, len(server.requests))]


@pytest.mark.parametrize("option", ["extra_headers", "extra_query"])
def test_option_changed_in_place_between_pages_is_sent(driver: ClientDriver, option: str) -> None:
    """A mapping that the caller changes while a list is iterated applies to the next page."""
    server, values = StepServer(), {"x-number": "0"}

    def change(number: int) -> None:
        values["x-number"] = str(number)

    server.on_request = change
    driver.items(driver.client(server).steps.list(limit=4, **{option: values}))
    sent = [
        (request.headers if option == "extra_headers" else request.url.params)["x-number"]
        for request in server.requests
    ]
    assert sent == [str(number) for number in range(len(server.requests))]


@pytest.mark.parametrize("name", ["limit", "before"])
def test_default_query_with_name_of_argument_is_kept(driver: ClientDriver, name: str) -> None:
    """A query parameter of the client with the name of a limit or cursor is sent beside those of each page."""
    server = StepServer()
    client = driver.client(server, default_query={name: "7"})
    driver.items(client.steps.list(limit=4))
    assert [request.url.params.get_list(name)[-1] for request in server.requests] == ["7"] * len(server.requests)
