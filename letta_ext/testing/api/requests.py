"""The requests of the API that other packages process."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from ..store.ids import IdSource
from ..store.models import Approval, Json, ToolReturn
from . import content, errors
from .request_schema import Record

Order = Literal["asc", "desc"]
InputRole = Literal["user", "system", "assistant"]
CompactionMode = Literal["all", "sliding_window", "self_compact_all", "self_compact_sliding_window"]

RUN_CONFIG: Final = (
    *("use_assistant_message", "assistant_message_tool_name", "assistant_message_tool_kwarg"),
    "include_return_message_types",
)
"""The settings of a request that its run contains."""


@dataclass(frozen=True, slots=True)
class InputMessage:
    """A message in a request."""

    role: InputRole
    content: str | list[Json]
    otid: str
    name: str | None = None
    sender_id: str | None = None


@dataclass(frozen=True, slots=True)
class ApprovalInput:
    """Approvals, denials and tool returns in a request.

    Attributes:
        schema: Name of its schema in Letta.
    """

    approvals: Sequence[Approval | ToolReturn]
    otid: str
    schema: str


@dataclass(frozen=True, slots=True)
class Send:
    """A request to send messages.

    Attributes:
        messages: The messages of the body.
        options: The other fields of the body.
    """

    messages: Sequence[InputMessage | ApprovalInput]
    options: Record

    @property
    def otids(self) -> list[str]:
        """The otids of all messages in order."""
        return [message.otid for message in self.messages]

    @property
    def client_tools(self) -> list[str]:
        """The names of the tools that the client runs."""
        return [tool.name for tool in self.options.client_tools or ()]

    @property
    def run_config(self) -> Json:
        """The settings that the run contains."""
        return {name: getattr(self.options, name) for name in RUN_CONFIG}


@dataclass(frozen=True, slots=True)
class Page:
    """The page of a list."""

    order: Order
    limit: int
    before: str | None
    after: str | None


def page(query: Record) -> Page:
    """Return the page that a query selects."""
    return Page(query.order, query.limit, query.before, query.after)


def send(body: Record, ids: IdSource) -> Send:
    """Return a request to send messages.

    Args:
        body: The body.
        ids: Source of missing otids.

    Raises:
        errors.ApiError: If the list of messages is empty.
    """
    if body.input is not None:
        messages: list[InputMessage | ApprovalInput] = [
            InputMessage("user", content.stored(body.input, ids), ids.uuid())
        ]
    else:
        messages = [_message(message, ids) for message in body.messages]
    if not messages:
        raise errors.plain(422, "Messages must not be empty")
    return Send(messages, body)


def _message(message: Record, ids: IdSource) -> InputMessage | ApprovalInput:
    otid = message.otid or ids.uuid()
    if message.type == "tool_return":
        return ApprovalInput([_tool_return(each) for each in message.tool_returns], otid, "ToolReturnCreate")
    if message.type == "approval":
        return ApprovalInput(_approvals(message), otid, "ApprovalCreate")
    stored = content.stored(message.content, ids)
    return InputMessage(message.role, stored, otid, message.name, message.sender_id)


def _approvals(message: Record) -> list[Approval | ToolReturn]:
    approvals: list[Approval | ToolReturn] = [
        _tool_return(each)
        if each.type == "tool"
        else Approval(tool_call_id=each.tool_call_id, approve=each.approve, reason=each.reason)
        for each in message.approvals or ()
    ]
    if not approvals and message.approval_request_id is not None:
        # The deprecated form without a list.
        approve = bool(message.approve)
        approvals = [Approval(tool_call_id=message.approval_request_id, approve=approve, reason=message.reason)]
    return approvals


def _tool_return(returned: Record) -> ToolReturn:
    value = returned.tool_return
    parts: list[Json] | None = None if isinstance(value, str) else content.to_json(value)
    return ToolReturn(
        tool_call_id=returned.tool_call_id,
        text=value if parts is None else "\n".join(str(part["text"]) for part in parts if part["type"] == "text"),
        status=returned.status,
        stdout=returned.stdout,
        stderr=returned.stderr,
        parts=parts,
    )
