"""`client.get`, `post` and the like: what they send, what they refuse, what they repeat."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from letta_api.models import MessageCreate
from letta_ext import APIConnectionError, APIResponseValidationError, ConversationBusyError, NotFoundError
from letta_ext.testing import EmbeddedServer

from ..client.helpers import KEY, NO_DELAY, ClientDriver, make_response, respond_with

WRITING = ["post", "put", "patch", "delete"]


@pytest.mark.parametrize("verb", ["get", *WRITING])
def test_it_sends_what_it_is_told(side: ClientDriver, verb: str) -> None:
    handler = respond_with(make_response(200, json={"a": [1]}))
    body = {} if verb == "get" else {"body": {"x": 1, "m": MessageCreate(role="user", content="hi")}}
    found = side.run(
        getattr(side.client(handler), verb)(
            "/v1/agents/a%2Fb/", query={"limit": 3, "tag": ["a", "b"], "none": None}, **body, extra_headers={"X-A": "1"}
        )
    )
    (request,) = handler.requests
    assert found == {"a": [1]}
    assert request.method == verb.upper()
    assert str(request.url) == "http://letta.test/v1/agents/a%2Fb/?limit=3&tag=a&tag=b"
    assert request.headers["authorization"] == f"Bearer {KEY}"
    assert request.headers["x-a"] == "1"
    if body:
        assert json.loads(request.content) == {"x": 1, "m": {"role": "user", "content": "hi", "type": "message"}}


@pytest.mark.parametrize(("content", "value"), [(b"", None), (b"null", None), (b"[]", []), (b'"x"', "x")])
def test_what_it_returns(side: ClientDriver, content: bytes, value: Any) -> None:
    assert side.run(side.client(respond_with(make_response(200, content=content))).delete("/v1/agents/a")) == value


def test_an_answer_that_is_no_json(side: ClientDriver) -> None:
    client = side.client(respond_with(make_response(200, content=b"<html>")))
    with pytest.raises(
        APIResponseValidationError,
        match=r"200 from GET http://letta.test/v1/x does not match the API document: not JSON",
    ):
        side.run(client.get("/v1/x"))


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
def test_paths_that_lead_elsewhere_are_refused(side: ClientDriver, path: str) -> None:
    handler = respond_with(200)
    client = side.client(handler)
    for verb in ("get", *WRITING):
        with pytest.raises(ValueError, match=r"^path must "):
            side.run(getattr(client, verb)(path))
    assert handler.requests == []


@pytest.mark.parametrize("path", ["/", "/v1/agents/", "/v1/a..b/.c/...", "/v1/ä b", "/v1/@elsewhere.test", "/v1/a:b"])
def test_other_paths_stay_on_the_server(side: ClientDriver, path: str) -> None:
    handler = respond_with(make_response(200, json=1))
    side.run(side.client(handler).get(path))
    (request,) = handler.requests
    assert request.url.copy_with(raw_path=b"/") == httpx.URL("http://letta.test/")
    assert request.url.path == path


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"limit": 1}, "get() has no argument 'limit'"),
        ({"query": "a=1"}, "query must be a mapping, got str"),
        ({"query": {1: 2}}, "query must have strings as keys, got int"),
        ({"query": {"a": [1, [2]]}}, "query['a'] must be a string, a number"),
        ({"path": 7}, "path must be a string, not int"),
    ],
)
def test_wrong_arguments_are_named(side: ClientDriver, arguments: dict[str, Any], words: str) -> None:
    with pytest.raises(TypeError) as caught:
        side.run(side.client(respond_with(200)).get(**{"path": "/v1/x", **arguments}))
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("became", "verb", "attempts"),
    [
        (503, "get", 3),
        (httpx.ReadError("cut"), "get", 3),
        (503, "post", 1),
        (httpx.ReadError("cut"), "delete", 1),
        (httpx.ConnectError("refused"), "put", 1),  # a transport that reports nothing gives no evidence
        (409, "get", 1),
    ],
)
def test_what_is_repeated(side: ClientDriver, became: Any, verb: str, attempts: int) -> None:
    handler = respond_with(became)
    with pytest.raises(Exception, match="/v1/x"):
        side.run(getattr(side.client(handler, retry=NO_DELAY), verb)("/v1/x"))
    assert len(handler.requests) == attempts


def test_errors_are_those_of_every_call(side: ClientDriver) -> None:
    busy = {"detail": "CONFLICT: ...", "run_id": "run-1"}
    client = side.client(
        respond_with(make_response(409, json=busy), make_response(404, json={"detail": "no"}), httpx.ReadError("cut"))
    )
    with pytest.raises(ConversationBusyError):
        side.run(client.post("/v1/x"))
    with pytest.raises(NotFoundError):
        side.run(client.patch("/v1/x"))
    with pytest.raises(APIConnectionError):
        side.run(client.put("/v1/x"))


def test_on_a_server(side: ClientDriver, server: EmbeddedServer) -> None:
    client = side.client(base_url=server.base_url)
    agents = side.run(client.get("/v1/agents/"))
    assert server.agent_id in [agent["id"] for agent in agents]
    with pytest.raises(NotFoundError):
        side.run(client.get("/v1/nothing/"))
