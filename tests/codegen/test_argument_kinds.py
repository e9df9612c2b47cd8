"""Each kind of argument that the generator accepts is sent, by methods of a resource and by `client.call`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import pytest

from tests.codegen.building import checked
from tests.codegen.kinds import OTHER, run_script

CALLS: Final = '''\
"""Each call in each way: as a method, raw, unread and by `call`, in sync and async code."""

import asyncio
import inspect
import json
import sys
from datetime import datetime, timezone

import httpx
import other_api.api
from letta_ext import AsyncLetta, Letta, LettaError

PARCEL = {"label": "a", "names": {"a": "b"}, "kind": "large", "numbers": {"a": 1}}
CALLS = {
    "send": [((), {"x_key": "k", "label": "a"})],
    "send all": [((), {"x_key": "k", "x_trace": "t", "x_count": 3, "x_kind": "new", **PARCEL})],
    "send null": [((), {"x_key": "k", "x_trace": None, "label": "a", "names": None})],
    "replace": [((), {"body": ["a", "b"]})],
    "rename": [((), {"body": "new name"})],
    "weigh": [((), {"body": 2.5})],
    "flag": [((), {"body": False})],
    "mark": [((), {"body": {"a": "b"}}), ((), {"body": {}}), ((), {})],
    "delete": [((7,), {}), (("7",), {})],
    "named": [(("a b", "small"), {}), (("50%", "other"), {})],
    "dated": [((datetime(2026, 1, 2, tzinfo=timezone.utc),), {}), (("2026-01-02",), {})],
    "find": [((), {"key": "k"}), ((), {"key": ["k", "l"]}), ((), {})],
}
KEYS = {"x_key": "k", "label": "a"}
REFUSED = {
    "send": [
        {"label": "a"},
        {"x_key": "k"},
        {},
        {**KEYS, "x_key": "k\\r\\nX-A: b"},
        {**KEYS, "x_key": "\\u00e9"},
        {**KEYS, "x_key": 1},
        {**KEYS, "x_count": "3"},
        {**KEYS, "names": {"a": 1}},
        {**KEYS, "names": ["a"]},
        {**KEYS, "numbers": {"a": "1"}},
        {**KEYS, "kind": 3},
        {**KEYS, "authorization": "Bearer other"},
    ],
    "replace": [{"body": "ab"}, {"body": [1]}, {}],
    "rename": [{"body": 1}, {"body": "\\ud800"}],
    "weigh": [{"body": "1"}, {"body": True}, {"body": float("nan")}],
    "mark": [{"body": {"a": 1}}, {"body": ["a"]}],
    "named": [("a/b", ""), ("..", ""), ("", ""), ("a%2Fb", ""), ("a\\r", ""), (3, ""), ("a", "b/c")],
    "find": [{"key": ["k", 3]}],
}
requests = []


def respond(request):
    headers = {name: value for name, value in request.headers.items() if name.startswith(("x-", "auth", "content-t"))}
    requests.append([request.method, request.url.raw_path.decode(), headers, request.content.decode()])
    if request.method == "DELETE":
        return httpx.Response(204)
    found = b'{"label": "found"}' if request.url.path == "/v1/parcels/" else request.content or b"{}"
    return httpx.Response(200, content=found)


def endpoint(name):
    return getattr(other_api.api.parcels, f"parcels_{name}")


def shown(value):
    return value.to_dict() if hasattr(value, "to_dict") else value


def sync_ways(client, name):
    def unread(context):
        with context as response:
            return response.parse()

    yield getattr(client.parcels, name)
    yield lambda *a, **k: getattr(client.parcels.with_raw_response, name)(*a, **k).parse()
    yield lambda *a, **k: unread(getattr(client.with_streaming_response.parcels, name)(*a, **k))
    yield lambda *a, **k: client.call(endpoint(name), *a, **k)
    yield lambda *a, **k: client.with_raw_response.call(endpoint(name), *a, **k).parse()
    yield lambda *a, **k: unread(client.with_streaming_response.call(endpoint(name), *a, **k))


def async_ways(client, name):
    async def parsed(response):
        return await (await response).parse()

    async def unread(context):
        async with context as response:
            return await response.parse()

    ways = [
        getattr(client.parcels, name),
        lambda *a, **k: parsed(getattr(client.parcels.with_raw_response, name)(*a, **k)),
        lambda *a, **k: unread(getattr(client.with_streaming_response.parcels, name)(*a, **k)),
        lambda *a, **k: client.call(endpoint(name), *a, **k),
        lambda *a, **k: parsed(client.with_raw_response.call(endpoint(name), *a, **k)),
        lambda *a, **k: unread(client.with_streaming_response.call(endpoint(name), *a, **k)),
    ]
    for way in ways:
        yield lambda *a, way=way, **k: asyncio.run(way(*a, **k))


options = {"base_url": "http://letta.test", "api_key": "secret", "default_headers": {"X-Trace": "of the client"}}
clients = [
    (Letta(**options, http_client=httpx.Client(transport=httpx.MockTransport(respond))), sync_ways),
    (AsyncLetta(**options, http_client=httpx.AsyncClient(transport=httpx.MockTransport(respond))), async_ways),
]
sent, refused, help_texts = {}, {}, []
for text, given in CALLS.items():
    name = text.split()[0]
    for number, (ids, arguments) in enumerate(given):
        seen = []
        for client, ways in clients:
            for way in ways(client, name):
                value = shown(way(*ids, **arguments))
                seen.append([*requests, value])
                requests.clear()
        assert seen == [seen[0]] * 12, seen
        sent[f"{text} {number}"] = seen[0]
for name, given in REFUSED.items():
    refused[name] = []
    for arguments in given:
        ids, arguments = (arguments, {}) if isinstance(arguments, tuple) else ((), arguments)
        seen = []
        for client, ways in clients:
            for way in ways(client, name):
                try:
                    way(*ids, **arguments)
                    seen.append("accepted")
                except (TypeError, ValueError) as fault:
                    seen.append(f"{type(fault).__name__}: {fault}")
        assert seen == [seen[0]] * 12, seen
        assert requests == [], requests
        refused[name].append(seen[0])
for client, _ in clients:
    signature = inspect.signature(client.parcels.send).parameters
    help_texts.append([name for name, each in signature.items() if each.default is inspect.Parameter.empty])
print(json.dumps([sent, refused, help_texts]))
'''

TYPED: Final = '''\
"""The types of each call."""

from datetime import datetime
from typing import assert_type

from letta_api.models import Parcel
from letta_ext import AsyncLetta, AsyncRawResponse, Letta, RawResponse
from other_api.api.parcels import parcels_delete, parcels_mark, parcels_replace, parcels_send
from other_api.models import Parcel as OtherParcel


def calls(client: Letta, at: datetime) -> None:
    assert_type(client.parcels.send(x_key="k", label="a", kind="other", names={"a": "b"}), Parcel)
    assert_type(client.parcels.replace(body=["a"]), list[str])
    assert_type(client.parcels.mark(body={"a": "b"}), dict[str, str])
    assert_type(client.parcels.dated(at), str)
    client.parcels.delete(7)
    assert_type(client.call(parcels_send, x_key="k", label="a", kind="other", names={"a": "b"}), OtherParcel)
    assert_type(client.call(parcels_replace, body=["a"]), list[str])
    assert_type(client.call(parcels_mark, body={"a": "b"}), dict[str, str])
    assert_type(client.with_raw_response.call(parcels_replace, body=["a"]), RawResponse[list[str]])
    with client.with_streaming_response.call(parcels_replace, body=["a"]) as response:
        assert_type(response.parse(), list[str])
    client.call(parcels_delete, 7)


async def async_calls(client: AsyncLetta) -> None:
    assert_type(await client.call(parcels_send, x_key="k", label="a"), OtherParcel)
    assert_type(await client.with_raw_response.call(parcels_replace, body=["a"]), AsyncRawResponse[list[str]])
    async with client.with_streaming_response.call(parcels_replace, body=["a"]) as response:
        assert_type(await response.parse(), list[str])


def wrong(client: Letta) -> None:
    client.call(parcels_send, label="a")  # type: ignore[call-arg]  # pyright: ignore
    client.call(parcels_send, x_key="k", label=3)  # type: ignore[arg-type]  # pyright: ignore
    client.call(parcels_send, x_key="k", label="a", names={"a": 1})  # type: ignore[dict-item]  # pyright: ignore
    client.call(parcels_delete)  # type: ignore[call-arg]  # pyright: ignore
    client.call(parcels_delete.sync)  # type: ignore[arg-type]  # pyright: ignore
'''


@pytest.fixture(scope="module")
def outcome(kinds_tree: Path) -> Any:
    """Return the requests, the errors and the required keywords that all ways of a call have in common."""
    return run_script(kinds_tree, CALLS)


def sent(outcome: Any, name: str) -> list[Any]:
    """Return the parts of the requests of an operation that differ, and the value that the calls return."""
    return [
        [*request[:2], {k: v for k, v in request[2].items() if k != "authorization"}, request[3], value]
        for text, (request, value) in outcome[0].items()
        if text.startswith(f"{name} ")
    ]


def test_header_parameters_are_sent(outcome: Any) -> None:
    """A header parameter is sent with its value, is absent if omitted, and replaces a header of the client."""
    headers = [request[2] for request in sent(outcome, "send")]
    body = {"content-type": "application/json"}
    of_client = {**body, "x-key": "k", "x-trace": "of the client"}
    assert headers == [
        of_client,
        {**body, "x-key": "k", "x-trace": "t", "x-count": "3", "x-kind": "new"},
        of_client,
    ]


def test_credentials_are_of_the_client(outcome: Any) -> None:
    """No argument of an operation replaces the credentials: a header parameter with their name is not an argument."""
    assert {request[2]["authorization"] for request, _ in outcome[0].values()} == {"Bearer secret"}
    assert outcome[1]["send"][-1].startswith("TypeError: parcels.send() has no argument 'authorization'.")


def test_body_fields_are_sent(outcome: Any) -> None:
    """Maps of strings and of numbers, strings beside an enum, and null are sent in a body."""
    bodies = [json.loads(request[3]) for request in sent(outcome, "send")]
    every = {"label": "a", "names": {"a": "b"}, "kind": "large", "numbers": {"a": 1}}
    assert bodies == [{"label": "a"}, every, {"label": "a", "names": None}]


@pytest.mark.parametrize(
    ("name", "contents", "values"),
    [
        ("replace", ['["a","b"]'], [["a", "b"]]),
        ("rename", ['"new name"'], ["new name"]),
        ("weigh", ["2.5"], [2.5]),
        ("flag", ["false"], [False]),
        ("mark", ['{"a":"b"}', "{}", ""], [{"a": "b"}, {}, {}]),
    ],
)
def test_bodies_that_are_not_objects_are_sent(name: str, contents: list[str], values: list[Any], outcome: Any) -> None:
    """A list, a string, a number, a boolean and a map are sent as the whole body. An omitted body is empty."""
    requests = sent(outcome, name)
    assert [request[3] for request in requests] == contents
    assert [request[4] for request in requests] == values
    assert ["content-type" in request[2] for request in requests] == [content != "" for content in contents]


@pytest.mark.parametrize(
    ("name", "paths"),
    [
        ("delete", ["/v1/parcels/7"] * 2),
        ("named", ["/v1/named/a%20b/small", "/v1/named/50%25/other"]),
        ("dated", ["/v1/dated/2026-01-02T00%3A00%3A00%2B00%3A00", "/v1/dated/2026-01-02"]),
        ("find", ["/v1/parcel?key=k", "/v1/parcel?key=k&key=l", "/v1/parcel"]),
    ],
)
def test_path_and_query_parameters_are_encoded(name: str, paths: list[str], outcome: Any) -> None:
    """Numbers, names and dates are segments of the path, and lists are repeated keys of the query."""
    assert [request[1] for request in sent(outcome, name)] == paths


def test_empty_response_returns_none(outcome: Any) -> None:
    """A response without a body returns None."""
    assert [request[4] for request in sent(outcome, "delete")] == [None, None]


SEGMENT: Final = (
    "ValueError: {} must be a path segment: text without slashes, backslashes and control characters, and not"
)


@pytest.mark.parametrize(
    ("name", "messages"),
    [
        (
            "send",
            [
                "TypeError: parcels.send() needs the argument x_key",
                "TypeError: parcels.send() needs the argument label",
                "TypeError: parcels.send() needs the arguments label, x_key",
                *["ValueError: X-Key must be printable ASCII without surrounding spaces, got str"] * 2,
                "TypeError: x_key must be a string, got 1",
                "TypeError: x_count must be an integer, got '3'",
                "TypeError: names['a'] must be a string, got 1",
                "TypeError: names must be a mapping or None, got ['a']",
                "TypeError: numbers['a'] must be an integer, got '1'",
                "TypeError: kind must be ",
                "TypeError: parcels.send() has no argument 'authorization'. Valid arguments: kind, ",
            ],
        ),
        (
            "replace",
            [
                "TypeError: body must be a list, got 'ab'",
                "TypeError: body[0] must be a string, got 1",
                "TypeError: parcels.replace() needs the argument body",
            ],
        ),
        (
            "rename",
            [
                "TypeError: body must be a string, got 1",
                "ValueError: body must be text that UTF-8 can encode, got a lone surrogate",
            ],
        ),
        (
            "weigh",
            [
                "TypeError: body must be a number, got '1'",
                "TypeError: body must be a number, got True",
                "ValueError: body must be a finite number, got nan",
            ],
        ),
        (
            "mark",
            ["TypeError: body['a'] must be a string, got 1", "TypeError: body must be a mapping, got ['a']"],
        ),
        (
            "named",
            [
                *[SEGMENT.format("parcel_name")] * 5,
                "TypeError: parcel_name must be a string, got 3",
                SEGMENT.format("kind"),
            ],
        ),
        ("find", ["TypeError: key[1] must be a string, got 3"]),
    ],
)
def test_invalid_arguments_raise_before_sending(name: str, messages: list[str], outcome: Any) -> None:
    """An invalid or missing argument raises an error that names it. Nothing is sent."""
    found = outcome[1][name]
    assert len(found) == len(messages)
    for text, message in zip(found, messages, strict=True):
        assert text.startswith(message)


def test_required_arguments_have_no_default(outcome: Any) -> None:
    """`help` shows the required keyword arguments without a default, for both clients."""
    assert outcome[2] == [["label", "x_key"]] * 2


@pytest.mark.stress
@pytest.mark.parametrize("tool", ["mypy", "pyright"])
def test_calls_are_typed(tool: str, kinds_tree: Path) -> None:
    """Strict type checkers infer the arguments and results of methods and of `call`, and report wrong arguments."""
    (kinds_tree / "typed_calls.py").write_text(TYPED, encoding="utf-8")
    checked(tool, kinds_tree, "typed_calls.py", "letta_ext/resources", OTHER)
