"""Recorded responses of a real server."""

from __future__ import annotations

import json
import re
from datetime import datetime
from functools import cache
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from letta_api.operations import OPERATIONS

RECORDINGS = Path(__file__).parents[1] / "fixtures" / "recordings"

_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)?")


class Recording(NamedTuple):
    """A recorded exchange: the operation, the status, and the JSON of the response or of each event."""

    name: str
    module: ModuleType
    status: int
    streamed: bool
    values: list[Any]


def endpoint(operation_id: str) -> ModuleType:
    """Return the generated module of an operation."""
    tag = operation_id.rpartition(".")[0] or operation_id
    return import_module(f"letta_api.api.{tag.replace('.', '_')}.{operation_id.replace('.', '_')}")


def _module(method: str, path: str) -> ModuleType:
    for operation in OPERATIONS.values():
        pattern = re.sub(r"\{\w+\}", "[^/]+", operation.path)
        if operation.method == method and re.fullmatch(pattern, path):
            return endpoint(operation.id)
    raise LookupError(f"{method} {path}")


def _read(path: Path) -> Recording:
    request = json.loads(path.read_text(encoding="utf-8"))
    body = path.with_suffix(".body").read_text(encoding="utf-8")
    streamed = request["headers"].get("content-type", "").startswith("text/event-stream")
    if streamed:
        data = [line.removeprefix("data: ") for line in body.splitlines() if line.startswith("data: ")]
        values = [json.loads(each) for each in data if each != "[DONE]"]
    else:
        values = [json.loads(body)]
    return Recording(path.stem, _module(request["method"], request["path"]), request["status"], streamed, values)


@cache
def recordings() -> list[Recording]:
    """Return the recorded responses that have a body."""
    paths = sorted(RECORDINGS.glob("*.json"))
    return [_read(path) for path in paths if path.with_suffix(".body").stat().st_size]


def spelt_alike(value: Any) -> Any:
    """Return the JSON with every timestamp in one form, since `Z` and `+00:00` are equal."""
    if isinstance(value, dict):
        return {key: spelt_alike(item) for key, item in value.items()}
    if isinstance(value, list):
        return [spelt_alike(item) for item in value]
    if isinstance(value, str) and _INSTANT.fullmatch(value):
        return datetime.fromisoformat(value).isoformat()
    return value
