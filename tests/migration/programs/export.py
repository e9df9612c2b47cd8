"""A nightly export: conversations, messages and steps as lines of JSON."""

from __future__ import annotations

import json
from pathlib import Path

from letta_ext import Letta
from letta_ext.types import ProviderTrace, Step
from letta_ext.types.agents import Message, SystemMessage


def write(file: Path, rows: list[dict[str, object]]) -> int:
    """Write rows as lines of JSON, and return their number."""
    file.write_text("".join(json.dumps(row, sort_keys=True) + "\n" for row in rows), encoding="utf-8")
    return len(rows)


def messages_of(client: Letta, conversation_id: str) -> list[Message]:
    """Return all messages of a conversation, oldest first."""
    page = client.conversations.messages.list(conversation_id, order="asc", limit=100)
    return [message for message in page.items if not isinstance(message, SystemMessage)]


def step_row(step: Step, trace: ProviderTrace | None) -> dict[str, object]:
    """Return a row of a step."""
    row = step.model_dump(mode="json", exclude_none=True)
    row["model_handle"] = step.api_model_handle
    row["request"] = trace.request_json if trace is not None else None
    return row


def export(client: Letta, agent_id: str, folder: Path) -> dict[str, int]:
    """Write the files of an agent, and return the number of rows of each."""
    conversations = list(client.conversations.list(agent_id=agent_id))
    messages = [each for found in conversations for each in messages_of(client, found.id)]
    steps = client.steps.list(agent_id=agent_id, limit=100).items
    return {
        "conversations": write(folder / "conversations.jsonl", [each.to_dict(mode="json") for each in conversations]),
        "messages": write(folder / "messages.jsonl", [each.model_dump(mode="json") for each in messages]),
        "steps": write(
            folder / "steps.jsonl", [step_row(step, client.steps.trace.retrieve(step.id)) for step in steps]
        ),
    }
