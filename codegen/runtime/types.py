"""What a request is made of: the arguments that were given, the path, the query, the JSON body."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import Enum
from math import isfinite
from types import MappingProxyType
from typing import Any, Final, Literal, TypeAlias
from urllib.parse import quote

from attrs import field, frozen

from .model import is_sequence, to_json_value


class Unset(Enum):
    """The type of `UNSET`."""

    UNSET = "UNSET"

    def __bool__(self) -> Literal[False]:
        return False

    def __repr__(self) -> str:
        return "UNSET"


UNSET: Final = Unset.UNSET
"""The default of an argument that was not given. It is not sent, which is another request than sending null."""

NO_HEADERS: Final[Mapping[str, str]] = MappingProxyType({})
"""The headers of nearly every request."""

QueryPair: TypeAlias = tuple[str, str | int | float | bool | None]
QueryValue: TypeAlias = str | int | float | bool | datetime | None


@frozen
class Request:
    """A request that is ready to be sent, apart from the server's address.

    Attributes:
        method: the HTTP method in capitals.
        path: the path below the server's address, percent-encoded.
        query: the query parameters in order; an array is a repeated key.
        body: the JSON body, or None where there is none.
        headers: the header parameters.
    """

    method: str
    path: str
    query: list[QueryPair] = field(factory=list[QueryPair])
    body: Any = None
    headers: Mapping[str, str] = NO_HEADERS


LONGEST: Final = 60_000
"""Characters of a path and of a query: httpx takes 65,536, with what the server's address and the caller add."""


def make_path(template: str, **ids: object) -> str:
    """A path with its ids filled in, each percent-encoded whole, so that none can reach another endpoint.

    Raises:
        TypeError: an id is neither a string nor an integer.
        ValueError: an id is empty, is a dot segment, which a server or a proxy would resolve, is too long, or cannot be
            encoded.
    """
    for name, value in ids.items():
        if not isinstance(value, (str, int, datetime)) or isinstance(value, bool):
            raise TypeError(f"{name} must be a string, not {type(value).__name__}: {value!r:.100}")
        text = value if type(value) is str else _scalar_text(name, value)
        if text in ("", ".", ".."):
            raise ValueError(f"{name} must be the id of something, not {text!r}")
        try:
            encoded = quote(text, safe="")
        except UnicodeEncodeError:
            raise _not_encodable(name, text) from None
        template = template.replace("{" + name + "}", encoded)
        if len(template) > LONGEST:
            raise _too_long(name)
    return template


def make_query(values: Mapping[str, QueryValue | Sequence[QueryValue] | Unset]) -> list[QueryPair]:
    """Query parameters for the arguments that were given; None has no form in a query and is left out.

    Raises:
        TypeError: a value is neither a scalar nor a list of scalars.
        ValueError: a value is no finite number, cannot be encoded, or the query is longer than a URL can be.
    """
    pairs: list[QueryPair] = []
    size = 0
    for name, value in values.items():
        if value is None or value is UNSET:
            continue
        items = (value,) if isinstance(value, str) or not is_sequence(value) else value
        for item in items:
            if item is not None:
                text = item if type(item) is str and item.isascii() else _scalar_text(name, item)
                pairs.append((name, text))
                size += len(name) + len(text) + 2
    if size > LONGEST // 12:  # a character of four bytes takes twelve when encoded
        _check_length(pairs)
    return pairs


def _scalar_text(name: str, value: Any) -> str:
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:
            raise _not_encodable(name, value) from None
        return str.__str__(value)  # of a member of an Enum too, which `str` would give the name of
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return value.isoformat()
    if not isinstance(value, (int, float)):
        allowed = "a string, a number, a boolean, a datetime or a list of these"
        raise TypeError(f"{name} must be {allowed}, not {type(value).__name__}")
    if isinstance(value, float) and not isfinite(value):
        raise ValueError(f"{name} must be a finite number, not {value!r}")
    return float.__repr__(value) if isinstance(value, float) else int.__repr__(value)


def _check_length(pairs: list[QueryPair]) -> None:
    lengths = {name: 0 for name, _ in pairs}
    for name, text in pairs:
        lengths[name] += len(quote(f"{name}{text}", safe="")) + 2
    if sum(lengths.values()) > LONGEST:
        raise _too_long(max(lengths, key=lengths.__getitem__))


def _too_long(name: str) -> ValueError:
    return ValueError(f"{name} must be shorter: a path or a query has at most {LONGEST:,} characters when encoded")


def _not_encodable(name: str, text: str) -> ValueError:
    return ValueError(f"{name} must be text that UTF-8 can encode, not {text!a:.100}")


def make_headers(values: Mapping[str, QueryValue | Unset]) -> dict[str, str]:
    """Headers for the arguments that were given; None has no form in a header and is left out.

    Raises:
        TypeError: a value is no scalar.
        ValueError: a value is no finite number, or holds what a header cannot.
    """
    headers: dict[str, str] = {}
    for name, value in values.items():
        if value is None or value is UNSET:
            continue
        headers[name] = text = _scalar_text(name, value)
        if not text.isascii() or not text.isprintable() or text != text.strip():
            raise ValueError(f"{name} must be printable ASCII without spaces around it, not {text!r:.100}")
    return headers


def besides_ids(given: Mapping[str, Any], *ids: str) -> dict[str, Any]:
    """The arguments of a request builder besides its ids, as its `locals()` are when it begins."""
    return {name: value for name, value in given.items() if name not in ids}


def make_body(values: Mapping[str, Any]) -> dict[str, Any]:
    """A JSON body of the arguments that were given; models inside become what they were read from."""
    return {name: to_json_value(value) for name, value in values.items() if value is not UNSET}
