"""Arguments and results of other kinds of operations follow from the document."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import pytest

from codegen.document import escape
from codegen.errors import SpecError, SpecErrors
from codegen.paths import MIXINS
from codegen.pipeline import read
from codegen.resources import read_resources
from tests.codegen.building import document
from tests.codegen.kinds import run_script, with_gadgets

CALLS: Final = '''\
"""Calls of the new operations, in sync and async code."""

import asyncio
import inspect
import json

import httpx

from letta_ext import AsyncLetta, Letta

GADGETS = [f"gadget-{number}" for number in range(7)]


def respond(request: httpx.Request) -> httpx.Response:
    query = request.url.params
    if request.method == "DELETE":
        return httpx.Response(204)
    if request.method == "POST":
        return httpx.Response(200)
    if request.url.path == "/v1/status":
        return httpx.Response(200, json={"id": "status", "name": query.get("name", "")})
    if request.url.path == "/v1/found":
        return httpx.Response(200, json={"id": query["key"]})
    order = GADGETS if query.get("order", "asc") == "asc" else GADGETS[::-1]
    start = order.index(query["after"]) + 1 if "after" in query else 0
    found = order[start:][: int(query.get("limit", 3))]
    assert int(query.get("limit", 3)) <= 5, query
    return httpx.Response(200, json={"gadgets": [{"id": id} for id in found], "total": 7})


def refused(call: object) -> str:
    try:
        call()
    except TypeError as fault:
        return str(fault)
    return ""


def calls() -> list[object]:
    client = Letta(base_url="http://letta.test", http_client=httpx.Client(transport=httpx.MockTransport(respond)))
    shown = inspect.signature(client.gadgets.find).parameters["key"].default is inspect.Parameter.empty
    return [
        [each.id for each in client.gadgets.list(limit=2)],
        [each.id for each in client.gadgets.list(limit=5, order="desc")],
        [each.id for each in client.gadgets.with_raw_response.list(limit=3).parse()],
        client.gadgets.delete("gadget-1"),
        client.gadgets.with_raw_response.delete("gadget-1").parse(),
        client.gadgets.forget(),
        client.gadgets.find(key="k").id,
        refused(lambda: client.gadgets.find()),
        shown,
        client.status(name="n").name,
        refused(lambda: client.status(nme="n"))[:30],
        list(inspect.signature(client.status).parameters)[0],
    ]


async def async_calls() -> list[object]:
    http = httpx.AsyncClient(transport=httpx.MockTransport(respond))
    client = AsyncLetta(base_url="http://letta.test", http_client=http)
    missing = ""
    unknown = ""
    try:
        await client.gadgets.find()
    except TypeError as fault:
        missing = str(fault)
    try:
        await client.status(nme="n")
    except TypeError as fault:
        unknown = str(fault)[:30]
    shown = inspect.signature(client.gadgets.find).parameters["key"].default is inspect.Parameter.empty
    page = await (await client.gadgets.with_raw_response.list(limit=3)).parse()
    return [
        [each.id async for each in client.gadgets.list(limit=2)],
        [each.id async for each in client.gadgets.list(limit=5, order="desc")],
        [each.id async for each in page],
        await client.gadgets.delete("gadget-1"),
        await (await client.gadgets.with_raw_response.delete("gadget-1")).parse(),
        await client.gadgets.forget(),
        (await client.gadgets.find(key="k")).id,
        missing,
        shown,
        (await client.status(name="n")).name,
        unknown,
        list(inspect.signature(client.status).parameters)[0],
    ]


if __name__ == "__main__":
    print(json.dumps([calls(), asyncio.run(async_calls())]))
'''


def test_new_operation_kinds_work_on_both_clients(kinds_tree: Path) -> None:
    """Both clients list without `before` within a limit, read empty bodies, and name a missing argument."""
    gadgets = [f"gadget-{number}" for number in range(7)]
    missing = "gadgets.find() needs the argument key"
    side = [gadgets, gadgets[::-1], gadgets, None, None, None, "k", missing, True, "n"]
    side += ["status() has no argument 'nme'", "name"]
    assert run_script(kinds_tree, CALLS) == [side, side]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"items": "nothing"}, "must be a field of the response"),
        ({"items": "total"}, "must be a required array"),
        ({"items": None}, "must be a required array"),
        ({"cursor-order": "reverse"}, "has no before"),
        ({"cursor-order": "chronological"}, "has no before"),
        ({"cursor-order": "sideways"}, "cursor-order one of"),
        ({"before": "none"}, "must be the name of a query parameter"),
        ({"sort": "order"}, "must have both sort and cursor-sorts"),
        ({"sort": "none", "cursor-sorts": ["asc"]}, "must be the name of a query parameter"),
        ({"sort": "order", "cursor-sorts": "asc"}, "must be lists of strings"),
        ({"moved-by": "weather", "before": "after"}, "moved-by: must be one of compaction"),
        ({"moved-by": "compaction"}, "in a list that has before"),
        ({"limit": None}, "must have the keys"),
    ],
    ids=str,
)
def test_inconsistent_extension_is_refused(changes: dict[str, Any], message: str) -> None:
    """An extension that names an unknown field or contradicts another is refused with its place."""
    with pytest.raises(SpecError, match=message) as caught:
        read(with_gadgets(document(), **changes))
    assert "x-letta-pagination" in caught.value.place


def test_list_operation_without_resource_is_refused() -> None:
    """Only plain calls are methods of the client itself."""
    data = with_gadgets(document())
    data["paths"]["/v1/gadgets"]["get"] |= {"operationId": "gadgets_all", "tags": ["gadgets_all"]}
    parsed = read(data)
    with pytest.raises(SpecError, match="without a resource"):
        read_resources(parsed.document, parsed.operations, MIXINS)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        *[
            (f"gadgets.{word}", "public Python names")
            for word in ("import", "None", "_find", "__init__", "a-b", "2x", "a b")
        ],
        *[(name, "public Python names") for name in ("class.find", "a..b", ".find", "gadgets.")],
        *[(word, "the client has already") for word in ("close", "get", "call", "with_options", "base_url", "copy")],
        ("with_raw_response.find", "the client has already: 'with_raw_response'"),
        ("gadgets.with_streaming_response", "client.gadgets has already: 'with_streaming_response'"),
        ("conversations.messages.follow", "client.conversations.messages has already: 'follow'"),
        ("gadgets", "has the name of a resource: 'gadgets'"),
        ("Gadgets.find", "has a resource with the name of another part: gadgets"),
        *[(f"{word}.find", f"another part: {word}") for word in ("arguments", "client", "client_calls", "letta")],
    ],
)
def test_operation_that_cannot_be_a_method_is_refused(name: str, message: str) -> None:
    """An `operationId` with a part that is private, is not a Python name or hides another attribute is refused."""
    data = with_gadgets(document())
    data["paths"]["/v1/found"]["get"]["operationId"] = name
    assert_refused(data, "/v1/found", message)


@pytest.mark.parametrize("name", ["timeout", "extra_headers", "when_busy", "checkpoint", "prefetch"])
def test_argument_that_is_a_request_option_is_refused(name: str) -> None:
    """An argument with the name of a request option is refused, because a method could not send it."""
    data = with_gadgets(document())
    data["paths"]["/v1/found"]["get"]["parameters"][0]["name"] = name
    assert_refused(
        data, "/v1/found", f"an argument with the name of a request option: {name}. Call it with client.call"
    )


def test_argument_named_like_a_variable_is_refused_in_a_path_only() -> None:
    """A query parameter called `options` or `arguments` is an argument, and a path parameter is refused."""
    data = with_gadgets(document())
    data["paths"]["/v1/found"]["get"]["parameters"][0]["name"] = "options"
    parsed = read(data)
    assert read_resources(parsed.document, parsed.operations, MIXINS).children
    path = data["paths"].pop("/v1/gadgets/{gadget_id}")
    path["delete"]["parameters"][0]["name"] = "options"
    data["paths"]["/v1/gadgets/{options}"] = path
    parsed = read(data)
    with pytest.raises(SpecErrors, match="an argument with the name of a request option: options"):
        read_resources(parsed.document, parsed.operations, MIXINS)


def assert_refused(data: dict[str, Any], path: str, message: str) -> None:
    """Assert that the resources of a document are refused at an operation, with a message."""
    parsed = read(data)
    with pytest.raises(SpecErrors) as caught:
        read_resources(parsed.document, parsed.operations, MIXINS)
    assert {fault.place for fault in caught.value.faults} == {f"#/paths/{escape(path)}/get"}
    assert message in str(caught.value)
