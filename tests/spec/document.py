"""Load the specification, resolve its references and iterate its schemas."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import yaml

ROOT = Path(__file__).parents[2]
SPEC = ROOT / "spec" / "openapi.yaml"

METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")

Node: TypeAlias = dict[str, Any]


class _Loader(yaml.SafeLoader):
    """A YAML loader that keeps timestamps as strings, as in JSON."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


class Operation(NamedTuple):
    """An operation and its place in the document."""

    path: str
    method: str
    node: Node

    @property
    def id(self) -> str:
        return str(self.node.get("operationId", f"{self.method} {self.path}"))


@cache
def _loaded() -> Node:
    loaded = _Loader(SPEC.read_text(encoding="utf-8")).get_single_data()
    assert isinstance(loaded, dict)
    return loaded


def load() -> Node:
    """Return a copy of the specification that the caller may change."""
    return deepcopy(_loaded())


def schemas(document: Node) -> Node:
    found = document["components"]["schemas"]
    assert isinstance(found, dict)
    return found


def name_of(ref: str) -> str:
    return ref.rsplit("/", 1)[-1]


def lookup(document: Node, ref: str) -> Any:
    """Return the target of a reference.

    Raises:
        KeyError: If the target does not exist.
    """
    if not ref.startswith("#/"):
        raise KeyError(ref)
    found: Any = document
    for part in ref[2:].split("/"):
        found = found[part.replace("~1", "/").replace("~0", "~")]
    return found


def resolve(document: Node, node: Node) -> Node:
    """Return the node, or the target of its `$ref`."""
    while "$ref" in node:
        node = lookup(document, node["$ref"])
    return node


def operations(document: Node) -> list[Operation]:
    return [
        Operation(path, method, item[method])
        for path, item in document["paths"].items()
        for method in METHODS
        if method in item
    ]


def parameters(document: Node, operation: Operation) -> dict[str, Node]:
    """Return the parameters of an operation by name."""
    found = [resolve(document, each) for each in operation.node.get("parameters", [])]
    return {each["name"]: each for each in found}


def body(document: Node, operation: Operation) -> Node:
    """Return the schema of the JSON request body, or an empty schema."""
    content = operation.node.get("requestBody", {}).get("content", {})
    return resolve(document, content.get("application/json", {}).get("schema", {}))


def response_schema(document: Node, operation: Operation, status: str, media: str) -> Node | None:
    """Return the schema of a response as written, or None."""
    declared = operation.node["responses"].get(status)
    if declared is None:
        return None
    content = resolve(document, declared).get("content", {})
    found = content.get(media, {}).get("schema")
    assert found is None or isinstance(found, dict)
    return found


def walk(node: Any, place: str = "#") -> Iterator[tuple[str, Node]]:
    """Yield every mapping of a document with its place."""
    if isinstance(node, dict):
        yield place, node
        for key, value in node.items():
            yield from walk(value, f"{place}/{key}")
    elif isinstance(node, list):
        for index, value in enumerate(node):
            yield from walk(value, f"{place}/{index}")


def subschemas(schema: Any, place: str) -> Iterator[tuple[str, Node]]:
    """Yield the schemas below a schema with their places, without following references."""
    if not isinstance(schema, dict):
        return
    for name, each in schema.get("properties", {}).items():
        yield from _schema_and_subschemas(each, f"{place}.{name}")
    for word in ("items", "additionalProperties"):
        yield from _schema_and_subschemas(schema.get(word), f"{place}[]")
    for word in ("oneOf", "anyOf", "allOf"):
        for index, each in enumerate(schema.get(word, [])):
            yield from _schema_and_subschemas(each, f"{place}|{index}")


def _schema_and_subschemas(schema: Any, place: str) -> Iterator[tuple[str, Node]]:
    if isinstance(schema, dict):
        yield place, schema
        yield from subschemas(schema, place)


def inline_schemas(document: Node) -> Iterator[tuple[str, Node]]:
    """Yield each inline schema: below a component, or in a parameter, a body or a response."""
    for name, schema in schemas(document).items():
        yield from subschemas(schema, name)
    components = document["components"]
    for place, node in walk([document["paths"], components["parameters"], components["responses"]]):
        if isinstance(node.get("schema"), dict):
            yield from _schema_and_subschemas(node["schema"], place)
