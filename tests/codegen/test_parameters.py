"""Parameters of every schema in every location: the package imports, type-checks and sends."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_type_hints

import httpx
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
    operation,
    ref,
    responds,
    stress_in_full,
    tagged,
    takes,
)
from tests.codegen.features import CAT, DATED, DOG
from tests.stress.figures import FULL, figure

COMPONENTS: dict[str, Schema] = {
    "Text": STRING,
    "Day": DATED,
    "Unit": {"type": "string", "enum": ["day", "hour"]},
    "MaybeUnit": {"type": ["string", "null"], "enum": ["day", None]},
    "Level": {"type": "integer", "enum": [1, 2]},
    "Mixed": {"enum": ["a", 1, True, None]},
    "One": {"const": "one"},
    "Nothing": {"enum": [None]},
    "Either": {"anyOf": [STRING, {"type": "integer"}]},
    "Dated": {"anyOf": [DATED, {"type": "integer"}]},
    "Alias": ref("Unit"),
    "Many": {"type": "array", "items": ref("Unit")},
    "Cat": CAT,
    "Dog": DOG,
    "Pet": tagged("kind", cat="Cat", dog="Dog"),
    "Free": {"type": "object"},
}
SCALARS: dict[str, Schema] = {
    "string": STRING,
    "integer": {"type": "integer"},
    "number": {"type": "number"},
    "boolean": {"type": "boolean"},
    "null": NULL,
    "any": {},
    "date-time": DATED,
    "date": {"type": "string", "format": "date"},
    "uuid": {"type": "string", "format": "uuid"},
    "unknown format": {"type": "string", "format": "odd"},
    "enum": {"type": "string", "enum": ["a", "b"]},
    "enum of integers": {"enum": [1, 2]},
    "enum of everything": {"enum": ["a", 1, True, None]},
    "const": {"const": "c"},
    "const of a boolean": {"const": True},
    "types": {"type": ["string", "integer"]},
    **{f"reference to {name}": ref(name) for name in COMPONENTS},
}
WRAPPED: dict[str, Callable[[Schema], Schema]] = {
    "": lambda schema: schema,
    "nullable ": lambda schema: {"anyOf": [schema, NULL]},
    "array of ": lambda schema: {"type": "array", "items": schema},
    "described ": lambda schema: {"allOf": [schema], "description": "What it is."},
    "either a list or ": lambda schema: {"anyOf": [{"type": "array", "items": STRING}, schema]},
    "either an integer or ": lambda schema: {"anyOf": [{"type": "integer"}, schema]},
    "array of nullable ": lambda schema: {"type": "array", "items": {"anyOf": [schema, NULL]}},
    "map of ": lambda schema: {"type": "object", "additionalProperties": schema},
}
PLACES = ("path", "query", "header", "cookie", "body")


def _one(where: str, schema: Schema, *, required: bool, id_: str = "widgets.one") -> dict[str, Any]:
    path = "/one/{p}" if where == "path" else "/one"
    if where == "body":
        body = takes(obj("p" if required else "", p=schema))
        return {path: {"post": operation(id_, requestBody=body, responses=responds(schema))}}
    parameter = {"name": "p", "in": where, "required": required or where == "path", "schema": schema}
    return {path: {"post": operation(id_, parameters=[parameter])}}


def combinations() -> dict[str, dict[str, Any]]:
    """Return one operation for each accepted combination of schema and location, or for a seventh of them."""
    taken: dict[str, dict[str, Any]] = {}
    drawn = itertools.product(PLACES, WRAPPED.items(), SCALARS.items(), (True, False))
    for where, (form, wrap), (kind, schema), required in itertools.islice(drawn, 0, None, 1 if FULL else 7):
        n = len(taken)
        paths = _one(where, wrap(schema), required=required, id_=f"widgets.n{n}")
        try:
            read(document(COMPONENTS, paths))
        except SpecError:
            continue
        name = f"{'required' if required else 'optional'} {form}{kind} in the {where}"
        taken[name] = {f"/{n}{path}": item for path, item in paths.items()}
    return taken


@pytest.fixture(scope="module")
def every(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, dict[str, Any]]]:
    """Return one package of all combinations."""
    taken = combinations()
    data = document(COMPONENTS, {path: item for paths in taken.values() for path, item in paths.items()})
    return make(data, tmp_path_factory.mktemp("parameters"))[0], taken


def test_accepted_parameter_resolves_every_annotation(every: tuple[Path, dict[str, dict[str, Any]]]) -> None:
    """The package imports, and its annotations resolve."""
    package, taken = every
    with imported(package) as api:
        found = 0
        for name, module in list(sys.modules.items()):
            if name.startswith(f"{api.__name__}.api.widgets."):
                get_type_hints(module.build_request)
                found += 1
        assert found == len(taken) > 300
    figure("parameters of every kind", f"{len(taken)} combinations taken and imported")


@stress_in_full
@pytest.mark.parametrize("tool", ["mypy", "pyright"])
def test_accepted_parameter_passes_strict_checker(tool: str, every: tuple[Path, dict[str, dict[str, Any]]]) -> None:
    """Status 0 means that both type checkers, strict, find nothing."""
    if not FULL:
        pytest.skip("takes long: with LETTA_STRESS=full only")
    package, taken = every
    figure(f"{tool}, strict, on {len(taken)} parameters", checked(tool, package.parent))


@pytest.mark.parametrize(
    ("where", "schema", "value", "sent"),
    [
        ("path", ref("Unit"), "day", "/one/day"),
        ("path", ref("Alias"), "a new one", "/one/a%20new%20one"),
        ("path", ref("Level"), 2, "/one/2"),
        ("path", {}, 7, "/one/7"),
        ("path", DATED, datetime(2026, 1, 2, tzinfo=UTC), "/one/2026-01-02T00%3A00%3A00%2B00%3A00"),
        ("query", ref("Unit"), "day", [("p", "day")]),
        ("query", ref("Many"), ["day", "hour"], [("p", "day"), ("p", "hour")]),
        ("query", ref("Dated"), datetime(2026, 1, 2, tzinfo=UTC), [("p", "2026-01-02T00:00:00+00:00")]),
        ("query", ref("Nothing"), None, []),
        ("header", ref("Unit"), "day", {"p": "day"}),
        ("header", {"type": "boolean"}, True, {"p": "true"}),
        ("header", {"type": ["number", "null"]}, None, {}),
        ("body", ref("MaybeUnit"), None, {"p": None}),
        ("body", {"type": "string", "format": "uuid"}, "0-0", {"p": "0-0"}),
    ],
)
def test_parameter_value_is_sent_in_its_location(
    where: str, schema: Schema, value: Any, sent: object, tmp_path: Path
) -> None:
    """Each value of an argument's type is sent."""
    package, _ = make(document(COMPONENTS, _one(where, schema, required=True)), tmp_path)
    with imported(package) as api:
        build_request = sys.modules[f"{api.__name__}.api.widgets.widgets_one"].build_request
        request = build_request(value) if where == "path" else build_request(p=value)
        found = {"path": request.path, "query": request.query, "header": dict(request.headers), "body": request.body}
        assert found[where] == sent


STYLES: list[tuple[dict[str, Any], Any, str]] = [
    ({"schema": {"type": "array", "items": STRING}, "explode": False}, ["a", "b"], "q=a%2Cb"),
    ({"schema": {"type": "array", "items": STRING}, "explode": False}, None, ""),
    ({"schema": {"type": "array", "items": STRING}, "style": "pipeDelimited", "explode": False}, ["a", "b"], "q=a%7Cb"),
    ({"schema": {"type": "array", "items": STRING}, "style": "spaceDelimited", "explode": False}, ["a"], "q=a"),
    ({"schema": ref("Range")}, {"from": 1, "to": [2, 3]}, "from=1&to=2&to=3"),
    ({"schema": ref("Range"), "explode": False}, {"from": 1, "to": 2}, "q=from%2C1%2Cto%2C2"),
    (
        {"schema": ref("Range"), "style": "deepObject"},
        {"from": 1, "in": {"x": True}},
        "q%5Bfrom%5D=1&q%5Bin%5D%5Bx%5D=true",
    ),
    ({"content": {"application/json": {"schema": ref("Range")}}}, {"from": 1}, "q=%7B%22from%22%3A1%7D"),
]
"""A query parameter, its argument, and the encoded query."""


@pytest.mark.parametrize(("parameter", "value", "query"), STYLES)
def test_query_parameter_is_encoded_in_its_style(
    parameter: dict[str, Any], value: Any, query: str, tmp_path: Path
) -> None:
    """Arrays and objects in a query have the documented style."""
    schemas = {"Range": obj("", **{"from": {"type": "integer"}, "to": {}, "in": {"type": "object"}})}
    get = operation(parameters=[{"name": "q", "in": "query", **parameter}])
    package, _ = make(document(schemas, {"/x?fixed=1#other": {"get": get}}), tmp_path)
    with imported(package) as api:
        request = sys.modules[f"{api.__name__}.api.widgets.widgets_get"].build_request(q=value)
    assert request.path == "/x"
    assert str(httpx.QueryParams(request.query)) == f"fixed=1&{query}".strip("&")


@pytest.mark.parametrize(
    ("schema", "value", "path"),
    [
        ({"type": "array", "items": STRING}, ["a", "b/c"], "/x/a,b%2Fc"),
        ({"type": "boolean"}, True, "/x/true"),
        ({"type": "number"}, 1.5, "/x/1.5"),
        ({"type": ["integer", "null"]}, 7, "/x/7"),
    ],
)
def test_path_parameter_of_other_type_is_encoded(schema: Schema, value: Any, path: str, tmp_path: Path) -> None:
    """Arrays, booleans and numbers in a path are one segment."""
    get = operation(parameters=[{"name": "id", "in": "path", "required": True, "schema": schema}])
    package, _ = make(document(paths={"/x/{id}": {"get": get}}), tmp_path)
    with imported(package) as api:
        assert sys.modules[f"{api.__name__}.api.widgets.widgets_get"].build_request(value).path == path


ARRAY: Schema = {"type": "array", "items": STRING}
OBJECT: Schema = {"type": "object"}
EXPANDED: list[tuple[str, bool, Schema, Any, str]] = [
    ("simple", False, ARRAY, ["blue", "b/c,d"], "blue,b%2Fc%2Cd"),
    ("simple", False, OBJECT, {"R": 100, "G": 200}, "R,100,G,200"),
    ("simple", True, OBJECT, {"R": 100, "G": 200}, "R=100,G=200"),
    ("label", False, STRING, "a.b", ".a.b"),
    ("label", False, ARRAY, ["blue", "black"], ".blue,black"),
    ("label", True, ARRAY, ["blue", "black"], ".blue.black"),
    ("label", False, OBJECT, {"R": 100, "G": True}, ".R,100,G,true"),
    ("label", True, OBJECT, {"R": 100, "G": 200}, ".R=100.G=200"),
    ("matrix", False, STRING, "a;b", ";p=a%3Bb"),
    ("matrix", False, ARRAY, ["blue", "black"], ";p=blue,black"),
    ("matrix", True, ARRAY, ["blue", "black"], ";p=blue;p=black"),
    ("matrix", False, OBJECT, {"R": 100, "G": 200}, ";p=R,100,G,200"),
    ("matrix", True, OBJECT, {"R": 100, "G": 200}, ";R=100;G=200"),
]
"""The style of a path parameter, whether it is exploded, its schema, its argument, and the segment (RFC 6570)."""


@pytest.fixture(scope="module")
def expanding(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a package with one operation for each row of `EXPANDED`, which also has an id."""
    paths: dict[str, Any] = {}
    for n, (style, explode, schema, _, _) in enumerate(EXPANDED):
        p = {"name": "p", "in": "path", "required": True, "style": style, "explode": explode, "schema": schema}
        key = {"name": "id", "in": "path", "required": True, "schema": STRING}
        paths[f"/n{n}/{{id}}/{{p}}"] = {"get": operation(f"widgets.n{n}", parameters=[key, p])}
    return make(document(paths=paths), tmp_path_factory.mktemp("expanding"))[0]


def test_path_parameter_is_expanded_in_its_style(expanding: Path) -> None:
    """Separators of a path are literal, and the values between them are percent-encoded. An id stays one segment."""
    with imported(expanding) as api:
        for n, (*_, value, segment) in enumerate(EXPANDED):
            build_request = sys.modules[f"{api.__name__}.api.widgets.widgets_n{n}"].build_request
            assert build_request("a/{p}", value).path == f"/n{n}/a%2F%7Bp%7D/{segment}"
            with pytest.raises(TypeError, match="must be"):
                build_request("a", [[1]])


@pytest.mark.parametrize(("style", "value"), [("simple", []), ("label", ""), ("label", "."), ("simple", ["."])])
def test_path_parameter_that_would_change_the_path_raises_value_error(style: str, value: Any, expanding: Path) -> None:
    """A path parameter is not empty, and not a dot segment."""
    n = next(n for n, row in enumerate(EXPANDED) if row[0] == style)
    with imported(expanding) as api, pytest.raises(ValueError, match="p must not be empty or a dot segment"):
        sys.modules[f"{api.__name__}.api.widgets.widgets_n{n}"].build_request("a", value)


COOKIES: list[tuple[bool, Schema, Any, str | None]] = [
    (True, STRING, "a b;c", "p=a%20b%3Bc"),
    (True, {"type": "integer"}, 7, "p=7"),
    (True, {"type": ["string", "null"]}, None, None),
    (False, ARRAY, ["blue", "a,b"], "p=blue,a%2Cb"),
    (True, ARRAY, ["blue", "black"], "p=blue&p=black"),
    (False, OBJECT, {"R": 100, "G": 200}, "p=R,100,G,200"),
    (True, OBJECT, {"R": 100, "G": 200}, "R=100; G=200"),
    (True, OBJECT, {"R=1; G": 200}, "R%3D1%3B%20G=200"),
]
"""Whether a cookie parameter is exploded, its schema, its argument, and the cookies that are sent."""


def test_cookie_parameter_is_sent_beside_cookies_of_the_client(tmp_path: Path) -> None:
    """Cookie parameters are sent with the cookies of the client, and with a body, and are not kept."""
    parts = [("cookie", explode, schema) for explode, schema, _, _ in COOKIES]
    paths = {
        f"/n{n}": {
            "post": operation(
                f"widgets.n{n}",
                parameters=[{"name": "p", "in": where, "explode": explode, "schema": schema}],
                requestBody={"content": {"text/plain": {"schema": STRING}}},
            )
        }
        for n, (where, explode, schema) in enumerate(parts)
    }
    package, _ = make(document(paths=paths), tmp_path)
    seen: list[httpx.Request] = []

    def respond(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(204)

    with imported(package) as api, httpx.Client(transport=httpx.MockTransport(respond), base_url="http://t") as client:
        client.cookies.set("session", "1")
        for n, (*_, value, cookies) in enumerate(COOKIES):
            module = sys.modules[f"{api.__name__}.api.widgets.widgets_n{n}"]
            module.sync(client, p=value, body="text")
            assert seen[-1].headers["Cookie"] == "; ".join(filter(None, ["session=1", cookies]))
            assert seen[-1].content == b"text"
            module.sync(client)
            assert seen[-1].headers["Cookie"] == "session=1"


def test_header_object_is_exploded(tmp_path: Path) -> None:
    """An object in a header has its keys and values in one text."""
    parameter = {"name": "X-P", "in": "header", "explode": True, "schema": OBJECT}
    package, _ = make(document(paths={"/x": {"get": operation(parameters=[parameter])}}), tmp_path)
    with imported(package) as api:
        build_request = sys.modules[f"{api.__name__}.api.widgets.widgets_get"].build_request
        assert build_request(x_p={"R": 100, "G": 200}).headers == {"X-P": "R=100,G=200"}
