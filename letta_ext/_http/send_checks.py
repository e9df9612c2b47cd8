"""Checks of sends that the server rejects in any state.

Measured on Letta 0.16.8: a send without content returns 422 in each conversation. A send to `"default"` without
an agent returns 404.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from letta_api.operations import Operation

from .._types import is_mapping, is_sequence

CONTENT: Final = frozenset({"input", "messages"})
"""The arguments with the content of a send. An operation that has both sends one of them."""

DEFAULT: Final = "default"
"""The conversation id of agent-direct mode."""

AGENT: Final = "agent_id"

CONVERSATION: Final = ("conversation_id",)
"""The path parameters of the operations of one conversation."""


def check_one_input(arguments: Mapping[str, Any]) -> None:
    """Check that a send has only one kind of content.

    Raises:
        ValueError: If both `input` and `messages` are given.
    """
    if arguments.get("input") is not None and arguments.get("messages") is not None:
        raise ValueError("input and messages are mutually exclusive: input is a single user message. Pass one of them.")


def check_send(operation: Operation, ids: tuple[Any, ...], arguments: Mapping[str, Any]) -> None:
    """Check that a send has content, and an agent for the conversation `"default"`.

    The example of Letta's documentation, `create("default")`, has neither. It is sent, because a server for examples
    accepts it.

    Args:
        operation: The operation. Operations without content are not checked.
        ids: The ids in the path.
        arguments: The arguments of the call. Fields in `extra_body` count as arguments.

    Raises:
        ValueError: If the server rejects the send in any case.
    """
    if not operation.parameters >= CONTENT:
        return
    if (extra_body := arguments.get("extra_body")) is not None and is_mapping(extra_body):
        arguments = {**arguments, **extra_body}
    content = [arguments[name] for name in CONTENT if arguments.get(name) is not None]
    needs_agent = ids[:1] == (DEFAULT,) and arguments.get(AGENT) is None
    if content and needs_agent:
        check_agent(ids[0], None)
    if not content and not needs_agent:
        raise ValueError("input or messages must be given: a send without content is rejected. Pass one of them.")
    if (messages := arguments.get("messages")) is not None and is_sequence(messages) and not messages:
        raise ValueError("messages must not be empty: a send without content is rejected. Pass a message.")


def check_agent(conversation_id: Any, agent_id: Any) -> None:
    """Check that the conversation `"default"` has an agent.

    Raises:
        ValueError: If it has none.
    """
    if conversation_id == DEFAULT and agent_id is None:
        raise ValueError(
            'agent_id must be given for the conversation "default": each agent has its own. Pass agent_id=…, or the id'
            " of a conversation."
        )
