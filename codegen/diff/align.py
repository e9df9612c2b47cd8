"""Aligns a document of other origin with ours."""

from __future__ import annotations

import re
from contextlib import suppress
from typing import Any

from codegen.document import METHODS, SCHEMAS, Document, Operation, ref_name
from codegen.errors import SpecError
from codegen.names import class_name
from codegen.types import EVENTS
from codegen.validate import validate

Route = tuple[str, str]


def comparable(data: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """Return the part of a document that describes the operations of another document.

    Components that only other operations use are removed. `x-letta-streaming` is copied from the other document to
    streams that lack it.

    Raises:
        SpecError: If a document is not valid.
    """
    out = Document(data).copy()
    theirs = {route(o.method, o.path): o for o in legible(other)}
    own = legible(out.data)
    names = {route(o.method, o.path): o.id for o in own}
    for operation in own:
        twin = theirs.get(route(operation.method, operation.path))
        if twin is not None:
            _tell_events(out, operation, twin, {o.id: names.get(key, "") for key, o in theirs.items()})
    for path, item in list(out.data.get("paths", {}).items()):
        for method in [m for m in METHODS if m in item and route(m, path) not in theirs]:
            del item[method]
        if not any(method in item for method in METHODS):
            del out.data["paths"][path]
    reached: set[str] = set()
    _reach(out.data.get("paths", {}), out, reached)
    schemas = {name: schema for name, schema in out.schemas.items() if SCHEMAS + name in reached}
    out.data["components"] = {**out.data.get("components", {}), "schemas": schemas}
    return out.data


def legible(data: dict[str, Any]) -> list[Operation]:
    """Return the operations of a valid document.

    Raises:
        SpecError: If the document is not valid, or an operation has no operationId.
    """
    validate(data)
    return Document(data).operations()


def route(method: str, path: str) -> Route:
    """Return the key of an operation: its method, and its path without the names of placeholders."""
    return method.lower(), re.sub(r"\{[^}]*\}", "{}", path)


def _tell_events(document: Document, operation: Operation, twin: Operation, names: dict[str, str]) -> None:
    facts = twin.data.get("x-letta-streaming")
    if not isinstance(facts, dict) or "x-letta-streaming" in operation.data:
        return
    for response in operation.data.get("responses", {}).values():
        content = document.deref(response, operation.place).get("content", {})
        if EVENTS in content:
            schema = content[EVENTS].get("schema", {})
            if ref_name(schema) is None:
                schemas = document.data.setdefault("components", {}).setdefault("schemas", {})
                name = f"{class_name(operation.id)}Event"
                while name in schemas:
                    name += "s"
                schemas[name] = schema
                content[EVENTS]["schema"] = schema = {"$ref": SCHEMAS + name}
            resume = names.get(facts.get("resume-operation", "")) or operation.id
            operation.data["x-letta-streaming"] = {**facts, "event": schema["$ref"], "resume-operation": resume}


def _reach(node: Any, document: Document, reached: set[str]) -> None:
    if isinstance(node, list):
        for item in node:
            _reach(item, document, reached)
    elif isinstance(node, dict):
        ref = node.get("$ref")
        if isinstance(ref, str) and ref not in reached:
            reached.add(ref)
            with suppress(SpecError):  # missing targets are reported when the document is read
                _reach(document.follow(ref, "#"), document, reached)
        for item in node.values():
            _reach(item, document, reached)
