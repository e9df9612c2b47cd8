"""What must not be seen in logs, and how it is kept out of them. Nothing here does I/O."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

REDACTED: Final = "***"

SHORTEST: Final = 6
"""Characters of a value below which it is no secret: taking every `1` out of a line would make it unreadable."""

_SECRET = re.compile(r"auth|cookie|key|token|secret|passw|credential|signature|session", re.IGNORECASE)


def is_secret(name: str) -> bool:
    """Whether the value of a header or a query parameter of this name is not for other eyes."""
    return _SECRET.search(name) is not None


def shown_pairs(pairs: Iterable[tuple[str, str]]) -> str:
    """Headers or query parameters on one line, the secrets left out."""
    return ", ".join(f"{name}={REDACTED if is_secret(name) else repr(value)}" for name, value in pairs)


def secrets_of(pairs: Iterable[tuple[str, Any]]) -> frozenset[str]:
    """The secret values among headers or query parameters, also without the scheme in front of a credential."""
    found: set[str] = set()
    for name, value in pairs:
        if is_secret(name) and value:
            found |= {str(value), str(value).rpartition(" ")[2]}
    return frozenset(text for text in found if len(text) >= SHORTEST)


def without(text: str, secrets: Iterable[str]) -> str:
    """The text with these values left out, wherever they stand."""
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, REDACTED)
    return text


def merged(*headers: Mapping[str, str]) -> dict[str, str]:
    """Headers of several sources, the later before the earlier; their names are the same in any case."""
    found: dict[str, tuple[str, str]] = {}
    for source in headers:
        for name, value in source.items():
            found[name.lower()] = (name, value)
    return dict(found.values())
