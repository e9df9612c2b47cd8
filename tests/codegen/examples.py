"""One value for each schema, which covers the generated code for it."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

from codegen.document import Document, ref_name
from codegen.inline_schemas import extract_inline_schemas
from codegen.media import format_of
from codegen.names import module_name
from codegen.pipeline import read

INSTANT = "2026-11-23T07:47:30+00:00"
TEXT = {"type": "string"}
MAX_DEPTH = 3


def example(schema: Any, schemas: dict[str, Any], depth: int = 0) -> Any:
    """Return a value that is valid by a schema, with all fields up to the maximum depth."""
    if not isinstance(schema, dict):
        return 5
    if name := ref_name(schema):
        return example(schemas[name], schemas, depth)
    for word in ("anyOf", "oneOf", "allOf"):
        if word in schema:
            members = schema[word]
            null = {"type": "null"} in members and depth > MAX_DEPTH
            return None if null else example(members[0], schemas, depth)
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return schema["enum"][0]
    kind = schema.get("type")
    kind = kind[0] if isinstance(kind, list) else kind
    if kind is None:  # as the generator reads it
        kind = "object" if "additionalProperties" in schema else "array" if "items" in schema else None
    if "properties" in schema:
        required = schema.get("required", [])
        wanted = schema["properties"] if depth <= MAX_DEPTH else required
        return {key: example(schema["properties"][key], schemas, depth + 1) for key in wanted}
    if kind == "array":
        return [] if depth > MAX_DEPTH else [example(schema.get("items"), schemas, depth + 1)]
    if kind == "object":
        values = schema.get("additionalProperties", True)
        return {} if depth > MAX_DEPTH else {"any key": example(values, schemas, depth + 1)}
    if kind == "string":
        return INSTANT if schema.get("format") == "date-time" else "text"
    return {"integer": 7, "number": 0.5, "boolean": True, "null": None}.get(str(kind), "anything")


def run_everything(data: dict[str, Any], api: ModuleType) -> int:
    """Decodes, changes and writes a value of every component, and makes every request. Returns how many there were.

    What was read must come back as it was.
    """
    prepared = extract_inline_schemas(Document(data))
    package, schemas, done = api.__name__, prepared.schemas, 0
    to_json_value = sys.modules[f"{package}.model"].to_json_value
    for name, schema in schemas.items():
        value = example(schema, schemas)
        if model := sys.modules.get(f"{package}.models.{module_name(name)}"):
            _run_model(getattr(model, name), value)
            done += 1
        elif union := sys.modules.get(f"{package}.unions.{module_name(name)}"):
            decoded = getattr(union, f"{module_name(name)}_from_dict")(value)
            assert to_json_value(decoded) == value
            done += 1
    for operation in read(data).operations:
        modules = [each for key, each in sys.modules.items() if key.endswith(f".{operation.module}")]
        module = next(
            each for each in modules if getattr(each, "OPERATION", None) is not None and package in each.__name__
        )
        ids = [example(a.schema, schemas) for a in operation.at("path")]
        # Only a body has arbitrary JSON. Elsewhere, an argument without a type is a string, a number or a list.
        plain = {a.name for a in operation.options if not a.schema and a.place != "body"}
        given = {a.name: example(TEXT if a.name in plain else a.schema, schemas) for a in operation.options}
        request = module.build_request(*ids, **given)
        if operation.body is not None:
            assert to_json_value(request.body) == {a.wire: given[a.name] for a in operation.at("body")}
        for argument in operation.at("content") if format_of(operation.media) == "json" else ():
            assert to_json_value(request.body) == given[argument.name]
        if operation.response_schema is not None:
            value = example(operation.response_schema, schemas)
            assert to_json_value(module.decode_response(value)) == value
        done += 1
    return done


def _run_model(model: Any, value: dict[str, Any]) -> None:
    decoded = model.from_dict(value)
    assert decoded.to_dict() == value
    again = model.from_json(decoded.to_json())
    assert again.to_dict() == value
    for name in decoded.fields_set:  # which decodes what waits
        each = getattr(again, name)
        if isinstance(each, list):
            list(each)
    assert again == decoded
    assert again.to_dict() == value
    repr(again)
    model._decode_by_key(value)
