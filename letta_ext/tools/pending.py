"""Tool calls that wait for their results or for approval, and how they are found.

The server accepts no other message while they wait. A conversation waits if the last message of its context window is
an approval request: the server stores the results before it calls the model again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from attrs import frozen

from letta_api import api

from .._http.requests import prepare
from .._http.send_checks import CONTENT, check_agent
from .._pagination.items import field_of, text_field
from .._types import is_id, is_mapping, is_sequence
from ..config import Config
from .checks import calls_of

if TYPE_CHECKING:
    from letta_api.models import Run, ToolCall
    from letta_api.unions import Message

REQUEST: Final = "approval_request_message"
AGENT_PREFIX: Final = "agent-"
PAGE: Final = 100
"""Messages that are searched for the pending request. It is the newest one, except for those of a compaction."""

RUNS: Final = 100
"""Runs that are searched for one of the conversation."""


@frozen
class PendingRequest:
    """An approval request that a conversation waits for.

    Attributes:
        id: The id of the approval request message.
        run_id: The id of the run that requested the calls, or None if the server did not send it.
        calls: The tool calls, of tools of the client and of tools that need approval.
    """

    id: str
    run_id: str | None
    calls: tuple[ToolCall, ...]


@frozen
class ConversationKey:
    """A conversation, or the agent whose default conversation it is.

    Attributes:
        conversation_id: The id in the path.
        agent_id: The agent of a default conversation, or None.
    """

    conversation_id: str
    agent_id: str | None

    @classmethod
    def of(cls, conversation_id: str, agent_id: str | None) -> ConversationKey:
        """Return the key of a conversation. The id of an agent names its default conversation."""
        if conversation_id.startswith(AGENT_PREFIX):
            return cls(conversation_id, conversation_id)
        return cls(conversation_id, agent_id if conversation_id == "default" else None)

    def list_arguments(self) -> dict[str, Any]:
        """Return the arguments that list the newest messages."""
        direct = {"agent_id": self.agent_id} if self.conversation_id == "default" else {}
        return {"order": "desc", "limit": PAGE, **direct}

    def runs_arguments(self) -> dict[str, Any]:
        """Return the arguments that list the active runs.

        Runs of a default conversation name no conversation. Neither do runs of `streaming=False`, which stay "created"
        after their end and do not hold the conversation.
        """
        if self.agent_id is None:
            return {"conversation_id": self.conversation_id, "active": True, "limit": RUNS}
        return {"agent_id": self.agent_id, "statuses": ["running"], "limit": RUNS}

    def active_run_id(self, runs: Sequence[Run]) -> str | None:
        """Return the id of the first listed run that holds the conversation."""
        own = (run.id for run in runs if self.agent_id is None or not field_of(run, "conversation_id"))
        return next(own, None)


def last_message_id(state: Any) -> str | None:
    """Return the id of the last message in the context window of a conversation or an agent, given as JSON."""
    ids = state.get("in_context_message_ids", state.get("message_ids")) if is_mapping(state) else None
    return ids[-1] if is_sequence(ids) and ids and is_id(ids[-1]) else None


def pending_message(messages: Sequence[Message], last_id: str | None) -> Message | None:
    """Return the approval request among the newest messages that has the id of the last message in context."""
    for message in messages:
        if field_of(message, "message_type") == REQUEST and text_field(message, "id") == last_id:
            return message
    return None


def to_pending_request(message: Message | None) -> PendingRequest | None:
    """Return the pending request of a message. Calls that cannot be decoded are omitted."""
    if message is None:
        return None
    return PendingRequest(
        text_field(message, "id") or "", text_field(message, "run_id"), tuple(calls_of(message) or ())
    )


def make_key(config: Config, conversation_id: str, agent_id: str | None, options: Mapping[str, Any]) -> ConversationKey:
    """Check the arguments of `pending`, and return the key of its conversation.

    Raises:
        TypeError: If an argument is unknown or of the wrong type.
        ValueError: If an argument has an invalid value, or the default conversation has no agent.
    """
    listing = {**options} if agent_id is None else {**options, "agent_id": agent_id}
    prepare(config, api.conversations_messages.conversations_messages_list, (conversation_id,), listing)
    check_agent(conversation_id, agent_id)
    return ConversationKey.of(conversation_id, agent_id)


def check_denial(reason: object, arguments: Mapping[str, Any]) -> None:
    """Check the arguments of `deny_pending`.

    Raises:
        TypeError: If the reason is not a string.
        ValueError: If there is content, which is not sent.
    """
    if reason is not None and not isinstance(reason, str):
        raise TypeError(f"reason must be a string or None, got {reason!r:.80}")
    if given := sorted(name for name in CONTENT if arguments.get(name) is not None):
        raise ValueError(f"{given[0]} must not be given to deny_pending. Send it afterwards.")
