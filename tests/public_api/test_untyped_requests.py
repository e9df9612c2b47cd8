"""Untyped requests: `client.get`, `post`, `put`, `patch` and `delete`."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from letta_api.models import MessageCreate
from letta_ext import APIConnectionError, APIResponseValidationError, ConversationBusyError, LettaError, NotFoundError
from letta_ext.testing import EmbeddedServer

from ..client.helpers import KEY, NO_DELAY, ClientDriver, make_response, respond_with

WRITE_METHODS = ["post", "put", "patch", "delete"]


@pytest.mark.parametrize("method", ["get", *WRITE_METHODS])
def test_untyped_request_sends_path_query_body_and_headers(driver: ClientDriver, method: str) -> None:
    """The path, query, body and headers are sent unchanged."""
    handler = respond_with(make_response(200, json={"a": [1]}))
    body = {} if method == "get" else {"body": {"x": 1, "m": MessageCreate(role="user", content="hi")}}
    found = driver.run(
        getattr(driver.client(handler), method)(
            "/v1/agents/a%2Fb/", query={"limit": 3, "tag": ["a", "b"], "none": None}, **body, extra_headers={"X-A": "1"}
        )
    )
    (request,) = handler.requests
    assert found == {"a": [1]}
    assert request.method == method.upper()
    assert str(request.url) == "http://letta.test/v1/agents/a%2Fb/?limit=3&tag=a&tag=b"
    assert request.headers["authorization"] == f"Bearer {KEY}"
    assert request.headers["x-a"] == "1"
    if body:
        assert json.loads(request.content) == {"x": 1, "m": {"role": "user", "content": "hi", "type": "message"}}


@pytest.mark.parametrize(("content", "value"), [(b"", None), (b"null", None), (b"[]", []), (b'"x"', "x")])
def test_untyped_request_returns_parsed_json(driver: ClientDriver, content: bytes, value: Any) -> None:
    """The parsed body is returned, or None if it is empty."""
    assert driver.run(driver.client(respond_with(make_response(200, content=content))).delete("/v1/agents/a")) == value


def test_untyped_request_invalid_json_raises_validation_error(driver: ClientDriver) -> None:
    """A response that is not JSON raises APIResponseValidationError."""
    client = driver.client(respond_with(make_response(200, content=b"<html>")))
    with pytest.raises(
        APIResponseValidationError,
        match=r"200 from GET http://letta.test/v1/x does not match the API document: not JSON",
    ):
        driver.run(client.get("/v1/x"))


@pytest.mark.parametrize(
    "path",
    [
        "http://elsewhere.test/v1/agents",
        "https:elsewhere.test",
        "//elsewhere.test/v1",
        "/\\elsewhere.test",
        "\\\\elsewhere.test",
        "/v1\\agents",
        "/v1/%5c..",
        "v1/agents",
        "",
        "/v1/../admin",
        "/v1/..",
        "/./v1",
        "/v1/%2e%2e/admin",
        "/v1/%2E./admin",
        "/v1/%252e%252e/admin",
        "/v1/a%2F..%2Fb",
        "/v1/..;x=1/admin",
        "/v1/\x00",
        "/v1/a\r\nX-A: 1",
        "/v1/%0d%0a",
        "/v1/\x7f",
        "/v1/\ud800",
        "/v1/agents?limit=1",
        "/v1/agents#x",
    ],
)
def test_untyped_request_unsafe_path_raises_before_sending(driver: ClientDriver, path: str) -> None:
    """A path that could leave the server or its base path raises ValueError."""
    handler = respond_with(200)
    client = driver.client(handler)
    for method in ("get", *WRITE_METHODS):
        with pytest.raises(ValueError, match=r"^path must "):
            driver.run(getattr(client, method)(path))
    assert handler.requests == []


@pytest.mark.parametrize("path", ["/", "/v1/agents/", "/v1/a..b/.c/...", "/v1/ä b", "/v1/@elsewhere.test", "/v1/a:b"])
def test_untyped_request_unusual_path_stays_on_server(driver: ClientDriver, path: str) -> None:
    """Other unusual paths are sent to the configured server."""
    handler = respond_with(make_response(200, json=1))
    driver.run(driver.client(handler).get(path))
    (request,) = handler.requests
    assert request.url.copy_with(raw_path=b"/") == httpx.URL("http://letta.test/")
    assert request.url.path == path


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"limit": 1}, "get() has no argument 'limit'"),
        ({"query": "a=1"}, "query must be a mapping, got str"),
        ({"query": {1: 2}}, "query must have strings as keys, got int"),
        ({"query": {"a": [1, [2]]}}, "query['a'] must be a string, a number"),
        ({"path": 7}, "path must be a string, not int"),
    ],
)
def test_untyped_request_invalid_argument_raises_type_error(
    driver: ClientDriver, arguments: dict[str, Any], message: str
) -> None:
    """An invalid argument raises a TypeError that names it."""
    with pytest.raises(TypeError) as caught:
        driver.run(driver.client(respond_with(200)).get(**{"path": "/v1/x", **arguments}))
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("outcome", "method", "attempts"),
    [
        (503, "get", 3),
        (httpx.ReadError("cut"), "get", 3),
        (503, "post", 1),
        (httpx.ReadError("cut"), "delete", 1),
        (httpx.ConnectError("refused"), "put", 1),  # a mock transport cannot prove that nothing was sent
        (409, "get", 1),
    ],
)
def test_untyped_request_retries_only_get(driver: ClientDriver, outcome: Any, method: str, attempts: int) -> None:
    """Only GET requests are retried, on connection errors and 5xx."""
    handler = respond_with(outcome)
    with pytest.raises(LettaError, match="/v1/x"):
        driver.run(getattr(driver.client(handler, retry=NO_DELAY), method)("/v1/x"))
    assert len(handler.requests) == attempts


def test_untyped_request_raises_errors_of_typed_calls(driver: ClientDriver) -> None:
    """Error responses raise the same exceptions as typed calls."""
    busy = {"detail": "CONFLICT: ...", "run_id": "run-1"}
    client = driver.client(
        respond_with(make_response(409, json=busy), make_response(404, json={"detail": "no"}), httpx.ReadError("cut"))
    )
    with pytest.raises(ConversationBusyError):
        driver.run(client.post("/v1/x"))
    with pytest.raises(NotFoundError):
        driver.run(client.patch("/v1/x"))
    with pytest.raises(APIConnectionError):
        driver.run(client.put("/v1/x"))


def test_untyped_request_reaches_undocumented_operations(driver: ClientDriver, server: EmbeddedServer) -> None:
    """Operations without a method can be called."""
    client = driver.client(base_url=server.base_url)
    agents = driver.run(client.get("/v1/agents/"))
    assert server.agent_id in [agent["id"] for agent in agents]
    with pytest.raises(NotFoundError):
        driver.run(client.get("/v1/nothing/"))
