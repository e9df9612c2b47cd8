"""Reads the path, the query and the body of a request."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final

from starlette.requests import ClientDisconnect, Request

from ..store.ids import UUID4
from . import errors
from .request_schema import Operation, Record, RequestProblem
from .validation import is_object, sanitize

MAX_BODY_SIZE = 16 * 2**20
"""Maximum size of the body of a request [B]."""

_UNREADABLE = "There was an error parsing the body"
_OWN_TEXTS: Final = ("agent_id", "step_id")
"""Ids of a path for which Letta words the problem itself, and adds an example."""


@dataclass(frozen=True, slots=True)
class Incoming:
    """A validated request.

    Attributes:
        path: The ids in the path.
        query: The parameters of the query.
        body: The fields of the body. An absent body has the default of each field.
    """

    path: Record
    query: Record
    body: Any


async def read(request: Request, operation: Operation, *, default_input: str | None = None) -> Incoming:
    """Return a request.

    Args:
        request: The request.
        operation: The validators of its operation.
        default_input: Input of a body without input or messages. None rejects it.

    Raises:
        errors.ApiError: If the request is invalid.
    """
    value: Any = await _body(request) if operation.body is not None else None
    if default_input is not None and (value is None or is_object(value)):
        value = value or {}
        if value.get("input") is None and value.get("messages") is None:
            value = {**value, "input": default_input}
    problems: list[RequestProblem] = []
    path = operation.read_path(request.path_params, problems)
    query = operation.read_query(request.query_params.multi_items(), problems)
    if value is None and not operation.body_required:
        value = {}
    body = operation.read_body(value, problems)
    if problems:
        raise _invalid(problems)
    values = request.query_params.multi_items()
    if any("\0" in text for name, value in values if not name.endswith("_date") for text in (name, value)):
        # Letta's database fails. Dates are read before.
        raise errors.plain(400, "A parameter contains a NUL character")
    return Incoming(path, query, body)


def _invalid(problems: list[RequestProblem]) -> errors.ApiError:
    """Return the 422 of the problems."""
    example = None
    for problem in problems:
        for name in _OWN_TEXTS:
            if problem["loc"] == ("path", name):
                kind = name.removesuffix("_id")
                problem["type"], problem["ctx"] = "string_pattern_mismatch", {"pattern": f"^{kind}-{UUID4}$"}
                problem["msg"] = f"String should match pattern '{kind}-{{uuid4}}'"
                example = f"{kind}-123e4567-e89b-42d3-8456-426614174000"
    return errors.validation(problems, example)


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
        problem: RequestProblem = {"type": "json_invalid", "loc": ("body", error.pos), "msg": "JSON decode error"}
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
