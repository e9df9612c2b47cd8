"""Decodes the examples of a document with its generated package: `python -m tests.corpus.examples DOCUMENT PACKAGE`."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from codegen.document import METHODS, Document, load, successful
from codegen.inline_schemas import extract_inline_schemas


def examples_of(holder: dict[str, Any]) -> Iterator[Any]:
    """Yield the examples of a schema or of a content type."""
    if "example" in holder:
        yield holder["example"]
    found = holder.get("examples", [])
    for each in found.values() if isinstance(found, dict) else found:
        yield each["value"] if isinstance(found, dict) and isinstance(each, dict) and "value" in each else each


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


def count(document: Path, package: str) -> tuple[int, int]:
    """Return the numbers of examples of responses that decode and encode to the same JSON, and of all."""
    prepared = extract_inline_schemas(Document(load(document)))
    operations = importlib.import_module(f"{package}.operations").OPERATIONS
    to_json_value = importlib.import_module(f"{package}.model").to_json_value
    good = total = 0
    for path, item in prepared.data["paths"].items():
        for method in METHODS:
            operation = operations.get(item.get(method, {}).get("operationId"))
            if operation is None:
                continue
            endpoint = importlib.import_module(f"{package}.api.{operation.module}")
            responses = item[method].get("responses", {})
            for code in successful(responses):
                content = prepared.deref(responses[code], path).get("content", {})
                for example in [each for media in content.values() for each in examples_of(media)]:
                    if hasattr(endpoint, "decode_response") and isinstance(example, dict | list):
                        total += 1
                        try:
                            good += equal(to_json_value(endpoint.decode_response(example)), example)
                        except Exception as fault:  # noqa: BLE001  # listed
                            print(f"{operation.id}: {type(fault).__name__}: {fault}", file=sys.stderr)
    return good, total


if __name__ == "__main__":
    sys.path.insert(0, str(Path(sys.argv[2]).parent))
    print(*count(Path(sys.argv[1]), Path(sys.argv[2]).name))
