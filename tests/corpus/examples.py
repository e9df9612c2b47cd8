"""Decodes the examples of a document with its generated package: `python -m tests.corpus.examples DOCUMENT PACKAGE`.

Prints the numbers of operations in the document, of examples that decode and encode to the same JSON, of examples, of
examples that contradict the document, of event streams in the package, and of event streams in the document.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from openapi_schema_validator import OAS30ReadValidator, OAS31Validator

from codegen.document import METHODS, Document, escape, load, successful
from codegen.inline_schemas import extract_inline_schemas
from codegen.media import find_events

NAMES: Final = ("operations", "round-trip", "examples", "invalid", "streams", "of")


def examples_of(holder: dict[str, Any], document: Document, place: str) -> Iterator[Any]:
    """Yield the examples of a schema or of a content type."""
    if "example" in holder:
        yield holder["example"]
    found = holder.get("examples", [])
    if isinstance(found, dict):
        described = [document.deref(each, place) for each in found.values()]
        yield from (each["value"] for each in described if isinstance(each, dict) and "value" in each)
    else:
        yield from found


def equal(first: Any, second: Any) -> bool:
    """Return whether two JSON values are equal. Times are equal if they are the same instant."""
    if isinstance(first, dict) and isinstance(second, dict):
        return first.keys() == second.keys() and all(equal(first[key], second[key]) for key in first)
    if isinstance(first, list) and isinstance(second, list):
        return len(first) == len(second) and all(map(equal, first, second))
    if isinstance(first, str) and isinstance(second, str) and first != second:
        try:
            return datetime.fromisoformat(first) == datetime.fromisoformat(second)
        except (TypeError, ValueError):
            return False
    return bool(first == second)


def is_valid(document: Document, place: str, value: Any) -> bool:
    """Return whether a value matches the schema at a place, according to a validator of OpenAPI schemas."""
    is_old = str(document.data["openapi"]).startswith("3.0")
    reference = {"$ref": f"#{quote(place.removeprefix('#'))}"}
    validator = (OAS30ReadValidator if is_old else OAS31Validator)({**document.data, **reference})
    return bool(validator.is_valid(value))


class Counter:
    """A counter of the examples and the event streams of a document."""

    def __init__(self, document: Document, package: str) -> None:
        self.document = document
        self.prepared = extract_inline_schemas(document.copy())
        self.package = package
        self.operations = importlib.import_module(f"{package}.operations").OPERATIONS
        self.to_json_value = importlib.import_module(f"{package}.model").to_json_value
        self.counts = dict.fromkeys(NAMES, 0)

    def add(self, path: str, method: str) -> None:
        """Count an operation, its event stream, and the examples of its successful responses that are decoded."""
        prepared, found = self.prepared.data["paths"][path][method], self.document.data["paths"][path][method]
        operation = self.operations.get(prepared.get("operationId"))
        endpoint = operation and importlib.import_module(f"{self.package}.api.{operation.module}")
        place, responses = f"#/paths/{escape(path)}/{method}/responses", found.get("responses", {})
        streams = False
        for code in successful(responses):
            response, at = self.document.locate(responses[code], f"{place}/{escape(code)}")
            content = response.get("content", {})
            streams = streams or find_events(content) is not None
            # Of several content types, the package decodes one.
            decoded = self.prepared.deref(prepared["responses"].get(code, {}), place).get("content", {})
            for name in [name for name in content if name in decoded and hasattr(endpoint, "decode_response")]:
                for example in self._examples(content[name], at):
                    self._example(operation.id, endpoint, example, f"{at}/content/{escape(name)}/schema")
        self.counts["operations"] += 1
        self.counts["of"] += streams
        self.counts["streams"] += streams and hasattr(endpoint, "events")

    def _examples(self, media: dict[str, Any], place: str) -> list[Any]:
        """Return the objects and arrays among the examples of a content type and of its schema."""
        schema = self.document.deref(media.get("schema", {}), place)
        holders = [media, schema] if isinstance(schema, dict) else [media]
        found = [each for holder in holders for each in examples_of(holder, self.document, place)]
        return [each for each in found if isinstance(each, dict | list)]

    def _example(self, name: str, endpoint: Any, example: Any, schema: str) -> None:
        try:
            if equal(self.to_json_value(endpoint.decode_response(example)), example):
                self.counts["round-trip"] += 1
                self.counts["examples"] += 1
                return
            fault = "another value"
        except Exception as error:  # noqa: BLE001  # listed
            fault = f"{type(error).__name__}: {error}"
        valid = is_valid(self.document, schema, example)
        self.counts["examples" if valid else "invalid"] += 1
        print(f"{name}: {'valid' if valid else 'invalid'}: {fault}: {example!r:.2000}", file=sys.stderr)


def count(path: Path, package: str) -> list[int]:
    """Return the numbers that the module prints."""
    document = Document(load(path))
    counter = Counter(document, package)
    for place, item in document.data.get("paths", {}).items():
        for method in METHODS:
            if method in item:
                counter.add(place, method)
    return list(counter.counts.values())


if __name__ == "__main__":
    sys.path.insert(0, str(Path(sys.argv[2]).parent))
    print(*count(Path(sys.argv[1]), Path(sys.argv[2]).name))
