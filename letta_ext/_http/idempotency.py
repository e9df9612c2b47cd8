"""What is special about sending messages and about resuming their streams. Nothing here does I/O.

A server honours an otid as an idempotency key of background sends: the same otids in the same order mean the same send,
for three hours and across conversations, whatever the content. A reused one silently sends nothing, so they must be
unique in the world. `input` has no place for one and becomes a message.
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

RESUME_ARGUMENTS: Final = frozenset({"agent_id", "include_pings", *OPTIONS}) - {"extra_body"}
"""What the request that resumes a stream takes over from the one that opened it."""

_OVERRIDING: Final = frozenset({"background", "input", "messages"})


@frozen
class SendPlan:
    """How a call that may stream is sent.

    Attributes:
        arguments: the arguments to send.
        idempotency: whether it may be sent again.
        otid: what finds its run, where it is a background send with messages.
        lookup: the arguments that find the run as long as no event has named it; None where there is nothing to
            resume.
    """

    arguments: dict[str, Any]
    idempotency: Idempotency
    otid: str | None
    lookup: dict[str, Any] | None


def make_send_plan(
    operation: Operation, arguments: Mapping[str, Any], make: Callable[[], str] | None = None
) -> SendPlan:
    """How a call is sent that answers with a stream, or could.

    Raises:
        ValueError: it has both `input` and `messages`.
    """
    if operation.idempotency == "idempotent":
        lookup = {name: arguments[name] for name in ("run_id", "otid") if arguments.get(name) is not None}
        return SendPlan(dict(arguments), "idempotent", None, lookup)
    check_one_input(arguments)
    if not arguments.get("background") or send_fields(operation).intersection(arguments.get("extra_body") or ()):
        return SendPlan(dict(arguments), "none", None, None)
    marked, otid = with_otids(arguments, make or new_otid)
    if otid is None:
        return SendPlan(marked, "none", None, None)
    return SendPlan(marked, "idempotent", otid, {"otid": otid})


def send_fields(operation: Operation) -> frozenset[str]:
    """Return the fields that make another send of a call where `extra_body` puts them in place of the arguments."""
    return _OVERRIDING if operation.stream_condition is None else _OVERRIDING | {operation.stream_condition}


def resume_arguments(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of a call that go along when its stream is resumed."""
    return {name: value for name, value in arguments.items() if name in RESUME_ARGUMENTS}


def check_one_input(arguments: Mapping[str, Any]) -> None:
    """Refuses a send that says twice what to send.

    Raises:
        ValueError: it has both `input` and `messages`.
    """
    if arguments.get("input") is not None and arguments.get("messages") is not None:
        raise ValueError("give input or messages, not both: input is short for one user message")


def new_otid() -> str:
    """An otid that nobody else has."""
    return str(uuid.uuid4())


def with_otids(arguments: Mapping[str, Any], make: Callable[[], str] = new_otid) -> tuple[dict[str, Any], str | None]:
    """The arguments of a background send with an otid on every message, and the first of them.

    Messages that have one keep it. Arguments that hold no message come back as they are, with None.
    """
    rest, messages = dict(arguments), arguments.get("messages")
    if arguments.get("input") is not None:
        messages = [{"role": "user", "content": rest.pop("input")}]
    if not is_sequence(messages) or not messages or not all(isinstance(m, (Mapping, Model)) for m in messages):
        return dict(arguments), None
    marked = [_marked(message, make) for message in messages]
    return {**rest, "messages": marked}, str(marked[0]["otid"])


def _marked(message: Any, make: Callable[[], str]) -> dict[str, Any]:
    fields = message.to_dict() if isinstance(message, Model) else dict(message)
    return {**fields, "otid": fields.get("otid") or make()}
