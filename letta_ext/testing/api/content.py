"""Content parts of a message, validated and stored as in Letta."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from ..store.ids import IdSource
from ..store.models import Json
from . import errors
from .validation import NOT_AN_OBJECT, Fields, Location, Problems, is_object, is_sequence

FieldType = Literal["text", "flag", "object", "list"]
PartFields = Mapping[str, tuple[FieldType, bool]]
"""The fields of a content part: the type of each, and whether it is required."""

_PARTS: Mapping[str, PartFields] = {
    "text": {"text": ("text", True), "signature": ("text", False)},
    "image": {"source": ("object", True)},
    "tool_call": {
        "id": ("text", True),
        "name": ("text", True),
        "input": ("object", True),
        "signature": ("text", False),
    },
    "tool_return": {"tool_call_id": ("text", True), "content": ("text", True), "is_error": ("flag", True)},
    "reasoning": {"is_native": ("flag", True), "reasoning": ("text", True), "signature": ("text", False)},
    "redacted_reasoning": {"data": ("text", True)},
    "omitted_reasoning": {"signature": ("text", False)},
    "summarized_reasoning": {"id": ("text", True), "summary": ("list", True), "encrypted_content": ("text", False)},
}
_SOURCES: Mapping[str, PartFields] = {
    "url": {"url": ("text", True)},
    "base64": {"media_type": ("text", True), "data": ("text", True), "detail": ("text", False)},
    "letta": {
        "file_id": ("text", True),
        "media_type": ("text", False),
        "data": ("text", False),
        "detail": ("text", False),
    },
}
_LIST = (
    "list[tagged-union[TextContent,ImageContent,ToolCallContent,ToolReturnContent,ReasoningContent,"
    "RedactedReasoningContent,OmittedReasoningContent,SummarizedReasoningContent]]"
)
SENDABLE_TYPES = ("text", "image")
"""The types of content parts that a message can contain. Others are parsed and then rejected."""


def read(value: object, location: Location, problems: Problems, ids: IdSource) -> str | list[Json]:
    """Return the content of a message as stored, and record its problems. A single text part is stored as a string.

    Args:
        value: A string or a list of content parts.
        location: Location of the value.
        problems: Records the problems.
        ids: Source of file ids.
    """
    if isinstance(value, str):
        return value
    found = Problems()
    parts: list[Json] = []
    if is_sequence(value):
        parts = [
            _read_part(item, (*location, _LIST, index), found, "MessageContentType", _PARTS, ids)
            for index, item in enumerate(value)
        ]
    else:
        found.add("list_type", (*location, _LIST), "Input should be a valid list", value)
    if found.found:
        problems.add("string_type", (*location, "str"), "Input should be a valid string", value)
        problems.extend(found.found)
        return ""
    if len(parts) == 1 and parts[0].get("type") == "text":
        return str(parts[0].get("text", ""))
    return parts


def read_return(fields: Fields, ids: IdSource) -> tuple[str, list[Json] | None]:
    """Return the result of a tool as text and as content parts, and record its problems.

    Args:
        fields: The fields of the tool return.
        ids: Source of file ids.
    """
    value, problems = fields.get("tool_return"), fields.problems
    if not is_sequence(value):
        return fields.text("tool_return"), None
    location = (*fields.location, "tool_return")
    part_types = {part_type: _PARTS[part_type] for part_type in SENDABLE_TYPES}
    parts = [
        _read_part(item, (*location, index), problems, "MessageContentType", part_types, ids)
        for index, item in enumerate(value)
    ]
    return "\n".join(str(part["text"]) for part in parts if part.get("type") == "text"), parts


def check_sendable(content: str | Sequence[Json]) -> None:
    """Fail the run if a message has content that Letta parses but does not store.

    Raises:
        errors.RunFailedError: If the content is empty or has such parts.
    """
    if not content:
        raise errors.invalid_approval("Message content is empty or invalid")
    if isinstance(content, str):
        return
    rejected = [str(part["type"]) for part in content if part["type"] not in SENDABLE_TYPES]
    if not rejected:
        return
    if len(content) == 1 and rejected != ["tool_return"]:
        raise errors.unknown_failure(repr({"role": "user", "content": list(content)}))
    raise errors.invalid_approval(f"Unsupported content type MessageContentType.{rejected[0]}")


def _read_part(
    item: object, location: Location, problems: Problems, enum: str, part_types: Mapping[str, PartFields], ids: IdSource
) -> Json:
    if not is_object(item):
        problems.add("model_attributes_type", location, NOT_AN_OBJECT, item)
        return {}
    if "type" not in item:
        problems.add(
            "union_tag_not_found",
            location,
            "Unable to extract tag using discriminator 'type'",
            dict(item),
            discriminator="'type'",
        )
        return {}
    part_type = item["type"]
    if not isinstance(part_type, str) or part_type not in part_types:
        expected = ", ".join(f"<{enum}.{known_type}: '{known_type}'>" for known_type in part_types)
        problems.add(
            "union_tag_invalid",
            location,
            f"Input tag '{part_type}' found using 'type' does not match any of the expected tags: {expected}",
            dict(item),
            discriminator="'type'",
            tag=str(part_type),
            expected_tags=expected,
        )
        return {}
    fields = Fields(item, (*location, part_type), problems)
    part: Json = {"type": part_type}
    for name, (field_type, required) in part_types[part_type].items():
        part[name] = _field(fields, name, field_type, required, ids)
    return _to_file_source(part, ids) if part_types is _SOURCES else part


def _field(fields: Fields, name: str, field_type: FieldType, required: bool, ids: IdSource) -> object:
    value = fields.get(name)
    if name not in fields.values or (value is None and not required):
        if required:
            fields.problems.missing((*fields.location, name), dict(fields.values))
        return None
    if field_type == "text":
        return fields.text(name)
    if field_type == "flag":
        return fields.boolean(name, None)
    if name == "source":
        return _read_part(value, (*fields.location, name), fields.problems, "ImageSourceType", _SOURCES, ids)
    if field_type == "object":
        fields.optional_object(name)
    else:
        fields.items(name)
    return value


def _to_file_source(source: Json, ids: IdSource) -> Json:
    """Return the source of an image as the file that Letta creates. URLs are not fetched."""
    if source["type"] == "letta":
        return source
    return {
        "type": "letta",
        "file_id": ids.new("file"),
        "media_type": source.get("media_type"),
        "data": source.get("data"),
        "detail": source.get("detail"),
    }
