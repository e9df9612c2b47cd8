"""Hypothesis strategies for documents and for JSON values that are valid by them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, timedelta, timezone
from typing import Any

from hypothesis import strategies as st

from tests.codegen.building import NULL, STRING, Schema, document, operation, ref, tagged, takes
from tests.codegen.features import AWKWARD, DATED, UNICODE

Draw = Callable[[st.SearchStrategy[Any]], Any]

MAX_DEPTH = 3
"""The maximum nesting of objects in a value; deeper values are omitted, empty or null."""

COMPONENTS = ["Widget", "widget", "Model", "Any", "naïve_part", "x-y.z", "List", "None", "1st", "Unset"]
PLAIN = ["id", "name", "type", "input", "size", "created_at", "data", "items"]

_text = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
_names = st.one_of(st.sampled_from(PLAIN), st.sampled_from(AWKWARD), st.sampled_from(UNICODE), _text)
_zones = st.sampled_from([UTC, timezone(timedelta(hours=5, minutes=45)), timezone(-timedelta(hours=3))])
_scalars = st.sampled_from(
    [STRING, {"type": "integer"}, {"type": "number"}, {"type": "boolean"}, DATED, {}, {"type": "object"}]
)
_free = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-9, 9), _text),
    lambda inner: st.one_of(st.lists(inner, max_size=2), st.dictionaries(_text, inner, max_size=2)),
    max_leaves=4,
)


@st.composite
def documents(draw: st.DrawFn) -> dict[str, Any]:
    """Draw a document of objects that refer to each other, tagged unions and operations."""
    names = draw(st.lists(st.sampled_from(COMPONENTS), min_size=1, max_size=4, unique=True))
    unions = {f"Any{name}Of": draw(st.lists(st.sampled_from(names), min_size=1, unique=True)) for name in names[:1]}
    schemas: dict[str, Schema] = {}
    for n, name in enumerate(names):
        # A required reference leads onward only: an object that requires itself has no value.
        onward, anywhere = names[n + 1 :], [*names, *unions]
        kind = {"kind": {"type": "string", "const": f"{name}!"}}
        fields = draw(st.lists(_names.filter(lambda each: each != "kind"), max_size=6, unique=True))
        required = [field for field in fields if draw(st.booleans())]
        properties = {field: draw(_schemas(onward if field in required else anywhere)) for field in fields}
        schemas[name] = {
            "type": "object",
            "properties": properties | kind,
            "required": required,
            "description": draw(_text),
        }
    for name, members in unions.items():
        schemas[name] = tagged("kind", **{f"{member}!": member for member in members})
    paths = {
        f"/p{n}": {
            "post": operation(
                f"widgets.p{n}",
                requestBody=takes(ref(name)),
                responses={"200": {"description": "", "content": {"application/json": {"schema": ref(name)}}}},
            )
        }
        for n, name in enumerate(names)
    }
    return document(schemas, paths)


@st.composite
def _schemas(draw: st.DrawFn, targets: list[str]) -> Schema:
    inner = draw(st.one_of(_scalars, st.sampled_from([ref(name) for name in targets])) if targets else _scalars)
    match draw(st.sampled_from(["itself", "itself", "array", "map", "null", "enum", "either"])):
        case "array":
            return {"type": "array", "items": inner}
        case "map":
            return {"type": "object", "additionalProperties": inner}
        case "null":
            return {"anyOf": [inner, NULL]}
        case "enum":
            return {"enum": draw(st.lists(_text, min_size=1, max_size=3, unique=True))}
        case "either":
            return {"anyOf": [STRING, {"type": "array", "items": inner}]}
        case _:
            return dict(inner)


def value_of(draw: Draw, schema: Schema, schemas: dict[str, Schema], depth: int = 0) -> Any:
    """Draw a JSON value that is valid by a schema, with occasional unknown fields and literals."""
    if "$ref" in schema:
        return value_of(draw, schemas[schema["$ref"].rsplit("/", 1)[-1]], schemas, depth)
    if "discriminator" in schema:
        if draw(st.integers(0, 5)) == 0:
            return draw(st.sampled_from([{"kind": "newer"}, {}, {"kind": None}, 5, "text", [], None]))
        return value_of(draw, draw(st.sampled_from(schema["oneOf"])), schemas, depth)
    if "anyOf" in schema:
        return value_of(draw, schema["anyOf"][draw(st.integers(0, 1)) if depth < MAX_DEPTH else 1], schemas, depth)
    if "enum" in schema:
        return draw(st.sampled_from([*schema["enum"], "newer"]))
    if "const" in schema:
        return schema["const"]
    if "properties" in schema:
        return _object(draw, schema, schemas, depth + 1)
    size = 0 if depth >= MAX_DEPTH else draw(st.integers(0, 2))
    match schema.get("type"):
        case "array":
            return [value_of(draw, schema["items"], schemas, depth) for _ in range(size)]
        case "object" if "additionalProperties" in schema:
            return {draw(_text): value_of(draw, schema["additionalProperties"], schemas, depth) for _ in range(size)}
        case kind:
            return draw(_LEAVES[f"{kind} {schema['format']}" if "format" in schema else kind])


def _object(draw: Draw, schema: Schema, schemas: dict[str, Schema], depth: int) -> dict[str, Any]:
    value = {
        name: value_of(draw, inner, schemas, depth)
        for name, inner in schema["properties"].items()
        if name in schema["required"] or (depth < MAX_DEPTH and draw(st.booleans()))
    }
    if "kind" not in value:
        value["kind"] = schema["properties"]["kind"]["const"]
    if draw(st.integers(0, 3)) == 0:
        value["a newer field"] = draw(_free)
    return value


_LEAVES: dict[Any, st.SearchStrategy[Any]] = {
    "string": _text,
    "string date-time": st.datetimes(timezones=_zones).map(lambda each: each.isoformat()),
    "integer": st.integers(-(2**53), 2**53),
    "number": st.floats(allow_nan=False, allow_infinity=False),
    "boolean": st.booleans(),
    "null": st.none(),
    "object": st.dictionaries(_text, _free, max_size=2),
    None: _free,
}
