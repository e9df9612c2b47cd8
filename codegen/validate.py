"""Validates the JSON structure of a document, which later steps rely on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from codegen.document import METHODS, Document, escape
from codegen.errors import ErrorCollector, SpecError

_TEXT = ("title", "description", "format", "$ref", "operationId", "summary", "propertyName", "style")
_FLAGS = ("deprecated", "explode")
_NUMBERS = ("minimum", "maximum")


def validate(data: dict[str, Any]) -> None:
    """Check the JSON structure of a document.

    Raises:
        SpecErrors: If values have the wrong JSON type, with their places.
    """
    errors = ErrorCollector()
    with errors.block():
        _objects(data, ("info", "paths", "components"), "#")
        components = data.get("components", {})
        _objects(components, ("schemas", "parameters", "responses", "requestBodies"), "#/components")
    errors.raise_all()
    checks: list[tuple[str, Callable[[Any, str], None]]] = [
        ("schemas", _schema),
        ("parameters", _parameter),
        ("responses", _content),
        ("requestBodies", _content),
    ]
    for kind, check in checks:
        for name, node in components.get(kind, {}).items():
            with errors.block():
                check(node, f"#/components/{kind}/{escape(name)}")
    document = Document(data)
    for path, item in data.get("paths", {}).items():
        with errors.block():
            _path(item, f"#/paths/{escape(path)}", document, errors)
    errors.raise_all()


def _path(item: Any, place: str, document: Document, errors: ErrorCollector) -> None:
    _object(item, place)
    _parameters(item, place, document)
    for method in METHODS:
        if method in item:
            with errors.block():
                _operation(item[method], f"{place}/{method}", document)


def _operation(node: Any, place: str, document: Document) -> None:
    operation = _object(node, place)
    _words(operation, place)
    _parameters(operation, place, document)
    tags = operation.get("tags", [])
    if not isinstance(tags, list) or not all(isinstance(tag, str) for tag in tags):
        raise SpecError(f"{place}/tags", "must be a list of strings")
    if "requestBody" in operation:
        _followed(operation["requestBody"], f"{place}/requestBody", document, _content)
    for code, response in _objects(operation, ("responses",), place):
        _followed(response, f"{place}/responses/{escape(code)}", document, _content)


def _followed(node: Any, place: str, document: Document, check: Callable[[Any, str], None]) -> None:
    """Check a value and the target of its references."""
    check(node, place)
    found, at = document.locate(node, place)
    if found is not node:
        check(found, at)


def _parameters(owner: dict[str, Any], place: str, document: Document) -> None:
    for n, parameter in enumerate(_list(owner.get("parameters", []), f"{place}/parameters")):
        if parameter is not None:  # a placeholder of `prune`
            _followed(parameter, f"{place}/parameters/{n}", document, _parameter)


def _parameter(node: Any, place: str) -> None:
    parameter = _object(node, place)
    _words(parameter, place)
    if "$ref" not in parameter and not (
        isinstance(parameter.get("name"), str) and isinstance(parameter.get("in"), str)
    ):
        raise SpecError(place, "must be a parameter with a name and an `in`")
    if "schema" in parameter:
        _schema(parameter["schema"], f"{place}/schema")


def _content(node: Any, place: str) -> None:
    """Check a request body or a response."""
    _words(_object(node, place), place)
    for media, data in _objects(node, ("content",), place):
        at = f"{place}/content/{escape(media)}"
        if "schema" in _object(data, at):
            _schema(data["schema"], f"{at}/schema")


def _schema(node: Any, place: str) -> None:
    if isinstance(node, bool):
        return
    schema = _object(node, place)
    _words(schema, place)
    for name, value in _objects(schema, ("properties",), place):
        _schema(value, f"{place}/properties/{escape(name)}")
    for word in ("items", "additionalProperties"):
        if word in schema:
            _schema(schema[word], f"{place}/{word}")
    for word in ("anyOf", "oneOf", "allOf", "enum", "required"):
        values = _list(schema.get(word, []), f"{place}/{word}")
        if word in schema and not values and word != "required":
            raise SpecError(f"{place}/{word}", "must not be empty")
        if word == "required" and not all(isinstance(value, str) for value in values):
            raise SpecError(f"{place}/{word}", "must be a list of strings")
        if word.endswith("Of"):
            for n, value in enumerate(values):
                _schema(value, f"{place}/{word}/{n}")
    types = schema.get("type", "any")
    if not isinstance(types, str) and not all(
        isinstance(word, str) for word in _list(types, f"{place}/type") or [None]
    ):
        raise SpecError(f"{place}/type", "must be a type or a list of types")
    if (
        "type" in schema
        and schema.get("const", False) is None
        and "null" not in ([types] if isinstance(types, str) else types)
    ):
        raise SpecError(f"{place}/const", 'must not be null, which openapi-python-client ignores. Use type: "null"')
    if "discriminator" in schema:
        _discriminator(schema["discriminator"], f"{place}/discriminator")


def _discriminator(node: Any, place: str) -> None:
    _words(_object(node, place), place)
    for value, ref in _objects(node, ("mapping",), place):
        if not isinstance(ref, str):
            raise SpecError(f"{place}/mapping/{escape(value)}", "must be a reference")


def _words(node: dict[str, Any], place: str) -> None:
    for word in _TEXT:
        if word in node and not isinstance(node[word], str):
            raise SpecError(f"{place}/{word}", f"must be text, got {node[word]!r:.60}")
    for word in _FLAGS:
        if word in node and not isinstance(node[word], bool):
            raise SpecError(f"{place}/{word}", f"must be true or false, got {node[word]!r:.60}")
    for word in _NUMBERS:
        if word in node and (isinstance(node[word], bool) or not isinstance(node[word], int | float)):
            raise SpecError(f"{place}/{word}", f"must be a number, got {node[word]!r:.60}")


def _object(node: Any, place: str) -> dict[str, Any]:
    if not isinstance(node, dict):
        raise SpecError(place, f"must be an object, got {node!r:.60}")
    return node


def _objects(node: dict[str, Any], words: tuple[str, ...], place: str) -> Iterator[tuple[str, Any]]:
    """Yield the entries of keywords whose values are objects of objects, with their places."""
    return iter([entry for word in words for entry in _object(node.get(word, {}), f"{place}/{word}").items()])


def _list(node: Any, place: str) -> list[Any]:
    if not isinstance(node, list):
        raise SpecError(place, f"must be a list, got {node!r:.60}")
    return node
