"""The successful response of an operation."""

from __future__ import annotations

import re
from typing import Any, Final

from attrs import evolve, frozen
from openapi_python_client.parser.openapi import Endpoint

from codegen.document import Document, escape, successful
from codegen.document import Operation as Source
from codegen.errors import SpecError
from codegen.media import Format, find_format, format_of
from codegen.type_reader import TypeReader
from codegen.types import EVENTS, JSON, TEXT, Type

STATUS: Final = re.compile(r"[1-5](\d\d|XX)|default")

BYTES: Final = Type(("bytes",), frozenset({"string"}))
"""The type of a response that is not text."""


@frozen
class Success:
    """The successful response of an operation, or all of them if there are several.

    Attributes:
        type: The type of the response, except events, or None if it is ignored.
        schema: The schema of JSON.
        format: The form of the response, except events, or None.
        accept: The content type of the response, except events.
        can_be_empty: Whether another successful response has no body.
        content: The content in the document.
        place: The place of the content.
    """

    type: Type | None
    schema: Any
    format: Format | None
    accept: str
    can_be_empty: bool
    content: dict[str, Any]
    place: str


def read_success(source: Source, endpoint: Endpoint, document: Document, reader: TypeReader) -> Success:
    """Return the successful response of an operation.

    Raises:
        SpecError: If a status code is invalid, or successful responses have different content types.
    """
    place, responses = f"{source.place}/responses", source.data.get("responses", {})
    for code in responses:
        if not STATUS.fullmatch(code):
            raise SpecError(f"{place}/{escape(code)}", "must be a status code, a class such as 4XX, or `default`")
    found = {code: document.locate(responses[code], f"{place}/{escape(code)}") for code in successful(responses)}
    contents = {code: (data.get("content", {}), f"{at}/content") for code, (data, at) in found.items()}
    ranked = sorted(contents, key=lambda code: (find_format(contents[code][0], "json") is None, not contents[code][0]))
    if not ranked:
        return Success(None, None, None, JSON, can_be_empty=False, content={}, place=place)
    chosen = ranked[0]
    content, at = contents[chosen]
    for code in ranked[1:]:
        if contents[code][0] and _formats(contents[code][0]) != _formats(content):
            raise SpecError(f"{place}/{escape(code)}", f"has another content type than {chosen}. Remove one of them")
    media = find_format(content, "json")
    if media is not None:
        response = next(each for each in endpoint.responses if each.status_code.pattern == chosen)
        schema = content[media]["schema"]
        type_ = reader.read(response.prop, schema, f"{at}/{escape(media)}/schema")
        empty = any(not other for other, _ in contents.values())
        type_ = evolve(type_, nullable=type_.nullable or empty)
        return Success(type_, schema, "json", media, can_be_empty=empty, content=content, place=at)
    media = next((media for media in content if format_of(media) and not media.startswith(EVENTS)), None)
    if media is None:
        return Success(None, None, None, JSON, can_be_empty=False, content=content, place=at)
    text = format_of(media) == "text"
    type_ = TEXT if text else BYTES
    return Success(type_, None, "text" if text else "bytes", media, can_be_empty=False, content=content, place=at)


def _formats(content: dict[str, Any]) -> set[str]:
    return {format_of(media) for media in content}
