"""Recorded requests and responses are valid by the specification, which declares every field."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from .document import ROOT, Node, Operation, body, load, operations, parameters, resolve, response_schema
from .rules import validator

FOLDER = ROOT / "tests" / "fixtures" / "recordings"

REDIRECTED = "/v1/steps"
"""A path that the server redirects to the one with a trailing slash."""


class Recording(NamedTuple):
    """A request and its response."""

    name: str
    request: Node
    status: int
    body: str

    @property
    def events(self) -> list[str]:
        """Return the data of each event except `[DONE]`, or an empty list for other content types."""
        if not self.request["headers"].get("content-type", "").startswith("text/event-stream"):
            return []
        data = [line.removeprefix("data: ") for line in self.body.splitlines() if line.startswith("data: ")]
        return [each for each in data if each != "[DONE]"]


def _read(path: Path) -> Recording:
    request = json.loads(path.read_text(encoding="utf-8"))
    return Recording(path.stem, request, request["status"], path.with_suffix(".body").read_text(encoding="utf-8"))


RECORDINGS = [_read(path) for path in sorted(FOLDER.glob("*.json"))]
RESPONSES = [each for each in RECORDINGS if each.request["path"] != REDIRECTED]
ACCEPTED = [each for each in RESPONSES if each.status < 400]
REJECTED = [each for each in RESPONSES if each.status == 422]


class Traffic:
    """A document to compare recorded traffic with."""

    def __init__(self, document: Node) -> None:
        self.document = document
        self._validator = validator(document)
        self._operations = [
            (re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", each.path)), each) for each in operations(document)
        ]

    def operation(self, request: Node) -> tuple[Operation, dict[str, str]]:
        """Return the operation of a request and its path parameters."""
        for pattern, operation in self._operations:
            found = pattern.fullmatch(request["path"])
            if found and operation.method == request["method"].lower():
                return operation, found.groupdict()
        raise LookupError(request["path"])

    def faults(self, schema: Node, value: Any) -> list[str]:
        """Return the invalid parts, or the undeclared fields if all parts are valid."""
        invalid = [error.message[:200] for error in self._validator(schema).iter_errors(value)]
        return invalid or list(self._undeclared(schema, value, ""))

    def _undeclared(self, schema: Node, value: Any, place: str) -> Iterator[str]:
        schema = resolve(self.document, schema)
        members = schema.get("oneOf", []) + schema.get("anyOf", [])
        if members:
            valid = [each for each in members if self._validator(each).is_valid(value)]
            yield from min((list(self._undeclared(each, value, place)) for each in valid), key=len)
        elif isinstance(value, list):
            for each in value:
                yield from self._undeclared(schema.get("items", {}), each, f"{place}[]")
        elif isinstance(value, dict) and "properties" in schema:
            for key, each in value.items():
                if key in schema["properties"]:
                    yield from self._undeclared(schema["properties"][key], each, f"{place}.{key}")
                else:
                    yield f"{place}.{key} is not declared"

    def request_faults(self, request: Node) -> list[str]:
        operation, given = self.operation(request)
        values = given | (request["params"] or {})
        declared = parameters(self.document, operation)
        found = [f"{name} is not declared" for name in values.keys() - declared.keys()]
        for name in values.keys() & declared.keys():
            found += self.faults(declared[name]["schema"], values[name])
        if request["body"] is not None:
            found += self.faults(body(self.document, operation), request["body"])
        elif operation.node.get("requestBody", {}).get("required"):
            found.append("the body is required")
        return found

    def response_faults(self, recording: Recording) -> list[str]:
        operation, _ = self.operation(recording.request)
        media = "text/event-stream" if recording.events else "application/json"
        schema = response_schema(self.document, operation, str(recording.status), media)
        if schema is None:
            return [f"{operation.id} does not document {recording.status} with {media}"]
        bodies = recording.events or [recording.body]
        return [fault for each in bodies for fault in self.faults(schema, json.loads(each))]


@pytest.fixture(scope="module")
def traffic() -> Traffic:
    return Traffic(load())


def test_recordings_cover_enough_traffic() -> None:
    """The recordings hold more than 50 exchanges and 300 events."""
    assert len(RESPONSES) > 50
    assert sum(len(each.events) for each in RECORDINGS) > 300


@pytest.mark.parametrize("recording", ACCEPTED, ids=lambda each: each.name)
def test_accepted_request_is_valid(recording: Recording, traffic: Traffic) -> None:
    """A request that the server accepted is valid by the specification."""
    assert traffic.request_faults(recording.request) == []


@pytest.mark.parametrize("recording", REJECTED, ids=lambda each: each.name)
def test_rejected_request_is_invalid(recording: Recording, traffic: Traffic) -> None:
    """A request that the server rejected with 422 is invalid by the specification."""
    assert traffic.request_faults(recording.request) != []


@pytest.mark.parametrize("recording", RESPONSES, ids=lambda each: each.name)
def test_recorded_response_is_valid(recording: Recording, traffic: Traffic) -> None:
    """A recorded response is valid and has only declared fields."""
    assert traffic.response_faults(recording) == []


def test_malformed_date_time_is_invalid(traffic: Traffic) -> None:
    """A malformed `date-time` is invalid; without rfc3339-validator every string would be valid."""
    assert traffic.faults({"type": "string", "format": "date-time"}, "2025-01-29 15:01") != []


def _recording(name: str) -> Recording:
    return next(each for each in RECORDINGS if each.name == name)


def test_undeclared_field_is_reported(document: Node) -> None:
    """A response field without a declaration is reported with its place."""
    del document["components"]["schemas"]["Step"]["properties"]["organization_id"]
    faults = Traffic(document).response_faults(_recording("steps_list"))
    assert "[].organization_id is not declared" in faults


def test_undeclared_status_is_reported(document: Node) -> None:
    """A status code that the operation does not declare is reported."""
    del document["paths"]["/v1/conversations/{conversation_id}/messages"]["post"]["responses"]["409"]
    faults = Traffic(document).response_faults(_recording("send_while_busy_409"))
    assert faults == ["conversations.messages.create does not document 409 with application/json"]


def test_undeclared_event_is_reported(document: Node) -> None:
    """An event that is not a member of the union is reported."""
    document["components"]["schemas"]["StreamEvent"]["oneOf"] = [{"$ref": "#/components/schemas/LettaPing"}]
    assert Traffic(document).response_faults(_recording("send_steps_stream"))


def test_pending_approval_detail_accepts_string_and_object(traffic: Traffic) -> None:
    """The 409 detail is a string or an object; the recordings hold only the string."""
    create = next(each for each in operations(traffic.document) if each.id == "conversations.messages.create")
    schema = response_schema(traffic.document, create, "409", "application/json")
    detail = {"code": "PENDING_APPROVAL", "message": "Approve or deny first.", "pending_request_id": None}
    assert schema is not None
    assert traffic.faults(schema, {"detail": detail}) == []
    assert traffic.faults(schema, {"detail": "CONFLICT: The agent is waiting for approval."}) == []
    assert traffic.faults(schema, {"detail": {"code": "PENDING_APPROVAL"}}) != []
