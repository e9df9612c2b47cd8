"""What a schema allows, as a set of alternatives that can be compared: unions are opened, references followed."""

from __future__ import annotations

from typing import Any

from codegen.document import Document, ref_name

Alternatives = dict[str, Any]
"""By a name of each alternative, such as `string`, `"asc"` or `an object`, what it holds: a component or a schema."""

LIST, MAP = "array", "map"


def alternatives(schema: Any, document: Document, seen: frozenset[str] = frozenset()) -> Alternatives:
    """The alternatives of a schema of a prepared document."""
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
    """The alternatives with the members of tagged unions in place of them, where the other side has objects alone."""
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
    """Whether an alternative is a literal value."""
    return alternative[:1] in "'\"0123456789-" or alternative in ("True", "False")
