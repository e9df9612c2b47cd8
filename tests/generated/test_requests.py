"""Requests have exactly the given arguments, and ids stay in their path segment."""

from __future__ import annotations

import inspect
import json
import re
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from letta_api.errors import DecodeError, UnexpectedStatus
from letta_api.models import MessageCreate, Step
from letta_api.operations import OPERATIONS, Operation
from letta_api.types import UNSET, make_path, make_query

from .recorded import endpoint, recordings

BY_ID = [each for each in OPERATIONS.values() if each.path_parameters]
CLIENT = httpx.Client(base_url="http://server/")
STEP = next(each.values[0] for each in recordings() if each.name == "step_retrieve")


def build(operation: Operation, *ids: Any, **options: Any) -> Any:
    return endpoint(operation.id).build_request(*ids, **options)


@pytest.mark.parametrize("operation", BY_ID, ids=lambda each: each.id)
@pytest.mark.parametrize("value", ["", ".", ".."])
def test_id_with_path_meaning_raises_value_error(operation: Operation, value: str) -> None:
    """An empty id or a dot segment raises ValueError."""
    with pytest.raises(ValueError, match="must be an id"):
        build(operation, value)


@pytest.mark.parametrize("operation", BY_ID, ids=lambda each: each.id)
@pytest.mark.parametrize("value", [None, b"step-1", ["step-1"], True, UNSET])
def test_id_of_wrong_type_raises_type_error(operation: Operation, value: Any) -> None:
    """An id that is not a string raises TypeError."""
    with pytest.raises(TypeError, match="must be a string"):
        build(operation, value)


@pytest.mark.parametrize(
    ("value", "segment"),
    [
        ("a/b", "a%2Fb"),
        ("../x", "..%2Fx"),
        ("a?b=c", "a%3Fb%3Dc"),
        ("a#b", "a%23b"),
        ("%2e", "%252e"),
        ("%2e%2e", "%252e%252e"),
        ("a b", "a%20b"),
        ("é", "%C3%A9"),
        ("{step_id}", "%7Bstep_id%7D"),
        ("a\r\nHost: x", "a%0D%0AHost%3A%20x"),
        ("...", "..."),
        (7, "7"),
    ],
)
def test_id_is_encoded_as_one_segment(value: Any, segment: str) -> None:
    """An id is percent-encoded as one path segment."""
    assert build(OPERATIONS["steps.retrieve"], value).path == f"/v1/steps/{segment}"


@given(st.text(min_size=1).filter(lambda text: text not in (".", "..")))
def test_any_id_stays_in_its_segment(value: str) -> None:
    """No id changes the other segments, the query or the path length."""
    try:
        path = make_path("/v1/steps/{step_id}/trace", step_id=value)
    except UnicodeEncodeError:
        return  # half a character has no form in UTF-8
    sent = CLIENT.build_request("GET", path).url
    assert sent.raw_path.count(b"/") == 4
    assert sent.raw_path.startswith(b"/v1/steps/")
    assert sent.path == f"/v1/steps/{value}/trace"
    assert not sent.query


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=lambda each: each.id)
def test_omitted_arguments_are_not_sent(operation: Operation) -> None:
    """A request has only the given arguments."""
    needed = dict.fromkeys(operation.required, "given")
    request = build(operation, *["id-1"] * len(operation.path_parameters), **needed)
    assert request.method == operation.method
    assert {**dict(request.query), **(request.body or {})} == needed
    assert request.path == re.sub(r"\{\w+\}", "id-1", operation.path)


def test_none_is_sent_in_body_only() -> None:
    """None is sent as null in a body and omitted from a query."""
    assert build(OPERATIONS["steps.feedback.create"], "s", feedback=None).body == {"feedback": None}
    assert build(OPERATIONS["steps.list"], limit=None, after="step-1").query == [("after", "step-1")]


def test_query_list_repeats_key() -> None:
    """A list in a query is sent as repeated keys."""
    request = build(OPERATIONS["steps.list"], tags=["a", "b"], has_feedback=True, limit=0)
    assert request.query == [("has_feedback", "true"), ("limit", "0"), ("tags", "a"), ("tags", "b")]


def test_query_values_are_encoded_by_type() -> None:
    """Datetimes, numbers and booleans have one query encoding each."""
    instant = datetime(2026, 1, 2, 3, tzinfo=UTC)
    assert make_query({"a": instant, "b": 1.5, "c": False, "d": ["x", None], "e": UNSET}) == [
        ("a", "2026-01-02T03:00:00+00:00"),
        ("b", "1.5"),
        ("c", "false"),
        ("d", "x"),
    ]


def test_models_and_mappings_build_equal_bodies() -> None:
    """Models and mappings build equal bodies."""
    create = OPERATIONS["conversations.messages.create"]
    plain = [{"role": "user", "content": "hi"}]
    assert build(create, "c", messages=plain).body == {"messages": plain}
    model = MessageCreate.from_dict(plain[0])
    assert build(create, "c", messages=[model]).body == {"messages": plain}
    assert build(create, "c", messages=(model,)).body == {"messages": plain}


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=lambda each: each.id)
def test_operation_table_matches_function_signature(operation: Operation) -> None:
    """The operation table matches the signature of the function."""
    parameters = inspect.signature(endpoint(operation.id).build_request).parameters
    by_place = [p.name for p in parameters.values() if p.kind is p.POSITIONAL_OR_KEYWORD]
    assert tuple(by_place) == operation.path_parameters
    assert {p.name for p in parameters.values() if p.kind is p.KEYWORD_ONLY} == operation.parameters
    assert endpoint(operation.id).OPERATION is operation


def responding(status: int, body: Any, seen: list[httpx.Request]) -> httpx.MockTransport:
    def handle(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(status, json=body)

    return httpx.MockTransport(handle)


def test_sync_sends_with_given_client() -> None:
    """A call uses the given httpx client and decodes the response."""
    seen: list[httpx.Request] = []
    with httpx.Client(base_url="http://server", transport=responding(200, STEP, seen)) as client:
        step = endpoint("steps.retrieve").sync(client, STEP["id"])
    assert isinstance(step, Step)
    assert step.id == STEP["id"]
    assert str(seen[0].url) == f"http://server/v1/steps/{STEP['id']}"
    assert seen[0].headers["accept"] == "application/json"


@pytest.mark.parametrize(("body", "path"), [({}, "id"), ([], ""), ("x", "")])
def test_sync_malformed_response_raises_decode_error(body: Any, path: str) -> None:
    """A malformed response raises DecodeError with its path."""
    with (
        httpx.Client(base_url="http://server", transport=responding(200, body, [])) as client,
        pytest.raises(DecodeError) as caught,
    ):
        endpoint("steps.retrieve").sync(client, "step-1")
    assert caught.value.path == path


def test_sync_error_response_keeps_status_and_body() -> None:
    """UnexpectedStatus has the status code and body."""
    with (
        httpx.Client(base_url="http://server", transport=responding(404, {"detail": "no"}, [])) as client,
        pytest.raises(UnexpectedStatus) as caught,
    ):
        endpoint("steps.list").sync(client, limit=1)
    assert (caught.value.status_code, caught.value.body) == (404, {"detail": "no"})
    assert "404" in str(caught.value)


def test_stream_condition_is_set_by_function() -> None:
    """sync_stream and sync set the streaming field and the Accept header."""
    create = endpoint("conversations.messages.create")
    seen: list[httpx.Request] = []
    with httpx.Client(base_url="http://server", transport=responding(200, {}, seen)) as client:
        with create.sync_stream(client, "conv-1", input="hi"):
            assert json.loads(seen[0].content) == {"input": "hi", "streaming": True}
            assert seen[0].headers["accept"] == "text/event-stream"
        with pytest.raises(DecodeError):
            create.sync(client, "conv-1", input="hi")
    assert json.loads(seen[1].content) == {"input": "hi", "streaming": False}
