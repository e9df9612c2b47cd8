"""Content types: which of several are used, and how their content is sent and returned."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, Literal, TypeAlias

from codegen.types import EVENTS, JSON

FORM: Final = "application/x-www-form-urlencoded"
MULTIPART: Final = "multipart/form-data"
ANY_MEDIA: Final = "*/*"

Format: TypeAlias = Literal["json", "form", "multipart", "text", "bytes"]
"""The form of a body or a response."""


def base_of(media: str) -> str:
    """Return a content type without its parameters."""
    return media.partition(";")[0].strip().lower()


def format_of(media: str) -> Format:
    """Return the form of a content type."""
    base = base_of(media)
    if base in (JSON, ANY_MEDIA) or base.endswith("+json"):
        return "json"
    if base == FORM:
        return "form"
    if base == MULTIPART:
        return "multipart"
    return "text" if base.startswith("text/") else "bytes"


def find_format(content: Iterable[str], *formats: Format) -> str | None:
    """Return the first content type of the given forms. JSON itself precedes types that are based on it."""
    found = [media for media in content if format_of(media) in formats]
    return next((media for media in found if base_of(media) == JSON), found[0] if found else None)


def find_events(content: Iterable[str]) -> str | None:
    """Return the content type of an event stream, if there is one."""
    return next((media for media in content if base_of(media) == EVENTS), None)


def used_in_body(content: Mapping[str, Any]) -> str | None:
    """Return the content type that is sent: JSON, a form, or the first."""
    return find_format(content, "json") or find_format(content, "form", "multipart") or next(iter(content), None)


def used_in_response(content: Mapping[str, Any]) -> list[str]:
    """Return the content types that are read: JSON and events, or the first."""
    events = find_events(content)
    found = [media for media in (find_format(content, "json"), events) if media is not None]
    return found or list(content)[:1]
