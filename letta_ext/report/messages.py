"""Messages as the page shows them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from letta_api.models import ApprovalRequestMessage, ToolCallMessage, ToolReturn, ToolReturnMessage
from letta_api.unions.message import Message, UnknownMessage

from .._types import is_mapping, is_sequence
from .text import cut, first_line, instant, pretty_json, to_json
from .view import Block, Chip, MessageView

LONG: Final = 1_200
"""Characters of a text that is shown at once."""

MANY_LINES: Final = 24

BAD: Final = Chip("error", "bad")


def message_views(
    messages: Sequence[Message],
    step_numbers: Mapping[str, int],
    names: Mapping[str, str],
    start: datetime | None,
    limit: int,
) -> list[MessageView]:
    """Return the messages of a run.

    Args:
        messages: The messages.
        step_numbers: The number of each step by its id.
        names: The tool name of each call by its id.
        start: The start of the run. Messages of the same day are shown without the date.
        limit: The characters of each text.
    """
    day = instant(start).partition(" ")[0] + " "
    return [_view(message, step_numbers, names, day, limit) for message in messages]


def call_names(messages: Iterable[Message]) -> dict[str, str]:
    """Return the tool names of the calls in these messages, by the id of the call."""
    names: dict[str, str] = {}
    for message in messages:
        if isinstance(message, (ToolCallMessage, ApprovalRequestMessage)):
            names |= {call_id: name for name, _, call_id in _calls(message)}
        elif isinstance(message, ToolReturnMessage) and message.name:
            names.setdefault(message.tool_call_id, message.name)
    return names


def requested_calls(message: Message) -> list[str]:
    """Return the ids of the tool calls that a message requests approval for."""
    return [call_id for _, _, call_id in _calls(message)] if isinstance(message, ApprovalRequestMessage) else []


def resolved_calls(message: Message) -> list[str]:
    """Return the ids of the tool calls that a message approves, denies or returns."""
    if message.message_type != "approval_response_message":
        return []
    return [getattr(each, "tool_call_id", None) or "" for each in message.approvals or []]


def _view(
    message: Message, step_numbers: Mapping[str, int], names: Mapping[str, str], day: str, limit: int
) -> MessageView:
    kind, label, name, chip = "unknown", "Unknown message", "", None
    if isinstance(message, UnknownMessage):
        name = str(message.raw.get("message_type", "")) if is_mapping(message.raw) else ""
        blocks = [_code(to_json(message.raw), limit)]
    elif message.message_type == "user_message":
        kind, label, blocks = "user", "User", _content(message.content, limit)
        name = message.name or ""
    elif message.message_type == "assistant_message":
        kind, label, blocks = "assistant", "Assistant", _content(message.content, limit)
    elif message.message_type == "system_message":
        kind, label, blocks = "system", "System", [_text(message.content, limit, collapse=True)]
    elif message.message_type == "reasoning_message":
        kind, label, blocks = "reasoning", "Reasoning", [_text(message.reasoning, limit)]
    elif message.message_type == "hidden_reasoning_message":
        kind, label = "reasoning", "Hidden reasoning"
        blocks = [_text(message.hidden_reasoning or f"The provider has {message.state} it.", limit)]
    elif message.message_type == "tool_call_message":
        kind, label = "tool", "Tool call"
        name, blocks = _call_blocks(message, limit)
    elif message.message_type == "approval_request_message":
        kind, label = "approval", "Approval request"
        name, blocks = _call_blocks(message, limit)
    elif message.message_type == "approval_response_message":
        kind, label = "approval", "Approval response"
        blocks = list(_approval_blocks(message.approvals or [], names, limit))
    elif message.message_type == "tool_return_message":
        kind, label, blocks = "tool", "Tool return", list(_return_blocks(message, names, limit))
        name = message.name or names.get(message.tool_call_id, "")
        chip = BAD if message.status == "error" else None
    elif message.message_type == "summary_message":
        kind, label, blocks = "system", "Summary of a compaction", [_text(message.summary, limit, collapse=True)]
    else:
        kind, label, blocks = "system", f"Event: {message.event_type}", [_code(to_json(message.event_data), limit)]
    number = step_numbers.get(message.step_id or "")
    step = f"Step {number}" if number else ""
    return MessageView(kind, label, name, instant(message.date).removeprefix(day), step, chip, blocks)


def _text(text: str, limit: int, *, label: str = "", collapse: bool = False, is_code: bool = False) -> Block:
    shown, omitted = cut(text, limit)
    long = collapse or len(shown) > LONG or shown.count("\n") > MANY_LINES
    return Block(shown, label, is_code, omitted, (first_line(shown) or "Empty") if long else None)


def _code(text: str, limit: int, label: str = "") -> Block:
    return _text(text, limit, label=label, is_code=True)


def _content(content: Any, limit: int) -> list[Block]:
    """Return the text or the parts of a content."""
    if isinstance(content, str):
        return [_text(content, limit)]
    if not is_sequence(content):
        return [_code(to_json(getattr(content, "raw", content)), limit)]
    return [_part(part, limit) for part in content]


def _part(part: Any, limit: int) -> Block:
    kind = getattr(part, "type", None)
    if kind == "text":
        return _text(part.text, limit)
    if kind == "image":
        source = part.source
        if getattr(source, "type", None) == "url":
            return _text(f"Image at {source.url}", limit)
        return _text(f"Image: {getattr(source, 'media_type', None) or 'type unknown'}", limit)
    return _code(to_json(part.raw if hasattr(part, "raw") else part), limit)


def _calls(message: ToolCallMessage | ApprovalRequestMessage) -> list[tuple[str, str, str]]:
    """Return the name, the arguments and the id of each tool call."""
    calls = message.tool_calls
    each: list[Any] = list(calls) if isinstance(calls, Sequence) and calls else [calls or message.tool_call]
    return [
        (
            str(getattr(call, "name", None) or "unnamed"),
            str(getattr(call, "arguments", None) or ""),
            str(getattr(call, "tool_call_id", None) or ""),
        )
        for call in each
    ]


def _call_blocks(message: ToolCallMessage | ApprovalRequestMessage, limit: int) -> tuple[str, list[Block]]:
    """Return the name of the called tool, and the arguments. Several calls have their names at their arguments."""
    calls = _calls(message)
    single = len(calls) == 1
    blocks = [
        _code(pretty_json(arguments, limit) or "{}", limit, label="Arguments" if single else f"Arguments of {name}")
        for name, arguments, _ in calls
    ]
    return (calls[0][0] if single else ""), blocks


def _return_blocks(message: ToolReturnMessage, names: Mapping[str, str], limit: int) -> Iterator[Block]:
    returns = message.tool_returns or []
    if len(returns) <= 1:
        yield from _outputs(message.tool_return, message.stdout, message.stderr, limit)
        return
    for each in returns:
        yield from _tool_return(each, names, limit)


def _tool_return(each: ToolReturn, names: Mapping[str, str], limit: int) -> Iterator[Block]:
    name = names.get(each.tool_call_id, each.tool_call_id)
    label = f"Error of {name}" if each.status == "error" else f"Return of {name}"
    yield from _outputs(each.tool_return, each.stdout, each.stderr, limit, label)


def _outputs(
    content: Any, stdout: Sequence[str] | None, stderr: Sequence[str] | None, limit: int, label: str = ""
) -> Iterator[Block]:
    if isinstance(content, str):
        yield _code(pretty_json(content, limit), limit, label)
    else:
        yield from _content(content, limit)
    for name, lines in (("Standard output", stdout), ("Standard error", stderr)):
        if lines:
            yield _code("".join(lines), limit, name)


def _approval_blocks(approvals: Sequence[Any], names: Mapping[str, str], limit: int) -> Iterator[Block]:
    for each in approvals:
        if isinstance(each, ToolReturn):
            yield from _tool_return(each, names, limit)
        elif hasattr(each, "raw"):
            yield _code(to_json(each.raw), limit)
        else:
            name = names.get(each.tool_call_id, each.tool_call_id)
            reason = f": {each.reason}" if each.reason else ""
            yield _text(f"{'Approved' if each.approve else 'Denied'} {name}{reason}", limit)
