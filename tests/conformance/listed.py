"""The differences between the real and the embedded server that are intended."""

from __future__ import annotations

from .drawing import Json


def reason_of(step: Json, expected: Json, found: Json) -> str | None:
    """Return the reason of a difference, or None if it is not listed."""
    status, embedded = expected.get("status", 0), found.get("status", 0)
    if status >= 500 and 400 <= embedded < 500:
        return "the real server fails"
    return None
