"""The specification against recorded traffic: what the server took and gave is valid, and every field has a name."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from .document import ROOT, Node, Operation, body, load, operations, parameters, resolve, response_schema
from .rules import validator

RECORDINGS = ROOT / "tests" / "fixtures" / "recordings"

REDIRECTED = "/v1/steps"
"""A path that the server only redirects, to the one with the slash."""


class Recording(NamedTuple):
    """A request and its response."""

    name: str
    request: Node
    status: int
    body: str

    @property
    def events(self) -> list[str]:
        """The data of each event, without the closing `[DONE]`; empty for other content types."""
        if not self.request["headers"].get("content-type", "").startswith("text/event-stream"):
            return []
        data = [line.removeprefix("data: ") for line in self.body.splitlines() if line.startswith("data: ")]
        return [each for each in data if each != "[DONE]"]


def _read(path: Path) -> Recording:
    request = json.loads(path.read_text(encoding="utf-8"))
    return Recording(path.stem, request, request["status"], path.with_suffix(".body").read_text(encoding="utf-8"))


RECORDED = [_read(path) for path in sorted(RECORDINGS.glob("*.json"))]
ANSWERED = [each for each in RECORDED if each.request["path"] != REDIRECTED]
ACCEPTED = [each for each in ANSWERED if each.status < 400]
FALLBACK_ERRORS = [each for each in ANSWERED if each.status == 422]


class Traffic:
    """A document, ready to be compared with what was recorded."""

    def __init__(self, document: Node) -> None:
        self.document = document
        self._validator = validator(document)
        self._operations = [
            (re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", each.path)), each) for each in operations(document)
        ]

    def operation(self, request: Node) -> tuple[Operation, dict[str, str]]:
        """The operation of a request, and what its path gives."""
        for pattern, operation in self._operations:
            found = pattern.fullmatch(request["path"])
            if found and operation.method == request["method"].lower():
                return operation, found.groupdict()
        raise LookupError(request["path"])

    def faults(self, schema: Node, value: Any) -> list[str]:
        """Return the invalid parts, or if there are none, the undeclared fields."""
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

    def answer_faults(self, recording: Recording) -> list[str]:
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


def test_there_is_traffic() -> None:
    assert len(ANSWERED) > 50
    assert sum(len(each.events) for each in RECORDED) > 300


@pytest.mark.parametrize("recording", ACCEPTED, ids=lambda each: each.name)
def test_accepted_request(recording: Recording, traffic: Traffic) -> None:
    assert traffic.request_faults(recording.request) == []


@pytest.mark.parametrize("recording", FALLBACK_ERRORS, ids=lambda each: each.name)
def test_refused_request(recording: Recording, traffic: Traffic) -> None:
    assert traffic.request_faults(recording.request) != []


@pytest.mark.parametrize("recording", ANSWERED, ids=lambda each: each.name)
def test_answer(recording: Recording, traffic: Traffic) -> None:
    assert traffic.answer_faults(recording) == []


def test_instants_are_checked(traffic: Traffic) -> None:
    """Without the package rfc3339-validator every string would pass for an instant."""
    assert traffic.faults({"type": "string", "format": "date-time"}, "2025-01-29 15:01") != []


def _recorded(name: str) -> Recording:
    return next(each for each in RECORDED if each.name == name)


def test_undeclared_field_is_noticed(document: Node) -> None:
    del document["components"]["schemas"]["Step"]["properties"]["organization_id"]
    faults = Traffic(document).answer_faults(_recorded("steps_list"))
    assert "[].organization_id is not declared" in faults


def test_undeclared_status_is_noticed(document: Node) -> None:
    del document["paths"]["/v1/conversations/{conversation_id}/messages"]["post"]["responses"]["409"]
    faults = Traffic(document).answer_faults(_recorded("send_while_busy_409"))
    assert faults == ["conversations.messages.create does not document 409 with application/json"]


def test_missing_event_is_noticed(document: Node) -> None:
    document["components"]["schemas"]["StreamEvent"]["oneOf"] = [{"$ref": "#/components/schemas/LettaPing"}]
    assert Traffic(document).answer_faults(_recorded("send_steps_stream"))


def test_pending_approval_in_either_form(traffic: Traffic) -> None:
    """The object form comes from a race that no recording holds."""
    create = next(each for each in operations(traffic.document) if each.id == "conversations.messages.create")
    schema = response_schema(traffic.document, create, "409", "application/json")
    detail = {"code": "PENDING_APPROVAL", "message": "Approve or deny first.", "pending_request_id": None}
    assert schema is not None
    assert traffic.faults(schema, {"detail": detail}) == []
    assert traffic.faults(schema, {"detail": "CONFLICT: The agent is waiting for approval."}) == []
    assert traffic.faults(schema, {"detail": {"code": "PENDING_APPROVAL"}}) != []
