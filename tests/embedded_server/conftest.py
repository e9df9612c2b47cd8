"""Fixtures: an embedded server for each test, and a client for the HTTP calls of these tests."""

from __future__ import annotations

import json
import os
import ssl
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from letta_ext.testing import EmbeddedServer

# Loading the certificates takes longer than most tests.
TLS = ssl.create_default_context()


SAMPLED = pytest.mark.stress if "LETTA_STRESS" in os.environ else pytest.mark.slow
"""Marks tests that print a figure. A sample of them runs by default."""


def print_figure(request: pytest.FixtureRequest, figure: str) -> None:
    """Print a figure of a module past the output capture."""
    with request.config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
        print(f"\n{figure}")


def parse_events(body: str) -> list[dict[str, Any]]:
    """Return the data of a stream's events. ``[DONE]`` and event names are kept as entries."""
    events: list[dict[str, Any]] = []
    for block in body.split("\n\n"):
        if not block:
            continue
        name, _, data = block.rpartition("data: ")
        event = {"done": True} if data == "[DONE]" else json.loads(data)
        if name:
            event["event"] = name.strip()
        events.append(event)
    return events


class ServerClient:
    """HTTP calls to one server's conversation."""

    def __init__(self, server: EmbeddedServer, http: httpx.Client) -> None:
        self.server = server
        self.http = http
        self.conversation = f"/v1/conversations/{server.conversation_id}"

    def post(self, path: str, **body: Any) -> httpx.Response:
        return self.http.post(path, json=body)

    def send(self, text: str | None = None, *, path: str | None = None, **body: Any) -> httpx.Response:
        if text is not None:
            body["input"] = text
        return self.http.post(f"{path or self.conversation}/messages", json=body)

    def send_json(self, text: str | None = None, **body: Any) -> dict[str, Any]:
        response = self.send(text, streaming=False, **body)
        assert response.status_code == 200, response.text
        response_json: dict[str, Any] = response.json()
        return response_json

    def stream(self, text: str | None = None, **body: Any) -> list[dict[str, Any]]:
        response = self.send(text, **body)
        assert response.status_code == 200, response.text
        return parse_events(response.text)

    def resume(self, **body: Any) -> list[dict[str, Any]]:
        response = self.http.post(f"{self.conversation}/stream", json=body)
        assert response.status_code == 200, response.text
        return parse_events(response.text)

    def messages(self, path: str | None = None, **query: Any) -> list[dict[str, Any]]:
        response = self.http.get(f"{path or self.conversation}/messages", params=query)
        assert response.status_code == 200, response.text
        found: list[dict[str, Any]] = response.json()
        return found

    def steps(self, **query: Any) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.http.get("/v1/steps/", params=query).json()
        return found

    def pending(self, text: str = "CALL guarded", **body: Any) -> list[str]:
        calls = self.send_json(text, **body)["messages"][-1]["tool_calls"]
        return [call["tool_call_id"] for call in calls]


@pytest.fixture
def server(letta_server: EmbeddedServer) -> EmbeddedServer:
    """Return the server of the plugin, which validates requests and responses."""
    return letta_server


@pytest.fixture
def api(server: EmbeddedServer) -> Iterator[ServerClient]:
    with httpx.Client(base_url=server.base_url, timeout=5, verify=TLS) as http:
        yield ServerClient(server, http)


@pytest.fixture
def docs() -> Iterator[ServerClient]:
    with EmbeddedServer("docs") as running, httpx.Client(base_url=running.base_url, timeout=5, verify=TLS) as http:
        yield ServerClient(running, http)
