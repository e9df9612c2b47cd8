"""The conversation that a command is about: by its id, or by the id or the name of its agent."""

from __future__ import annotations

from typing import Any, Final, Self

from attrs import frozen

from .exit_codes import UsageError
from .session import Session

TARGET_HELP: Final = "A conversation id, or the id or the name of an agent for its default conversation."

CONVERSATION: Final = "conv-"
AGENT: Final = "agent-"
DEFAULT: Final = "default"


@frozen
class Target:
    """A conversation.

    Attributes:
        conversation_id: The id for the path of a request, or `default`.
        agent_id: The agent of a default conversation, or None.
    """

    conversation_id: str
    agent_id: str | None = None

    @property
    def arguments(self) -> dict[str, Any]:
        """The arguments that requests need besides the conversation id."""
        return {} if self.agent_id is None else {"agent_id": self.agent_id}

    def __str__(self) -> str:
        return self.agent_id or self.conversation_id

    @classmethod
    def find(cls, session: Session, text: str) -> Self:
        """Return the conversation that a text names.

        Raises:
            UsageError: If the text names no agent, or several.
        """
        if text.startswith(CONVERSATION):
            return cls(text)
        return cls(DEFAULT, find_agent(session, text))


def find_agent(session: Session, text: str) -> str:
    """Return the id of the agent that a text names.

    Raises:
        UsageError: If the text names no agent, or several.
    """
    if text.startswith(AGENT):
        return text
    if not text.strip():
        raise UsageError("the name of an agent must not be empty")
    found = [agent for agent in session.client.agents.list(name=text, limit=10).items if agent.name == text]
    if not found:
        raise UsageError(f"no agent has the name {text!r}. 'letta-ext agents' lists them.")
    if len(found) > 1:
        ids = ", ".join(agent.id for agent in found)
        raise UsageError(f"{len(found)} agents have the name {text!r}. Pass one of their ids: {ids}")
    return found[0].id
