"""The accumulation of the deltas of a token stream to whole messages.

Deltas of one message share `id` and `message_type`; those of one tool call also share `tool_call_id`. Letta 0.16.8
numbers the items of a message by `otid`. A change of `otid` between neighboring deltas of one type starts another item;
when deltas of several types interleave, `otid` changes with each of them and has no meaning. The messages that the
server lists afterwards are the reference.

Limitation: an agent that calls one tool at a time stores only the first of several calls. The calls that the server
executes are known from their returns. If calls wait for the caller, the accumulated message has all of them.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from types import NoneType
from typing import Any, Final, TypeAlias

from letta_api.models import (
    ApprovalRequestMessage,
    AssistantMessage,
    LettaErrorMessage,
    LettaPing,
    LettaResponse,
    LettaStopReason,
    LettaUsageStatistics,
    ReasoningMessage,
    ToolCall,
    ToolCallDelta,
    ToolCallMessage,
    ToolReturnMessage,
)
from letta_api.unions import Message, StreamEvent, UnknownMessage, UnknownStreamEvent

ToolCalling: TypeAlias = ToolCallMessage | ApprovalRequestMessage
Accumulable: TypeAlias = AssistantMessage | ReasoningMessage | ToolCallMessage | ApprovalRequestMessage


class MessageAccumulator:
    """Accumulates the events of one stream to messages.

    Attributes:
        stop_reason: The stop reason of the run. None until its event.
        usage: The token usage of the run. None until its event.
    """

    def __init__(self) -> None:
        self._parts: list[_PartialMessage] = []
        self._last: _PartialMessage | None = None
        self._event: StreamEvent | None = None  # the last event added, and the messages that it completed
        self._completed: list[Message] = []
        self.stop_reason: LettaStopReason | None = None
        self.usage: LettaUsageStatistics | None = None

    def add(self, event: StreamEvent) -> list[Message]:
        """Add an event, and return the messages that it completes, in order.

        After an interruption the same event can be added again: the state is computed first and then assigned in one
        go, so that an exception of a signal handler is raised either before all assignments or after them.
        """
        if event is self._event:
            return self._completed
        stop_reason, usage, parts, last, done = self.stop_reason, self.usage, self._parts, self._last, list[Message]()
        match event:
            case LettaPing() | LettaErrorMessage():
                return done
            case AssistantMessage() | ReasoningMessage() | ToolCallMessage() | ApprovalRequestMessage():
                if last is not None and last.id != event.id:
                    parts, last, done = [], None, self._complete(parts)
                try:
                    parts, last = self._add_delta(event, parts, last)
                except TypeError as error:
                    unknown = UnknownMessage(_raw(event), str(error))
                    parts, last, done = [], None, [*done, *self._complete(parts), unknown]
            case LettaStopReason():
                stop_reason, parts, last, done = event, [], None, self._complete(parts)
            case LettaUsageStatistics():
                usage, parts, last, done = event, [], None, self._complete(parts)
            case UnknownStreamEvent():
                parts, last, done = [], None, [*self._complete(parts), UnknownMessage(event.raw, event.reason)]
            case ToolReturnMessage():
                parts, last, done = (
                    [],
                    None,
                    [*self._complete(_without_unexecuted_calls(parts, event)), _without_seq_id(event)],
                )
            case _:
                parts, last, done = [], None, [*self._complete(parts), _without_seq_id(event)]
        self.stop_reason, self.usage, self._parts, self._last = stop_reason, usage, parts, last
        self._event, self._completed = event, done
        return done

    def finish(self) -> list[Message]:
        """Return the incomplete messages as they are."""
        done = self._complete(self._parts)
        self._parts, self._last, self._event = [], None, None
        return done

    def _complete(self, parts: list[_PartialMessage]) -> list[Message]:
        return [part.message() for part in parts]

    def _add_delta(
        self, event: Accumulable, parts: list[_PartialMessage], last: _PartialMessage | None
    ) -> tuple[list[_PartialMessage], _PartialMessage]:
        part = next((p for p in reversed(parts) if p.kind is type(event)), None)
        if part is None or (part is last and part.otid != event.otid):
            grown = _PartialMessage(event).with_event(event)
            return [*parts, grown], grown
        grown = part.with_event(event)
        return [grown if each is part else each for each in parts], grown


def _without_unexecuted_calls(parts: list[_PartialMessage], event: ToolReturnMessage) -> list[_PartialMessage]:
    """Return the messages without the tool calls that were not executed.

    A server that executes one call at a time streams every call of the model, but executes and stores only the first.
    """
    returns: list[Any] = [event, *(event.tool_returns or [])]
    executed = {each.tool_call_id for each in returns if isinstance(each.tool_call_id, str)}
    return [part.only(executed) if executed & part.calls.keys() else part for part in parts]


class _PartialMessage:
    """An incomplete message. It is immutable: each event returns a new one, which shares its lists."""

    __slots__ = ("calls", "first", "id", "kind", "lists", "otid", "signature", "size", "texts")

    def __init__(self, first: Accumulable) -> None:
        self.first = first
        self.kind = type(first)
        self.id = first.id
        self.otid = first.otid
        self.texts: list[str] = []
        self.size = 0  # later texts belong to an event whose addition was interrupted
        self.lists = False
        self.calls: dict[str, _PartialToolCall] = {}
        self.signature: str | None = None

    def with_event(self, event: Accumulable) -> _PartialMessage:
        """Return the message with the delta of an event.

        Raises:
            TypeError: If a field of the delta has the wrong type.
        """
        part = copy.copy(self)
        if isinstance(event, AssistantMessage):
            if isinstance(event.content, str):
                part._append(event.content)
            elif self.size or self.lists:
                part._append(text_content(event))
            else:
                part.first, part.lists = event, True  # content parts are not split into deltas
        elif isinstance(event, ReasoningMessage):
            text: Any = event.reasoning
            if not isinstance(text, (str, NoneType)):
                raise TypeError(f"reasoning must be a string, got {type(text).__name__}")
            part._append(text or "")
            part.signature = event.signature or self.signature
        else:
            deltas = _deltas(event)
            for delta in deltas:
                _check_delta(delta)
            part.calls = dict(self.calls)
            for delta in deltas:
                # A delta without an id continues the last call.
                call_id = delta.tool_call_id or next(reversed(part.calls), "")
                part.calls[call_id] = part.calls.get(call_id, _EMPTY_CALL).with_delta(delta)
        return part

    def _append(self, text: str) -> None:
        self.texts[self.size :] = (text,)
        self.size += 1

    def only(self, call_ids: set[str]) -> _PartialMessage:
        """Return the message with these tool calls only."""
        part = copy.copy(self)
        part.calls = {call_id: call for call_id, call in self.calls.items() if call_id in call_ids}
        return part

    def message(self) -> Message:
        """Return the message, with the date and the ids of its first delta and without a sequence number."""
        whole = _without_seq_id(self.first)
        if isinstance(whole, AssistantMessage):
            if not self.lists:
                whole.content = "".join(self.texts[: self.size])
        elif isinstance(whole, ReasoningMessage):
            whole.reasoning = "".join(self.texts[: self.size])
            if self.signature is not None:
                whole.signature = self.signature
        elif isinstance(whole, (ToolCallMessage, ApprovalRequestMessage)) and self.calls:
            calls = [call.whole(call_id) for call_id, call in self.calls.items()]
            whole.tool_call, whole.tool_calls = calls[0], calls
        return whole


class _PartialToolCall:
    """An incomplete tool call. It is immutable: each delta returns a new one, which shares its list."""

    __slots__ = ("arguments", "name", "size")

    def __init__(self, name: str, arguments: list[str], size: int) -> None:
        self.name = name
        self.arguments = arguments
        self.size = size  # later arguments belong to a delta whose addition was interrupted

    def with_delta(self, delta: ToolCall | ToolCallDelta) -> _PartialToolCall:
        arguments = self.arguments if self.size else []
        arguments[self.size :] = (delta.arguments or "",)
        return _PartialToolCall(self.name + (delta.name or ""), arguments, self.size + 1)

    def whole(self, call_id: str) -> ToolCall:
        arguments = "".join(self.arguments[: self.size])
        return ToolCall(name=self.name, arguments=arguments, tool_call_id=call_id)


_EMPTY_CALL: Final = _PartialToolCall("", [], 0)


def text_content(message: AssistantMessage) -> str:
    """Return the text of an assistant message or delta. Content parts without a string are ignored."""
    content = message.content
    if isinstance(content, str):
        return content
    texts: list[Any] = [part.text for part in content]
    return "".join(text for text in texts if isinstance(text, str))


def _raw(event: Accumulable) -> Any:
    try:
        return event.to_dict()
    except RecursionError:  # the JSON parser accepts deeper nesting than to_dict() does
        return {name: getattr(event, name) for name in event.fields_set}


def _check_delta(delta: ToolCall | ToolCallDelta) -> None:
    # The models accept any JSON value in a field that is documented as a string.
    fields: list[tuple[str, Any]] = [
        ("tool_call_id", delta.tool_call_id),
        ("name", delta.name),
        ("arguments", delta.arguments),
    ]
    for name, value in fields:
        if value is not None and not isinstance(value, str):
            raise TypeError(f"{name} must be a string, got {type(value).__name__}")


def _deltas(event: ToolCalling) -> Sequence[ToolCall | ToolCallDelta]:
    calls = event.tool_calls
    if calls is None:
        return [event.tool_call]
    return calls if isinstance(calls, list) else [calls]


def _without_seq_id(event: Message) -> Message:
    """Return a copy without a sequence number, which only events have."""
    if isinstance(event, UnknownMessage):
        return event
    whole = copy.copy(event)
    if whole.seq_id is not None:
        whole.seq_id = None
    return whole


def to_response(messages: list[Message], accumulator: MessageAccumulator) -> LettaResponse | None:
    """Return the response that `streaming=False` returns, or None without a stop reason."""
    if accumulator.stop_reason is None:
        return None
    usage = accumulator.usage or LettaUsageStatistics()
    return LettaResponse(messages=messages, stop_reason=accumulator.stop_reason, usage=usage, logprobs=None, turns=None)
