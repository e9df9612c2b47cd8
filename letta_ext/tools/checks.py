"""Checks of the arguments of a turn, and of the tool calls that a server requests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import NoneType
from typing import TYPE_CHECKING, Any, Final, TypeGuard

from letta_api.operations import CONVERSATIONS_MESSAGES_CREATE

from .._http.idempotency import send_fields
from .._pagination.items import field_of
from .._types import is_mapping, is_sequence

if TYPE_CHECKING:
    from letta_api.models import ToolCall
    from letta_api.unions import Message

TYPES: Final = "include_return_message_types"
SWITCH: Final = CONVERSATIONS_MESSAGES_CREATE.stream_condition or ""
REPLACED: Final = send_fields(CONVERSATIONS_MESSAGES_CREATE) | {"client_tools", TYPES}
"""The fields that each round sets. A value in `extra_body` would replace them in every round."""


def is_count(value: object) -> TypeGuard[int]:
    """Return whether a value is an integer and not a bool."""
    return isinstance(value, int) and not isinstance(value, bool)


def check_turn(arguments: Mapping[str, Any], max_rounds: Any) -> None:
    """Check the arguments that `run_tools` treats differently from `create`.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If an argument would break the turn after its first request.
    """
    if not is_count(max_rounds):
        raise TypeError(f"max_rounds must be an integer, got {max_rounds!r}")
    if max_rounds < 0:
        raise ValueError(f"max_rounds must be 0 or more, got {max_rounds}")
    if SWITCH in arguments and arguments[SWITCH] is not True:
        raise ValueError(f"{SWITCH} must be True in run_tools, which reads a stream, got {arguments[SWITCH]!r}")
    if not isinstance(arguments.get("background"), (bool, NoneType)):
        raise TypeError(f"background must be True or False, got {arguments['background']!r}")
    for name in ("client_tools", TYPES):
        value = arguments.get(name)
        if value is not None and not is_sequence(value):
            raise TypeError(f"{name} must be a list, got {value!r}")
    body = arguments.get("extra_body")
    if clash := sorted(REPLACED & body.keys()) if is_mapping(body) else []:
        raise ValueError(f"extra_body must not contain {clash[0]!r} in run_tools, which sets it in each round")


def calls_of(request: Message) -> Sequence[ToolCall] | None:
    """Return the tool calls of an approval request, or None if one cannot be decoded."""
    calls: Any = field_of(request, "tool_calls")
    calls = calls if is_sequence(calls) else [field_of(request, "tool_call")]
    return calls if calls and all(map(_is_call, calls)) else None


def _is_call(call: Any) -> bool:
    fields = [getattr(call, name, None) for name in ("tool_call_id", "name", "arguments")]
    return all(isinstance(each, str) for each in fields) and "" not in fields[:2]


def name_of_tool(tool: Any) -> Any:
    """Return the name of a declared tool, which is a mapping or a model."""
    return tool.get("name") if is_mapping(tool) else field_of(tool, "name")
