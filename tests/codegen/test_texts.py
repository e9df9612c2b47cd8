"""A package of any document decodes JSON text and parsed JSON to equal values."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

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
    operation,
    ref,
    responds,
    stress_in_full,
    tagged,
)
from tests.codegen.features import DATED, INSTANT, Feature
from tests.codegen.found import ALL
from tests.stress.figures import FULL

WITHOUT = sys.modules.get("msgspec", json) is None
ODD_TEXTS = ['a"b', "a\\b", "\n", "\x00", "é", "🦆", "", "a b", "$source$", "none", "'", "{", "null", "1"]
USED = (
    "struct value item cls self STRUCT_DECODERS RAW copy create struct_type list_of dict_of or_null"
    " tagged loads json_decoder parse_json msgspec Struct Raw mro kind text decode parse T"
)
"""Names that the text decoders use."""


def const(value: str) -> Schema:
    return {"type": "string", "const": value}


def array_of(schema: Schema, **more: Any) -> Schema:
    return {"type": "array", "items": schema, **more}


def map_of(schema: Schema) -> Schema:
    return {"type": "object", "additionalProperties": schema}


def or_null(schema: Schema) -> Schema:
    return {"anyOf": [schema, NULL]}


LEAF = obj("id", id=STRING, at=DATED)
A_LEAF = {"id": "l", "at": INSTANT}
ODD: dict[str, Feature] = {
    "keys that are hard to write": Feature(
        document(
            {
                "Leaf": LEAF,
                "Widget": {"type": "object", "properties": dict.fromkeys(ODD_TEXTS, ref("Leaf")), "required": ['a"b']},
            }
        ),
        {"Widget": [dict.fromkeys(ODD_TEXTS, A_LEAF)]},
    ),
    "tags that are hard to write": Feature(
        document(
            {
                **{f"M{n}": obj("kind", kind=const(text), leaf=ref("Leaf")) for n, text in enumerate(ODD_TEXTS)},
                "Leaf": LEAF,
                "Some": tagged("kind", **{text: f"M{n}" for n, text in enumerate(ODD_TEXTS)}),
            }
        ),
        {"Some": [{"kind": text, "leaf": A_LEAF} for text in ODD_TEXTS]},
    ),
    "names that reading uses": Feature(
        document(
            {
                "Leaf": LEAF,
                "Parts": obj(USED, **dict.fromkeys(USED.split(), ref("Leaf"))),
                **{
                    name: obj("", a=ref("Parts"))
                    for name in ("Raw", "RAW", "Struct", "Texts", "PARSE_ERRORS", "STRUCT_DECODERS")
                },
            }
        ),
        {"Parts": [dict.fromkeys(USED.split(), A_LEAF)]},
    ),
    "unions of one member": Feature(
        document(
            {
                "A": obj("", kind=const("a"), x=DATED),
                "F": obj("", kind=STRING),
                "One": tagged("kind", a="A"),
                "Old": tagged("kind", a="A", old="A", **{"none of ['a']": "A"}),
                "Free": tagged("kind", f="F", g="F"),
                "Holder": obj("", one=or_null(ref("One")), old=map_of(or_null(ref("Old"))), free=array_of(ref("Free"))),
            }
        ),
        {
            "One": [{"kind": "a", "x": INSTANT}, {"x": INSTANT}, {"kind": "none of ['a']"}],
            "Old": [{"kind": "old"}, {"kind": "none of ['a']"}, {"kind": "none of ['a', 'old', \"none of ['a']\"]"}],
            "Free": [{"kind": "f"}, {"kind": "g"}, {}],
            "Holder": [{"one": None, "old": {"k": None, "l": {"kind": "old"}}, "free": [{"kind": "g"}, {}]}],
        },
    ),
    "arrays that wait": Feature(
        document(
            {
                "Leaf": LEAF,
                "Inner": obj("", leaves=array_of(ref("Leaf"), **{"x-letta-lazy": True}), leaf=ref("Leaf")),
                "Outer": obj(
                    "items",
                    items=array_of(ref("Inner"), **{"x-letta-lazy": True}),
                    maybe={"type": ["array", "null"], "items": ref("Outer"), "x-letta-lazy": True},
                ),
            }
        ),
        {"Outer": [{"items": [{"leaves": [A_LEAF, A_LEAF], "leaf": A_LEAF}, {}], "maybe": [{"items": []}]}]},
    ),
    "maps and arrays, nullable": Feature(
        document(
            {
                "Leaf": LEAF,
                "Widget": obj(
                    "a",
                    a=map_of(or_null(ref("Leaf"))),
                    b=array_of(or_null(array_of(ref("Leaf")))),
                    c=or_null(map_of(or_null(array_of(or_null(DATED))))),
                    d=or_null(array_of(map_of(ref("One")))),
                ),
                "A": obj("", kind=const("a"), leaf=ref("Leaf")),
                "One": {**tagged("kind", a="A"), "oneOf": [ref("A"), NULL]},
            }
        ),
        {
            "Widget": [
                {"a": {"k": None, "l": A_LEAF}, "b": [None, [A_LEAF]], "c": {"": [None, INSTANT]}, "d": [{"x": None}]},
                {"a": {}, "c": None, "d": [{"x": {"kind": "a", "leaf": A_LEAF}}]},
            ],
            "One": [None, {"kind": "a"}],
        },
    ),
}
"""Documents with unusual text, and values of their components."""


def changes(value: Any) -> Iterator[Any]:
    """Yield a value and variants that differ in one place."""
    yield value
    yield from (None, [], {}, "x", 5)
    if isinstance(value, dict):
        yield {**value, "newer": 1}
        yield dict(reversed(value.items()))
        for key, inner in value.items():
            yield {other: each for other, each in value.items() if other != key}
            yield from ({**value, key: each} for each in changes(inner))
    if isinstance(value, list):
        yield [*value, None]
        for n, inner in enumerate(value):
            yield from ([*value[:n], each, *value[n + 1 :]] for each in changes(inner))


def readers(api: ModuleType, data: dict[str, Any], component: str) -> tuple[Any, Any]:
    """Return the decoders of a component for text and for parsed JSON."""
    library = read(data).library
    if component in library.models:
        model = getattr(sys.modules[f"{api.__name__}.models.{library.models[component].module}"], component)
        return model.from_json, model.from_dict
    module = library.unions[component].module
    union = vars(sys.modules[f"{api.__name__}.unions.{module}"])
    return union.get(f"{module}_from_json"), union[f"{module}_from_dict"]


def outcome(decoding: Any, of: Callable[[Any], Any], given: Any) -> Any:
    """Return the decoded value in a comparable form, or the error."""

    def apart(value: Any) -> Any:
        if isinstance(value, decoding.Model):
            return type(value), {n: apart(getattr(value, n)) for n in sorted(value.fields_set)}, value.to_dict()
        if isinstance(value, decoding.Unknown):
            return type(value), value.raw, value.reason
        if isinstance(value, list):
            return [apart(each) for each in value]
        return {key: apart(each) for key, each in value.items()} if isinstance(value, dict) else value

    try:
        return apart(of(given))
    except (TypeError, ValueError) as fault:
        return type(fault), str(fault)


@pytest.mark.parametrize("name", [*ODD, *ALL])
def test_text_decodes_like_parsed_json(name: str, tmp_path: Path) -> None:
    """Text decodes like parsed JSON for each feature."""
    feature = ODD.get(name) or ALL[name]
    package, _ = make(feature.data, tmp_path)
    with imported(package) as api:
        library = read(feature.data).library
        decoding = sys.modules[f"{api.__name__}.model"]
        for component, values in feature.values.items():
            if component not in {*library.models, *library.unions}:
                continue  # it goes by another name
            of_text, of_value = readers(api, feature.data, component)
            for value in (each for whole in values for each in changes(whole)):
                if of_text is not None:
                    text = json.dumps(value)
                    assert outcome(decoding, of_text, text) == outcome(decoding, of_value, value), text


@pytest.mark.skipif(WITHOUT, reason="without msgspec only the fallback exists")
def test_unsupported_struct_is_built_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A struct is built once: building it takes longer than decoding a response with the fallback."""
    made = 0

    def count(*_: Any, **__: Any) -> Any:
        nonlocal made
        made += 1
        raise ValueError("no such key")

    key = {"type": "object", "properties": {'a"b': STRING}}
    package, _ = make(
        document({"Widget": key}, {"/t": {"get": operation(responses=responds(array_of(ref("Widget"))))}}), tmp_path
    )
    with imported(package) as api:
        monkeypatch.setattr(sys.modules[f"{api.__name__}.structs"].msgspec, "defstruct", count)
        read_response = sys.modules[f"{api.__name__}.api.widgets.widgets_get"].read_response
        widget = api.models.Widget
        for _ in range(3):
            assert widget.from_json('{"a\\"b": "x"}').a_b == "x"
            assert read_response('[{"a\\"b": "x"}]')[0].a_b == "x"
        assert made == 2


@pytest.mark.parametrize("name", ["Array", "Event", "Instant", "Response"])
def test_union_named_like_decoder_keeps_name(name: str, tmp_path: Path) -> None:
    """The functions of a union do not collide with the functions of an endpoint module."""
    facts = {
        "event": f"#/components/schemas/{name}",
        "stream-condition": "stream",
        "default": True,
        "terminator": "[DONE]",
    }
    content = {
        "application/json": {"schema": array_of(ref("Leaf"))},
        "text/event-stream": {"schema": ref(name)},
    }
    body = {"content": {"application/json": {"schema": obj("", stream={"type": "boolean"})}}}
    send = operation(
        "widgets.send",
        requestBody=body,
        responses={"200": {"description": "ok", "content": content}},
        **{"x-letta-streaming": facts | {"resume-operation": "widgets.send"}},
    )
    schemas = {"Leaf": LEAF, "A": obj("kind", kind=const("a")), name: tagged("kind", a="A")}
    package, _ = make(document(schemas, {"/send": {"post": send}}), tmp_path)
    with imported(package) as api:
        module = sys.modules[f"{api.__name__}.api.widgets.widgets_send"]
        for text in ("[]", f"[{json.dumps(A_LEAF)}, 5]", "5"):
            given = json.loads(text)
            decoding = sys.modules[f"{api.__name__}.model"]
            assert outcome(decoding, module.read_response, text) == outcome(decoding, module.decode_response, given)
        assert module.read_event('{"kind": "a"}').kind == "a"
        assert hasattr(api.unions, name)


@pytest.mark.parametrize("other", ["PetFromDict", "PetFromJson", "PetStruct"])
@pytest.mark.parametrize("first", [True, False])
def test_union_named_like_decoder_of_other_union_is_exported(other: str, first: bool, tmp_path: Path) -> None:
    """The package exports the decoders of each union, for any union name."""
    unions = {name: tagged("kind", a="A") for name in ([other, "Pet"] if first else ["Pet", other])}
    package, _ = make(document({"A": obj("kind", kind=const("a")), **unions}), tmp_path)
    with imported(package) as api:
        names = [name for name in api.unions.__all__ if name.endswith(("_from_dict", "_from_json"))]
        assert len(names) == 4
        for _ in range(2):  # the second access is after the import of the modules
            for name in names:
                value = {"kind": "a"}
                decoded = getattr(api.unions, name)(json.dumps(value) if name.endswith("json") else value)
                assert decoded == api.models.A(kind="a")


RUNTIME_NAMES = ["Discriminator", "StructFields", "StructType", "DECODE_ERRORS", "OPERATION", "WIDGETSGET", "Iterator"]


@pytest.mark.parametrize("name", RUNTIME_NAMES)
def test_component_named_like_module_name_is_decoded(name: str, tmp_path: Path) -> None:
    """A component can have the name of anything that the generated modules import or define."""
    key = {"type": "string", "const": "x"}
    schemas = {
        "Holder": obj(name, **{name: STRING, "other": ref(name), "tag": key}),
        name: obj("kind", kind=const("a"), at=DATED),
        "Both": tagged("kind", a=name),
    }
    paths = {"/x": {"get": operation("widgetsget", responses=responds(ref(name)))}}
    package, _ = make(document(schemas, paths), tmp_path)
    with imported(package) as api:
        value = {name: "text", "other": {"kind": "a", "at": INSTANT}, "tag": "x"}
        assert api.models.Holder.from_dict(value).to_dict() == value
        assert api.models.Holder.from_json(json.dumps(value)).other.kind == "a"
        assert type(api.unions.both_from_dict(value["other"])) is type(api.models.Holder.from_dict(value).other)
        module = next(each for key, each in sys.modules.items() if key.endswith(".api.widgets.widgetsget"))
        assert module.read_response(json.dumps(value["other"])).to_dict() == value["other"]
        assert module.OPERATION.id == "widgetsget"


@stress_in_full
@pytest.mark.parametrize("tool", ["mypy", "pyright"])
def test_unusual_documents_pass_strict_checkers(tool: str, tmp_path: Path) -> None:
    """The packages of unusual documents pass strict mypy and pyright."""
    if not FULL:
        pytest.skip("takes long: with LETTA_STRESS=full only")
    unions = {"A": obj("kind", kind=const("a")), "One": tagged("kind", a="A")}
    paths = {"/one": {"get": operation(responses=responds(ref("One")))}}
    instants = obj("", **{f"AT{n}": or_null(DATED) for n in range(60)}, LONG=map_of(or_null(array_of(or_null(DATED)))))
    for data in (*(feature.data for feature in ODD.values()), document({**unions, "Instants": instants}, paths)):
        make(data, tmp_path)
    checked(tool, tmp_path)
