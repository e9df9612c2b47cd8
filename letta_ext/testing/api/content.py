"""The content parts of a message: read as the real server reads them, and kept as it keeps them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from ..store.ids import IdSource
from ..store.models import Json
from . import errors
from .validation import NOT_AN_OBJECT, Fields, Place, Problems, is_object, is_sequence

Kind = Literal["text", "flag", "object", "list"]
Shape = Mapping[str, tuple[Kind, bool]]
"""The fields of a part: of what kind each is, and whether it must be there."""

_PARTS: Mapping[str, Shape] = {
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
_SOURCES: Mapping[str, Shape] = {
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
SHOWN = ("text", "image")
"""The types of the parts that a message can be sent with; the others are read and then refused."""


def read(value: object, place: Place, problems: Problems, ids: IdSource) -> str | list[Json]:
    """Return a message's content as it is stored, and note what is wrong with it. A lone text is stored as a string.

    Args:
        value: a string, or a list of parts.
        place: where it stands.
        problems: where problems are noted.
        ids: where the ids of files come from.
    """
    if isinstance(value, str):
        return value
    found = Problems()
    parts: list[Json] = []
    if is_sequence(value):
        parts = [
            _tagged(item, (*place, _LIST, index), found, "MessageContentType", _PARTS, ids)
            for index, item in enumerate(value)
        ]
    else:
        found.add("list_type", (*place, _LIST), "Input should be a valid list", value)
    if found.found:
        problems.add("string_type", (*place, "str"), "Input should be a valid string", value)
        problems.extend(found.found)
        return ""
    if len(parts) == 1 and parts[0].get("type") == "text":
        return str(parts[0].get("text", ""))
    return parts


def read_return(fields: Fields, ids: IdSource) -> tuple[str, list[Json] | None]:
    """Return what a tool returned, as text and in parts, and note what is wrong with it.

    Args:
        fields: the fields of a tool return.
        ids: where the ids of files come from.
    """
    value, problems = fields.get("tool_return"), fields.problems
    if not is_sequence(value):
        return fields.text("tool_return"), None
    place = (*fields.place, "tool_return")
    shapes = {kind: _PARTS[kind] for kind in SHOWN}
    parts = [
        _tagged(item, (*place, index), problems, "MessageContentType", shapes, ids) for index, item in enumerate(value)
    ]
    return "\n".join(str(part["text"]) for part in parts if part.get("type") == "text"), parts


def check_sendable(content: str | Sequence[Json]) -> None:
    """Let the run fail whose message has content that the real server can read and not store.

    Raises:
        errors.RunFailedError: it has.
    """
    if not content:
        raise errors.bad_answer("Message content is empty or invalid")
    if isinstance(content, str):
        return
    refused = [str(part["type"]) for part in content if part["type"] not in SHOWN]
    if not refused:
        return
    if len(content) == 1 and refused != ["tool_return"]:
        raise errors.unknown_failure(repr({"role": "user", "content": list(content)}))
    raise errors.bad_answer(f"Unsupported content type MessageContentType.{refused[0]}")


def _tagged(
    item: object, place: Place, problems: Problems, enum: str, shapes: Mapping[str, Shape], ids: IdSource
) -> Json:
    if not is_object(item):
        problems.add("model_attributes_type", place, NOT_AN_OBJECT, item)
        return {}
    if "type" not in item:
        problems.add(
            "union_tag_not_found",
            place,
            "Unable to extract tag using discriminator 'type'",
            dict(item),
            discriminator="'type'",
        )
        return {}
    tag = item["type"]
    if not isinstance(tag, str) or tag not in shapes:
        expected = ", ".join(f"<{enum}.{known}: '{known}'>" for known in shapes)
        problems.add(
            "union_tag_invalid",
            place,
            f"Input tag '{tag}' found using 'type' does not match any of the expected tags: {expected}",
            dict(item),
            discriminator="'type'",
            tag=str(tag),
            expected_tags=expected,
        )
        return {}
    fields = Fields(item, (*place, tag), problems)
    part: Json = {"type": tag}
    for name, (kind, required) in shapes[tag].items():
        part[name] = _field(fields, name, kind, required, ids)
    return _as_file(part, ids) if shapes is _SOURCES else part


def _field(fields: Fields, name: str, kind: Kind, required: bool, ids: IdSource) -> object:
    value = fields.get(name)
    if name not in fields.values or (value is None and not required):
        if required:
            fields.problems.missing((*fields.place, name), dict(fields.values))
        return None
    if kind == "text":
        return fields.text(name)
    if kind == "flag":
        return fields.boolean(name, None)
    if name == "source":
        return _tagged(value, (*fields.place, name), fields.problems, "ImageSourceType", _SOURCES, ids)
    if kind == "object":
        fields.optional_object(name)
    else:
        fields.items(name)
    return value


def _as_file(source: Json, ids: IdSource) -> Json:
    """Return an image's source as the file that the server makes of it. What a URL points at is not fetched here."""
    if source["type"] == "letta":
        return source
    return {
        "type": "letta",
        "file_id": ids.new("file"),
        "media_type": source.get("media_type"),
        "data": source.get("data"),
        "detail": source.get("detail"),
    }
