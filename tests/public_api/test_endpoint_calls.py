"""`client.call(endpoint, …)`: endpoint modules of `letta_api`, and of a package with another name."""

from __future__ import annotations

import email
import io
import json
import socket
import sys
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any
from urllib.parse import unquote

import httpx
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import letta_api.models
from letta_api import api, operations
from letta_api.models import AgentState, LettaResponse
from letta_ext import (
    NOT_GIVEN,
    APIConnectionError,
    APIResponseValidationError,
    ConversationBusyError,
    Hooks,
    Letta,
    LettaError,
    NotFoundError,
    RetryPolicy,
    omit,
)
from letta_ext.testing import EmbeddedServer

from ..client.helpers import BASE_URL, KEY, NO_DELAY, ClientDriver, make_response, respond_with
from ..codegen.building import STRING, document, imported, make, obj, operation, ref, responds, takes

WIDGET = {"id": "widget-1", "label": "round", "new": 1}


def widgets() -> dict[str, Any]:
    """Return a document whose operations have no facts, are idempotent, or respond with events."""
    content = obj("role", role=STRING, content=STRING) | {"title": "MessageCreate"}
    body = obj("label", label=STRING, input=STRING, messages={"type": "array", "items": ref("MessageCreate")})
    body["properties"] |= {"timeout": {"type": "integer"}, "extra": {}}
    id_ = {"name": "widget_id", "in": "path", "required": True, "schema": STRING}
    event = {
        "oneOf": [ref("Ping")],
        "discriminator": {"propertyName": "type", "mapping": {"ping": ref("Ping")["$ref"]}},
    }
    ping = obj("type", type={"const": "ping"})
    schemas = {
        "Widget": obj("id label", id=STRING, label=STRING),
        "MessageCreate": content,
        "Ping": ping,
        "Event": event,
    }
    read = operation("widgets.read", parameters=[id_], responses=responds(ref("Widget")))
    watched = operation("widgets.watch", requestBody=takes(obj(live={"type": "boolean"})))
    facts = {"event": ref("Event")["$ref"], "terminator": "[DONE]", "resume-operation": "widgets.watch"}
    stream = {"text/event-stream": {"schema": ref("Event")}}
    name = {"name": "widget_name", "in": "path", "required": True, "schema": STRING}
    both = {"200": {"description": "ok", "content": {**responds(ref("Widget"))["200"]["content"], **stream}}}
    only = {"200": {"description": "ok", "content": stream}}
    paths = {
        "/v1/widgets/": {
            "get": operation("widgets.list", responses=responds({"type": "array", "items": ref("Widget")})),
            "post": operation("widgets.create", requestBody=takes(body), responses=responds(ref("Widget"))),
        },
        "/v1/widgets/{widget_id}": {"get": read | {"x-letta-idempotency": "idempotent"}},
        "/v1/named/{widget_name}": {"get": operation("widgets.named", parameters=[name])},
        "/v1/watch": {
            "post": watched | {"responses": both, "x-letta-streaming": {**facts, "stream-condition": "live"}},
            "get": operation("widgets.events") | {"responses": only, "x-letta-streaming": facts},
        },
    }
    return document(schemas, paths | bodies())


def bodies() -> dict[str, Any]:
    """Return operations whose bodies or responses are not JSON."""
    file = {"type": "string", "format": "binary"}
    form = obj("name", name=STRING, tags={"type": "array", "items": STRING})
    upload = obj("file", file=file, files={"type": "array", "items": file}, name=STRING)

    def sends(name: str, media: str, schema: Any) -> dict[str, Any]:
        body = {"required": True, "content": {media: {"schema": schema}}}
        return {"post": operation(f"widgets.{name}", requestBody=body, responses=responds(STRING))}

    def keeps(name: str, **more: Any) -> dict[str, Any]:
        cookies = [{"name": f"c-{n}", "in": "cookie", "schema": STRING} for n in (1, 2)]
        made = operation(f"widgets.{name}", parameters=cookies, responses=responds(STRING), **more)
        return {"post": made | {"x-letta-idempotency": "idempotent"}}

    def returns(name: str, media: str, schema: Any) -> dict[str, Any]:
        content = {"200": {"description": "ok", "content": {media: {"schema": schema}}}}
        return {"get": operation(f"widgets.{name}", responses=content)}

    return {
        "/v1/cookies": keeps("keep"),
        "/v1/cookies/json": keeps("keep_json", requestBody=takes(obj("name", name=STRING))),
        "/v1/cookies/text": keeps("keep_text", requestBody={"content": {"text/plain": {"schema": STRING}}}),
        "/v1/form": sends("fill", "application/x-www-form-urlencoded", form),
        "/v1/upload": sends("upload", "multipart/form-data", upload),
        "/v1/text": sends("write", "text/plain", STRING) | returns("text", "text/csv", STRING),
        "/v1/bytes": sends("store", "application/octet-stream", file) | returns("bytes", "application/zip", file),
    }


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Return a package that the generator made from another document."""
    package, _ = make(widgets(), tmp_path_factory.mktemp("other"))
    with imported(package) as module:
        yield module


def endpoint(other: Any, name: str) -> Any:
    """Return an endpoint module of the other package."""
    return getattr(other.api.widgets, f"widgets_{name}")


def test_call_returns_types_of_the_package(driver: ClientDriver, other: Any) -> None:
    """The response is decoded by the package of the endpoint, and keeps unknown fields."""
    client = driver.client(respond_with(make_response(200, json=WIDGET)))
    found = driver.run(client.call(endpoint(other, "read"), "widget-1"))
    assert type(found) is other.models.Widget
    assert found.to_dict() == WIDGET
    listed = driver.client(respond_with(make_response(200, json=[WIDGET])))
    assert driver.run(listed.call(endpoint(other, "list"))) == [found]


def test_call_sends_settings_of_the_client(driver: ClientDriver, other: Any) -> None:
    """The request has the API key, the headers and the query parameters of the client."""
    handler = respond_with(make_response(200, json=WIDGET))
    client = driver.client(handler).with_options(default_headers={"X-A": "1"}, default_query={"q": "2"})
    driver.run(client.call(endpoint(other, "read"), widget_id="widget-1"))
    (request,) = handler.requests
    assert str(request.url) == f"{BASE_URL}/v1/widgets/widget-1?q=2"
    assert (request.headers["authorization"], request.headers["x-a"]) == (f"Bearer {KEY}", "1")


@pytest.mark.parametrize(
    ("name", "arguments", "attempts"), [("list", {}, 1), ("create", {"label": "a"}, 1), ("read", {"widget_id": "a"}, 3)]
)
@pytest.mark.parametrize("outcome", [503, httpx.ReadError("cut")], ids=str)
def test_call_is_retried_as_the_package_states(
    outcome: Any, name: str, arguments: Any, attempts: int, driver: ClientDriver, other: Any
) -> None:
    """Only an operation that the package describes as idempotent is sent again after it may have been processed."""
    handler, reports = respond_with(outcome), list[str]()
    hooks = Hooks(on_attempt=lambda report: reports.append(report.operation))
    client = driver.client(handler, retry=NO_DELAY, hooks=hooks)
    with pytest.raises(LettaError):
        driver.run(client.call(endpoint(other, name), **arguments))
    assert len(handler.requests) == attempts
    assert reports == [f"widgets.{name}"] * attempts


def test_call_without_facts_is_retried_if_surely_unsent(driver: ClientDriver, other: Any) -> None:
    """A request without a connection was not sent, so it is sent again."""
    with socket.create_server(("127.0.0.1", 0)) as unused:
        address = f"http://127.0.0.1:{unused.getsockname()[1]}"
    reports: list[str] = []
    hooks = Hooks(on_attempt=lambda report: reports.append(report.operation))
    client = driver.client(base_url=address, retry=NO_DELAY, hooks=hooks)
    with pytest.raises(APIConnectionError) as caught:
        driver.run(client.call(endpoint(other, "create"), label="a"))
    assert len(reports) == 3
    assert not caught.value.may_have_been_processed


@pytest.mark.parametrize(
    ("response", "error", "message"),
    [
        (make_response(404, json={"detail": "no"}), NotFoundError, "no"),
        (make_response(409, json={"detail": "CONFLICT: ...", "run_id": "run-1"}), ConversationBusyError, "run-1"),
        (make_response(200, json={"id": 1}), APIResponseValidationError, "label: is required and missing"),
        (make_response(200, content=b"<html>"), APIResponseValidationError, "is not JSON"),
        (
            make_response(200, content=b"data: {}\n\n", headers={"content-type": "text/event-stream"}),
            APIResponseValidationError,
            "a stream of events, not JSON. Pass the argument that turns streaming off, such as streaming=False",
        ),
    ],
)
def test_call_raises_errors_of_every_request(
    response: Callable[[], httpx.Response], error: type[LettaError], message: str, driver: ClientDriver, other: Any
) -> None:
    """Error responses and malformed responses raise the exceptions of the methods of the client."""
    client = driver.client(respond_with(response))
    with pytest.raises(error, match=message):
        driver.run(client.call(endpoint(other, "create"), label="a"))


def test_call_encodes_models_of_any_package(driver: ClientDriver, other: Any) -> None:
    """Arguments can be models of the package, and models of `letta_api` with the same name."""
    handler = respond_with(make_response(200, json=WIDGET))
    unknown = sys.modules[f"{other.__name__}.model"].Unknown({"role": "new"}, "reason")
    of_package = other.models.MessageCreate(role="user", content="a")
    of_library = letta_api.models.MessageCreate(role="user", content="b")
    messages = [of_package, of_library, {"role": "user"}, unknown]
    extra = {"models": [of_package, of_library, unknown, WIDGET]}
    driver.run(driver.client(handler).call(endpoint(other, "create"), label="a", messages=messages, extra=extra))
    of_both = [{"role": "user", "content": "a"}, {"type": "message", "role": "user", "content": "b"}]
    assert json.loads(handler.requests[0].content) == {
        "label": "a",
        "messages": [*of_both, {"role": "user"}, {"role": "new"}],
        "extra": {"models": [*of_both, {"role": "new"}, WIDGET]},
    }


def test_methods_encode_models_of_any_package(driver: ClientDriver, other: Any) -> None:
    """A method of the client accepts a model of another package with the name of its own."""
    handler = respond_with(make_response(404, json={}))
    message = other.models.MessageCreate(role="user", content="a")
    with pytest.raises(NotFoundError):
        driver.run(driver.client(handler).conversations.messages.create("conv-1", messages=[message]))
    assert json.loads(handler.requests[0].content)["messages"] == [{"role": "user", "content": "a"}]
    with pytest.raises(TypeError, match=r"messages\[0\] must be MessageCreate"):
        driver.run(driver.client(handler).conversations.messages.create("conv-1", messages=[other.models.Widget(**ID)]))


ID = {"id": "widget-1", "label": "round"}


def test_call_omits_unset_arguments(driver: ClientDriver, other: Any) -> None:
    """`UNSET` of the package and `NOT_GIVEN` are omitted, and None is sent."""
    handler = respond_with(make_response(200, json=WIDGET))
    unset = sys.modules[f"{other.__name__}.types"].UNSET
    call = driver.client(handler).call(
        endpoint(other, "create"), label="a", input=unset, messages=NOT_GIVEN, extra=None
    )
    driver.run(call)
    assert json.loads(handler.requests[0].content) == {"label": "a", "extra": None}


def test_call_passes_every_argument_to_the_endpoint(driver: ClientDriver, other: Any) -> None:
    """Arguments with names of request options, and both `input` and `messages`, are those of the operation."""
    handler = respond_with(make_response(200, json=WIDGET))
    arguments = {"label": "a", "timeout": 3, "input": "b", "messages": []}
    driver.run(driver.client(handler).call(endpoint(other, "create"), **arguments))
    assert json.loads(handler.requests[0].content) == arguments


def test_call_returns_json_of_an_operation_that_can_stream(driver: ClientDriver, other: Any) -> None:
    """The argument that selects a stream is sent as False, and cannot be True."""
    handler = respond_with(make_response(200, json=WIDGET))
    client = driver.client(handler)
    assert driver.run(client.call(endpoint(other, "watch"))).id == "widget-1"
    assert json.loads(handler.requests[0].content) == {"live": False}
    with pytest.raises(ValueError, match=r"live must be False or omitted, because call\(\) returns the JSON response"):
        driver.run(client.call(endpoint(other, "watch"), live=True))


@pytest.mark.parametrize(
    ("name", "arguments", "kind", "content"),
    [
        ("fill", {"name": "a b", "tags": ["c", "d"]}, "application/x-www-form-urlencoded", b"name=a+b&tags=c&tags=d"),
        ("write", {"body": "\u00e4"}, "text/plain", "\u00e4".encode()),
        ("store", {"body": b"\x00\xff"}, "application/octet-stream", b"\x00\xff"),
    ],
)
def test_call_sends_other_bodies_than_json(
    name: str, arguments: Any, kind: str, content: bytes, driver: ClientDriver, other: Any
) -> None:
    """A form, text and bytes are sent with their content type."""
    handler = respond_with(make_response(200, json="done"))
    client = driver.client(handler)
    assert driver.run(client.call(endpoint(other, name), **arguments)) == "done"
    (request,) = handler.requests
    assert request.headers["content-type"].partition(";")[0] == kind
    assert (request.content, request.headers["content-length"]) == (content, str(len(content)))
    assert request.headers["authorization"] == f"Bearer {KEY}"


@pytest.mark.parametrize(
    ("name", "arguments", "content"),
    [("keep", {}, b""), ("keep_json", {"name": "a"}, b'{"name":"a"}'), ("keep_text", {"body": "a"}, b"a")],
)
def test_call_sends_cookie_parameters(
    name: str, arguments: Any, content: bytes, driver: ClientDriver, other: Any
) -> None:
    """Cookie parameters are sent with each attempt, beside other cookies and any body, and are not kept."""
    handler = respond_with(503, make_response(200, json="done"))
    client = driver.client(handler, retry=NO_DELAY)
    http = driver.httpx_client(transport=httpx.MockTransport(handler), cookies={"session": "1", "c-2": "old"})
    passed = driver.client(base_url=BASE_URL, http_client=http)
    calls = [
        (client, {"c_1": "a b", "c_2": "2"}, "c-1=a%20b; c-2=2"),
        (client, {"c_2": "2"}, "c-2=2"),
        (client, {}, None),
        (client.with_options(default_headers={"Cookie": "d=1"}), {"c_2": "2"}, "d=1; c-2=2"),
        (client.with_options(default_headers={"Cookie": omit}), {"c_2": "2"}, "c-2=2"),
        (passed, {"c_2": "2"}, "session=1; c-2=2"),
    ]
    for each, cookies, _ in calls:
        assert driver.run(each.call(endpoint(other, name), **arguments, **cookies)) == "done"
    sent = [request.headers.get("Cookie") for request in handler.requests]
    assert sent == [calls[0][2], *[cookie for *_, cookie in calls]]
    assert {request.content for request in handler.requests} == {content}


def test_call_uploads_files(driver: ClientDriver, other: Any) -> None:
    """Files are given as bytes, as an open file, or with a name and a content type. Each is one part of the body."""
    handler = respond_with(make_response(200, json="done"))
    files = [io.BytesIO(b"two"), ("three.txt", b"three"), ("four.txt", io.BytesIO(b"four"), "text/plain")]
    call = driver.client(handler).call(endpoint(other, "upload"), file=b"one", files=files, name="n")
    assert driver.run(call) == "done"
    (request,) = handler.requests
    head = f"Content-Type: {request.headers['content-type']}\r\n\r\n".encode()
    parts: Any = email.message_from_bytes(head + request.content).get_payload()
    assert [
        (part.get_param("name", header="content-disposition"), part.get_filename(), part.get_payload(decode=True))
        for part in parts
    ] == [
        ("file", "file", b"one"),
        ("files", "upload", b"two"),
        ("files", "three.txt", b"three"),
        ("files", "four.txt", b"four"),
        ("name", None, b"n"),
    ]


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("upload", {}, "widgets.upload() needs the argument file"),
        ("upload", {"file": 3}, "file must be "),
        ("upload", {"file": io.StringIO("a")}, "file must be "),
        ("upload", {"file": ("a", 3)}, "file must be "),
        ("upload", {"file": b"", "files": b"a"}, "files must be a list"),
        ("fill", {"name": 3}, "name must be a string, got 3"),
        ("fill", {"name": "\ud800"}, "text that UTF-8 can encode"),
        ("write", {"body": 3}, "body must be bytes or a string, got 3"),
        ("write", {"body": "\ud800"}, "text that UTF-8 can encode"),
        ("store", {"body": 3}, "body must be "),
    ],
)
def test_call_with_invalid_body_raises_before_sending(
    name: str, arguments: Any, message: str, driver: ClientDriver, other: Any
) -> None:
    """A value that is not a file, text or bytes raises an error that names it."""
    handler = respond_with(200)
    client = driver.client(handler)
    with pytest.raises((TypeError, ValueError)) as caught:
        driver.run(client.call(endpoint(other, name), **arguments))
    assert message in str(caught.value)
    assert handler.requests == []


@pytest.mark.parametrize(
    ("name", "accept", "value"), [("text", "text/csv", "a,\u00e4"), ("bytes", "application/zip", b"a,\xc3\xa4")]
)
def test_call_returns_text_and_bytes(name: str, accept: str, value: Any, driver: ClientDriver, other: Any) -> None:
    """A response can be text or bytes, of the content type that the request accepts."""
    handler = respond_with(make_response(200, content=b"a,\xc3\xa4", headers={"content-type": accept}))
    client = driver.client(handler)
    assert driver.run(client.call(endpoint(other, name))) == value
    assert handler.requests[0].headers["accept"] == accept


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (None, "got NoneType"),
        ("agents_list", "got str"),
        (json, "got module json"),
        (api, "got module letta_api.api"),
        (api.agents, "got module letta_api.api.agents"),
        (api.agents.agents_list.sync, "got function sync"),
        (
            SimpleNamespace(OPERATION=SimpleNamespace(id="a"), build_request=print, read_response=print),
            "of a package that this version of the generator wrote",
        ),
        (operations.AGENTS_LIST, "got Operation. Pass letta_api.api.agents.agents_list"),
        (
            api.conversations_messages.conversations_messages_stream,
            "conversations.messages.stream has a stream of events. Use a method of the client, or events()",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_call_of_another_object_raises_type_error(wrong: Any, message: str, driver: ClientDriver) -> None:
    """An object that is not an endpoint module with a JSON response raises TypeError with what to pass."""
    handler = respond_with(200)
    client = driver.client(handler)
    for make_call in (client.call, client.with_raw_response.call):
        with pytest.raises(TypeError) as caught:
            driver.run(make_call(wrong))
        assert str(caught.value).startswith("endpoint must ")
        assert message in str(caught.value)
    assert handler.requests == []


@pytest.mark.parametrize(
    ("name", "positional", "keywords", "message"),
    [
        ("read", (), {}, "widgets.read() needs the argument widget_id"),
        (
            "read",
            ("a", "b"),
            {},
            "widgets.read() takes only widget_id by position. Pass the other arguments by keyword.",
        ),
        ("list", ("a",), {}, "widgets.list() takes no argument by position. Pass the other arguments by keyword."),
        ("read", ("a",), {"widget_id": "b"}, "widgets.read() has two values for the argument 'widget_id'"),
        ("read", ("a",), {"colour": 1}, "widgets.read() has no argument 'colour'. Valid arguments: widget_id."),
        ("list", (), {"colour": 1}, "widgets.list() has no argument 'colour'. Valid arguments: none."),
        ("read", ("a",), {"timeout": 1}, "Use client.with_options(timeout=…).call(…)."),
        ("read", ("a",), {"extra_headers": {}}, "Use client.with_options(default_headers=…).call(…)."),
        ("read", ("a",), {"extra_body": {}}, "Use client.post(…), put or patch."),
        ("create", (), {}, "widgets.create() needs the argument label"),
        ("create", (), {"label": 3}, "label must be a string, got 3"),
        ("create", (), {"label": "a", "messages": [{}]}, "messages[0] must have the key 'role'"),
        ("read", ("a/b",), {}, "widget_id must be an id"),
    ],
)
def test_call_with_invalid_argument_raises_before_sending(
    name: str, positional: Any, keywords: Any, message: str, driver: ClientDriver, other: Any
) -> None:
    """A missing, unknown or invalid argument raises an error that names it."""
    handler = respond_with(200)
    client = driver.client(handler)
    with pytest.raises((TypeError, ValueError)) as caught:
        driver.run(client.call(endpoint(other, name), *positional, **keywords))
    assert message in str(caught.value)
    assert handler.requests == []


@pytest.fixture(scope="module")
def recorded() -> Iterator[tuple[Letta, list[httpx.Request]]]:
    """Return a client, and the list of its requests."""
    handler = respond_with(make_response(200, json=1))
    with (
        httpx.Client(transport=httpx.MockTransport(handler)) as http,
        Letta(base_url=BASE_URL, http_client=http) as letta,
    ):
        yield letta, handler.requests


@settings(deadline=None)
@given(text=st.text(st.sampled_from("a./\\%2eE5Ff;c \n"), max_size=12) | st.text(max_size=12))
@example(text="%2e%2e")
@example(text="a%25252Fb")
@example(text="..;a")
def test_call_sends_a_name_as_one_segment_of_the_path(
    text: str, other: Any, recorded: tuple[Letta, list[httpx.Request]]
) -> None:
    """A name in the path is one segment, however often a server decodes it, or an error before sending."""
    client, requests = recorded
    requests.clear()
    try:
        client.call(endpoint(other, "named"), text)
    except ValueError:
        assert requests == []
        return
    path = requests[0].url.raw_path.decode()
    assert unquote(path) == f"/v1/named/{text}"
    for _ in range(4):
        path = unquote(path)
        assert path.count("/") == 3
        assert "\\" not in path
        assert path.rpartition("/")[2].partition(";")[0] not in ("", ".", "..")


def test_call_of_own_package_returns_one_page(driver: ClientDriver, server: EmbeddedServer) -> None:
    """An endpoint module of `letta_api` can be called too: a list returns one page, and a send the whole response."""
    client = driver.client(base_url=server.base_url, retry=RetryPolicy(max_retries=0))
    agents = driver.run(client.call(api.agents.agents_list, limit=1))
    assert [type(each) for each in agents] == [AgentState]
    endpoint = api.conversations_messages.conversations_messages_create
    assert isinstance(driver.run(client.call(endpoint, server.conversation_id, input="hi")), LettaResponse)
    assert driver.run(client.call(api.health.health)).status == "ok"
