"""The records that the embedded server stores."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from itertools import count
from typing import Any, Literal

from ..engine.agent import Usage

Json = dict[str, object]
"""A JSON object. The order of its keys is the order in the response."""


def model_name(handle: str) -> str:
    """Return the name of a model without that of its provider."""
    return handle.rpartition("/")[2]


@dataclass(slots=True, kw_only=True)
class Tool:
    """A tool of the server. Its source is stored and never run."""

    id: str
    name: str
    description: str | None
    source_code: str
    parameters: Json
    requires_approval: bool


@dataclass(slots=True, kw_only=True)
class ToolCall:
    """A tool call by the model. The arguments are JSON text."""

    id: str
    name: str
    arguments: str


@dataclass(slots=True, kw_only=True)
class ToolReturn:
    """The result of a tool call.

    Attributes:
        text: The result as text.
        parts: The result as content parts, if it has them.
    """

    tool_call_id: str
    text: str
    status: str = "success"
    stdout: list[str] | None = None
    stderr: list[str] | None = None
    parts: list[Json] | None = None


@dataclass(slots=True, kw_only=True)
class Approval:
    """The approval or denial of one tool call."""

    tool_call_id: str
    approve: bool
    reason: str | None = None


Role = Literal["system", "user", "assistant", "approval_request", "approval_response", "tool", "summary"]


@dataclass(slots=True, kw_only=True)
class Message:
    """One stored message. A turn of the model is stored as one message and rendered as several.

    Attributes:
        content: Content of a user, system or summary message. A list if it was sent as content parts.
        reasoning: Reasoning of the model.
        text: Text of the model.
        approvals: Approvals and tool returns of an approval response.
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
    approvals: list[Approval | ToolReturn] = field(default_factory=list[Approval | ToolReturn])
    tool_returns: list[ToolReturn] = field(default_factory=list[ToolReturn])


@dataclass(slots=True)
class StoredMessage:
    """A message of a thread.

    Attributes:
        position: Position in the thread. After a compaction two messages can share it.
        sequence: Position among the messages of all threads.
    """

    message: Message
    position: int
    sequence: int = field(default_factory=count().__next__)


@dataclass(slots=True, kw_only=True)
class Thread:
    """The messages of a conversation, or of an agent's default conversation.

    Attributes:
        label: Id of the conversation, or ``default``.
        stored: All messages, in the order of storage.
        context: The messages in the context window.
    """

    agent_id: str
    label: str
    stored: list[StoredMessage] = field(default_factory=list[StoredMessage])
    context: list[Message] = field(default_factory=list[Message])

    @property
    def is_default(self) -> bool:
        """Whether this is an agent's default conversation."""
        return self.label == "default"

    @property
    def lock_key(self) -> str:
        """The id that a send locks: the conversation, or the agent of a default conversation."""
        return self.agent_id if self.is_default else self.label

    def store(self, message: Message) -> None:
        """Append a message to the thread and its context."""
        # The position is the index in the context. After a compaction has shortened the context, positions repeat.
        # Positions in a default conversation always increase.
        position = len(self.stored if self.is_default else self.context)
        self.stored.append(StoredMessage(message, position))
        self.context.append(message)

    def replace_context(self, context: list[Message]) -> None:
        """Replace the context, and store the messages that are new."""
        known = {entry.message.id: entry for entry in self.stored}
        for index, message in enumerate(context):
            if message.id not in known:
                self.stored.append(StoredMessage(message, len(self.stored) if self.is_default else index))
            elif not self.is_default:
                known[message.id].position = index
        self.context = context

    @property
    def pending(self) -> Message | None:
        """The pending approval request. None if no tool call waits for an approval."""
        last = self.context[-1] if self.context else None
        return last if last is not None and last.role == "approval_request" else None

    @property
    def deferred_calls(self) -> list[ToolCall]:
        """The calls that need no approval, of the turn whose other calls wait for one."""
        request = self.pending
        previous = self.context[-2] if request is not None and len(self.context) > 1 else None
        if request is None or previous is None or previous.role != "assistant" or previous.step_id != request.step_id:
            return []
        return previous.tool_calls


@dataclass(frozen=True, slots=True)
class CompactionSettings:
    """How a context is compacted.

    Attributes:
        share: Share of the messages that a sliding window drops at least.
    """

    mode: str = "sliding_window"
    share: float = 0.3


@dataclass(slots=True, kw_only=True)
class Agent:
    """An agent with its default conversation.

    Attributes:
        blocks: The memory blocks as in the API.
        guarded: The names of the tools that need an approval. As in Letta, tools that are attached later do not.
        settings: JSON fields that do not affect the server, such as `description`.
    """

    id: str
    name: str
    created_at: datetime
    blocks: list[dict[str, Any]]
    tools: list[Tool]
    guarded: list[str]
    thread: Thread
    updated_at: datetime
    system: str = "You are a helpful agent."
    model_handle: str = "openai-proxy/gpt-4o-mini"
    parallel_tool_calls: bool = False
    context_window: int = 128_000
    compaction: CompactionSettings = CompactionSettings()
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
    """One call of the model, with its usage and feedback.

    Attributes:
        usage: Token counts. None if the model did not finish.
        streamed: Whether the tokens were streamed.
        trace: Returns the exchange with the model as JSON. None if the model was not called.
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
    trace: Callable[[], Json] | None = None

    def finish(self, usage: Usage, stop_reason: str | None = None) -> None:
        """Store the result of a successful call of the model."""
        self.usage, self.status, self.stop_reason = usage, "success", stop_reason
