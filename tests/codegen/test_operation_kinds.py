"""Arguments and results of other kinds of operations follow from the document."""

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
    "items": "gadgets",
}


def with_gadgets(data: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """Return a document with an enveloped list, empty responses, a required query and a plain call."""
    schemas = data["components"]["schemas"]
    schemas["Gadget"] = obj("id", id=STRING, name=STRING) | {"title": "Gadget"}
    items = {"type": "array", "items": ref("Gadget")}
    schemas["GadgetPage"] = obj("gadgets total", gadgets=items, total={"type": "integer"}) | {"title": "GadgetPage"}
    limit = {"type": "integer", "maximum": 5}
    queries = {"after": STRING, "limit": limit, "order": {"enum": ["asc", "desc"]}}
    listed = operation(
        "gadgets.list",
        tags=["gadgets"],
        parameters=[{"name": name, "in": "query", "schema": each} for name, each in queries.items()],
        responses=responds(ref("GadgetPage")),
    )
    facts = {key: value for key, value in (FACTS | changes).items() if value is not None}
    name = {"name": "name", "in": "query", "schema": STRING}
    key = {"name": "key", "in": "query", "required": True, "schema": STRING}
    id_ = {"name": "gadget_id", "in": "path", "required": True, "schema": STRING}
    delete = operation("gadgets.delete", tags=["gadgets"], parameters=[id_])
    found = operation("gadgets.find", tags=["gadgets"], parameters=[key], responses=responds(ref("Gadget")))
    forget = operation("gadgets.forget", tags=["gadgets"], responses=responds({}))
    status = operation("status", tags=["status"], parameters=[name], responses=responds(ref("Gadget")))
    data["paths"] |= {
        "/v1/gadgets": {"get": listed | {"x-letta-pagination": facts}, "post": forget},
        "/v1/gadgets/{gadget_id}": {"delete": delete | {"responses": {"204": {"description": "gone"}}}},
        "/v1/found": {"get": found},
        "/v1/status": {"get": status},
    }
    return data


def test_new_operation_kinds_work_on_both_clients(tmp_path: Path) -> None:
    """Both clients list without `before` within a limit, read empty bodies, and name a missing argument."""
    skip = shutil.ignore_patterns("__pycache__", "resources")
    shutil.copytree(ROOT / "letta_ext", tmp_path / "letta_ext", ignore=skip)
    spec = tmp_path / "openapi.yaml"
    spec.write_text(json.dumps(with_gadgets(load(SPEC))), encoding="utf-8")
    generate(spec, tmp_path / "letta_api", tmp_path / "letta_ext" / "resources")
    (tmp_path / "calls.py").write_text(CALLS, encoding="utf-8")
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}
    command = [sys.executable, "calls.py"]
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    gadgets = [f"gadget-{number}" for number in range(7)]
    missing = "gadgets.find() needs the argument key"
    side = [gadgets, gadgets[::-1], gadgets, None, None, None, "k", missing, True, "n"]
    side += ["status() has no argument 'nme'", "name"]
    assert json.loads(done.stdout) == [side, side]


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
