"""Idempotency keys of background sends, and the arguments for resuming their streams.

The server treats the otids of a background send as its idempotency key for three hours. It compares only the otids and
their order, across all conversations, and ignores a send with known otids. So each otid is a new UUID. `input` cannot
contain an otid and is converted to a message.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from typing import Any, Final

from attrs import frozen

from letta_api.model import Model
from letta_api.operations import Operation

from .._types import is_sequence
from ..retry import Idempotency
from .requests import OPTIONS
from .send_checks import check_one_input

RESUME_ARGUMENTS: Final = frozenset({"agent_id", "include_pings", *OPTIONS}) - {"extra_body"}
"""Arguments that are also sent with the request that resumes a stream."""

_OVERRIDING: Final = frozenset({"background", "input", "messages"})


@frozen
class SendPlan:
    """The arguments and the idempotency of a call that opens a stream.

    Attributes:
        arguments: The arguments to send.
        idempotency: Whether the request may be retried after it may have been processed.
        otid: The idempotency key of a background send, which also identifies its run, or None.
        lookup: The arguments that identify the run until an event contains its id, or None if the stream cannot be
            resumed.
    """

    arguments: dict[str, Any]
    idempotency: Idempotency
    otid: str | None
    lookup: dict[str, Any] | None


def make_send_plan(
    operation: Operation, arguments: Mapping[str, Any], make: Callable[[], str] | None = None
) -> SendPlan:
    """Return the plan of a call that may open a stream.

    Raises:
        ValueError: If both `input` and `messages` are given.
    """
    if operation.idempotency == "idempotent":
        lookup = {name: arguments[name] for name in ("run_id", "otid") if arguments.get(name) is not None}
        return SendPlan(dict(arguments), "idempotent", None, lookup)
    check_one_input(arguments)
    if not arguments.get("background") or send_fields(operation).intersection(arguments.get("extra_body") or ()):
        return SendPlan(dict(arguments), "none", None, None)
    keyed, otid = with_otids(arguments, make or new_otid)
    if otid is None:
        return SendPlan(keyed, "none", None, None)
    return SendPlan(keyed, "idempotent", otid, {"otid": otid})


def send_fields(operation: Operation) -> frozenset[str]:
    """Return the fields that `extra_body` must not replace if the send is to stay idempotent."""
    return _OVERRIDING if operation.stream_condition is None else _OVERRIDING | {operation.stream_condition}


def resume_arguments(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments that are also sent when the stream is resumed."""
    return {name: value for name, value in arguments.items() if name in RESUME_ARGUMENTS}


def new_otid() -> str:
    """Return a unique otid."""
    return str(uuid.uuid4())


def with_otids(arguments: Mapping[str, Any], make: Callable[[], str] = new_otid) -> tuple[dict[str, Any], str | None]:
    """Return the arguments with an otid on every message, and the first otid.

    Existing otids are kept. Without messages, the arguments are returned unchanged with None.
    """
    rest, messages = dict(arguments), arguments.get("messages")
    if arguments.get("input") is not None:
        messages = [{"role": "user", "content": rest.pop("input")}]
    if not is_sequence(messages) or not messages or not all(isinstance(m, (Mapping, Model)) for m in messages):
        return dict(arguments), None
    keyed = [_with_otid(message, make) for message in messages]
    return {**rest, "messages": keyed}, str(keyed[0]["otid"])


def _with_otid(message: Any, make: Callable[[], str]) -> dict[str, Any]:
    fields = message.to_dict() if isinstance(message, Model) else dict(message)
    return {**fields, "otid": fields.get("otid") or make()}
