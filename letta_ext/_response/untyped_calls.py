"""The requests and responses of the untyped HTTP methods in `_async/base_client.py`.

They have the settings, errors and redaction of all calls. A path that a server, a proxy or httpx could resolve to
another path or server is rejected, since the request has the API key.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal, TypeAlias

import httpx

from letta_api.model import to_json_value
from letta_api.operations import Operation
from letta_api.types import QueryPair, Request

from .._http import json_codec
from .._http.encodable import check_json, decoded_layers
from .._http.errors_from_response import invalid_response_error
from .._http.requests import OPTIONS, Call, decode_body, make_call, query_pairs, separate_options
from .._http.validation import from_model
from ..config import Config, check_query, ensure_mapping

Method: TypeAlias = Literal["GET", "POST", "PATCH", "PUT", "DELETE"]
Query: TypeAlias = Mapping[str, str | int | float | bool | Sequence[str | int | float] | None]
"""Query parameters. A list becomes a repeated parameter, and None is omitted."""


REMEDIES: Final[Mapping[str, str]] = {
    "params": ". Pass the query parameters as query.",
    "json": ". Pass the JSON body as body.",
    "cast_to": ", and returns the decoded JSON. Pass it to from_dict of a model.",
    "options": ". Pass its entries as arguments, such as extra_headers, timeout and max_retries.",
}
"""What to pass instead of arguments of letta-client and httpx."""


def check_path(path: str) -> None:
    """Check that a path addresses exactly that path on this server.

    Raises:
        TypeError: If it is not a string.
        ValueError: If it could be resolved to another path or server.
    """
    if not isinstance(path, str):
        raise TypeError(f"path must be a string, not {type(path).__name__}")
    if not path.startswith("/") or path.startswith("//"):
        raise ValueError("path must be relative to the server and begin with one '/'")
    if "?" in path or "#" in path:
        raise ValueError("path must have no query and no fragment; see the argument query")
    for text in decoded_layers(path):
        if "\\" in text or not text.isprintable():
            raise ValueError("path must have no backslashes and no control characters")
        # Some servers strip path parameters, which start with a semicolon.
        if any(segment.partition(";")[0] in (".", "..") for segment in text.split("/")):
            raise ValueError("path must have no dot segments")


def make_untyped_call(
    config: Config, method: Method, path: str, query: Query | None, body: Any, options: Mapping[str, Any]
) -> Call:
    """Return the call of an endpoint without a method. Only GET is idempotent.

    Raises:
        TypeError: If an argument is unknown or of the wrong type.
        ValueError: If an argument has an invalid value.
    """
    name = method.lower()
    if unknown := sorted(options.keys() - OPTIONS):
        raise TypeError(f"{name}() has no argument {unknown[0]!r}{REMEDIES.get(unknown[0], '')}")
    check_path(path)
    query = ensure_mapping("query", query)
    check_query("query", query)
    pairs: list[QueryPair] = [
        pair for key, value in query.items() for pair in query_pairs(key, value) if pair[1] is not None
    ]
    operation = Operation(name, method, path, (), frozenset(), "idempotent" if method == "GET" else "none")
    body = from_model(body)
    check_json("body", body)
    return make_call(config, operation, Request(method, path, pairs, to_json_value(body)), separate_options(options)[0])


def decode_json(call: Call, response: httpx.Response) -> Any:
    """Return the JSON of a successful response, or None if it has no body.

    Raises:
        APIResponseValidationError: If the body is not JSON.
    """
    if not response.content:
        return None
    try:
        return json_codec.loads(response.content)
    except ValueError as error:
        reason = f"not JSON: {error}"
    raise invalid_response_error(response, decode_body(response), reason)
