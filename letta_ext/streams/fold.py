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
from typing import Any, TypeAlias

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
Foldable: TypeAlias = AssistantMessage | ReasoningMessage | ToolCallMessage | ApprovalRequestMessage


class Folder:
    """Folds the events of one stream.

    Attributes:
        stop_reason: why the run stopped, once an event has said so.
        usage: what it cost, once an event has said so.
    """

    def __init__(self) -> None:
        self._parts: list[_Part] = []
        self._last: _Part | None = None
        self.stop_reason: LettaStopReason | None = None
        self.usage: LettaUsageStatistics | None = None

    def add(self, event: StreamEvent) -> list[Message]:
        """The messages that this event shows to be complete, in order; itself included where it is a whole one."""
        match event:
            case LettaPing() | LettaErrorMessage():
                return []
            case LettaStopReason():
                self.stop_reason = event
                return self.finish()
            case LettaUsageStatistics():
                self.usage = event
                return self.finish()
            case UnknownStreamEvent():
                return [*self.finish(), UnknownMessage(event.raw, event.reason)]
            case AssistantMessage() | ReasoningMessage() | ToolCallMessage() | ApprovalRequestMessage():
                done = [] if self._last is None or self._last.id == event.id else self.finish()
                try:
                    self._fold(event)
                except TypeError as fault:
                    return [*done, *self.finish(), UnknownMessage(_raw(event), str(fault))]
                return done
            case ToolReturnMessage():
                self._drop_unanswered(event)
                return [*self.finish(), _whole(event)]
            case _:
                return [*self.finish(), _whole(event)]

    def finish(self) -> list[Message]:
        """The messages that are open, taken as complete."""
        done: list[Message] = [part.message() for part in self._parts]
        self._parts.clear()
        self._last = None
        return done

    def _fold(self, event: Foldable) -> None:
        part = next((p for p in reversed(self._parts) if p.kind is type(event)), None)
        if part is None or (part is self._last and part.otid != event.otid):
            part = _Part(event)
            part.add(event)
            self._parts.append(part)
        else:
            part.add(event)
        self._last = part

    def _drop_unanswered(self, event: ToolReturnMessage) -> None:
        # A server that runs one call at a time streams all that the model asked for, runs and stores the first.
        returns: list[Any] = [event, *(event.tool_returns or [])]
        answered = {each.tool_call_id for each in returns if isinstance(each.tool_call_id, str)}
        for part in self._parts:
            if answered & part.calls.keys():
                part.calls = {call_id: call for call_id, call in part.calls.items() if call_id in answered}


class _Part:
    """One message in the making."""

    def __init__(self, first: Foldable) -> None:
        self.first = first
        self.kind = type(first)
        self.id = first.id
        self.otid = first.otid
        self.texts: list[str] = []
        self.lists = False
        self.calls: dict[str, _Call] = {}
        self.signature: str | None = None

    def add(self, event: Foldable) -> None:
        """Adds an event.

        Raises:
            TypeError: If a field that is added has the wrong type. Nothing of the event is added then.
        """
        if isinstance(event, AssistantMessage):
            if isinstance(event.content, str):
                self.texts.append(event.content)
            elif self.texts or self.lists:
                self.texts.append(text_of(event))
            else:
                self.first, self.lists = event, True  # content parts come whole
        elif isinstance(event, ReasoningMessage):
            text: Any = event.reasoning or ""
            if not isinstance(text, str):
                raise TypeError(f"reasoning must be a string, got {type(text).__name__}")
            self.texts.append(text)
            self.signature = event.signature or self.signature
        else:
            deltas = _deltas(event)
            for delta in deltas:
                _check_delta(delta)
            for delta in deltas:
                self._call(delta)

    def _call(self, delta: ToolCall | ToolCallDelta) -> None:
        # A delta without an id goes on where the last one was.
        call_id = delta.tool_call_id or next(reversed(self.calls), "")
        call = self.calls.setdefault(call_id, _Call())
        call.name += delta.name or ""
        call.arguments.append(delta.arguments or "")

    def message(self) -> Message:
        """The message, made from the first delta: with its date and ids, but without a number of its own."""
        whole = _whole(self.first)
        if isinstance(whole, AssistantMessage):
            if not self.lists:
                whole.content = "".join(self.texts)
        elif isinstance(whole, ReasoningMessage):
            whole.reasoning = "".join(self.texts)
            if self.signature is not None:
                whole.signature = self.signature
        elif isinstance(whole, (ToolCallMessage, ApprovalRequestMessage)) and self.calls:
            calls = [call.whole(call_id) for call_id, call in self.calls.items()]
            whole.tool_call, whole.tool_calls = calls[0], calls
        return whole


class _Call:
    """One tool call in the making."""

    def __init__(self) -> None:
        self.name = ""
        self.arguments: list[str] = []

    def whole(self, call_id: str) -> ToolCall:
        return ToolCall(name=self.name, arguments="".join(self.arguments), tool_call_id=call_id)


def text_of(message: AssistantMessage) -> str:
    """The text of an assistant message, or of a piece of one; a part whose text is not a string adds nothing."""
    content = message.content
    if isinstance(content, str):
        return content
    texts: list[Any] = [part.text for part in content]
    return "".join(text for text in texts if isinstance(text, str))


def _raw(event: Foldable) -> Any:
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


def response(messages: list[Message], folder: Folder) -> LettaResponse | None:
    """What `streaming=False` would have returned, or None where the stream did not say why the run stopped."""
    if folder.stop_reason is None:
        return None
    usage = folder.usage or LettaUsageStatistics()
    return LettaResponse(messages=messages, stop_reason=folder.stop_reason, usage=usage, logprobs=None, turns=None)
