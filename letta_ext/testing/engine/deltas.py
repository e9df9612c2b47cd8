"""The token stream of one turn."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace

from ..api import serializers
from ..store.ids import previous_id
from ..store.models import Json, Message, ToolCall
from .agent import Turn, argument_pieces


def deltas(message: Message, turn: Turn, calls: Sequence[ToolCall], guarded: Collection[str]) -> Iterator[Json]:
    """Yield the messages of a token stream.

    Args:
        message: The turn as it is stored.
        turn: The scripted turn.
        calls: The tool calls.
        guarded: Names of the tools that need approval.
    """
    index = 0
    for token in turn.reasoning_tokens:
        yield serializers.reasoning_part(message, index, token)
    index += bool(turn.reasoning)
    for token in turn.text_tokens:
        yield serializers.part(message, "assistant_message", index, content=token)
    index += bool(turn.text)
    after_request = False
    for call in calls:
        needs_approval = call.name in guarded
        # A call after an approval request counts as a new part.
        index += after_request and not needs_approval
        after_request = needs_approval
        yield from _call(message, call, index, needs_approval=needs_approval)


def _call(message: Message, call: ToolCall, index: int, *, needs_approval: bool) -> Iterator[Json]:
    pieces: list[tuple[str | None, str | None]] = [(call.name, None)]
    pieces += [(None, piece) for piece in argument_pieces(call.arguments)]
    request = replace(message, id=previous_id(message.id))
    for name, arguments in pieces:
        delta = {"name": name, "arguments": arguments, "tool_call_id": call.id}
        if needs_approval:
            yield serializers.part(request, "approval_request_message", -1, tool_call=delta, tool_calls=delta)
        else:
            # Only deltas of approval requests contain null values.
            delta = {key: value for key, value in delta.items() if value is not None}
            yield serializers.part(message, "tool_call_message", index, tool_call=delta, tool_calls=delta)
