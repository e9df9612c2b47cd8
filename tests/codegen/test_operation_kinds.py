"""Operations of other kinds than those of the document: what they take and return follows from the document alone."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import pytest

from codegen.document import load
from codegen.errors import SpecError
from codegen.paths import MIXINS
from codegen.pipeline import ROOT, SPEC, generate, read
from codegen.resources import read_resources
from tests.codegen.building import STRING, document, obj, operation, ref, responds

CALLS: Final = '''\
"""Calls of the new operations, in sync and async code."""

import asyncio
import inspect
import json

import httpx

from letta_ext import AsyncLetta, Letta

THINGS = [f"thing-{number}" for number in range(7)]


def answer(request: httpx.Request) -> httpx.Response:
    query = request.url.params
    if request.method == "DELETE":
        return httpx.Response(204)
    if request.method == "POST":
        return httpx.Response(200)
    if request.url.path == "/v1/status":
        return httpx.Response(200, json={"id": "status", "name": query.get("name", "")})
    if request.url.path == "/v1/found":
        return httpx.Response(200, json={"id": query["key"]})
    order = THINGS if query.get("order", "asc") == "asc" else THINGS[::-1]
    start = order.index(query["after"]) + 1 if "after" in query else 0
    found = order[start:][: int(query.get("limit", 3))]
    assert int(query.get("limit", 3)) <= 5, query
    return httpx.Response(200, json={"things": [{"id": id} for id in found], "total": 7})


def refused(call: object) -> str:
    try:
        call()
    except TypeError as fault:
        return str(fault)
    return ""


def calls() -> list[object]:
    client = Letta(base_url="http://letta.test", http_client=httpx.Client(transport=httpx.MockTransport(answer)))
    shown = inspect.signature(client.things.find).parameters["key"].default is inspect.Parameter.empty
    return [
        [each.id for each in client.things.list(limit=2)],
        [each.id for each in client.things.list(limit=5, order="desc")],
        [each.id for each in client.things.with_raw_response.list(limit=3).parse()],
        client.things.delete("thing-1"),
        client.things.with_raw_response.delete("thing-1").parse(),
        client.things.forget(),
        client.things.find(key="k").id,
        refused(lambda: client.things.find()),
        shown,
        client.status(name="n").name,
        refused(lambda: client.status(nme="n"))[:30],
        list(inspect.signature(client.status).parameters)[0],
    ]


async def async_calls() -> list[object]:
    http = httpx.AsyncClient(transport=httpx.MockTransport(answer))
    client = AsyncLetta(base_url="http://letta.test", http_client=http)
    missing = ""
    unknown = ""
    try:
        await client.things.find()
    except TypeError as fault:
        missing = str(fault)
    try:
        await client.status(nme="n")
    except TypeError as fault:
        unknown = str(fault)[:30]
    shown = inspect.signature(client.things.find).parameters["key"].default is inspect.Parameter.empty
    page = await (await client.things.with_raw_response.list(limit=3)).parse()
    return [
        [each.id async for each in client.things.list(limit=2)],
        [each.id async for each in client.things.list(limit=5, order="desc")],
        [each.id async for each in page],
        await client.things.delete("thing-1"),
        await (await client.things.with_raw_response.delete("thing-1")).parse(),
        await client.things.forget(),
        (await client.things.find(key="k")).id,
        missing,
        shown,
        (await client.status(name="n")).name,
        unknown,
        list(inspect.signature(client.status).parameters)[0],
    ]


if __name__ == "__main__":
    print(json.dumps([calls(), asyncio.run(async_calls())]))
'''

FACTS: Final[dict[str, Any]] = {
    "cursor": "id",
    "item-key": ["id"],
    "after": "after",
    "limit": "limit",
    "order": "order",
    "default-order": "asc",
    "cursor-order": "order",
    "limit-unit": "items",
    "post-filters": [],
    "items": "things",
}


def with_things(data: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """A document with a list without `before` in an object, empty responses, a required query and a plain call."""
    schemas = data["components"]["schemas"]
    schemas["Thing"] = obj("id", id=STRING, name=STRING) | {"title": "Thing"}
    items = {"type": "array", "items": ref("Thing")}
    schemas["ThingPage"] = obj("things total", things=items, total={"type": "integer"}) | {"title": "ThingPage"}
    limit = {"type": "integer", "maximum": 5}
    queries = {"after": STRING, "limit": limit, "order": {"enum": ["asc", "desc"]}}
    listed = operation(
        "things.list",
        tags=["things"],
        parameters=[{"name": name, "in": "query", "schema": each} for name, each in queries.items()],
        responses=responds(ref("ThingPage")),
    )
    facts = {key: value for key, value in (FACTS | changes).items() if value is not None}
    name = {"name": "name", "in": "query", "schema": STRING}
    key = {"name": "key", "in": "query", "required": True, "schema": STRING}
    id_ = {"name": "thing_id", "in": "path", "required": True, "schema": STRING}
    delete = operation("things.delete", tags=["things"], parameters=[id_])
    found = operation("things.find", tags=["things"], parameters=[key], responses=responds(ref("Thing")))
    forget = operation("things.forget", tags=["things"], responses=responds({}))
    status = operation("status", tags=["status"], parameters=[name], responses=responds(ref("Thing")))
    data["paths"] |= {
        "/v1/things": {"get": listed | {"x-letta-pagination": facts}, "post": forget},
        "/v1/things/{thing_id}": {"delete": delete | {"responses": {"204": {"description": "gone"}}}},
        "/v1/found": {"get": found},
        "/v1/status": {"get": status},
    }
    return data


def test_calls_of_new_kinds_follow_from_the_document(tmp_path: Path) -> None:
    """Both clients list without `before` within a limit, read empty bodies, and name a missing argument."""
    skip = shutil.ignore_patterns("__pycache__", "resources")
    shutil.copytree(ROOT / "letta_ext", tmp_path / "letta_ext", ignore=skip)
    spec = tmp_path / "openapi.yaml"
    spec.write_text(json.dumps(with_things(load(SPEC))), encoding="utf-8")
    generate(spec, tmp_path / "letta_api", tmp_path / "letta_ext" / "resources")
    (tmp_path / "calls.py").write_text(CALLS, encoding="utf-8")
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}
    command = [sys.executable, "calls.py"]
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    things = [f"thing-{number}" for number in range(7)]
    missing = "things.find() needs the argument key"
    side = [things, things[::-1], things, None, None, None, "k", missing, True, "n"]
    side += ["status() has no argument 'nme'", "name"]
    assert json.loads(done.stdout) == [side, side]


@pytest.mark.parametrize(
    ("changes", "told"),
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
        ({"limit": None}, "must have the keys"),
    ],
    ids=str,
)
def test_facts_that_do_not_fit_are_refused(changes: dict[str, Any], told: str) -> None:
    """A fact that names no parameter or field, or contradicts another, is an error with its place."""
    with pytest.raises(SpecError, match=told) as caught:
        read(with_things(document(), **changes))
    assert "x-letta-pagination" in caught.value.place


def test_list_without_a_resource_is_refused() -> None:
    """Only plain calls are methods of the client itself."""
    data = with_things(document())
    data["paths"]["/v1/things"]["get"] |= {"operationId": "things_all", "tags": ["things_all"]}
    parsed = read(data)
    with pytest.raises(SpecError, match="without a resource"):
        read_resources(parsed.document, parsed.operations, MIXINS)
