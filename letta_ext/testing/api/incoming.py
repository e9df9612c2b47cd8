"""Reads the path, the query and the body of a request."""

from __future__ import annotations

import json
from typing import Any

from starlette.requests import ClientDisconnect, Request

from . import errors
from .request_schema import Operation, Record
from .validation import is_object, sanitize

MAX_BODY_SIZE = 16 * 2**20
"""Maximum size of the body of a request [B]."""

_UNREADABLE = "There was an error parsing the body"


async def read(request: Request, operation: Operation, *, default_input: str | None = None) -> Record:
    """Return a request with the fields ``path``, ``query`` and ``body``.

    Args:
        request: The request.
        operation: The validator of its operation.
        default_input: Input of a body without input or messages. None rejects it.

    Raises:
        errors.ApiError: If the request is invalid.
    """
    body: Any = await _body(request) if operation.has_body else None
    if default_input is not None and (body is None or is_object(body)):
        body = body or {}
        if body.get("input") is None and body.get("messages") is None:
            body = {**body, "input": default_input}
    query = request.query_params.multi_items()
    found = operation.read(request.path_params, query, body)
    if any("\0" in text for name, value in query if not name.endswith("_date") for text in (name, value)):
        # Letta's database fails. Dates are read before.
        raise errors.plain(400, "A parameter contains a NUL character")
    return found


async def _body(request: Request) -> Any:
    """Return the JSON of a body, or its bytes if it is not declared as JSON."""
    raw = await _read(request)
    if not raw:
        return None
    if not _is_json(request.headers.get("content-type", "")):
        return raw
    try:
        return sanitize(json.loads(raw))
    except json.JSONDecodeError as error:
        problem: dict[str, object] = {"type": "json_invalid", "loc": ("body", error.pos), "msg": "JSON decode error"}
        raise errors.validation([{**problem, "input": {}, "ctx": {"error": error.msg}}]) from None
    except (ValueError, RecursionError):  # not UTF-8, a number of more than 4,300 digits, or nested too deeply
        raise errors.plain(400, _UNREADABLE) from None


async def _read(request: Request) -> bytes:
    raw = bytearray()
    try:
        async for part in request.stream():
            raw += part
            if len(raw) > MAX_BODY_SIZE:
                raise errors.plain(413, f"The body has more than {MAX_BODY_SIZE} bytes")
    except ClientDisconnect:
        raise errors.plain(400, _UNREADABLE) from None
    return bytes(raw)


def _is_json(content_type: str) -> bool:
    media_type = content_type.partition(";")[0].strip().lower()
    return media_type == "application/json" or (media_type.startswith("application/") and media_type.endswith("+json"))
