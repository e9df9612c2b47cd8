"""Moves null from components to the references to them, so that a nullable object is an object with its own name."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from codegen.document import VALUES, Schema, ref_name
from codegen.keywords import types_of
from codegen.normalize import UNIONS
from codegen.types import NULL


def unwrap_objects(schemas: dict[str, Schema]) -> set[str]:
    """Replace unions of one inline object and null by the object, and return the names of those components."""
    found: set[str] = set()
    for name, schema in schemas.items():
        members = _members(schema)
        others = [member for member in members if member != NULL]
        if len(others) == 1 and _is_object(others[0]):
            schemas[name] = others[0] | {key: value for key, value in schema.items() if key not in UNIONS}
            found |= {name} if NULL in members else set()
    return found


def _members(schema: Any) -> list[Any]:
    lists = [schema[word] for word in UNIONS if word in schema] if isinstance(schema, dict) else []
    return lists[0] if len(lists) == 1 else []


def _is_object(schema: Any) -> bool:
    return isinstance(schema, dict) and "object" in types_of(schema) and "properties" in schema


def with_null_references(node: Any, names: Collection[str]) -> Any:
    """Return a tree in which null also matches each reference to one of the components.

    A reference that is one of several parts of an `allOf` stays, because normalization has made that `allOf` nullable.
    """
    if isinstance(node, list):
        return [with_null_references(each, names) for each in node]
    if not isinstance(node, dict):
        return node
    if ref_name(node) in names:
        return {"anyOf": [{"$ref": node["$ref"]}, dict(NULL)], **{k: v for k, v in node.items() if k != "$ref"}}
    out: dict[str, Any] = {}
    for word, value in node.items():
        if word == "properties" and isinstance(value, dict):
            out[word] = {key: with_null_references(each, names) for key, each in value.items()}
        elif word in (*UNIONS, "allOf") and isinstance(value, list):
            members = [each if ref_name(each) in names else with_null_references(each, names) for each in value]
            is_nullable = any(ref_name(each) in names for each in value)
            if word != "allOf" and is_nullable and NULL not in members:
                members.append(dict(NULL))
            out[word] = members
            if word == "allOf" and is_nullable and len(members) == 1:
                return {"anyOf": [{"allOf": members}, dict(NULL)], **{k: v for k, v in node.items() if k != word}}
        else:
            out[word] = value if word in VALUES else with_null_references(value, names)
    return out
