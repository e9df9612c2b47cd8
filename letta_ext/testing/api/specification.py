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
from urllib.parse import parse_qsl, quote

import jsonschema_rs

from ..scenarios import yaml_loader
from . import serializers
from .validation import MAX_DEPTH, MAX_NUMBER_LENGTH, is_object, is_sequence, sanitize

Node = Mapping[str, Any]

_EVENTS = "text/event-stream"


class Document:
    """An OpenAPI document for validation.

    Args:
        document: The parsed document.
    """

    def __init__(self, document: Node) -> None:
        self._document = document
        self._validators: dict[str, jsonschema_rs.Draft202012Validator] = {}
        self._operations = [
            (method.upper(), re.compile(re.sub(r"\\{(\w+)\\}", r"(?P<\1>[^/]+)", re.escape(path))), path, node)
            for path, methods in document["paths"].items()
            for method, node in methods.items()
        ]

    def operation(self, method: str, path: str) -> tuple[str, Node, dict[str, str]] | None:
        """Return the JSON pointer, the node and the path parameters of an operation. Return None if it is unknown."""
        for known, pattern, template, node in self._operations:
            match = pattern.fullmatch(path)
            if known == method and match:
                return f"/paths/{_escape(template)}/{method.lower()}", node, match.groupdict()
        return None

    def request_problems(self, method: str, path: str, query: str, body: bytes) -> list[str]:
        """Return the problems of a request."""
        match = self.operation(method, path)
        if match is None:
            return []
        base, node, path_values = match
        problems = list(self._parameter_problems(base, node, path_values, parse_qsl(query, keep_blank_values=True)))
        return problems + list(self._body_problems(base, node, body))

    def _parameter_problems(
        self, base: str, node: Node, path_values: Mapping[str, str], query: Sequence[tuple[str, str]]
    ) -> Iterator[str]:
        for index, declared in enumerate(node.get("parameters", [])):
            parameter, pointer = self._resolve(declared, f"{base}/parameters/{index}")
            name = parameter["name"]
            values = (
                [path_values[name]] if parameter["in"] == "path" else [value for key, value in query if key == name]
            )
            if not values:
                if parameter.get("required"):
                    yield f"{parameter['in']} parameter {name} is missing"
                continue
            schema, _ = self._resolve(parameter["schema"], "")
            types = types_of(schema)
            value = values if "array" in types else _convert(values[-1], types)
            for problem in self._problems(f"{pointer}/schema", value):
                yield f"{parameter['in']} parameter {name}{problem}"

    def _body_problems(self, base: str, node: Node, body: bytes) -> Iterator[str]:
        if "requestBody" not in node:
            return
        request_body, pointer = self._resolve(node["requestBody"], f"{base}/requestBody")
        if not body:
            if request_body.get("required"):
                yield "body is missing"
            return
        try:
            value = sanitize(json.loads(body))
        except (ValueError, RecursionError) as error:
            yield f"body is not JSON: {error}"
            return
        for problem in self._problems(f"{pointer}/content/{_escape('application/json')}/schema", value):
            yield f"body{problem}"

    def response_schema(self, method: str, path: str, status: int, content_type: str) -> tuple[str | None, list[str]]:
        """Return the JSON pointer of the response's schema, and the problems of its head."""
        match = self.operation(method, path)
        if match is None:
            return None, []
        base, node, _ = match
        if str(status) not in node["responses"]:
            return None, [f"status {status} is not one of {', '.join(node['responses'])}"]
        response, pointer = self._resolve(node["responses"][str(status)], f"{base}/responses/{status}")
        content = response.get("content", {})
        media_type = content_type.partition(";")[0]
        if media_type not in content:
            return None, [f"content type {content_type!r} is not one of {', '.join(content) or 'none'}"]
        return f"{pointer}/content/{_escape(media_type)}/schema", []

    def content_problems(self, pointer: str, body: bytes) -> list[str]:
        """Return the problems of a body, or of an event's data, with the schema at a JSON pointer."""
        try:
            # Values of a request are nested deeper in the response.
            value = sanitize(json.loads(body), 2 * MAX_DEPTH)
        except (ValueError, RecursionError) as error:
            return [f"not JSON: {error}"]
        return [problem.strip() for problem in self._problems(pointer, value)]

    def _problems(self, pointer: str, value: object) -> list[str]:
        if self._validator(pointer).is_valid(value):
            return []
        return self._explain(pointer, value)

    def _explain(self, pointer: str, value: object, location: str = "") -> list[str]:
        """Return the problems of a value. In a union, validate the member that the discriminator selects."""
        node, pointer = self._resolve(self._at(pointer), pointer)
        tags = node.get("discriminator", {})
        mapping = tags.get("mapping", {})
        if is_object(value) and value.get(tags.get("propertyName", "")) in mapping:
            return self._explain(mapping[value[tags["propertyName"]]][1:], value, location)
        if is_sequence(value) and "items" in node:
            parts = [(f"{pointer}/items", item, f"{location}[{index}]") for index, item in enumerate(value)]
            parts = [part for part in parts if not self._validator(part[0]).is_valid(part[1])]
            if parts:
                return [problem for part in parts for problem in self._explain(*part)]
        errors = self._validator(pointer).iter_errors(value)
        return [f"{location}{_location_of(error.instance_path)}: {_shorten(error.message)}" for error in errors]

    def _validator(self, pointer: str) -> jsonschema_rs.Draft202012Validator:
        if pointer not in self._validators:
            # A schema may refer to any part of the document.
            schema = {**self._document, "$ref": f"#{quote(pointer, safe='/~')}"}
            self._validators[pointer] = jsonschema_rs.Draft202012Validator(schema)
        return self._validators[pointer]

    def _at(self, pointer: str) -> Any:
        node: Any = self._document
        for part in pointer.split("/")[1:]:
            name = part.replace("~1", "/").replace("~0", "~")
            node = node[name] if is_object(node) else node[int(name)]
        return node

    def _resolve(self, node: Node, pointer: str) -> tuple[Node, str]:
        while "$ref" in node:
            pointer = node["$ref"][1:]
            node = self._at(pointer)
        return node, pointer


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


def _escape(part: str) -> str:
    return part.replace("~", "~0").replace("/", "~1")


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
