"""Validation of requests and responses against the packaged specification."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import jsonschema_rs
from starlette.routing import compile_path

from ..scenarios import yaml_loader
from . import serializers
from .validation import MAX_DEPTH, MAX_NUMBER_LENGTH, is_object, is_sequence, sanitize

Node = Mapping[str, Any]


class Document:
    """An OpenAPI document for validation.

    Args:
        document: The parsed document.
    """

    def __init__(self, document: Node) -> None:
        self._document = document
        self._validators: dict[int, jsonschema_rs.Draft202012Validator] = {}
        self._operations = [
            (method.upper(), compile_path(path)[0], node)
            for path, methods in document["paths"].items()
            for method, node in methods.items()
        ]

    def request_problems(self, method: str, path: str, query: str, body: bytes) -> list[str]:
        """Return the problems of a request."""
        operation, path_values = self._operation(method, path)
        if operation is None:
            return []
        given = {"path": list(path_values.items()), "query": parse_qsl(query, keep_blank_values=True)}
        problems = [
            problem
            for declared in operation.get("parameters", ())
            for problem in self._parameter_problems(self._resolve(declared), given)
        ]
        return problems + list(self._body_problems(operation, body))

    def _operation(self, method: str, path: str) -> tuple[Node | None, dict[str, str]]:
        """Return an operation and its path parameters. Return None if it is unknown."""
        for known, pattern, node in self._operations:
            if known == method and (match := pattern.match(path)):
                return node, match.groupdict()
        return None, {}

    def _parameter_problems(self, parameter: Node, given: Mapping[str, Sequence[tuple[str, str]]]) -> Iterator[str]:
        place, name = parameter["in"], parameter["name"]
        values = [value for key, value in given[place] if key == name]
        if not values:
            if parameter.get("required"):
                yield f"{place} parameter {name} is missing"
            return
        types = types_of(self._resolve(parameter["schema"]))
        value = values if "array" in types else _convert(values[-1], types)
        for problem in self._problems(parameter["schema"], value):
            yield f"{place} parameter {name}{problem}"

    def _body_problems(self, operation: Node, body: bytes) -> Iterator[str]:
        if "requestBody" not in operation:
            return
        request_body = self._resolve(operation["requestBody"])
        if not body:
            if request_body.get("required"):
                yield "body is missing"
            return
        try:
            value = sanitize(json.loads(body))
        except (ValueError, RecursionError) as error:
            yield f"body is not JSON: {error}"
            return
        for problem in self._problems(request_body["content"]["application/json"]["schema"], value):
            yield f"body{problem}"

    def response_schema(self, method: str, path: str, status: int, content_type: str) -> tuple[Node | None, list[str]]:
        """Return the schema of a response, and the problems of its head."""
        operation, _ = self._operation(method, path)
        if operation is None:
            return None, []
        if str(status) not in operation["responses"]:
            return None, [f"status {status} is not one of {', '.join(operation['responses'])}"]
        content = self._resolve(operation["responses"][str(status)]).get("content", {})
        media_type = content_type.partition(";")[0]
        if media_type not in content:
            return None, [f"content type {content_type!r} is not one of {', '.join(content) or 'none'}"]
        return content[media_type]["schema"], []

    def content_problems(self, schema: Node, body: bytes) -> list[str]:
        """Return the problems of a body, or of an event's data."""
        try:
            # Values of a request are nested deeper in the response.
            value = sanitize(json.loads(body), 2 * MAX_DEPTH)
        except (ValueError, RecursionError) as error:
            return [f"not JSON: {error}"]
        return [problem.strip() for problem in self._problems(schema, value)]

    def _problems(self, schema: Node, value: object) -> list[str]:
        return [] if self._validator(schema).is_valid(value) else self._explain(schema, value)

    def _explain(self, schema: Node, value: object, location: str = "") -> list[str]:
        """Return the problems of a value. In a union, validate the member that the discriminator selects."""
        schema = self._resolve(schema)
        tags = schema.get("discriminator", {})
        mapping = tags.get("mapping", {})
        if is_object(value) and value.get(tags.get("propertyName", "")) in mapping:
            return self._explain({"$ref": mapping[value[tags["propertyName"]]]}, value, location)
        if is_sequence(value) and "items" in schema:
            items = schema["items"]
            parts = [(item, f"{location}[{index}]") for index, item in enumerate(value)]
            parts = [(item, at) for item, at in parts if not self._validator(items).is_valid(item)]
            if parts:
                return [problem for item, at in parts for problem in self._explain(items, item, at)]
        errors = self._validator(schema).iter_errors(value)
        return [f"{location}{_location_of(error.instance_path)}: {_shorten(error.message)}" for error in errors]

    def _validator(self, schema: Node) -> jsonschema_rs.Draft202012Validator:
        """Return the validator of a part of the document."""
        # The document outlives its validators, so that the id of a part refers to no other one.
        if id(schema) not in self._validators:
            whole = {**schema, "components": self._document["components"]}
            self._validators[id(schema)] = jsonschema_rs.Draft202012Validator(whole)
        return self._validators[id(schema)]

    def _resolve(self, node: Node) -> Node:
        """Return the component that a node refers to, or the node."""
        while "$ref" in node:
            _, kind, name = node["$ref"].removeprefix("#/").split("/")
            node = self._document["components"][kind][name]
        return node


def events(text: bytes) -> Iterator[bytes]:
    """Return the data of each complete event, except for the terminal event."""
    for event in text.split(serializers.END_OF_EVENT)[:-1]:
        data = event.rpartition(b"data: ")[2]
        if data != b"[DONE]":
            yield data


@cache
def load() -> Document:
    """Return the validator for the specification."""
    return Document(source())


def source() -> dict[str, Any]:
    """Return the parsed specification."""
    document: dict[str, Any] = yaml_loader.load(_file().read_text(encoding="utf-8"))
    return document


def _file() -> Traversable:
    shipped = files("letta_ext.testing") / "openapi.yaml"
    # A checkout has only the file that the package data is built from.
    return shipped if shipped.is_file() else Path(__file__).parents[3] / "spec" / "openapi.yaml"


def types_of(schema: Node) -> list[str]:
    """Return the types of a schema, without null, which a query cannot express."""
    types = schema.get("type", [])
    return [each for each in ([types] if isinstance(types, str) else types) if each != "null"]


def _convert(value: str, types: list[str]) -> object:
    """Return a query parameter converted to its type. Return invalid values unchanged."""
    if "integer" in types and len(value) <= MAX_NUMBER_LENGTH and re.fullmatch(r"-?[0-9]+", value):
        return int(value)
    if "boolean" in types and value in ("true", "false"):
        return value == "true"
    return value


def _location_of(path: Sequence[str | int]) -> str:
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)


def _shorten(message: str, limit: int = 200) -> str:
    return message if len(message) <= limit else f"{message[: limit // 2]} … {message[-limit // 2 :]}"
