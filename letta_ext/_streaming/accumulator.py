"""From the deltas of a token stream to whole messages. Nothing here does I/O.

Deltas belong together by `id` and `message_type`, those of tool calls by `tool_call_id` within. The server numbers the
parts of one message by `otid`; a change of it between two neighbours begins another part, but once deltas of several
kinds interleave it changes with every turn and says nothing any more. What is right is what the server lists
afterwards.

One thing tokens do not tell: an agent that may call one tool at a time stores the first of several calls. Those that
the server runs are told by their returns; where calls wait for the caller instead, the message has all that were asked
for, and the list has the first.
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

Calling: TypeAlias = ToolCallMessage | ApprovalRequestMessage
Accumulable: TypeAlias = AssistantMessage | ReasoningMessage | ToolCallMessage | ApprovalRequestMessage


class MessageAccumulator:
    """Folds the events of one stream.

    Attributes:
        stop_reason: why the run stopped, once an event has said so.
        usage: what it cost, once an event has said so.
    """

    def __init__(self) -> None:
        self._parts: list[_Part] = []
        self._last: _Part | None = None
        self._event: StreamEvent | None = None  # the last one that was added, and what it completed
        self._completed: list[Message] = []
        self.stop_reason: LettaStopReason | None = None
        self.usage: LettaUsageStatistics | None = None

    def add(self, event: StreamEvent) -> list[Message]:
        """The messages that this event shows to be complete, in order; itself included where it is a whole one.

        Whoever was interrupted adds the same event again: everything is worked out first and noted by assignments
        alone, so that an exception of a signal handler arrives ahead of them all or behind.
        """
        if event is self._event:
            return self._completed
        stop_reason, usage, parts, last, done = self.stop_reason, self.usage, self._parts, self._last, list[Message]()
        match event:
            case LettaPing() | LettaErrorMessage():
                return done
            case AssistantMessage() | ReasoningMessage() | ToolCallMessage() | ApprovalRequestMessage():
                if last is not None and last.id != event.id:
                    parts, last, done = [], None, self._open(parts)
                try:
                    parts, last = self._fold(event, parts, last)
                except TypeError as fault:
                    unknown = UnknownMessage(_raw(event), str(fault))
                    parts, last, done = [], None, [*done, *self._open(parts), unknown]
            case LettaStopReason():
                stop_reason, parts, last, done = event, [], None, self._open(parts)
            case LettaUsageStatistics():
                usage, parts, last, done = event, [], None, self._open(parts)
            case UnknownStreamEvent():
                parts, last, done = [], None, [*self._open(parts), UnknownMessage(event.raw, event.reason)]
            case ToolReturnMessage():
                parts, last, done = [], None, [*self._open(_answered(parts, event)), _whole(event)]
            case _:
                parts, last, done = [], None, [*self._open(parts), _whole(event)]
        self.stop_reason, self.usage, self._parts, self._last = stop_reason, usage, parts, last
        self._event, self._completed = event, done
        return done

    def finish(self) -> list[Message]:
        """The messages that are open, taken as complete."""
        done = self._open(self._parts)
        self._parts, self._last, self._event = [], None, None
        return done

    def _open(self, parts: list[_Part]) -> list[Message]:
        return [part.message() for part in parts]

    def _fold(self, event: Accumulable, parts: list[_Part], last: _Part | None) -> tuple[list[_Part], _Part]:
        part = next((p for p in reversed(parts) if p.kind is type(event)), None)
        if part is None or (part is last and part.otid != event.otid):
            grown = _Part(event).with_event(event)
            return [*parts, grown], grown
        grown = part.with_event(event)
        return [grown if each is part else each for each in parts], grown


def _answered(parts: list[_Part], event: ToolReturnMessage) -> list[_Part]:
    """The parts without calls that did not run.

    A server that runs one call at a time streams all that the model asked for, runs and stores the first.
    """
    returns: list[Any] = [event, *(event.tool_returns or [])]
    answered = {each.tool_call_id for each in returns if isinstance(each.tool_call_id, str)}
    return [part.only(answered) if answered & part.calls.keys() else part for part in parts]


class _Part:
    """One message in the making. It is not changed: an event makes another one, which shares its lists."""

    __slots__ = ("calls", "first", "id", "kind", "lists", "otid", "signature", "size", "texts")

    def __init__(self, first: Accumulable) -> None:
        self.first = first
        self.kind = type(first)
        self.id = first.id
        self.otid = first.otid
        self.texts: list[str] = []
        self.size = 0  # texts behind are of an event that was not added to the end
        self.lists = False
        self.calls: dict[str, _Call] = {}
        self.signature: str | None = None

    def with_event(self, event: Accumulable) -> _Part:
        """Return the part with an event.

        Raises:
            TypeError: If a field that is added has the wrong type.
        """
        part = copy.copy(self)
        if isinstance(event, AssistantMessage):
            if isinstance(event.content, str):
                part._append(event.content)
            elif self.size or self.lists:
                part._append(text_of(event))
            else:
                part.first, part.lists = event, True  # content parts come whole
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
                # A delta without an id goes on where the last one was.
                call_id = delta.tool_call_id or next(reversed(part.calls), "")
                part.calls[call_id] = part.calls.get(call_id, _NO_CALL).with_delta(delta)
        return part

    def _append(self, text: str) -> None:
        self.texts[self.size :] = (text,)
        self.size += 1

    def only(self, call_ids: set[str]) -> _Part:
        """Return the part with these calls alone."""
        part = copy.copy(self)
        part.calls = {call_id: call for call_id, call in self.calls.items() if call_id in call_ids}
        return part

    def message(self) -> Message:
        """The message, made from the first delta: with its date and ids, but without a number of its own."""
        whole = _whole(self.first)
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


class _Call:
    """One tool call in the making. It is not changed: a delta makes another one, which shares its list."""

    __slots__ = ("arguments", "name", "size")

    def __init__(self, name: str, arguments: list[str], size: int) -> None:
        self.name = name
        self.arguments = arguments
        self.size = size  # arguments behind are of a delta that was not added to the end

    def with_delta(self, delta: ToolCall | ToolCallDelta) -> _Call:
        arguments = self.arguments if self.size else []
        arguments[self.size :] = (delta.arguments or "",)
        return _Call(self.name + (delta.name or ""), arguments, self.size + 1)

    def whole(self, call_id: str) -> ToolCall:
        arguments = "".join(self.arguments[: self.size])
        return ToolCall(name=self.name, arguments=arguments, tool_call_id=call_id)


_NO_CALL: Final = _Call("", [], 0)


def text_of(message: AssistantMessage) -> str:
    """The text of an assistant message, or of a piece of one; a part whose text is not a string adds nothing."""
    content = message.content
    if isinstance(content, str):
        return content
    texts: list[Any] = [part.text for part in content]
    return "".join(text for text in texts if isinstance(text, str))


def _raw(event: Accumulable) -> Any:
    try:
        return event.to_dict()
    except RecursionError:  # the parser takes deeper nesting than Python can write
        return {name: getattr(event, name) for name in event.fields_set}


def _check_delta(delta: ToolCall | ToolCallDelta) -> None:
    # The models take any JSON in a field that is documented as a string.
    fields: list[tuple[str, Any]] = [
        ("tool_call_id", delta.tool_call_id),
        ("name", delta.name),
        ("arguments", delta.arguments),
    ]
    for name, value in fields:
        if value is not None and not isinstance(value, str):
            raise TypeError(f"{name} must be a string, got {type(value).__name__}")


def _deltas(event: Calling) -> Sequence[ToolCall | ToolCallDelta]:
    calls = event.tool_calls
    if calls is None:
        return [event.tool_call]
    return calls if isinstance(calls, list) else [calls]


def _whole(event: Message) -> Message:
    """A copy without a number: those are of events, not of messages."""
    if isinstance(event, UnknownMessage):
        return event
    whole = copy.copy(event)
    if whole.seq_id is not None:
        whole.seq_id = None
    return whole


def response(messages: list[Message], folder: MessageAccumulator) -> LettaResponse | None:
    """What `streaming=False` would have returned, or None where the stream did not say why the run stopped."""
    if folder.stop_reason is None:
        return None
    usage = folder.usage or LettaUsageStatistics()
    return LettaResponse(messages=messages, stop_reason=folder.stop_reason, usage=usage, logprobs=None, turns=None)
