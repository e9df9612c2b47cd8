"""Calls that look the same do what the page for users states, with each client."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from operator import attrgetter
from typing import Annotated, Any, cast

import anyio
import httpx
import letta_client
import pytest
from fastapi import Body, FastAPI
from letta_client import types as published_types
from letta_client.types import agents as published_agents
from pydantic import ValidationError

import letta_ext
from letta_api.errors import DecodeError
from letta_ext.testing import EmbeddedServer
from letta_ext.types import Step
from letta_ext.types.agents import AssistantMessage


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
    """letta-client returns a list of conversations, this client a page that is used like it."""
    listed = published.conversations.list(agent_id=server.agent_id)
    page = client.conversations.list(agent_id=server.agent_id)
    assert isinstance(listed, list)
    assert isinstance(page, letta_ext.SyncPage)
    assert [each.id for each in listed] == [each.id for each in page] == [each.id for each in page.items]
    assert (len(page), page[0].id, [each.id for each in page[:2]]) == (len(listed), listed[0].id, [listed[0].id])
    other = "agent-00000000-0000-4000-8000-000000000000"
    assert not published.conversations.list(agent_id=other)
    assert not client.conversations.list(agent_id=other)


def test_stream_is_iterated_once(published: Any, client: letta_ext.Letta, server: EmbeddedServer) -> None:
    """letta-client yields nothing from a stream that was iterated, this client raises; both step with `next`."""
    for each in (published, client):
        stream = each.conversations.messages.create(server.conversation_id, input="hello")
        first = next(stream)
        rest = list(stream)
        assert (first.message_type, rest[-1].message_type) == ("ping", "usage_statistics")
        assert next(stream, None) is None
        if each is published:
            assert list(stream) == []
        else:
            with pytest.raises(letta_ext.LettaError, match="only once"):
                list(stream)


def test_mocked_body_without_its_end_is_interrupted() -> None:
    """letta-client yields the events of a body without `[DONE]` as if it were complete, this client raises."""
    event = {"message_type": "stop_reason", "stop_reason": "end_turn"}
    body = f"data: {json.dumps(event)}\n\n"
    for package in (letta_client, letta_ext):
        for end in ("", "data: [DONE]\n\n"):
            sent = httpx.Response(200, text=body + end, headers={"content-type": "text/event-stream"})
            http = httpx.Client(transport=httpx.MockTransport(lambda _, sent=sent: sent))
            made: Any = package
            stream = made.Letta(
                base_url="http://letta.test", api_key="k", http_client=http
            ).conversations.messages.create("conv-1", input="hello")
            assert next(stream).stop_reason == "end_turn"
            if package is letta_ext and not end:
                with pytest.raises(letta_ext.StreamInterrupted):
                    next(stream)
            else:
                assert next(stream, None) is None


@pytest.mark.parametrize(
    ("operation", "arguments", "error", "named"),
    [
        ("steps.list", {"extra_query": {"limit": 1}}, ValueError, "extra_query"),
        ("steps.list", {"order": None}, TypeError, "order"),
        ("steps.list", {"start_date": datetime(2026, 1, 1)}, ValueError, "start_date"),  # noqa: DTZ001  # the test
    ],
)
def test_argument_of_list_is_refused(
    operation: str, arguments: dict[str, Any], error: Any, named: str, published: Any, client: letta_ext.Letta
) -> None:
    """letta-client sends the request, this client raises before."""
    attrgetter(operation)(published)(**arguments)
    with pytest.raises(error, match=named):
        attrgetter(operation)(client)(**arguments)


MESSAGE = {"id": "message-1", "date": "2026-01-01T00:00:00Z", "content": "hi", "message_type": "assistant_message"}


def test_unknown_keyword_or_attribute_of_model_raises() -> None:
    """letta-client keeps unknown keywords and attributes, this client keeps those of `model_validate` and of copies."""
    data = {**MESSAGE, "new": 1}
    theirs: Any = published_agents.AssistantMessage(**cast("Any", data))
    theirs.note = "x"
    assert (theirs.new, theirs.note) == (1, "x")
    with pytest.raises(TypeError, match="from_dict"):
        AssistantMessage(**cast("Any", data))
    ours: Any = AssistantMessage.model_validate(data)
    with pytest.raises(AttributeError, match="note"):
        ours.note = "x"
    copied: Any = ours.model_copy(update={"note": "x"})
    assert (copied.new, copied.note, copied.model_dump()["note"]) == (1, "x", "x")


def test_malformed_model_raises_value_error() -> None:
    """Both clients raise a ValueError for a malformed value, pydantic's or a DecodeError."""
    for cls, error in ((published_agents.AssistantMessage, ValidationError), (AssistantMessage, DecodeError)):
        with pytest.raises(ValueError, match="content") as caught:
            cast("Any", cls).model_validate({"id": "message-1", "date": MESSAGE["date"]})
        assert isinstance(caught.value, cast("Any", error))


def test_dictionaries_have_json_values_and_names() -> None:
    """`to_dict` has datetimes in letta-client and JSON here, and `model_dump` has no second name of a renamed field."""
    theirs, ours = published_agents.AssistantMessage(**cast("Any", MESSAGE)), AssistantMessage.model_validate(MESSAGE)
    assert isinstance(theirs.to_dict()["date"], datetime)
    assert ours.to_dict()["date"] == "2026-01-01T00:00:00+00:00"
    assert ours.to_dict(mode="python") == theirs.to_dict()
    step = {"id": "step-1", "model_handle": "a/b"}
    assert cast("Any", published_types.Step(**cast("Any", step)).model_dump())["api_model_handle"] == "a/b"
    assert "api_model_handle" not in Step.model_validate(step).model_dump()
    assert Step.model_validate(step).model_dump()["model_handle"] == "a/b"


@pytest.mark.parametrize(
    ("annotation", "status"), [(AssistantMessage, 422), (Annotated[AssistantMessage, Body()], 200)]
)
def test_model_as_parameter_of_fastapi_needs_body(annotation: Any, status: int) -> None:
    """FastAPI reads a model of this client from the body if it is annotated with `Body`."""
    app = FastAPI()

    def content(message: Any) -> str:
        return str(message.content)

    content.__annotations__["message"] = annotation
    app.add_api_route("/", content, methods=["POST"])

    async def send() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://app.test") as http:
            return await http.post("/", json=MESSAGE)

    assert anyio.run(send).status_code == status


def test_closed_client_raises(server: EmbeddedServer) -> None:
    """A closed client raises an APIConnectionError in letta-client, and a LettaError here."""
    for package, error in ((letta_client, letta_client.APIConnectionError), (letta_ext, letta_ext.LettaError)):
        made: Any = package
        client = made.Letta(base_url=server.base_url, api_key="k", max_retries=0)
        client.close()
        with pytest.raises(cast("Any", error)) as caught:
            client.steps.list()
        assert type(caught.value) is error


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
