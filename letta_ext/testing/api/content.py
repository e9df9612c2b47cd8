"""Content parts of a message, stored as in Letta."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from ..store.ids import IdSource
from ..store.models import Json
from . import errors
from .request_schema import Record
from .validation import is_object, is_sequence

SENDABLE_TYPES: Final = ("text", "image")
"""The types of content parts that a message of the user can contain. Others are parsed and then rejected."""


def stored(value: str | Sequence[Record], ids: IdSource) -> str | list[Json]:
    """Return the content of a message as stored. A single text part is stored as a string.

    Args:
        value: A string, or content parts.
        ids: Source of file ids.
    """
    if isinstance(value, str):
        return value
    parts: list[Json] = [to_json(part) for part in value]
    if len(parts) == 1 and parts[0]["type"] == "text":
        return str(parts[0]["text"])
    for part in parts:
        source = part.get("source")
        if is_object(source) and source["type"] != "letta":
            # An image becomes the file that Letta creates. URLs are not fetched.
            file: Json = {"type": "letta", "file_id": ids.new("file")}
            part["source"] = file | {name: source.get(name) for name in ("media_type", "data", "detail")}
    return parts


def to_json(value: Any) -> Any:
    """Return a validated value as JSON."""
    if isinstance(value, Record):
        return {name: to_json(each) for name, each in vars(value).items()}
    return [to_json(each) for each in value] if is_sequence(value) else value


def check_sendable(role: str, content: str | Sequence[Json]) -> None:
    """Fail the run if a message has content that Letta parses but does not store.

    Args:
        role: Role of the message.
        content: Its content.

    Raises:
        errors.RunFailedError: If the content has such parts.
    """
    if isinstance(content, str):
        return
    if role == "assistant":
        if [part["type"] for part in content] == ["tool_call"]:
            # Letta stores it, and then fails to process further messages.
            raise errors.invalid_approval("The only content of a message of the assistant is a tool call")
        return
    if role == "system":
        # Letta stores such content, and then fails to list the conversation.
        raise errors.invalid_approval("1 validation error for SystemMessage\ncontent\n  Input should be a valid string")
    rejected = [str(part["type"]) for part in content if part["type"] not in SENDABLE_TYPES]
    if not rejected:
        return
    if len(content) == 1 and rejected != ["tool_return"]:
        raise errors.unknown_failure(repr({"role": "user", "content": list(content)}))
    raise errors.invalid_approval(f"Unsupported content type MessageContentType.{rejected[0]}")
