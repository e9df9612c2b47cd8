"""No text of a document becomes code or a path outside of the output folder, in any position."""

from __future__ import annotations

import ast
import builtins
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from codegen.docstrings import docstring
from codegen.document import load
from codegen.errors import SpecError
from codegen.extensions import PAGINATION_KEYS, PAGINATION_LIST_KEYS
from codegen.names import module_name
from codegen.openapi_client_driver import RUNTIME
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
    sources,
    stress_in_full,
    tagged,
    takes,
)
from tests.codegen.hostile import HOSTILE
from tests.stress.figures import FULL, figure

Document = dict[str, Any]

MODULES = {
    "__future__", "attrs", "collections.abc", "contextlib", "datetime", "enum", "functools", "html", "httpx",
    "importlib", "json", "math", "re", "sys", "types", "typing", "urllib.parse",
}  # fmt: skip
"""The modules that generated code may import."""

HOLDERS = {"self", "parts"}
"""Names with an attribute for each property of a model."""

FORBIDDEN = {"__import__", "eval", "exec", "compile", "open", "builtins", "os", "pWnEd", "globals", "__globals__"}


def _schemas(make_one: Callable[[str], Any]) -> Callable[[list[str]], Document]:
    return lambda texts: document({f"T{n}": make_one(text) for n, text in enumerate(texts)})


def _operations(make_one: Callable[[str], dict[str, Any]]) -> Callable[[list[str]], Document]:
    return lambda texts: document(
        {"A": obj("id", id=STRING), "B": obj("", flag={"type": "boolean"})},
        {f"/p{n}": {"post": operation(f"widgets.do{n}", **make_one(text))} for n, text in enumerate(texts)},
    )


def _query(**parts: Any) -> dict[str, Any]:
    return {"parameters": [{"name": "q", "in": "query", "schema": STRING, **parts}]}


def _page(word: str, text: str) -> dict[str, Any]:
    facts: dict[str, Any] = dict.fromkeys(PAGINATION_KEYS, "q") | {"default-order": "asc", "cursor-order": "order"}
    facts |= {name: ["id"] for name in PAGINATION_LIST_KEYS}
    facts[word] = [text] if word in PAGINATION_LIST_KEYS else text
    return {**_query(), "x-letta-pagination": facts}


def _stream(**facts: str) -> dict[str, Any]:
    event = "#/components/schemas/A"
    content = {"text/event-stream": {"schema": {"$ref": event}}}
    streaming = {"event": event, "terminator": "[DONE]", "resume-operation": "widgets.do0", **facts}
    return {"responses": {"200": {"description": "", "content": content}}, "x-letta-streaming": streaming}


def _shared(kind: str, node: Any, refer: Callable[[Any], dict[str, Any]]) -> Callable[[list[str]], Document]:
    """Return operations that refer to an entry of `components` by name."""

    def made(texts: list[str]) -> Document:
        refs = [{"$ref": f"#/components/{kind}/{text.replace('~', '~0').replace('/', '~1')}"} for text in texts]
        data = document(paths={f"/p{n}": {"post": operation(f"a.b{n}", **refer(at))} for n, at in enumerate(refs)})
        data["components"][kind] = dict.fromkeys(texts, node)
        return data

    return made


def _unions(make_one: Callable[[str], tuple[Any, Any]]) -> Callable[[list[str]], Document]:
    def made(texts: list[str]) -> Document:
        schemas: dict[str, Any] = {}
        for n, text in enumerate(texts):
            schemas[f"M{n}"], schemas[f"U{n}"] = make_one(text)
            schemas[f"U{n}"] |= {"oneOf": [ref(f"M{n}")]}
            for key in schemas[f"U{n}"]["discriminator"]["mapping"]:
                schemas[f"U{n}"]["discriminator"]["mapping"][key] = f"#/components/schemas/M{n}"
        return document(schemas)

    return made


def _kind(text: str) -> Any:
    return obj("kind", kind={"type": "string", "const": text})


PLACES: dict[str, Callable[[list[str]], Document]] = {
    "schema description": _schemas(lambda t: obj("", a=STRING) | {"description": t}),
    "schema title": _schemas(lambda t: obj("", a=STRING) | {"title": t}),
    "schema name": lambda texts: document({text: obj("", a=STRING) for text in texts}),
    "union name": lambda texts: document({"A": _kind("a")} | {f"U{text}": tagged("kind", a="A") for text in texts}),
    "enum name": lambda texts: document({f"E{text}": {"type": "string", "enum": ["a"]} for text in texts}),
    "enum description": _schemas(lambda t: {"type": "string", "enum": ["a"], "description": t}),
    "property name": lambda texts: document({"T": obj("", **dict.fromkeys(texts, STRING))}),
    "required property name": lambda texts: document(
        {"T": {"type": "object", "properties": dict.fromkeys(texts, STRING), "required": texts}}
    ),
    "name of a decoded property": lambda texts: document(
        {"A": obj("", a=STRING), "T": obj("", **dict.fromkeys(texts, ref("A")))}
    ),
    "property description": _schemas(lambda t: obj("", a=STRING | {"description": t})),
    "property default": _schemas(lambda t: obj("", a=STRING | {"default": t})),
    "property example": _schemas(lambda t: obj("", a=STRING | {"examples": [t], "example": {t: t}})),
    "pattern": _schemas(lambda t: obj("", a=STRING | {"pattern": t})),
    "format": _schemas(lambda t: obj("", a=STRING | {"format": t})),
    "comment": _schemas(lambda t: obj("", a=STRING | {"$comment": t})),
    "extension": _schemas(lambda t: obj("", a=STRING) | {"x-note": t, f"x-{t}": 1}),
    "enum value": _schemas(lambda t: {"type": "string", "enum": ["a", t]}),
    "inline enum value": _schemas(
        lambda t: obj("", a={"enum": [t, "b"]}, b={"anyOf": [{"enum": [t]}, {"enum": [f"{t} | {t}"]}]})
    ),
    "literal": _schemas(_kind),
    "tag property": _unions(
        lambda t: (obj("", **{t: STRING}), {"discriminator": {"propertyName": t, "mapping": {"a": ""}}})
    ),
    "tag value": _unions(lambda t: (_kind(t), {"discriminator": {"propertyName": "kind", "mapping": {t: ""}}})),
    "earlier tag value": _unions(
        lambda t: (_kind("now"), {"discriminator": {"propertyName": "kind", "mapping": {"now": "", t: ""}}})
    ),
    "key of an untagged union": _schemas(lambda t: obj("", u={"anyOf": [obj(t, **{t: STRING}), obj("", z=STRING)]})),
    "key that identifies a union": lambda texts: document(
        {
            f"U{n}": {"anyOf": [{"type": "object", "properties": {t: STRING}, "required": [t]}, obj("", z=STRING)]}
            for n, t in enumerate(texts)
        }
    ),
    "reference": _schemas(lambda t: obj("", a={"$ref": f"#/components/schemas/{t}"})),
    "type": _schemas(lambda t: {"type": t}),
    "tag": _operations(lambda t: {"tags": [t]}),
    "operation id": lambda texts: document(
        paths={f"/p{n}": {"get": operation(t)} for n, t in enumerate({module_name(t): t for t in texts}.values())}
    ),
    "dotted operation id": lambda texts: document(
        paths={f"/p{n}": {"get": operation(f"x{n}.{t}", tags=[f"x{n}"])} for n, t in enumerate(texts)}
    ),
    "summary": _operations(lambda t: {"summary": t}),
    "operation description": _operations(lambda t: {"description": t}),
    "path": lambda texts: document(paths={f"/p{n}/{t}": {"get": operation(f"a.b{n}")} for n, t in enumerate(texts)}),
    "whole path": lambda texts: document(
        paths={t: {"get": operation(f"a.b{n}")} for n, t in enumerate(dict.fromkeys(texts))}
    ),
    "placeholder": lambda texts: document(
        paths={
            f"/p{n}/{{{t}}}": {
                "get": operation(f"a.b{n}", parameters=[{"name": t, "in": "path", "required": True, "schema": STRING}])
            }
            for n, t in enumerate(texts)
        }
    ),
    "query parameter": _operations(lambda t: _query(name=t)),
    "header parameter": _operations(lambda t: _query(name=t, **{"in": "header"})),
    "place of a parameter": _operations(lambda t: _query(**{"in": t})),
    "style of a parameter": _operations(lambda t: _query(style=t)),
    "parameter description": _operations(lambda t: _query(description=t)),
    "parameter default": _operations(lambda t: _query(schema=STRING | {"default": t})),
    "parameter literal": _operations(lambda t: _query(schema={"enum": [t, "|"]})),
    "body field": _operations(lambda t: {"requestBody": takes(obj("", **{t: STRING}))}),
    "body field description": _operations(lambda t: {"requestBody": takes(obj("", a=STRING | {"description": t}))}),
    "body object description": _operations(
        lambda t: {"requestBody": takes(obj("", a=obj("", b=STRING) | {"description": t}))}
    ),
    "body literal": _operations(lambda t: {"requestBody": takes(obj("", a={"const": t}, b={"enum": [t, "z"]}))}),
    "body object key": _operations(
        lambda t: {"requestBody": takes(obj("", a=obj("", **{t: STRING, "plain": STRING})))}
    ),
    "body content type": _operations(lambda t: {"requestBody": {"content": {t: {"schema": ref("A")}}}}),
    "response content type": _operations(lambda t: {"responses": {"200": {"description": "", "content": {t: {}}}}}),
    "response description": _operations(lambda t: {"responses": {"200": {"description": t}}}),
    "response status": _operations(lambda t: {"responses": responds(STRING) | {t: {"description": "x"}}}),
    "repeat": _operations(lambda t: {"x-letta-idempotency": t}),
    **{f"page {word}": _operations(lambda t, word=word: _page(word, t)) for word in sorted(PAGINATION_KEYS)},  # type: ignore[misc]  # mypy infers no lambda with a default
    "stream terminator": _operations(lambda t: _stream(terminator=t)),
    "stream event": _operations(lambda t: _stream(event=t)),
    "stream resume": _operations(lambda t: _stream(**{"resume-operation": t})),
    "stream condition": _operations(lambda t: _stream(**{"stream-condition": t})),
    "stream default": _operations(lambda t: _stream(default=t)),
    "minimum": _operations(lambda t: _query(schema={"type": "integer", "minimum": t})),
    "reference of a mapping": _schemas(
        lambda t: {"oneOf": [ref("T0")], "discriminator": {"propertyName": "kind", "mapping": {"a": t}}}
    ),
    "response header": _operations(
        lambda t: {"responses": {"200": {"description": "", "headers": {t: {"description": t, "schema": STRING}}}}}
    ),
    "response example": _operations(
        lambda t: {"responses": {"200": {"description": "", "content": {"application/json": {"example": {t: t}}}}}}
    ),
    "body description": _operations(lambda t: {"requestBody": takes(ref("B")) | {"description": t}}),
    "link and callback": _operations(lambda t: {"callbacks": {t: {t: {}}}, "externalDocs": {"url": t}}),
    "path description": lambda texts: document(
        paths={f"/p{n}": {"get": operation(f"a.b{n}"), "description": t, "summary": t} for n, t in enumerate(texts)}
    ),
    "name of a shared parameter": _shared("parameters", _query()["parameters"][0], lambda at: {"parameters": [at]}),
    "name of a shared response": _shared("responses", responds(STRING)["200"], lambda at: {"responses": {"200": at}}),
    "name of a shared body": _shared("requestBodies", takes(obj("", a=STRING)), lambda at: {"requestBody": at}),
    "servers": lambda texts: document() | {"servers": [{"url": t, "description": t} for t in texts]},
    "tags": lambda texts: document() | {"tags": [{"name": t, "description": t} for t in texts]},
}


def accepted(place: Callable[[list[str]], Document], text: str) -> bool:
    """Return whether a text is accepted in a place; a refusal must name the place."""
    try:
        read(place([text]))
    except SpecError:
        return False
    return True


def harmless(package: Path, folder: Path) -> None:
    assert {path.name for path in folder.iterdir()} == {package.name}
    assert all(path.resolve().is_relative_to(package) for path in package.rglob("*"))
    for name, text in sources(package).items():
        if (module := RUNTIME / name).is_file() and module.name != "__init__.py":
            assert text.partition("\n")[2] == module.read_text(encoding="utf-8")
        else:
            judge(name, text)
    with imported(package):
        assert not hasattr(builtins, "pWnEd")


@cache  # most files are the same in every package
def judge(name: str, text: str) -> None:
    tree = ast.parse(text)
    arguments = {node.arg for node in ast.walk(tree) if isinstance(node, ast.arg)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            assert {alias.name for alias in node.names} <= MODULES, name
        elif isinstance(node, ast.ImportFrom):
            assert node.level or node.module in MODULES, name
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
            assert node.id not in FORBIDDEN - arguments, name
        elif isinstance(node, ast.Attribute) and not (isinstance(node.value, ast.Name) and node.value.id in HOLDERS):
            assert node.attr not in FORBIDDEN, name


def test_hostile_texts_are_at_least_hundred() -> None:
    """At least 100 hostile texts are tested."""
    assert len(set(HOSTILE)) >= 100


def sample_texts(offset: int, size: int) -> list[str]:
    """Return all texts with LETTA_STRESS=full, else a sample that depends on the offset."""
    texts = list(dict.fromkeys(HOSTILE))
    step = 1 if FULL else len(texts) // size
    return texts[offset % step :: step]


def check_each(documents: list[Document], folder: Path) -> None:
    for n, data in enumerate(documents):
        own = folder / str(n)
        own.mkdir()
        package, _ = make(data, own)
        harmless(package, own)


@stress_in_full
@pytest.mark.parametrize("name", PLACES)
def test_generate_hostile_text_is_not_code(name: str, tmp_path: Path) -> None:
    """A hostile text in any place does not become code."""
    place = PLACES[name]
    tried = sample_texts(list(PLACES).index(name), 12)
    texts = [text for text in tried if accepted(place, text)]
    try:
        package, _ = make(place(texts), tmp_path)
    except SpecError:
        # Alone each is fine, together they are not: two names that end up alike.
        check_each([place([text]) for text in texts], tmp_path)
    else:
        harmless(package, tmp_path)
    figure(
        f"hostile texts as {name}", f"{len(tried)} tried, {len(texts)} taken as text, the others refused; none is code"
    )


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_docstring_hostile_text_is_kept(text: str) -> None:
    """A docstring contains the given text and does not become code."""
    for indent in (0, 4):
        for given in (text, f"first line\n\n{text}", f"{text}\n\nlast line"):
            written = "    " * (indent // 4) + docstring(given, indent, [("Args", [("x", text)])] if indent else [])
            tree = ast.parse(written.strip())
            assert len(tree.body) == 1
            statement = tree.body[0]
            assert isinstance(statement, ast.Expr)
            assert isinstance(statement.value, ast.Constant)
            said = str(statement.value.value)
            assert "".join(given.split()) in "".join(said.split())


@stress_in_full
@pytest.mark.parametrize("word", ["title", "version", "description"])
def test_generate_hostile_api_info_is_not_code(word: str, tmp_path: Path) -> None:
    """A hostile text in the API's info does not become code."""
    tried = sample_texts(len(word), 4)
    check_each([document() | {"info": {"title": "T", "version": "1", word: text}} for text in tried], tmp_path)
    figure(f"hostile texts as the API's {word}", f"{len(tried)} tried, all taken as text; none is code")


def test_load_lone_surrogate_reports_place(tmp_path: Path) -> None:
    """A lone surrogate is refused with its place."""
    path = tmp_path / "a.json"
    path.write_text('{"openapi": "3.1.0", "info": {"title": "\\ud800"}}')
    with pytest.raises(SpecError) as caught:
        load(path)
    assert caught.value.place == "#/info/title"
