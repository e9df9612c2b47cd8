"""Calls that look the same do what the page for users states, with each client."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import letta_client
import pytest

import letta_ext
from letta_ext.testing import EmbeddedServer


@pytest.fixture
def server() -> Iterator[EmbeddedServer]:
    """Return a server with one agent and one conversation."""
    with EmbeddedServer(check=False) as started:
        yield started


@pytest.fixture
def published(server: EmbeddedServer) -> Iterator[letta_client.Letta]:
    """Return a client of letta-client, which repeats no request."""
    with letta_client.Letta(base_url=server.base_url, api_key="k", max_retries=0) as client:
        yield client


@pytest.fixture
def client(server: EmbeddedServer) -> Iterator[letta_ext.Letta]:
    """Return a client."""
    with letta_ext.Letta(base_url=server.base_url, api_key="k", max_retries=0) as made:
        yield made


def test_list_of_conversations_is_page(published: Any, client: letta_ext.Letta, server: EmbeddedServer) -> None:
    """letta-client returns a list of conversations, this client a page that iterates like it."""
    listed = published.conversations.list(agent_id=server.agent_id)
    page = client.conversations.list(agent_id=server.agent_id)
    assert isinstance(listed, list)
    assert isinstance(page, letta_ext.SyncPage)
    assert [each.id for each in listed] == [each.id for each in page] == [each.id for each in page.items]


def test_send_without_streaming_returns_response(
    published: Any, client: letta_ext.Letta, server: EmbeddedServer
) -> None:
    """letta-client loses the response, this client returns it."""
    send = {"input": "hello", "streaming": False}
    assert list(published.conversations.messages.create(server.conversation_id, **send)) == []
    response = client.conversations.messages.create(server.conversation_id, input="hello", streaming=False)
    assert [message.message_type for message in response.messages][-1] == "assistant_message"


@pytest.mark.parametrize(
    ("method", "arguments"),
    [
        ("create", {"input": "hello", "messages": [{"role": "user", "content": "hello"}]}),
        ("stream", {"run_id": "run-1", "batch_size": 0}),
    ],
)
def test_argument_that_server_refuses_is_not_sent(
    method: str, arguments: dict[str, Any], published: Any, client: letta_ext.Letta, server: EmbeddedServer
) -> None:
    """letta-client sends a request that fails, this client raises before."""
    with pytest.raises(letta_client.APIError):
        list(getattr(published.conversations.messages, method)(server.conversation_id, **arguments))
    sent = len(server.requests)
    assert sent == 1
    with pytest.raises(ValueError, match=list(arguments)[-1]):
        getattr(client.conversations.messages, method)(server.conversation_id, **arguments)
    assert len(server.requests) == sent


def test_header_of_generator_is_not_sent(published: Any, client: letta_ext.Letta) -> None:
    """letta-client sends headers about its platform, this client does not."""
    headers = [each.steps.with_raw_response.list().http_request.headers for each in (published, client)]
    assert ["X-Stainless-Lang" in each for each in headers] == [True, False]


def test_strict_validation_is_not_an_argument() -> None:
    """The argument of letta-client that turns checks of responses on is unknown here: they are on."""
    arguments: dict[str, Any] = {"base_url": "http://127.0.0.1:1", "_strict_response_validation": True}
    letta_client.Letta(api_key="k", **arguments).close()
    with pytest.raises(TypeError, match="_strict_response_validation"):
        letta_ext.Letta(**arguments)
