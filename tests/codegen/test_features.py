"""Each OpenAPI feature is generated, imported and type-checked, and its values round-trip."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any, get_type_hints, is_typeddict

import httpx
import pytest

from codegen.document import Document
from codegen.inline_schemas import extract_inline_schemas
from codegen.names import module_name
from tests.codegen.building import (
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
    sources,
    stress_in_full,
    tagged,
    takes,
)
from tests.codegen.features import INSTANT, Feature
from tests.codegen.found import ALL
from tests.stress.figures import FULL, figure


def decoder(api: ModuleType, feature: Feature, component: str) -> Any:
    """Return the decoder of a component, for any class name."""
    prepared = extract_inline_schemas(Document(feature.data))
    place = f"#/components/schemas/{component}"
    name = next(name for name in prepared.schemas if prepared.place(name) == place)
    module = module_name(name)
    if f"{api.__name__}.models.{module}" in sys.modules:
        return getattr(sys.modules[f"{api.__name__}.models.{module}"], name).from_dict
    return getattr(sys.modules[f"{api.__name__}.unions.{module}"], f"{module}_from_dict")


@pytest.mark.parametrize("name", ALL)
def test_feature_values_round_trip(name: str, feature_package: Callable[[str], Path]) -> None:
    """Each value of a feature round-trips unchanged. The text of a model decodes like its JSON."""
    feature = ALL[name]
    with imported(feature_package(name)) as api:
        to_json_value = sys.modules[f"{api.__name__}.model"].to_json_value
        for component, values in feature.values.items():
            decode = decoder(api, feature, component)
            for value in values:
                assert to_json_value(decode(value)) == value
                if (model := getattr(decode, "__self__", None)) is not None:
                    text = json.dumps(value)
                    assert repr(model.from_json(text)) == repr(decode(value))
                    assert model.from_json(text) == decode(value)


@pytest.mark.parametrize("name", ALL)
def test_request_annotations_resolve_at_run_time(name: str, feature_package: Callable[[str], Path]) -> None:
    """The annotations of TypedDicts and build_request resolve at run time."""
    with imported(feature_package(name)) as api:
        params = vars(sys.modules[f"{api.__name__}.params"])
        for each in filter(is_typeddict, params.values()):
            assert get_type_hints(each).keys() == each.__annotations__.keys()
        for module in [sys.modules[found] for found in sys.modules if found.startswith(f"{api.__name__}.api.")]:
            if hasattr(module, "build_request"):
                get_type_hints(module.build_request)


def test_request_accepts_models_at_any_depth(feature_package: Callable[[str], Path]) -> None:
    """A request accepts a model in place of its TypedDict at any depth."""
    with imported(feature_package("models that are sent")) as api:
        models, params = (sys.modules[f"{api.__name__}.{name}"] for name in ("models", "params"))
        assert params.CatLike is params.CatParam
        assert "Cat" not in vars(params)
        build_request = sys.modules[f"{api.__name__}.api.widgets.widgets_send"].build_request
        assert get_type_hints(build_request)["cat"] is params.CatParam
        cat = {"kind": "cat", "name": "x"}
        request = build_request(cat=models.Cat(kind="cat", name="x"), tree={"children": [models.Tree(children=[])]})
        assert request == build_request(cat=cat, tree={"children": [{"children": []}]})


@stress_in_full
@pytest.mark.parametrize("tool", ["mypy", "pyright"])
def test_feature_packages_pass_strict_checkers(tool: str, feature_package: Callable[[str], Path]) -> None:
    """The packages of all features pass strict mypy and pyright."""
    if not FULL:
        pytest.skip("takes long: with LETTA_STRESS=full only")
    folders = {feature_package(name).parent for name in ALL}
    (folder,) = folders
    figure(f"{tool}, strict, on {len(ALL)} features", checked(tool, folder))


def test_parameter_is_sent_in_its_location(feature_package: Callable[[str], Path]) -> None:
    """Each kind of parameter is sent in its declared location."""
    package = feature_package("parameters")
    seen: list[httpx.Request] = []

    def handle(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, json=[])

    with imported(package) as api:
        module = sys.modules[f"{api.__name__}.api.widgets.widgets_find"]
        options = {"many": ["x", "y"], "from_": None, "str": False, "x_request_id": "r", "client_": "c", "which": "a"}
        request = module.build_request("a/b", 7, x_count=3, needed=1, **options)
        assert request.path == "/widgets/a%2Fb/of/7/"
        assert sorted(request.query) == [
            ("client", "c"),
            ("many", "x"),
            ("many", "y"),
            ("needed", "1"),
            ("str", "false"),
            ("which", "a"),
        ]
        assert request.headers == {"X-Request-Id": "r", "X-Count": "3"}
        with httpx.Client(base_url="http://s", transport=httpx.MockTransport(handle)) as client:
            assert module.sync(client, "i", 1, needed=1, x_count=2) == []
        assert seen[0].headers["x-count"] == "2"
        assert str(seen[0].url) == "http://s/widgets/i/of/1/?needed=1"
        with pytest.raises(TypeError, match="needed"):
            module.build_request("a", 1)


def test_body_that_is_not_an_object_is_one_argument(feature_package: Callable[[str], Path]) -> None:
    """A body that is not an object is one argument; without it nothing is sent."""
    with imported(feature_package("bodies that are not one object")) as api:
        models = sys.modules[f"{api.__name__}.models"]
        build = {
            name: sys.modules[f"{api.__name__}.api.widgets.widgets_{name}"].build_request
            for name in ("array", "string", "map", "null", "union", "inline")
        }
        widget = models.Widget.from_dict({"at": INSTANT})
        assert build["array"](body=[widget, {"at": INSTANT}]).body == [{"at": INSTANT}] * 2
        assert build["map"](body={"a": widget}).body == {"a": {"at": INSTANT}}
        assert build["string"](body="x", body_="q").body == "x"
        assert build["string"](body="x", body_="q").query == [("body", "q")]
        assert build["union"](body=models.Dog(kind="dog")).body == {"kind": "dog"}
        assert build["inline"](body=["x"]).body == ["x"]
        assert build["null"]().body is None
        with pytest.raises(TypeError, match="body"):
            build["array"]()


def test_equal_argument_names_get_location_suffix(feature_package: Callable[[str], Path]) -> None:
    """The first of equal argument names keeps it; the others end with their location."""
    with imported(feature_package("arguments of one name")) as api:
        build_request = sys.modules[f"{api.__name__}.api.widgets.widgets_send"].build_request
        request = build_request("a", p_query=7, p_header=True, p_body=0.5)
    assert (request.path, request.query, dict(request.headers), request.body) == (
        "/x/a",
        [("p", "7")],
        {"p": "true"},
        {"p": 0.5},
    )


def test_response_of_each_kind_is_decoded(feature_package: Callable[[str], Path]) -> None:
    """Empty, scalar, array, nullable, map and free responses are decoded."""
    package = feature_package("responses")
    with imported(package) as api:
        names = ("none", "text", "many", "maybe", "map", "any")
        modules = {name: sys.modules[f"{api.__name__}.api.widgets.a_{name}"] for name in names}
        with httpx.Client(base_url="http://s", transport=httpx.MockTransport(lambda _: httpx.Response(204))) as client:
            assert modules["none"].sync(client) is None
        assert modules["text"].decode_response("x") == "x"
        assert [each.id for each in modules["many"].decode_response([{"id": "1"}])] == ["1"]
        assert modules["maybe"].decode_response(None) is None
        assert modules["map"].decode_response({"k": {"id": "1"}})["k"].id == "1"
        assert modules["any"].decode_response({"x": 1}) == {"x": 1}
        error = sys.modules[f"{api.__name__}.errors"].DecodeError
        for body, path in (([{"id": "1"}, {}], "[1].id"), ([5], "[0]")):
            with pytest.raises(error) as caught:
                modules["many"].decode_response(body)
            assert caught.value.path == path
        with pytest.raises(error) as caught:
            modules["map"].decode_response({"k": 5})
        assert caught.value.path == "k"


def test_streaming_operation_decodes_events_and_sets_condition(feature_package: Callable[[str], Path]) -> None:
    """A streaming operation decodes events and sets its stream condition."""
    package = feature_package("event streams")
    with imported(package) as api:
        send = sys.modules[f"{api.__name__}.api.widgets.widgets_send"]
        watch = sys.modules[f"{api.__name__}.api.widgets.widgets_watch"]
        assert send.OPERATION.streaming.stream_condition == "stream"
        assert watch.OPERATION.streaming.stream_condition is None
        assert watch.decode_event({"kind": "cat", "name": "x"}).name == "x"
        assert not hasattr(watch, "sync")
        assert hasattr(watch, "sync_stream")
        assert hasattr(send, "sync")


def test_generated_file_starts_with_marker(feature_package: Callable[[str], Path]) -> None:
    """Each generated file starts with the @generated marker."""
    package = feature_package("responses")
    for name, text in sources(package).items():
        assert text.startswith("# @generated by `python -m codegen generate`."), name


def test_attribute_keeps_wire_name_if_valid(feature_package: Callable[[str], Path]) -> None:
    """An attribute has its wire name unless Python or the model reserves it."""
    package = feature_package("awkward names")
    with imported(package) as api:
        names = {wire: name for wire, (name, _, _) in api.models.Widget._field_table.items()}
    same = ("data", "value", "type", "cls", "define", "super", "len", "key", "raw", "print", "reason", "property")
    assert [wire for wire in same if names[wire] != wire] == []
    clean = {
        "class": "class_",
        "str": "str_",
        "to_dict": "to_dict_",
        "_extra": "extra",
        "x-y": "x_y",
        "1st": "field_1st",
    }
    assert {wire: names[wire] for wire in clean} == clean
    assert len(set(names.values())) == len(names)


@pytest.mark.parametrize("name", ["unions that hold each other", "responses", "nested union"])
def test_each_module_can_be_imported_first(name: str, feature_package: Callable[[str], Path]) -> None:
    """Each module can be the first import of the package."""
    package = feature_package(name)
    modules = [path.relative_to(package.parent).with_suffix("").parts for path in sorted(package.rglob("*.py"))]
    with imported(package):
        for module in modules:
            for known in [known for known in sys.modules if known.split(".")[0] == package.name]:
                del sys.modules[known]
            importlib.import_module(".".join(module).removesuffix(".__init__"))


def test_deprecated_reaches_every_docstring(tmp_path: Path) -> None:
    """Deprecation is documented for operations, arguments, models, fields, unions, enums, TypedDicts."""
    old: Schema = {"deprecated": True, "description": "Old."}
    schemas = {
        "Widget": obj("", kind={"const": "widget"}, part=ref("Part"), field=STRING | old) | old,
        "Part": obj("", a=STRING | {"deprecated": True}) | {"deprecated": True},
        "Some": tagged("kind", widget="Widget") | old,
        "Color": {"type": "string", "enum": ["red"]} | old,
    }
    query = {"name": "q", "in": "query", "schema": ref("Color")} | old
    send = operation(
        "widgets.send",
        parameters=[query],
        requestBody=takes(ref("Widget")),
        responses=responds(ref("Some")),
        deprecated=True,
    )
    package, _ = make(document(schemas, {"/x": {"post": send}}), tmp_path)
    texts = sources(package)
    expected = {
        "api/widgets/widgets_send.py": [
            '"""Deprecated. widgets.send',
            "q: Deprecated. Old.",
            "field: Deprecated. Old.",
        ],
        "models/widget.py": ['"""Deprecated. Old."""\n\n    kind', '"""Deprecated. Old."""\n\n    _decoders'],
        "models/part.py": ['class Part(Model):\n    """Deprecated."""', '= ABSENT\n    """Deprecated."""\n'],
        "unions/some.py": ['"""Deprecated. Old."""'],
        "enums.py": ['"""Deprecated. Old."""'],
        "params.py": ['class PartParam(TypedDict):\n    """Deprecated."""', 'NotRequired[str]\n    """Deprecated."""'],
    }
    lost = [(name, part) for name, parts in expected.items() for part in parts if part not in texts[name]]
    assert lost == []
