"""What the calls of `verbs.py` send, and how their answers are read. Nothing here does I/O.

They go where every call goes, with the same settings, errors and secrets. A path is taken for what it says: one that a
server, a proxy or httpx could resolve to another place, or to another server, which would see the key, is refused.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal, TypeAlias
from urllib.parse import unquote

import httpx

from letta_api.model import to_json_value
from letta_api.operations import Operation
from letta_api.types import QueryPair, Request

from .._http import json_codec
from .._http.encodable import check_json
from .._http.errors_from_response import invalid_response_error
from .._http.requests import OPTIONS, Call, decode_body, make_call, query_pairs, separate_options
from ..config import Config, check_query, ensure_mapping

Method: TypeAlias = Literal["GET", "POST", "PATCH", "PUT", "DELETE"]
Query: TypeAlias = Mapping[str, str | int | float | bool | Sequence[str | int | float] | None]
"""Query parameters; a list is a repeated one, and None is left out."""

DECODINGS: Final = 4
"""How many layers of percent-encoding are looked through for a dot segment."""

_SEPARATOR = re.compile(r"[/\\]")


def check_path(path: str) -> None:
    """Checks that a path leads to that place on this server and nowhere else.

    Raises:
        TypeError: it is no string.
        ValueError: it does not.
    """
    if not isinstance(path, str):
        raise TypeError(f"path must be a string, not {type(path).__name__}")
    if not path.startswith("/") or path.startswith("//"):
        raise ValueError("path must be relative to the server and begin with one '/'")
    if "?" in path or "#" in path:
        raise ValueError("path must have no query and no fragment; see the argument query")
    for _ in range(DECODINGS):
        if "\\" in path or not path.isprintable():
            raise ValueError("path must have no backslashes and no control characters")
        # A server may take what is behind a semicolon for no part of the segment's name.
        if any(segment.partition(";")[0] in (".", "..") for segment in _SEPARATOR.split(path)):
            raise ValueError("path must have no dot segments")
        path = unquote(path, errors="replace")


def verb_call(
    config: Config, method: Method, path: str, query: Query | None, body: Any, options: Mapping[str, Any]
) -> Call:
    """The call of something undocumented. Only a GET is known to change nothing, and may be repeated like every read.

    Raises:
        TypeError: an argument is unknown, or of the wrong type.
        ValueError: an argument has an impossible value.
    """
    name = method.lower()
    if unknown := sorted(options.keys() - OPTIONS):
        raise TypeError(f"{name}() has no argument {unknown[0]!r}")
    check_path(path)
    query = ensure_mapping("query", query)
    check_query("query", query)
    pairs: list[QueryPair] = [
        pair for key, value in query.items() for pair in query_pairs(key, value) if pair[1] is not None
    ]
    operation = Operation(name, method, path, (), frozenset(), "idempotent" if method == "GET" else "none")
    check_json("body", body)
    return make_call(config, operation, Request(method, path, pairs, to_json_value(body)), separate_options(options)[0])


def decode_json(call: Call, response: httpx.Response) -> Any:
    """The JSON of a successful answer that has been read; None where it has no body.

    Raises:
        APIResponseValidationError: the body is no JSON.
    """
    if not response.content:
        return None
    try:
        return json_codec.loads(response.content)
    except ValueError as fault:
        reason = f"not JSON: {fault}"
    raise invalid_response_error(response, decode_body(response), reason)
