"""The specification that ships with the embedded server, and what it says about one request or answer."""

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
from .validation import DEEPEST, LONGEST_NUMBER, cleaned, is_object, is_sequence

Node = Mapping[str, Any]

_EVENTS = "text/event-stream"


class Document:
    """An OpenAPI document, ready to be held against traffic.

    Args:
        document: the parsed document.
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
        """Return what is asked for: its place in the document, its node, and what the path gives; None if unknown."""
        for known, pattern, template, node in self._operations:
            found = pattern.fullmatch(path)
            if known == method and found:
                return f"/paths/{_escaped(template)}/{method.lower()}", node, found.groupdict()
        return None

    def request_problems(self, method: str, path: str, query: str, body: bytes) -> list[str]:
        """Return what the document has against a request."""
        found = self.operation(method, path)
        if found is None:
            return []
        place, node, given = found
        problems = list(self._parameter_problems(place, node, given, parse_qsl(query, keep_blank_values=True)))
        return problems + list(self._body_problems(place, node, body))

    def _parameter_problems(
        self, place: str, node: Node, given: Mapping[str, str], query: Sequence[tuple[str, str]]
    ) -> Iterator[str]:
        for index, written in enumerate(node.get("parameters", [])):
            parameter, where = self._resolved(written, f"{place}/parameters/{index}")
            name = parameter["name"]
            values = [given[name]] if parameter["in"] == "path" else [value for key, value in query if key == name]
            if not values:
                if parameter.get("required"):
                    yield f"{parameter['in']} parameter {name} is missing"
                continue
            schema, _ = self._resolved(parameter["schema"], "")
            value = values if schema.get("type") == "array" else _converted(values[-1], schema.get("type"))
            for problem in self._problems(f"{where}/schema", value):
                yield f"{parameter['in']} parameter {name}{problem}"

    def _body_problems(self, place: str, node: Node, body: bytes) -> Iterator[str]:
        if "requestBody" not in node:
            return
        wanted, where = self._resolved(node["requestBody"], f"{place}/requestBody")
        if not body:
            if wanted.get("required"):
                yield "the body is missing"
            return
        try:
            value = cleaned(json.loads(body))
        except (ValueError, RecursionError) as error:
            yield f"the body is no JSON: {error}"
            return
        for problem in self._problems(f"{where}/content/{_escaped('application/json')}/schema", value):
            yield f"the body{problem}"

    def answer(self, method: str, path: str, status: int, content_type: str) -> tuple[str | None, list[str]]:
        """Return where the document describes the content of an answer, and what it has against its head."""
        found = self.operation(method, path)
        if found is None:
            return None, []
        place, node, _ = found
        if str(status) not in node["responses"]:
            return None, [f"the status {status} is not one of {', '.join(node['responses'])}"]
        response, where = self._resolved(node["responses"][str(status)], f"{place}/responses/{status}")
        content = response.get("content", {})
        kind = content_type.partition(";")[0]
        if kind not in content:
            return None, [f"the content type {content_type!r} is not one of {', '.join(content) or 'none'}"]
        return f"{where}/content/{_escaped(kind)}/schema", []

    def content_problems(self, where: str, body: bytes) -> list[str]:
        """Return what the document has against a body, or an event's data, whose schema stands there."""
        try:
            # What was taken from a request is nested a little deeper in an answer.
            value = cleaned(json.loads(body), 2 * DEEPEST)
        except (ValueError, RecursionError) as error:
            return [f"no JSON: {error}"]
        return [problem.strip() for problem in self._problems(where, value)]

    def _problems(self, where: str, value: object) -> list[str]:
        if self._validator(where).is_valid(value):
            return []
        return self._explained(where, value)

    def _explained(self, where: str, value: object, place: str = "") -> list[str]:
        """Return what is wrong with a value; of a union, with the member that its tag means."""
        node, where = self._resolved(self._at(where), where)
        tags = node.get("discriminator", {})
        mapping = tags.get("mapping", {})
        if is_object(value) and value.get(tags.get("propertyName", "")) in mapping:
            return self._explained(mapping[value[tags["propertyName"]]][1:], value, place)
        if is_sequence(value) and "items" in node:
            parts = [(f"{where}/items", item, f"{place}[{index}]") for index, item in enumerate(value)]
            parts = [part for part in parts if not self._validator(part[0]).is_valid(part[1])]
            if parts:
                return [problem for part in parts for problem in self._explained(*part)]
        errors = self._validator(where).iter_errors(value)
        return [f"{place}{_place(error.instance_path)}: {_shortened(error.message)}" for error in errors]

    def _validator(self, where: str) -> jsonschema_rs.Draft202012Validator:
        if where not in self._validators:
            # Schemas of an OpenAPI document may refer to any part of it.
            schema = {**self._document, "$ref": f"#{quote(where, safe='/~')}"}
            self._validators[where] = jsonschema_rs.Draft202012Validator(schema)
        return self._validators[where]

    def _at(self, where: str) -> Any:
        node: Any = self._document
        for part in where.split("/")[1:]:
            name = part.replace("~1", "/").replace("~0", "~")
            node = node[name] if is_object(node) else node[int(name)]
        return node

    def _resolved(self, node: Node, where: str) -> tuple[Node, str]:
        while "$ref" in node:
            where = node["$ref"][1:]
            node = self._at(where)
        return node, where


def events(text: bytes) -> Iterator[bytes]:
    """Return the data of each event that was completed, without the one that ends a stream."""
    for event in text.split(serializers.END_OF_EVENT)[:-1]:
        data = event.rpartition(b"data: ")[2]
        if data != b"[DONE]":
            yield data


@cache
def load() -> Document:
    """Return the specification, ready for use."""
    return Document(source())


def source() -> dict[str, Any]:
    """Return the specification, as it is written."""
    found: dict[str, Any] = yaml_loader.load(_file().read_text(encoding="utf-8"))
    return found


def _file() -> Traversable:
    shipped = files("letta_ext.testing") / "openapi.yaml"
    # In a checkout, the one that everything else is made from.
    return shipped if shipped.is_file() else Path(__file__).parents[3] / "spec" / "openapi.yaml"


def _escaped(part: str) -> str:
    return part.replace("~", "~0").replace("/", "~1")


def _converted(value: str, kind: object) -> object:
    """Return a query parameter as the type it is described as, or as it is if it does not read as one."""
    if kind == "integer" and len(value) <= LONGEST_NUMBER and re.fullmatch(r"-?[0-9]+", value):
        return int(value)
    if kind == "boolean" and value in ("true", "false"):
        return value == "true"
    return value


def _place(path: Sequence[str | int]) -> str:
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)


def _shortened(message: str, limit: int = 200) -> str:
    return message if len(message) <= limit else f"{message[: limit // 2]} … {message[-limit // 2 :]}"
