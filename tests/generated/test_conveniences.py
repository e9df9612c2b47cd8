"""Models in a repr, in a notebook and in a match statement."""

from __future__ import annotations

import json

import pytest

from letta_api.models import AssistantMessage, TextContent, ToolCall, ToolCallMessage
from letta_api.unions import UnknownMessage, message_from_dict

DATA = {"id": "message-1", "message_type": "assistant_message", "date": "2026-01-01T00:00:00+00:00", "content": "hi"}
DATE = "datetime.datetime(2026, 1, 1, 0, 0, tzinfo=datetime.timezone.utc)"


def test_repr_omits_absent_fields() -> None:
    """The repr shows the fields that are present."""
    assert repr(TextContent(text="hi")) == "TextContent(text='hi', type='text')"
    assert repr(message_from_dict(DATA)) == (
        f"AssistantMessage(id='message-1', content='hi', date={DATE}, message_type='assistant_message')"
    )


@pytest.mark.parametrize("content", ["x" * 100_000, [{"type": "text", "text": "y" * 300}] * 5000])
def test_repr_of_large_model_is_short(content: object) -> None:
    """The repr of a large model has less than 1000 characters; its JSON is complete."""
    message = message_from_dict({**DATA, "content": content})
    assert isinstance(message, AssistantMessage)
    assert len(repr(message)) < 1000
    assert message.to_dict()["content"] == content
    assert len(repr(message_from_dict({"message_type": "new", "content": content}))) < 1000


def test_repr_html_escapes_values() -> None:
    """The HTML repr is a table with escaped values."""
    message = message_from_dict({**DATA, "content": "<script>"})
    assert isinstance(message, AssistantMessage)
    table = message._repr_html_()
    assert table.startswith("<table><caption>AssistantMessage</caption><tr><th>id</th>")
    assert "&lt;script&gt;" in table
    assert "<script" not in table


def narrowed(data: object) -> str:
    match message_from_dict(data):
        case AssistantMessage(content=str(text)):
            return text
        case ToolCallMessage(tool_call=ToolCall(name=name)):
            return name
        case UnknownMessage(reason=reason):
            return reason
        case other:
            return type(other).__name__


def test_match_statement_narrows_union_members() -> None:
    """A match statement selects union members by class and fields."""
    call = {"name": "look", "arguments": "{}", "tool_call_id": "call_1"}
    assert narrowed(DATA) == "hi"
    assert narrowed({**DATA, "message_type": "tool_call_message", "tool_call": call}) == "look"
    assert narrowed({**DATA, "message_type": "user_message"}) == "UserMessage"
    assert narrowed({**DATA, "message_type": "new"}) == "message_type 'new' is not known"
    assert narrowed([]) == "is an array, not an object"


def test_equality_compares_class_and_fields() -> None:
    """Models are equal if their classes and fields are; JSON round-trips."""
    one, two = message_from_dict(DATA), message_from_dict(json.loads(json.dumps(DATA)))
    assert isinstance(one, AssistantMessage)
    assert one == two
    assert AssistantMessage.from_json(one.to_json()) == one
    assert one != TextContent(text="hi")
    assert one != message_from_dict({**DATA, "content": "ho"})
