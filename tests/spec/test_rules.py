"""The specification follows its rules, and each rule reports a violation."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from . import facts, rules
from .document import Node, schemas
from .rules import Rule

RULES: list[Rule] = [
    rules.titles,
    rules.references,
    rules.reachable,
    rules.tagged_unions,
    rules.untagged_unions,
    rules.stream_holds_messages,
    rules.message_types,
    rules.inline,
    rules.open_objects,
    rules.optional_tags,
    rules.defaults,
    rules.query_parameters,
    facts.facts,
    facts.operation_ids,
    facts.path_parameters,
]

REF = "#/components/schemas/"

Violate: TypeAlias = Callable[[Node], object]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_specification_follows_rule(rule: Rule, document: Node) -> None:
    """The specification does not violate the rule."""
    assert rule(document) == []


def test_specification_is_valid_openapi(document: Node) -> None:
    """The specification is a valid OpenAPI 3.1 document."""
    assert [error.message for error in OpenAPIV31SpecValidator(document).iter_errors()] == []


def _mapping(document: Node, name: str) -> Node:
    mapping = schemas(document)[name]["discriminator"]["mapping"]
    assert isinstance(mapping, dict)
    return mapping


def _swap(mapping: Node, one: str, other: str) -> None:
    mapping[one], mapping[other] = mapping[other], mapping[one]


def _field(document: Node, name: str, key: str) -> Node:
    field = schemas(document)[name]["properties"][key]
    assert isinstance(field, dict)
    return field


def _operation(document: Node, path: str, method: str) -> Node:
    operation = document["paths"][path][method]
    assert isinstance(operation, dict)
    return operation


def _list(document: Node) -> Node:
    return _operation(document, "/v1/conversations/{conversation_id}/messages", "get")


def _create(document: Node) -> Node:
    return _operation(document, "/v1/conversations/{conversation_id}/messages", "post")


VIOLATIONS: dict[str, tuple[Rule, Violate, str]] = {
    "duplicate title": (
        rules.titles,
        lambda d: schemas(d)["ToolReturn"].update(title="ToolCall"),
        "ToolCall: 2 components",
    ),
    "no title": (rules.titles, lambda d: schemas(d)["Step"].pop("title"), "Step: its title is None"),
    "reference without target": (
        rules.references,
        lambda d: _field(d, "Step", "messages")["items"].update({"$ref": REF + "Nothing"}),
        "Nothing does not exist",
    ),
    "mapping without target": (
        rules.references,
        lambda d: _mapping(d, "Message").update(nothing=REF + "Nothing"),
        "Nothing does not exist",
    ),
    "unused component": (
        rules.reachable,
        lambda d: schemas(d).update(Unused={"title": "Unused"}),
        "schemas/Unused",
    ),
    "swapped mapping": (
        rules.tagged_unions,
        lambda d: _swap(_mapping(d, "StreamEvent"), "user_message", "system_message"),
        "StreamEvent: user_message leads to SystemMessage",
    ),
    "swapped earlier tags": (
        rules.tagged_unions,
        lambda d: _swap(_mapping(d, "Message"), "summary", "event"),
        "Message: summary leads to EventMessage",
    ),
    "message missing in filter": (
        rules.message_types,
        lambda d: schemas(d)["MessageType"]["enum"].remove("event_message"),
        "MessageType: event_message is a tag of Message",
    ),
    "filter without message": (
        rules.message_types,
        lambda d: schemas(d)["MessageType"]["enum"].append("summary"),
        "MessageType: summary is not a tag",
    ),
    "missing earlier tag": (
        rules.tagged_unions,
        lambda d: _mapping(d, "Message").pop("event"),
        "the earlier name event",
    ),
    "unmapped member": (
        rules.tagged_unions,
        lambda d: _mapping(d, "ImageSource").pop("letta"),
        "letta does not lead to LettaImage",
    ),
    "mapping to non-member": (
        rules.tagged_unions,
        lambda d: schemas(d)["ImageSource"]["oneOf"].pop(),
        "letta leads to LettaImage, which is not a member",
    ),
    "wrong property": (
        rules.tagged_unions,
        lambda d: schemas(d)["ModelSettings"]["discriminator"].update(propertyName="provider"),
        "OpenAIModelSettings has no provider",
    ),
    "wrong const": (
        rules.tagged_unions,
        lambda d: _field(d, "UrlImage", "type").update(const="uri"),
        "uri does not lead to UrlImage",
    ),
    "no discriminator": (
        rules.tagged_unions,
        lambda d: schemas(d)["Message"].pop("discriminator"),
        "Message: oneOf without",
    ),
    "general member first": (
        rules.untagged_unions,
        lambda d: schemas(d)["ToolCallOrDelta"]["anyOf"].reverse(),
        "ToolCall is more specific",
    ),
    "message that cannot be streamed": (
        rules.stream_holds_messages,
        lambda d: _mapping(d, "StreamEvent").pop("summary"),
        "summary",
    ),
    "inline object": (
        rules.inline,
        lambda d: _field(d, "Step", "error_data").update(properties={"message": {"type": "string"}}),
        "Step.error_data: an object without a name",
    ),
    "inline union": (
        rules.inline,
        lambda d: _field(d, "ToolCallMessage", "tool_calls")["anyOf"].append({"$ref": REF + "ToolCall"}),
        "ToolCallMessage.tool_calls: 2 alternatives",
    ),
    "closed object": (
        rules.open_objects,
        lambda d: schemas(d)["Step"].update(additionalProperties=False),
        "Step: closed",
    ),
    "undeclared free map": (
        rules.open_objects,
        lambda d: _field(d, "ClientTool", "parameters").pop("additionalProperties"),
        "parameters: an object of unknown fields",
    ),
    "required tag": (
        rules.optional_tags,
        lambda d: schemas(d)["UserMessage"]["required"].append("message_type"),
        "UserMessage.message_type",
    ),
    "default of another type": (
        rules.defaults,
        lambda d: _field(d, "ConversationMessageRequest", "enable_thinking").update(default=True),
        "enable_thinking: True is not of type",
    ),
    "nullable choice": (
        rules.query_parameters,
        lambda d: next(p for p in _list(d)["parameters"] if p.get("name") == "order")["schema"].update(
            type=["string", "null"]
        ),
        "order: nullable",
    ),
    "unknown idempotency": (
        facts.facts,
        lambda d: _create(d).update({"x-letta-idempotency": "sometimes"}),
        "x-letta-idempotency is 'sometimes'",
    ),
    "misspelled extension": (
        facts.facts,
        lambda d: _create(d).update({"x-letta-steaming": True}),
        "x-letta-steaming is not known",
    ),
    "extension of the document": (
        facts.facts,
        lambda d: d.update({"x-letta-ask": {}}),
        "x-letta-ask is not known",
    ),
    "cursor that items lack": (
        facts.facts,
        lambda d: _list(d)["x-letta-pagination"].update(cursor="key"),
        "UserMessage has no key",
    ),
    "undeclared page parameter": (
        facts.facts,
        lambda d: _list(d)["x-letta-pagination"].update(after="since"),
        "since is not a query parameter",
    ),
    "list without pagination": (
        facts.facts,
        lambda d: _list(d).pop("x-letta-pagination"),
        "operations that return a list",
    ),
    "unknown resume operation": (
        facts.facts,
        lambda d: _create(d)["x-letta-streaming"].update({"resume-operation": "conversations.resume"}),
        "operation conversations.resume does not exist",
    ),
    "unknown stream condition": (
        facts.facts,
        lambda d: _create(d)["x-letta-streaming"].update({"stream-condition": "stream"}),
        "stream is not a field of the body",
    ),
    "name that differs from tag": (
        facts.operation_ids,
        lambda d: _create(d).update(operationId="messages.create"),
        "messages.create: its tag",
    ),
    "inline path parameter": (
        facts.path_parameters,
        lambda d: _list(d)["parameters"].pop(0),
        "the path names ['conversation_id']",
    ),
}


@pytest.mark.parametrize("case", VIOLATIONS)
def test_rule_reports_violation(case: str, document: Node) -> None:
    """Each rule reports a document that was changed to violate it."""
    rule, violate, expected = VIOLATIONS[case]
    violate(document)
    assert any(expected in fault for fault in rule(document)), rule(document)
