"""Random documents are generated and imported, and their values round-trip."""

from __future__ import annotations

import copy
import sys
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from codegen.pipeline import read
from tests.codegen.building import (
    STRING,
    document,
    imported,
    make,
    obj,
    operation,
    ref,
    responds,
    stress_in_full,
    tagged,
)
from tests.codegen.documents import documents, value_of
from tests.stress.figures import FULL, figure

EXAMPLES = 200 if FULL else 10
VALUES = 8


@stress_in_full
def test_random_document_package_round_trips_values() -> None:
    """The package of a random document decodes, encodes and sends valid values."""
    counted = {"documents": 0, "values": 0, "requests": 0}

    @settings(max_examples=EXAMPLES, derandomize=not FULL, suppress_health_check=list(HealthCheck))
    @given(data=documents(), more=st.data())
    def check(data: dict[str, Any], more: st.DataObject) -> None:
        before = copy.deepcopy(data)
        with tempfile.TemporaryDirectory() as folder:
            package, _ = make(data, Path(folder))
            with imported(package) as api:
                assert data == before
                counted["documents"] += 1
                for operation in read(data).operations:
                    module = sys.modules[f"{api.__name__}.api.widgets.{operation.module}"]
                    for _ in range(VALUES):
                        value = value_of(more.draw, {"$ref": f"#/{_component(data, operation.path)}"}, _schemas(data))
                        check_value_round_trip(module, value)
                        check_request(module, operation.arguments, value)
                        counted["values"] += 1

    check()
    figure("documents built by hypothesis", f"{counted['documents']} generated, {counted['values']} values came back")


def _schemas(data: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = data["components"]["schemas"]
    return found


def _component(data: dict[str, Any], path: str) -> str:
    schema = data["paths"][path]["post"]["requestBody"]["content"]["application/json"]["schema"]
    return str(schema["$ref"]).rsplit("/", 1)[-1]


def check_value_round_trip(module: Any, value: Any) -> None:
    """Check that a decoded value, its copy and a model built from its fields round-trip."""
    decoded = module.decode_response(value)
    assert decoded.to_dict() == value
    again = type(decoded).from_json(decoded.to_json())
    assert again == decoded
    assert again.to_dict() == value
    assert copy.deepcopy(decoded).to_dict() == value
    assert set(decoded.extra_fields) == value.keys() - type(decoded)._field_table.keys()
    fields = {name: getattr(decoded, name) for name in decoded.fields_set}
    assert type(decoded)(**fields).to_dict() == {
        key: each for key, each in value.items() if key in type(decoded)._field_table
    }


def check_request(module: Any, arguments: list[Any], value: dict[str, Any]) -> None:
    """Check that a request has exactly the given values under their wire names."""
    names = {argument.wire: argument.name for argument in arguments}
    sent = {wire: value[wire] for wire in names if wire in value}
    request = module.build_request(**{names[wire]: each for wire, each in sent.items()})
    assert (request.method, request.body) == ("POST", sent)


def test_tagged_union_of_one_member_is_read() -> None:
    """A tagged union of one member with a nested free object is read."""
    free = {"type": "array", "items": {"type": "object"}}
    schemas = {
        "Widget": obj("", some={"anyOf": [STRING, free]}, kind={"const": "widget"}),
        "AnyThing": tagged("kind", widget="Widget"),
    }
    data = document(schemas, {"/widget": {"get": operation("widgets.get", responses=responds(ref("AnyThing")))}})
    understood = read(data)
    assert [member.tags for member in understood.library.unions["AnyThing"].members] == [("widget",)]
    assert understood.library.models["Widget"].fields[0].type.written == "str | list[dict[str, Any]]"
