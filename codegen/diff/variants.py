"""Expands schemas to sets of alternatives: unions are opened, and references resolved."""

from __future__ import annotations

from typing import Any

from codegen.document import Document, ref_name

Alternatives = dict[str, Any]
"""The component or schema of each alternative, by a name such as `string`, `"asc"` or `an object`."""

LIST, MAP = "array", "map"


def alternatives(schema: Any, document: Document, seen: frozenset[str] = frozenset()) -> Alternatives:
    """Return the alternatives of a schema."""
    if schema is True or schema == {}:
        return {"any JSON": None}
    name = ref_name(schema)
    if name is not None:
        return {} if name in seen else _component(name, document, seen | {name})
    for word in ("allOf", "anyOf", "oneOf"):
        if word in schema:
            found: Alternatives = {}
            for member in schema[word]:
                found |= alternatives(member, document, seen)
            return found
    if "const" in schema:
        return {_literal(schema["const"]): None}
    if "enum" in schema:
        return {_literal(value): None for value in schema["enum"]}
    types = schema.get("type") or (
        "array" if "items" in schema else "object" if "additionalProperties" in schema else []
    )
    found = {}
    for kind in [types] if isinstance(types, str) else types:
        if kind == "array":
            found[LIST] = schema.get("items", True)
        elif kind == "object":
            found[MAP] = schema.get("additionalProperties", True)
        else:
            found["instant" if kind == "string" and schema.get("format") == "date-time" else kind] = None
    return found or {"any JSON": None}


def _component(name: str, document: Document, seen: frozenset[str]) -> Alternatives:
    schema = document.schemas[name]
    if "properties" in schema:
        return {f"{name} (object)": name}
    if "discriminator" in schema:
        return {f"{name} (union)": name}
    return alternatives(schema, document, seen)


def opened(some: Alternatives, others: Alternatives, document: Document) -> Alternatives:
    """Return the alternatives with tagged unions expanded, if the other side has objects only."""
    if not any(a.endswith(" (object)") for a in others) or any(a.endswith(" (union)") for a in others):
        return dict(some)
    found: Alternatives = {}
    for name, held in some.items():
        if name.endswith(" (union)"):
            schema = document.schemas[held]
            for member in schema.get("oneOf") or schema["anyOf"]:
                found |= opened(alternatives(member, document), others, document)
        else:
            found[name] = held
    return found


def _literal(value: Any) -> str:
    return "null" if value is None else repr(value)


def is_literal(alternative: str) -> bool:
    """Return whether an alternative is a constant."""
    return alternative[:1] in "'\"0123456789-" or alternative in ("True", "False")
