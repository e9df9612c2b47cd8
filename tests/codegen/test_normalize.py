"""Schemas in the forms of other OpenAPI documents decode with every property, and encode to the same JSON."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import pytest

from codegen.errors import SpecError
from codegen.pipeline import read
from tests.codegen.building import (
    NULL,
    STRING,
    Schema,
    checked,
    document,
    imported,
    make,
    obj,
    ref,
    stress_in_full,
)

TIME: Final[Schema] = {"type": "string", "format": "date-time"}
NOW: Final = "2026-01-02T03:04:05+00:00"

SKY: Final = {"sun": "#/components/schemas/Sun", "moon": "#/components/schemas/Moon"}
TAGS: Final = {"s": SKY["sun"], "t": SKY["sun"], "m": SKY["moon"]}

SCHEMAS: Final[dict[str, Schema]] = {
    "A": obj("x", x=STRING),
    "Base": obj("kind", kind=STRING, when=TIME),
    "Word": {"type": "string", "enum": ["a", "b"]},
    "BesideReference": obj("r", r=ref("A") | {"properties": {"when": TIME}, "required": ["when"]}),
    "BesideUnion": obj("id", id=STRING, when=TIME) | {"anyOf": [obj("n", n={"type": "integer"}), obj("b", b=TIME)]},
    "BesideConstraints": obj("", id=STRING, when=TIME) | {"anyOf": [{"required": ["id"]}, {"required": ["when"]}]},
    "ScalarParts": obj("w", w={"allOf": [STRING], "format": "date-time"}),
    "TypedUnion": obj("t", t={"type": "string", "anyOf": [{"format": "date-time"}, {"const": "now"}]}),
    "ArrayUnion": obj("a", a={"type": "array", "anyOf": [{"items": TIME}, {"items": ref("A")}]}),
    "Inherits": {"allOf": [ref("Base")], "type": "object", "properties": {"own": TIME}, "required": ["own", "when"]},
    "InheritsTwice": {"allOf": [{"allOf": [ref("Base"), obj("", inner=TIME)]}, obj("y", y=ref("A"))]},
    "InheritsUnion": {"allOf": [{"oneOf": [ref("A"), ref("Base")]}, obj("own", own=TIME)]},
    "InheritsOneOf": {"allOf": [ref("Either"), obj("own", own=TIME)]},
    "Either": {"oneOf": [ref("A"), ref("Base")]},
    "SameProperty": {"allOf": [obj("", id=STRING), obj("id", id=STRING | {"description": "The id."}, when=TIME)]},
    "Overridden": obj("kind", kind=ref("Word"), note={"anyOf": [STRING, ref("A")]}, at=TIME, n={"type": "integer"}),
    "Overrides": {
        "allOf": [
            ref("Overridden"),
            obj("at", kind={"const": "c"}, note=TIME, at={"description": "The time."}, n=STRING),
        ]
    },
    "NullablePart": {"allOf": [ref("Either"), obj("own", own=TIME) | {"nullable": True}]},
    "Nullable": {"type": ["object", "null"], "properties": {"when": TIME}, "required": ["when"]},
    "HasNullable": obj(
        "",
        inline={"type": ["object", "null"], "properties": {"when": TIME}, "required": ["when"]},
        component=ref("Nullable"),
        reference=ref("A") | {"nullable": True},
        text={"type": "string", "format": "date-time", "nullable": True},
        word={"type": "string", "enum": ["a"], "nullable": True},
        part={"allOf": [ref("A")], "nullable": True},
        union={"oneOf": [ref("A"), ref("Base")], "nullable": True},
    ),
    "NullableCopy": {"allOf": [ref("Nullable"), obj("own", own=TIME)]},
    "NullableParts": obj(
        "",
        alone={"allOf": [{"anyOf": [ref("A"), NULL]}], "description": "Nullable."},
        described={"allOf": [{"anyOf": [ref("A"), NULL]}, {"description": "Nullable."}]},
        component={"allOf": [ref("Nullable")], "description": "Nullable."},
        beside={"allOf": [ref("A")], "type": "object", "nullable": True},
        every={"allOf": [{"anyOf": [ref("A"), NULL]}, ref("Nullable")]},
        scalar={"allOf": [{"type": ["string", "null"]}, {"enum": ["a", None]}]},
        reference=ref("A") | {"type": ["object", "null"]},
    ),
    "NullableConstraints": obj("", a=TIME) | {"nullable": True, "anyOf": [{"required": ["a"]}, {"required": ["b"]}]},
    "HasNullableConstraints": obj("", a=ref("NullableConstraints")),
    "Arrays": obj("a", a={"allOf": [{"type": "array", "items": STRING}, {"type": "array", "items": TIME}]}),
    "Maps": obj("m", m={"allOf": [{"additionalProperties": STRING}, {"additionalProperties": TIME}]}),
    "Untyped": obj("a", a={"items": TIME}, m={"additionalProperties": TIME}),
    "ScalarReference": obj(
        "f", f={"allOf": [ref("Time"), {"description": "The time."}]}, w=ref("Word") | {"enum": ["a"]}
    ),
    "Time": TIME | {"nullable": True},
    "TypedReference": obj("", r=ref("Pets") | {"type": "object"}, u={"oneOf": [ref("Pets") | {"type": "object"}]}),
    "Formats": obj("f", f={"allOf": [TIME, {"type": "string", "format": "uri"}]}),
    "Numbers": obj("n", n={"allOf": [{"type": "number"}, {"type": "integer"}]}),
    "Excluded": obj("e", e={"allOf": [{"oneOf": [{"type": "integer"}, TIME]}, STRING]}),
    "ExcludedBeside": obj("e", e={"type": "string", "anyOf": [{"type": "integer"}, {"format": "date-time"}]}),
    "Constant": {"anyOf": [obj("at", at=TIME), {"const": "all"}, {"const": 1}, {"const": True}]},
    "NullableMembers": {"oneOf": [obj("a", a=TIME) | {"nullable": True}, obj("a", a=TIME, b=STRING), ref("Nullable")]},
    "HasNullableMembers": obj("", u={"oneOf": [ref("Nullable"), ref("NullableMembers")], "nullable": True}),
    "Indistinct": {"anyOf": [obj("", a=STRING), obj("", a=STRING, b=TIME), obj("", c=TIME)]},
    "Several": {"anyOf": [ref("Either"), {"type": ["integer", "null"]}, {"type": "array", "items": TIME}]},
    "Loop": {"oneOf": [{"type": "object", "additionalProperties": ref("Loop")}, obj("code", code={"type": "integer"})]},
    "Pair": obj("p", p={"type": "array", "prefixItems": [STRING, {"type": "integer"}]}),
    "Closed": obj("when", when=TIME) | {"additionalProperties": False, "unevaluatedProperties": False},
    "Counted": obj("when", when=TIME) | {"additionalProperties": {"type": "integer"}},
    "Annotated": obj("when", when=TIME | {"embed": True, "enumNames": ["x"]}) | {"$id": "https://example.com/a"},
    "Cat": {"allOf": [ref("Pet"), obj("", meow=TIME)]},
    "Pet": obj("kind", kind=STRING) | {"discriminator": {"propertyName": "kind"}},
    "Dog": obj("kind", kind={"type": "string", "enum": ["woof", "bark"]}, at=TIME),
    "Pets": {"oneOf": [ref("Cat"), ref("Dog")], "discriminator": {"propertyName": "kind"}},
    "Sun": obj("at", kind={"const": "sun"}, at=TIME),
    "Moon": obj("", kind={"const": "moon"}, at=STRING),
    "Sky": {"oneOf": [ref("Sun"), ref("Moon")], "discriminator": {"propertyName": "kind", "mapping": SKY}},
    "BesideTagged": obj("id", id=STRING, kind={"enum": ["sun", "moon"]}) | {"$ref": "#/components/schemas/Sky"},
    "BesideTags": obj("id", id=STRING, tag={"enum": ["s", "t", "m"]})
    | {"oneOf": [ref("Sun"), ref("Moon")], "discriminator": {"propertyName": "tag", "mapping": TAGS}},
    "BesideImplicit": obj("id", id=STRING)
    | {"oneOf": [ref("Cat"), ref("Dog")], "discriminator": {"propertyName": "kind"}},
    "ReadOnly": obj("id secret", id=STRING | {"readOnly": True}, secret=STRING | {"writeOnly": True}),
}

VALUES: Final[list[tuple[str, Any, str]]] = [
    ("BesideReference", {"r": {"x": "a", "when": NOW}}, "r.when"),
    ("BesideUnion", {"id": "1", "when": NOW, "n": 1}, "when"),
    ("BesideUnion", {"id": "1", "b": NOW}, "b"),
    ("BesideConstraints", {"when": NOW}, "when"),
    ("ScalarParts", {"w": NOW}, "w"),
    ("TypedUnion", {"t": NOW}, "t"),
    ("ArrayUnion", {"a": [NOW]}, "a.0"),
    ("ArrayUnion", {"a": [{"x": "a"}]}, ""),
    ("Inherits", {"kind": "k", "when": NOW, "own": NOW}, "when"),
    ("Inherits", {"kind": "k", "when": NOW, "own": NOW}, "own"),
    ("InheritsTwice", {"kind": "k", "inner": NOW, "y": {"x": "a"}}, "inner"),
    ("InheritsUnion", {"x": "a", "own": NOW}, "own"),
    ("InheritsUnion", {"kind": "k", "when": NOW, "own": NOW}, "when"),
    ("InheritsOneOf", {"kind": "k", "when": NOW, "own": NOW}, "when"),
    ("SameProperty", {"id": "1", "when": NOW}, "when"),
    ("Overrides", {"kind": "c", "note": NOW, "at": NOW, "n": "x"}, "note"),
    ("Overrides", {"kind": "c", "at": NOW}, "at"),
    ("NullablePart", {"x": "a", "own": NOW}, "own"),
    ("HasNullable", {"inline": {"when": NOW}}, "inline.when"),
    ("HasNullable", {"component": {"when": NOW}}, "component.when"),
    ("HasNullable", {"text": NOW, "union": {"kind": "k", "when": NOW}}, "union.when"),
    ("HasNullable", dict.fromkeys(("inline", "component", "reference", "text", "word", "part", "union")), ""),
    ("NullableCopy", {"when": NOW, "own": NOW}, "when"),
    *(
        ("NullableParts", {name: None}, "")
        for name in ("alone", "described", "component", "beside", "every", "scalar", "reference")
    ),
    ("NullableParts", {"every": {"x": "a", "when": NOW}}, "every.when"),
    ("HasNullableConstraints", {"a": {"a": NOW}}, "a.a"),
    ("HasNullableConstraints", {"a": None}, ""),
    ("Arrays", {"a": [NOW]}, "a.0"),
    ("Maps", {"m": {"k": NOW}}, "m.k"),
    ("Untyped", {"a": [NOW]}, "a.0"),
    ("Untyped", {"a": [], "m": {"k": NOW}}, "m.k"),
    ("ScalarReference", {"f": NOW, "w": "a"}, "f"),
    ("TypedReference", {"r": {"kind": "Cat", "meow": NOW}}, "r.meow"),
    ("TypedReference", {"u": {"kind": "bark", "at": NOW}}, "u.at"),
    ("Formats", {"f": NOW}, "f"),
    ("Numbers", {"n": 1}, ""),
    ("Excluded", {"e": NOW}, "e"),
    ("ExcludedBeside", {"e": NOW}, "e"),
    ("Constant", {"at": NOW}, "at"),
    *(("Constant", value, "") for value in ("all", "new", 1, 2, True, False)),
    ("NullableMembers", {"a": NOW}, "a"),
    ("HasNullableMembers", {"u": {"when": NOW}}, "u.when"),
    ("HasNullableMembers", {"u": None}, ""),
    ("Indistinct", {"a": "x", "b": NOW}, "b"),
    ("Indistinct", {"c": NOW}, "c"),
    ("Indistinct", {"a": "x", "other": 1}, ""),
    ("Several", {"kind": "k", "when": NOW}, "when"),
    ("Several", [NOW], "0"),
    ("Several", 3, ""),
    ("Loop", {"x": {"y": {"code": 1}}}, ""),
    ("Pair", {"p": ["a", 1]}, ""),
    ("Closed", {"when": NOW, "new": 1}, "when"),
    ("Counted", {"when": NOW, "a": 1}, "when"),
    ("Annotated", {"when": NOW}, "when"),
    ("Cat", {"kind": "Cat", "meow": NOW}, "meow"),
    ("Pets", {"kind": "Cat", "meow": NOW}, "meow"),
    ("Pets", {"kind": "bark", "at": NOW}, "at"),
    ("BesideTagged", {"id": "1", "kind": "sun", "at": NOW}, "at"),
    ("BesideTags", {"id": "1", "tag": "t", "at": NOW}, "at"),
    ("BesideTags", {"id": "1", "tag": "m", "at": NOW}, ""),
    ("BesideImplicit", {"id": "1", "kind": "Cat", "meow": NOW}, "meow"),
    ("BesideImplicit", {"id": "1", "kind": "bark", "at": NOW}, "at"),
    ("ReadOnly", {"id": "1"}, ""),
]
"""A component, a value of it, and the path of a field that is a datetime."""


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A package with every component, which is also a property of `All`."""
    everything = obj("", **{name.lower(): ref(name) for name in SCHEMAS})
    return make(document(SCHEMAS | {"All": everything}), tmp_path_factory.mktemp("normalize"))[0]


@pytest.fixture(scope="module")
def api(package: Path) -> Iterator[ModuleType]:
    """The imported package."""
    with imported(package) as module:
        yield module


@pytest.mark.parametrize(("component", "value", "path"), VALUES)
def test_decode_value_keeps_every_property_and_its_type(api: ModuleType, component: str, value: Any, path: str) -> None:
    """A value decodes to typed fields, also beside unions and references, and encodes to the same JSON."""
    whole = importlib.import_module(f"{api.__name__}.models").All.from_dict({component.lower(): value})
    found = getattr(whole, component.lower())
    for step in path.split(".") if path else ():
        found = found[int(step)] if step.isdigit() else found[step] if type(found) is dict else getattr(found, step)
    assert isinstance(found, datetime) or not path
    assert whole.to_dict() == {component.lower(): value}


@stress_in_full
@pytest.mark.parametrize("tool", ["mypy", "pyright"])
def test_package_of_normalized_schemas_passes_strict_type_checks(package: Path, tool: str) -> None:
    """The package has no type errors."""
    checked(tool, package.parent)


def test_read_only_property_is_optional_in_requests(api: ModuleType) -> None:
    """A required read-only property can be omitted in requests, and a write-only one in responses."""
    fields = importlib.import_module(f"{api.__name__}.models").ReadOnly.from_dict({"id": "1"})
    assert fields.secret is None
    with pytest.raises(importlib.import_module(f"{api.__name__}.errors").DecodeError):
        type(fields).from_dict({"secret": "s"})


@pytest.mark.parametrize(
    ("schema", "place"),
    [
        (obj("", a=STRING) | {"additionalProperties": ref("A")}, "#/components/schemas/T/additionalProperties"),
        ({"allOf": [ref("Word"), obj("", a=STRING)]}, "#/components/schemas/T"),
        ({"allOf": [STRING, {"type": "integer"}]}, "#/components/schemas/T"),
    ],
)
def test_read_schema_that_would_lose_keywords_reports_its_place(schema: Schema, place: str) -> None:
    """A schema that has no form without loss is an error."""
    with pytest.raises(SpecError) as caught:
        read(document({"A": SCHEMAS["A"], "Word": SCHEMAS["Word"], "T": schema}))
    assert caught.value.place == place


def test_null_alternative_of_union_stays() -> None:
    """Null beside a type that excludes it stays an alternative."""
    parsed = read(document({"T": obj("", a={"type": "string", "anyOf": [TIME, NULL]})}))
    assert parsed.library.models["T"].fields[0].type.optional == "datetime | None"
