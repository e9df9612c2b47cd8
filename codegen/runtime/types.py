"""Requests: path, query, headers and JSON body."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from enum import Enum
from math import isfinite
from types import MappingProxyType
from typing import Any, Final, Literal, TypeAlias
from urllib.parse import quote

from attrs import field, frozen

from .json_values import is_iterable, to_json_value


class Unset(Enum):
    """The type of `UNSET`."""

    UNSET = "UNSET"

    def __bool__(self) -> Literal[False]:
        return False

    def __repr__(self) -> str:
        return "UNSET"


UNSET: Final = Unset.UNSET
"""The default of an omitted argument. It is not sent, whereas None is sent as null."""

NO_HEADERS: Final[Mapping[str, str]] = MappingProxyType({})
"""The headers of a request without header parameters."""

NO_CONTENT: Final[Mapping[str, Any]] = MappingProxyType({})
"""The content of a request without a body, or with a JSON body."""

QueryPair: TypeAlias = tuple[str, str | int | float | bool | None]
QueryValue: TypeAlias = str | int | float | bool | date | None


@frozen
class Request:
    """A request without the server's address.

    Attributes:
        method: The HTTP method in upper case.
        path: The percent-encoded path.
        query: The query parameters in order. An array repeats its key.
        body: The JSON body, or None.
        headers: The header parameters.
        content: The body if it is not JSON, as arguments of httpx's `build_request`.
    """

    method: str
    path: str
    query: list[QueryPair] = field(factory=list[QueryPair])
    body: Any = None
    headers: Mapping[str, str] = NO_HEADERS
    content: Mapping[str, Any] = NO_CONTENT


MAX_URL_LENGTH: Final = 60_000
"""The largest length of an encoded path or query. httpx limits a URL to 65,536 characters."""


def make_path(template: str, **ids: object) -> str:
    """Return a path with percent-encoded ids, so that an id cannot select another endpoint.

    Raises:
        TypeError: If an id is not a string or an integer.
        ValueError: If an id is empty, a dot segment, too long, or cannot be encoded.
    """
    for name, value in ids.items():
        if not isinstance(value, (str, int, float, date)) or isinstance(value, bool):
            raise TypeError(f"{name} must be a string or an integer, got {type(value).__name__}: {value!r:.100}")
        text = value if type(value) is str else _scalar_text(name, value)
        if text in ("", ".", ".."):
            raise ValueError(f"{name} must be an id, got {text!r}")
        try:
            encoded = quote(text, safe="")
        except UnicodeEncodeError:
            raise _not_encodable(name, text) from None
        template = template.replace("{" + name + "}", encoded)
        if len(template) > MAX_URL_LENGTH:
            raise _too_long(name)
    return template


def make_query(values: Mapping[str, QueryValue | Iterable[QueryValue] | Unset]) -> list[QueryPair]:
    """Return the query parameters. UNSET and None are omitted.

    Raises:
        TypeError: If a value is not a scalar or an iterable of scalars.
        ValueError: If a number is not finite, a value cannot be encoded, or the query is too long.
    """
    pairs: list[QueryPair] = []
    size = 0
    for name, value in values.items():
        if value is None or value is UNSET:
            continue
        items: Iterable[Any] = value if is_iterable(value) else (value,)
        for item in items:
            if item is not None:
                text = item if type(item) is str and item.isascii() else _scalar_text(name, item)
                pairs.append((name, text))
                size += len(name) + len(text) + 2
    if size > MAX_URL_LENGTH // 12:  # a character of four bytes has twelve when encoded
        _check_length(pairs)
    return pairs


def _scalar_text(name: str, value: Any) -> str:
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:
            raise _not_encodable(name, value) from None
        return str.__str__(value)  # `str` would return the name of an Enum member
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, date):
        return value.isoformat()
    if not isinstance(value, (int, float)):
        allowed = "a string, a number, a boolean, a datetime, a date or a list of these"
        raise TypeError(f"{name} must be {allowed}, got {type(value).__name__}")
    if isinstance(value, float) and not isfinite(value):
        raise ValueError(f"{name} must be a finite number, got {value!r}")
    return float.__repr__(value) if isinstance(value, float) else int.__repr__(value)


def _check_length(pairs: list[QueryPair]) -> None:
    lengths = {name: 0 for name, _ in pairs}
    for name, text in pairs:
        lengths[name] += len(quote(f"{name}{text}", safe="")) + 2
    if sum(lengths.values()) > MAX_URL_LENGTH:
        raise _too_long(max(lengths, key=lengths.__getitem__))


def _too_long(name: str) -> ValueError:
    return ValueError(
        f"{name} must be shorter: a path or a query has at most {MAX_URL_LENGTH:,} characters when encoded"
    )


def _not_encodable(name: str, text: str) -> ValueError:
    return ValueError(f"{name} must be text that UTF-8 can encode, got {text!a:.100}")


def make_headers(values: Mapping[str, QueryValue | Unset]) -> dict[str, str]:
    """Return the header parameters. UNSET and None are omitted.

    Raises:
        TypeError: If a value is not a scalar.
        ValueError: If a number is not finite, or a value is not valid in a header.
    """
    headers: dict[str, str] = {}
    for name, value in values.items():
        if value is None or value is UNSET:
            continue
        headers[name] = text = _scalar_text(name, value)
        if not text.isascii() or not text.isprintable() or text != text.strip():
            raise ValueError(f"{name} must be printable ASCII without surrounding spaces, got {type(value).__name__}")
    return headers


def exclude_ids(given: Mapping[str, Any], *ids: str) -> dict[str, Any]:
    """Return the `locals()` of a request builder without the path ids."""
    return {name: value for name, value in given.items() if name not in ids}


def make_body(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the JSON body. UNSET is omitted, and models are encoded."""
    return {name: to_json_value(value) for name, value in values.items() if value is not UNSET}
