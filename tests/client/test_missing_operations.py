"""Errors of a server without the operation: the message differs from that of an object that does not exist."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from letta_ext import APIStatusError, NotFoundError
from letta_ext.testing import EmbeddedServer

from .helpers import CONVERSATION, STEP, ClientDriver, make_response, respond_with

AGENT = "agent-00000000-0000-4000-8000-000000000000"
RUN = "run-00000000-0000-4000-8000-000000000000"
REMEDY = "The server does not have this operation: update the server, or check base_url."

# A request of each method and kind: with and without an id, streams, lists.
REQUESTS: dict[str, Callable[[Any], Any]] = {
    "GET /v1/steps/": lambda client: client.steps.list(),
    "GET /v1/steps/.+": lambda client: client.steps.retrieve(STEP),
    "PATCH /v1/steps/.+/feedback": lambda client: client.steps.feedback.create(STEP, feedback="positive"),
    "POST /v1/conversations/": lambda client: client.conversations.create(agent_id=AGENT),
    "GET /v1/conversations/.+/messages": lambda client: client.conversations.messages.list(CONVERSATION),
    "POST /v1/conversations/.+/messages": lambda client: client.conversations.messages.create(
        CONVERSATION, input="Hello", streaming=False
    ),
    "POST /v1/conversations/.+/stream": lambda client: client.conversations.messages.stream(CONVERSATION, run_id=RUN),
    "DELETE /v1/agents/.+": lambda client: client.agents.delete(AGENT),
    "GET /v1/unknown": lambda client: client.get("/v1/unknown"),
}


@pytest.fixture(scope="module")
def server() -> Iterator[EmbeddedServer]:
    with EmbeddedServer() as server:
        yield server


@pytest.mark.parametrize("request_line", REQUESTS)
def test_request_of_an_unknown_path_recommends_to_update_the_server(
    driver: ClientDriver, server: EmbeddedServer, request_line: str
) -> None:
    """The 404 of a path that the server does not have names the request and recommends to update the server."""
    method, path = request_line.split()
    client = driver.client(base_url=f"{server.base_url}/older", max_retries=0)
    with pytest.raises(NotFoundError, match=f"^404 Not Found from {method} .+/older{path}: Not Found. ") as caught:
        driver.run(REQUESTS[request_line](client))
    assert caught.value.message.endswith(REMEDY)


def test_request_with_an_unknown_method_recommends_to_update_the_server(
    driver: ClientDriver, server: EmbeddedServer
) -> None:
    """The 405 of a path that the server has with other methods recommends to update the server."""
    with pytest.raises(APIStatusError, match="405 Method Not Allowed from POST") as caught:
        driver.run(driver.client(base_url=server.base_url).post("/v1/health/"))
    assert caught.value.message.endswith(REMEDY)


@pytest.mark.parametrize("request_line", ["GET /v1/steps/.+", "PATCH /v1/steps/.+/feedback", "DELETE /v1/agents/.+"])
def test_request_of_an_unknown_object_recommends_to_check_the_id(
    driver: ClientDriver, server: EmbeddedServer, request_line: str
) -> None:
    """The 404 of an object that does not exist recommends to check the id."""
    client = driver.client(base_url=server.base_url, max_retries=0)
    with pytest.raises(NotFoundError) as caught:
        driver.run(REQUESTS[request_line](client))
    assert caught.value.message.endswith("Check the id.")


@pytest.mark.parametrize(
    "body", [{"detail": "Not found"}, {"detail": "Agent Not Found"}, {"detail": "Not Found", "trace_id": "a"}, {}, []]
)
def test_404_with_another_body_does_not_recommend_to_update_the_server(driver: ClientDriver, body: Any) -> None:
    """Only the body of an unknown path leads to the remedy, not one that resembles it."""
    with pytest.raises(NotFoundError) as caught:
        driver.run(driver.client(respond_with(make_response(404, json=body))).steps.retrieve(STEP))
    assert caught.value.message.endswith("Check the id.")


def test_404_that_describes_an_id_of_the_body_does_not_recommend_to_check_the_address(
    driver: ClientDriver, server: EmbeddedServer
) -> None:
    """Letta describes the agent of a default conversation, which is not part of the path."""
    client = driver.client(base_url=server.base_url, max_retries=0)
    with pytest.raises(NotFoundError, match=f"Agent with ID {AGENT} not found") as caught:
        driver.run(client.conversations.messages.create("default", agent_id=AGENT, input="Hello", streaming=False))
    assert caught.value.message.endswith("Correct the request as the server describes.")
    another = driver.client(respond_with(make_response(404, text="<html>")), max_retries=0)
    with pytest.raises(NotFoundError, match=r"Check base_url\.$"):
        driver.run(another.steps.list())
