"""Checks that arguments can be encoded in JSON and in a URL."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from typing import Any, Final
from urllib.parse import quote, unquote

from letta_api.model import LazyValue, Model, Unknown, generated_kind

from .._types import is_mapping, is_sequence
from ..config import MAX_URL, check_number, check_text

MAX_DEPTH: Final = 200
"""Maximum nesting of a request body. Servers reject deeper ones, and the recursion limit is near."""

LEAVES: Final = (bool, date, Model, Unknown, LazyValue, type(None))


MAX_DECODINGS: Final = 4
"""The number of percent-encoding layers that are decoded to find dot segments."""


def decoded_layers(text: str) -> Iterator[str]:
    """Yield the text that a server or a proxy can read in a path, with each layer of percent-encoding decoded."""
    for _ in range(MAX_DECODINGS):
        yield text
        text = unquote(text, errors="replace")


def check_json(name: str, value: Any) -> None:
    """Check that a value can be encoded in JSON.

    Args:
        name: The argument, or a path in it, for error messages.
        value: The value, which may contain models.

    Raises:
        TypeError: If a nested value has an unsupported type, or a key is not a string.
        ValueError: If the value contains itself, is nested more than 200 levels deep, or contains a number that is not
            finite or has too many digits, or a lone surrogate.
    """
    _check(name, value, [])


def _check(name: str, value: Any, parents: list[int]) -> None:
    if isinstance(value, str):
        check_text(name, value)
    elif isinstance(value, LEAVES):
        return
    elif isinstance(value, (int, float)):
        check_number(name, value)
    elif is_mapping(value) or (is_sequence(value) and not isinstance(value, memoryview)):
        if id(value) in parents:
            raise ValueError(f"{_short(name)} must not contain itself")
        if len(parents) >= MAX_DEPTH:
            raise ValueError(f"{_short(name)} must not be nested more than {MAX_DEPTH} levels deep")
        parents.append(id(value))
        if is_mapping(value):
            for key, item in value.items():
                if not isinstance(key, str):
                    raise TypeError(f"{_short(name)} must have strings as keys, got {type(key).__name__}")
                check_text(f"a key of {_short(name)}", key)
                _check(f"{name}[{key!r}]", item, parents)
        else:
            for index, item in enumerate(value):
                _check(f"{name}[{index}]", item, parents)
        parents.pop()
    elif not generated_kind(value):
        raise TypeError(f"{_short(name)} must be a JSON value, got {type(value).__name__}")


def _short(name: str) -> str:
    return name if len(name) <= 120 else f"{name[:80]}…{name[-39:]}"


def body_error(call: str, body: Any, error: Exception) -> Exception:
    """Return the error for a body that cannot be encoded, with the name of the invalid argument."""
    try:
        if is_mapping(body):
            for name, value in body.items():
                check_json(name if isinstance(name, str) else "body", value)
        else:
            check_json("body", body)
    except (TypeError, ValueError) as found:
        return found
    kind = TypeError if isinstance(error, TypeError) else ValueError
    return kind(f"{call}() failed to encode an argument in JSON: {type(error).__name__}")


def url_error(call: str, path: str, query: Iterable[tuple[str, Any]]) -> ValueError | None:
    """Return the error for an invalid URL, with the name of the invalid argument, or None if all are valid."""
    sizes: dict[str, int] = {}
    try:
        for name, value in query:
            check_text(f"{call}(): the query parameter {name!r}", f"{name}{value}")
            sizes[name] = sizes.get(name, 0) + len(quote(str(value))) + len(name) + 2
    except ValueError as error:
        return error if type(error) is ValueError else ValueError(str(error))
    if len(quote(path)) + sum(sizes.values()) < MAX_URL // 2:
        return None
    largest = max({"path": len(quote(path)), **sizes}.items(), key=lambda each: each[1])
    return ValueError(
        f"{call}(): {largest[0]} must be shorter: it has {largest[1]:,} characters in a URL of at most {MAX_URL:,}"
    )


def nesting_error(arguments: Mapping[str, Any]) -> ValueError:
    """Return the error for arguments whose validation exceeded the recursion limit."""
    for name, value in arguments.items():
        try:
            check_json(name, value)
        except (TypeError, ValueError) as found:
            return found if isinstance(found, ValueError) else ValueError(str(found))
        except RecursionError:
            return ValueError(f"{name} must not be nested more than {MAX_DEPTH} levels deep")
    return ValueError(f"an argument must not contain itself or be nested more than {MAX_DEPTH} levels deep")
