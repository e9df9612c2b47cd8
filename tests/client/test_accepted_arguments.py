"""Arguments are accepted in the forms that the documentation gives them: None, dates, iterables and other models."""

from __future__ import annotations

import json
import typing
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta, timezone
from enum import Enum, IntEnum, StrEnum
from functools import reduce
from importlib import import_module
from typing import Any, Literal, cast

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from letta_client.types import MessageCreateParam as PublishedMessage
from letta_client.types.agents import TextContent as PublishedText
from pydantic import BaseModel, Field

from letta_api.models import MessageCreate, TextContent
from letta_api.operations import OPERATIONS, Operation
from letta_ext import BusyPolicy, Hooks, Letta, ListChangedError, ResponseLimits, RetryPolicy, StreamLimits

from .helpers import CONVERSATION, STEP, ClientDriver, event_stream, make_response, recording, respond_with, sse

LISTS = [operation for operation in OPERATIONS.values() if operation.pagination is not None]


class Message(BaseModel):
    """A user's own message class, with a default and an alias."""

    role: str = "user"
    text: str = Field(alias="content")
    sender_id: str | None = None


class Duck:
    """A message class that has only `to_dict`."""

    def to_dict(self) -> dict[str, Any]:
        return {"role": "user", "content": "hi"}


def hints(operation: Operation) -> dict[str, Any]:
    """Return the types of the arguments of an operation."""
    found = typing.get_type_hints(import_module(f"letta_api.api.{operation.module}").build_request)
    return {name: hint for name, hint in found.items() if name in operation.parameters}


def parameters(kind: Any) -> list[tuple[str, str]]:
    """Return the query parameters of lists whose type has a member."""
    found = [(op.id, name) for op in LISTS for name, hint in hints(op).items() if kind in typing.get_args(hint)]
    assert found
    return found


def listed(driver: ClientDriver, operation: str, arguments: dict[str, Any]) -> httpx.QueryParams:
    """Call a list, and return the query of its request."""
    handler = respond_with(make_response(200, json=[]))
    method = reduce(getattr, operation.split("."), driver.client(handler))
    ids = {"steps": STEP, "conversations": CONVERSATION, "runs": "run-123e4567-e89b-42d3-8456-426614174000"}
    path = OPERATIONS[operation].path_parameters
    driver.run(method(*(ids[operation.split(".")[0]] for _ in path), **arguments))
    params: httpx.QueryParams = handler.requests[0].url.params  # an empty page can be followed by another request
    return params


def sent(driver: ClientDriver, **arguments: Any) -> dict[str, Any]:
    """Call `create`, and return the body of its request without random idempotency keys."""
    handler = respond_with(recording("send_json").response)
    driver.run(driver.client(handler).conversations.messages.create(CONVERSATION, **arguments, streaming=False))
    (request,) = handler.requests
    body: dict[str, Any] = json.loads(request.content)
    return body


@pytest.mark.parametrize(("operation", "name"), parameters(type(None)))
def test_none_as_query_parameter_is_not_sent(driver: ClientDriver, operation: str, name: str) -> None:
    """None for a nullable query parameter makes the request without it."""
    assert listed(driver, operation, {name: None}) == listed(driver, operation, {})


def scalars() -> list[tuple[str, str, Any]]:
    """Return the query parameters of lists that accept text or an integer, with a valid value."""
    found: list[tuple[str, str, Any]] = []
    for operation in LISTS:
        for name, hint in hints(operation).items():
            members = [hint, *typing.get_args(hint)]
            literal = next((typing.get_args(each)[0] for each in members if typing.get_origin(each) is Literal), None)
            if literal is not None or str in members or int in members:
                values = {"after": STEP, "before": STEP}
                found.append((operation.id, name, literal or (values.get(name, "x") if str in members else 7)))
    return found


@pytest.mark.parametrize(("operation", "name", "value"), scalars())
def test_member_of_an_enum_is_sent_as_its_value(driver: ClientDriver, operation: str, name: str, value: Any) -> None:
    """Members of enums that are text or integers are accepted like their values."""
    base = type(value)
    plain = listed(driver, operation, {name: value})
    assert plain[name] == str(value)
    kind: Any = StrEnum if base is str else IntEnum
    for member in (*kind("Choice", {"CHOSEN": value}), mixed(base, value)):
        assert listed(driver, operation, {name: member}) == plain


def mixed(base: Any, value: Any) -> Any:
    """Return a member of an enum whose `str` is the name of the member."""
    (member,) = cast("type[Enum]", Enum("Choice", {"CHOSEN": value}, type=base))
    assert str(member) == "Choice.CHOSEN"
    return member


def test_member_of_an_enum_is_sent_in_a_body_and_a_path(driver: ClientDriver) -> None:
    """A member of an enum is accepted as a role, as an item of an array and as an id."""
    role, text = mixed(str, "user"), mixed(str, "hi")
    body = sent(driver, messages=[{"role": role, "content": text}])
    assert body["messages"] == [{"role": "user", "content": "hi"}]
    assert listed(driver, "agents.list", {"tags": [text, "b"]}).get_list("tags") == ["hi", "b"]
    handler = respond_with(make_response(200, json={"id": STEP}))
    driver.run(driver.client(handler).steps.retrieve(mixed(str, STEP)))
    assert handler.requests[0].url.path == f"/v1/steps/{STEP}"


def test_none_with_a_checkpoint_is_not_an_argument(driver: ClientDriver) -> None:
    """A checkpoint can be combined with arguments that are None."""
    handler = respond_with(make_response(200, content=recording("steps_list").content))
    client = driver.client(handler)
    checkpoint = driver.run(client.steps.list(limit=2)).checkpoint()
    with suppress(ListChangedError):  # the response does not continue the list
        driver.run(client.steps.list(checkpoint=checkpoint, after=None, tags=None))
    driver.run(client.steps.list(checkpoint=None, prefetch=None))
    assert "after" in handler.requests[1].url.params
    assert "after" not in handler.requests[2].url.params


@pytest.mark.parametrize(("operation", "name"), parameters(datetime))
@pytest.mark.parametrize(
    ("value", "text"),
    [
        (date(2026, 1, 2), "2026-01-02"),
        (datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), "2026-01-02T03:04:05+00:00"),
        (datetime(2026, 1, 2, 3, tzinfo=timezone(timedelta(hours=-8))), "2026-01-02T03:00:00-08:00"),
        ("2026-01-02T03:04:05", "2026-01-02T03:04:05"),
    ],
)
def test_date_is_sent_as_iso_text(driver: ClientDriver, operation: str, name: str, value: Any, text: str) -> None:
    """A date, a date-time with a time zone and text are accepted where a date is documented."""
    assert listed(driver, operation, {name: value})[name] == text


@pytest.mark.parametrize(("operation", "name"), parameters(datetime))
def test_datetime_without_time_zone_is_refused(driver: ClientDriver, operation: str, name: str) -> None:
    """A date-time without a time zone names the remedy, and nothing is sent."""
    with pytest.raises(ValueError, match=rf"^{name} must have a time zone, got datetime.*Pass value\.astimezone\(\)"):
        listed(driver, operation, {name: datetime(2026, 1, 2)})  # noqa: DTZ001  # the subject


def test_checkpoint_of_dates_is_json(driver: ClientDriver) -> None:
    """A checkpoint of a list with dates can be stored as JSON, and continues with the same dates."""
    handler = respond_with(make_response(200, content=recording("steps_list").content))
    client = driver.client(handler)
    page = driver.run(client.steps.list(limit=2, start_date=date(2026, 1, 2), tags=iter(["a", "b"])))
    with suppress(ListChangedError):  # the response does not continue the list
        driver.run(client.steps.list(checkpoint=json.loads(json.dumps(page.checkpoint()))))
    assert len(handler.requests) >= 2
    for request in handler.requests:
        assert request.url.params["start_date"] == "2026-01-02"
        assert request.url.params.get_list("tags") == ["a", "b"]


ITERABLES: list[Any] = [list, tuple, iter, deque, lambda items: (item for item in items), set]


@pytest.mark.parametrize("make", ITERABLES)
@pytest.mark.parametrize("name", ["tags", "trace_ids"])
def test_iterable_is_accepted_as_query_parameter(driver: ClientDriver, make: Any, name: str) -> None:
    """Any iterable is accepted where one is documented."""
    assert listed(driver, "steps.list", {name: make(["a"])}).get_list(name) == ["a"]


@pytest.mark.parametrize("text", ["ab", b"ab", bytearray(b"ab"), TextContent(text="a"), {"a": 1}])
def test_text_and_models_are_no_iterables_of_values(driver: ClientDriver, text: Any) -> None:
    """Text, bytes, mappings and models are refused where an iterable is documented."""
    for name in ("tags", "trace_ids"):
        with pytest.raises(TypeError, match=f"{name} must be a list or None"):
            listed(driver, "steps.list", {name: text})
    with pytest.raises(TypeError, match="messages must be"):
        sent(driver, messages=text)


@pytest.mark.parametrize("streaming", [True, False])
@pytest.mark.parametrize("background", [True, False])
def test_generators_are_consumed_once_for_all_attempts(streaming: bool, background: bool) -> None:
    """Generators at any depth are consumed once, and each attempt sends the same body."""
    driver = ClientDriver(is_async=False)
    consumed: list[str] = []

    def once(name: str, *items: Any) -> Iterator[Any]:
        consumed.append(name)
        yield from items

    good: Any = event_stream(sse("[DONE]")) if streaming else recording("send_json").response()
    responses: list[Any] = [make_response(503, json={}), good]
    bodies: list[bytes] = []

    def handler(request: httpx.Request) -> httpx.Response:
        bodies.append(request.content)
        response: httpx.Response = responses.pop(0) if background and streaming else good
        return response

    client = driver.client(handler, retry=RetryPolicy(max_retries=2, initial_delay=0))
    parts = once("parts", {"type": "text", "text": "hi"})
    client.conversations.messages.create(
        CONVERSATION,
        messages=once("messages", {"role": "user", "content": parts}),
        client_tools=once("tools", {"name": "look"}),
        streaming=streaming,
        background=background,
    )
    assert sorted(consumed) == ["messages", "parts", "tools"]
    assert len(set(bodies)) == 1
    assert len(bodies) == (2 if background and streaming else 1)
    body = json.loads(bodies[0])
    assert body["messages"][0]["content"] == [{"type": "text", "text": "hi"}]
    assert body["client_tools"] == [{"name": "look"}]
    driver.close()


@pytest.mark.parametrize(
    "message",
    [
        {"role": "user", "content": "hi"},
        MessageCreate(role="user", content="hi"),
        PublishedMessage(role="user", content="hi"),
        Message(content="hi"),
        Duck(),
    ],
)
def test_message_of_any_library_is_sent_as_its_json(driver: ClientDriver, message: Any) -> None:
    """A model of letta-client or pydantic, and any object with `to_dict`, makes the request of its JSON."""
    (found,) = sent(driver, messages=[message])["messages"]
    assert {name: found[name] for name in ("role", "content")} == {"role": "user", "content": "hi"}
    assert found.keys() <= {"role", "content", "type", "otid"}


def test_nested_model_of_another_library_is_sent_as_its_json(driver: ClientDriver) -> None:
    """A content part can be a model of another library, and errors name the place of an invalid one."""
    part = PublishedText(text="hi", type="text")
    (found,) = sent(driver, messages=[{"role": "user", "content": [part]}])["messages"]
    assert found["content"] == [{"text": "hi", "type": "text"}]
    with pytest.raises(ValueError, match=r"messages\[0\]\.role must be 'user', 'system' or 'assistant', got 'robot'"):
        sent(driver, messages=[Message(role="robot", content="hi")])


def test_options_that_are_none_keep_the_settings_of_the_client(driver: ClientDriver) -> None:
    """None for an option is the setting of the client, and `max_retries` replaces that of the policy."""
    handler = respond_with(make_response(503, json={}))
    client = driver.client(handler, retry=RetryPolicy(max_retries=1, initial_delay=0))
    names = "retry max_retries hooks response_limits stream_limits when_busy extra_headers extra_query extra_body"
    for options, attempts in (
        (dict.fromkeys(names.split()), 2),
        ({"max_retries": 0}, 1),
        ({"max_retries": 2}, 3),
        ({"retry": RetryPolicy(max_retries=5, initial_delay=0), "max_retries": 0}, 1),
    ):
        for call in (client.steps.retrieve, client.get):
            handler.requests.clear()
            with pytest.raises(Exception, match="503"):
                driver.run(call(STEP if call == client.steps.retrieve else "/v1/x", **options))
            assert len(handler.requests) == attempts, options
    with pytest.raises(ValueError, match="max_retries must be an integer of 0 or more, got -1"):
        driver.run(client.steps.retrieve(STEP, max_retries=-1))


@pytest.mark.parametrize(
    ("method", "arguments", "remedy"),
    [
        ("get", {"params": {"limit": 1}}, "Pass the query parameters as query."),
        ("get", {"cast_to": object}, "returns the decoded JSON. Pass it to from_dict of a model."),
        ("post", {"json": {}}, "Pass the JSON body as body."),
        ("post", {"options": {"headers": {}}}, "Pass its entries as arguments, such as extra_headers"),
    ],
)
def test_argument_of_another_client_is_refused_with_ours(
    driver: ClientDriver, method: str, arguments: dict[str, Any], remedy: str
) -> None:
    """An argument of letta-client or httpx is refused by a message that names ours."""
    handler = respond_with(make_response(200, json={}))
    with pytest.raises(TypeError, match=rf"^{method}\(\) has no argument '{next(iter(arguments))}'.*{remedy}"):
        driver.run(getattr(driver.client(handler), method)("/v1/x", **arguments))
    assert handler.requests == []


@given(st.lists(st.sampled_from(["a", "b"]), max_size=4), st.sampled_from(ITERABLES[:5]))
def test_iterable_makes_the_request_of_its_list(tags: list[str], make: Any) -> None:
    """Each iterable makes the request of the list of its items."""
    queries: list[list[str]] = []

    def handler(request: httpx.Request) -> httpx.Response:
        queries.append(request.url.params.get_list("tags"))
        return httpx.Response(200, json=[])

    http = httpx.Client(transport=httpx.MockTransport(handler))
    with Letta(api_key="key", base_url="http://letta.test", http_client=http) as client:
        client.steps.list(tags=make(tags))
    assert queries == [tags]


def test_options_accept_instances_of_their_classes(driver: ClientDriver) -> None:
    """Options that are not None are still checked and used."""
    handler = respond_with(make_response(200, content=recording("step_retrieve").content))
    client = driver.client(handler)
    options = {
        "retry": RetryPolicy(),
        "hooks": Hooks(),
        "response_limits": ResponseLimits(),
        "stream_limits": StreamLimits(),
        "when_busy": BusyPolicy(),
    }
    assert driver.run(client.steps.retrieve(STEP, **options)).id
    for name in options:
        with pytest.raises((TypeError, ValueError), match=f"^{name} must be"):
            driver.run(client.steps.retrieve(STEP, **{name: 7}))
