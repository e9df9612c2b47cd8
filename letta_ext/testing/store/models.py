"""The things the embedded server stores, as plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, Protocol

from ..engine.agent import Usage

Json = dict[str, object]
"""A JSON object on its way to the wire: its keys are in the order in which they are written."""


class Rendered(Protocol):
    """A record that is written out when it is requested."""

    def as_json(self) -> Json:
        """Return the record as the API returns it."""
        ...


@dataclass(slots=True, kw_only=True)
class Tool:
    """A tool of the server. Its source is kept and never run."""

    id: str
    name: str
    description: str | None
    source_code: str
    parameters: Json
    requires_approval: bool


@dataclass(slots=True, kw_only=True)
class Block:
    """A memory block of an agent."""

    id: str
    label: str
    value: str
    description: str | None


@dataclass(slots=True, kw_only=True)
class ToolCall:
    """A call the model asked for; the arguments are JSON text."""

    id: str
    name: str
    arguments: str


@dataclass(slots=True, kw_only=True)
class ToolReturn:
    """What a call returned, whoever ran it.

    Attributes:
        text: what it returned, as text.
        parts: what it returned, if it did so in parts.
    """

    tool_call_id: str
    text: str
    status: str = "success"
    stdout: list[str] | None = None
    stderr: list[str] | None = None
    parts: list[Json] | None = None


@dataclass(slots=True, kw_only=True)
class Approval:
    """A person's yes or no to one call."""

    tool_call_id: str
    approve: bool
    reason: str | None = None


Role = Literal["system", "user", "assistant", "approval_request", "approval_response", "tool", "summary"]


@dataclass(slots=True, kw_only=True)
class Message:
    """One stored message. A model turn is one message, and can be rendered as several.

    Attributes:
        content: what a user, a system or a summary message says; a list where the sender gave parts.
        reasoning: what the model thought, if it says so.
        text: what the model said, if anything.
    """

    id: str
    role: Role
    created_at: datetime
    otid: str | None = None
    run_id: str | None = None
    step_id: str | None = None
    name: str | None = None
    sender_id: str | None = None
    content: str | list[Json] = ""
    reasoning: str | None = None
    text: str | None = None
    tool_calls: list[ToolCall] = field(default_factory=list[ToolCall])
    answers: list[Approval | ToolReturn] = field(default_factory=list[Approval | ToolReturn])
    tool_returns: list[ToolReturn] = field(default_factory=list[ToolReturn])


@dataclass(slots=True)
class Placed:
    """A message and its place in a thread. After a compaction two messages can have the same place."""

    message: Message
    position: int


@dataclass(slots=True, kw_only=True)
class Thread:
    """The messages of a conversation, or of an agent's default one.

    Attributes:
        label: the conversation's id, or ``default``.
        stored: every message ever stored, in the order of storing.
        context: the messages the model still sees.
    """

    agent_id: str
    label: str
    stored: list[Placed] = field(default_factory=list[Placed])
    context: list[Message] = field(default_factory=list[Message])

    @property
    def is_default(self) -> bool:
        """Whether this is an agent's default conversation."""
        return self.label == "default"

    @property
    def lock_key(self) -> str:
        """What a send locks: the conversation, or for the default one the agent."""
        return self.agent_id if self.is_default else self.label

    def store(self, message: Message) -> None:
        """Append a message to the record and to the context."""
        # A conversation places a message where it stands in the context, and so, after a compaction has emptied the
        # context, in places already taken. A default conversation counts on.
        position = len(self.stored if self.is_default else self.context)
        self.stored.append(Placed(message, position))
        self.context.append(message)

    def replace_context(self, context: list[Message]) -> None:
        """Let the model see these messages only; those not yet stored are stored."""
        known = {placed.message.id: placed for placed in self.stored}
        for index, message in enumerate(context):
            if message.id not in known:
                self.stored.append(Placed(message, len(self.stored) if self.is_default else index))
            elif not self.is_default:
                known[message.id].position = index
        self.context = context

    @property
    def pending(self) -> Message | None:
        """The approval request that waits for an answer, if one does."""
        last = self.context[-1] if self.context else None
        return last if last is not None and last.role == "approval_request" else None


@dataclass(slots=True, kw_only=True)
class Agent:
    """An agent, with its default conversation.

    Attributes:
        settings: Fields of its JSON that nothing on this server depends on, such as `description`.
    """

    id: str
    name: str
    system: str
    model_handle: str
    parallel_tool_calls: bool
    context_window: int
    compaction_mode: str
    created_at: datetime
    blocks: list[Block]
    tools: list[Tool]
    thread: Thread
    updated_at: datetime
    agent_type: str = "letta_v1_agent"
    tags: list[str] = field(default_factory=list[str])
    settings: Json = field(default_factory=Json)
    last_stop_reason: str | None = None


@dataclass(slots=True, kw_only=True)
class Conversation:
    """A conversation with an agent."""

    id: str
    created_at: datetime
    summary: str | None
    thread: Thread
    updated_at: datetime
    last_message_at: datetime | None = None
    model: str | None = None
    model_settings: Mapping[str, object] | None = None
    isolated_block_ids: list[str] = field(default_factory=list[str])


@dataclass(slots=True, kw_only=True)
class Step:
    """One call of the model, with what it cost and what people thought of it.

    Attributes:
        usage: what it used; None where the model did not get as far as answering.
        streamed: whether its tokens were streamed.
        trace: the exchange with the model, or None if the model was not called.
    """

    id: str
    run_id: str
    agent_id: str
    model_handle: str
    context_window: int
    created_at: datetime
    usage: Usage | None = None
    stop_reason: str | None = None
    status: str = "pending"
    feedback: str | None = None
    tags: list[str] = field(default_factory=list[str])
    error_type: str | None = None
    error_data: Json | None = None
    streamed: bool = False
    tool_execution_ns: int | None = None
    messages: list[Message] = field(default_factory=list[Message])
    trace: Rendered | None = None
