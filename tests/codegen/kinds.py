"""A document whose operations have every kind of argument and response, and the library generated from it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

from codegen.document import load
from codegen.pipeline import ROOT, SPEC, generate, write_package
from tests.codegen.building import STRING, document, obj, operation, ref, responds, takes

OTHER: Final = "other_api"
"""The package of the additional operations alone."""

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


def header(name: str, schema: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Return a header parameter."""
    return {"name": name, "in": "header", "schema": schema, **more}


def path(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    """Return a path parameter."""
    return {"name": name, "in": "path", "required": True, "schema": schema}


def with_parcels(data: dict[str, Any]) -> dict[str, Any]:
    """Return a document with operations of which each has another kind of argument, body or response."""
    names = {"type": ["object", "null"], "additionalProperties": STRING}
    kind = {"anyOf": [{"type": "string", "enum": ["small", "large"]}, STRING]}
    data["components"]["schemas"]["Parcel"] = obj("label", label=STRING) | {"title": "Parcel"}
    numbers = {"type": "object", "additionalProperties": {"type": "integer"}}
    parcel = obj("label", label=STRING, names=names, kind=kind, numbers=numbers)
    headers = [
        header("X-Key", STRING, required=True),
        header("X-Trace", {"type": ["string", "null"]}),
        header("X-Count", {"type": "integer"}),
        header("X-Kind", kind),
        header("Authorization", STRING),
    ]
    array, texts = {"type": "array", "items": STRING}, {"type": "object", "additionalProperties": STRING}
    query = {"name": "key", "in": "query", "schema": {"anyOf": [STRING, array]}}
    optional = takes(texts) | {"required": False}

    def parcels(name: str, result: Any, **parts: Any) -> dict[str, Any]:
        return operation(f"parcels.{name}", tags=["parcels"], responses=responds(result), **parts)

    gone = parcels("delete", None, parameters=[path("number", {"type": ["integer", "string"]})])
    data["paths"] |= {
        "/v1/parcels/": {
            "post": parcels("send", ref("Parcel"), parameters=headers, requestBody=takes(parcel)),
        },
        "/v1/list": {"put": parcels("replace", array, requestBody=takes(array))},
        "/v1/name": {"put": parcels("rename", STRING, requestBody=takes(STRING))},
        "/v1/weight": {"put": parcels("weigh", {"type": "number"}, requestBody=takes({"type": "number"}))},
        "/v1/flag": {"put": parcels("flag", {"type": "boolean"}, requestBody=takes({"type": "boolean"}))},
        "/v1/marks": {"patch": parcels("mark", texts, requestBody=optional)},
        "/v1/parcels/{number}": {"delete": gone | {"responses": {"204": {"description": "gone"}}}},
        "/v1/named/{parcel_name}/{kind}": {
            "get": parcels("named", {}, parameters=[path("parcel_name", STRING), path("kind", kind)])
        },
        "/v1/dated/{at}": {
            "get": parcels("dated", STRING, parameters=[path("at", {"type": "string", "format": "date-time"})])
        },
        "/v1/parcel": {"get": parcels("find", {}, parameters=[query])},
    }
    return data


def make_tree(folder: Path) -> None:
    """Write the library of the extended document into a folder, and another package of the additional operations."""
    skip = shutil.ignore_patterns("__pycache__", "resources")
    shutil.copytree(ROOT / "letta_ext", folder / "letta_ext", ignore=skip)
    spec = folder / "openapi.yaml"
    spec.write_text(json.dumps(with_parcels(with_gadgets(load(SPEC)))), encoding="utf-8")
    generate(spec, folder / "letta_api", folder / "letta_ext" / "resources")
    write_package(with_parcels(with_gadgets(document())), folder / OTHER, "0" * 64)


def run_script(tree: Path, script: str) -> Any:
    """Run a script with the packages of a tree, and return the JSON that it prints."""
    command = [sys.executable, "-c", script]
    environment = os.environ | {"PYTHONPATH": str(tree)}
    done = subprocess.run(command, cwd=tree, env=environment, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout)
