"""Messages and stream events as text for people."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

from attrs import frozen

from letta_api.models import (
    ApprovalRequestMessage,
    ApprovalResponseMessage,
    AssistantMessage,
    EventMessage,
    HiddenReasoningMessage,
    LettaErrorMessage,
    ReasoningMessage,
    SummaryMessage,
    SystemMessage,
    ToolCallMessage,
    ToolReturnMessage,
    UserMessage,
)

from .._pagination.items import field_of
from .._types import is_sequence
from ..tools.checks import calls_of
from .terminal_text import clean_line, to_json
from .values import to_json_value


@frozen
class Line:
    """A message as text.

    Attributes:
        label: Who or what the text is from.
        text: The text, not yet safe for a terminal.
        style: The style of rich.
    """

    label: str
    text: str
    style: str = ""


def describe(message: Any) -> Line:
    """Return the text of a message."""
    for kind, describe_kind in _KINDS.items():
        if isinstance(message, kind):
            return describe_kind(message)
    return Line(str(field_of(message, "message_type") or "unknown"), to_json(to_json_value(message)), "dim")


def content_text(content: Any) -> str:
    """Return the text of the content of a message, which can have several parts."""
    if isinstance(content, str):
        return content
    if not is_sequence(content):
        return "" if content is None else to_json(to_json_value(content))
    parts = [getattr(part, "text", None) for part in content]
    return "\n".join(
        text if isinstance(text, str) else f"[{getattr(part, 'type', 'content')}]"
        for part, text in zip(content, parts, strict=True)
    )


def calls_text(calls: Iterable[Any]) -> str:
    """Return tool calls, one per line."""
    return "\n".join(f"{call.name}({clean_line(call.arguments)})" for call in calls)


def _calls_of(message: Any) -> str:
    calls = calls_of(message)
    return to_json(to_json_value(message)) if calls is None else calls_text(calls)


def _tool_return(message: ToolReturnMessage) -> Line:
    texts = [content_text(each.tool_return) for each in message.tool_returns or []] or [message.tool_return]
    failed = message.status == "error"
    return Line("failed" if failed else "return", "\n".join(map(str, texts)), "red" if failed else "green")


def _approval(message: ApprovalResponseMessage) -> Line:
    given = [field_of(each, "approve") for each in message.approvals or []] or [message.approve]
    names = {True: "approved", False: "denied"}
    reasons = [field_of(each, "reason") for each in message.approvals or []] or [message.reason]
    text = ", ".join(names.get(each, "returned") for each in given)
    return Line("approval", " ".join([text, *(f"({reason})" for reason in reasons if reason)]), "yellow")


_KINDS: Final[dict[type[Any], Callable[[Any], Line]]] = {
    UserMessage: lambda message: Line("user", content_text(message.content), "bold"),
    AssistantMessage: lambda message: Line("agent", content_text(message.content)),
    ReasoningMessage: lambda message: Line("thinking", message.reasoning, "dim"),
    HiddenReasoningMessage: lambda message: Line("thinking", f"({message.state})", "dim"),
    ToolCallMessage: lambda message: Line("call", _calls_of(message), "cyan"),
    ToolReturnMessage: _tool_return,
    ApprovalRequestMessage: lambda message: Line("approve?", _calls_of(message), "yellow"),
    ApprovalResponseMessage: _approval,
    SystemMessage: lambda message: Line("system", content_text(message.content), "dim"),
    SummaryMessage: lambda message: Line("summary", message.summary, "dim"),
    EventMessage: lambda message: Line("event", message.event_type, "dim"),
    LettaErrorMessage: lambda message: Line("error", message.detail or message.message, "red"),
}
