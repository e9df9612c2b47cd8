"""Reads the body, the query and the ids of a request."""

from __future__ import annotations

import json

from starlette.requests import ClientDisconnect, Request

from ..store.ids import UUID4, is_id
from . import errors, requests
from .validation import NOT_AN_OBJECT, Fields, Problems, is_object, sanitize

MAX_BODY_SIZE = 16 * 2**20
"""Maximum size of the body of a request [B]."""

_UNREADABLE = "There was an error parsing the body"
_LISTS = (
    *("trace_ids", "tags", "include_return_message_types"),
    *("include", "include_relationships", "identifier_keys", "agent_ids", "statuses"),
)


async def body_of(request: Request, problems: Problems, *, required: bool = True) -> Fields:
    """Return the fields of a JSON body.

    Raises:
        errors.ApiError: If the body is not a JSON object.
    """
    raw = await _read(request)
    value: object = None
    if raw and not _is_json(request.headers.get("content-type", "")):
        value = raw
    elif raw:
        try:
            value = sanitize(json.loads(raw))
        except json.JSONDecodeError as error:
            problems.add("json_invalid", ("body", error.pos), "JSON decode error", {}, error=error.msg)
            problems.raise_if_any()
        except (ValueError, RecursionError):  # not UTF-8, a number of more than 4,300 digits, or nested too deeply
            raise errors.plain(400, _UNREADABLE) from None
    if value is None:
        if required:
            problems.missing(("body",), None)
            problems.raise_if_any()
        value = {}
    if not is_object(value):
        problems.add("model_attributes_type", ("body",), NOT_AN_OBJECT, value)
        raise errors.validation(problems.found)
    return Fields(value, ("body",), problems)


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


def query_of(request: Request, problems: Problems) -> Fields:
    """Return the fields of the query."""
    values: dict[str, object] = dict(request.query_params)
    for name in _LISTS:
        if name in values:
            values[name] = request.query_params.getlist(name)
    return Fields(values, ("query",), problems)


def conversation_id_of(request: Request, problems: Problems) -> str:
    """Return the id of a conversation, which can be `default` or the id of an agent."""
    conversation_id = str(request.path_params["conversation_id"])
    requests.check_conversation_path(conversation_id, problems)
    return conversation_id


def own_conversation_id_of(request: Request) -> str:
    """Return the id of a conversation. Other ids are invalid.

    Raises:
        errors.ApiError: If it is malformed.
    """
    conversation_id, location, problems = (
        str(request.path_params["conversation_id"]),
        ("path", "conversation_id"),
        Problems(),
    )
    length, pattern = 41, f"^conv-{UUID4}$"
    if len(conversation_id) < length:
        message = f"String should have at least {length} characters"
        problems.add("string_too_short", location, message, conversation_id, min_length=length)
    elif len(conversation_id) > length:
        message = f"String should have at most {length} characters"
        problems.add("string_too_long", location, message, conversation_id, max_length=length)
    else:
        problems.pattern(location, conversation_id, pattern, f"String should match pattern '{pattern}'")
    problems.raise_if_any()
    return conversation_id


def agent_id_of(request: Request) -> str:
    """Return the id of an agent.

    Raises:
        errors.ApiError: If it is malformed.
    """
    agent_id, problems = str(request.path_params["agent_id"]), Problems()
    problems.pattern(("path", "agent_id"), agent_id, f"^agent-{UUID4}$", "String should match pattern 'agent-{uuid4}'")
    if problems.found:
        raise errors.validation(problems.found, "agent-123e4567-e89b-42d3-8456-426614174000")
    return agent_id


def run_id_of(request: Request) -> str:
    """Return the id of a run.

    Raises:
        errors.ApiError: If it is malformed.
    """
    run_id = str(request.path_params["run_id"])
    if not is_id("run", run_id):
        raise errors.invalid_argument(f"Invalid run ID format: {run_id}. Expected format: 'run-<uuid4>'")
    return run_id


def step_id_of(request: Request) -> str:
    """Return the id of a step.

    Raises:
        errors.ApiError: If it is malformed.
    """
    step_id = str(request.path_params["step_id"])
    requests.check_step_path(step_id)
    return step_id
