"""Compaction: replaces the older messages of a conversation by a summary."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Literal

from ..api import errors, serializers
from ..store.models import Agent, Json, Message, Thread
from ..store.state import State
from .script import SUMMARY

Trigger = Literal["post_step_context_check", "context_window_exceeded"]
"""Why a run compacts its context."""

TRIGGER_PERCENT = 90
"""Share of the context window above which a run compacts the context [%]."""

WINDOW_SHARE = 0.3
"""Share of the messages that a sliding window drops."""


def compact(state: State, agent: Agent, thread: Thread, mode: str | None) -> Json:
    """Compact a thread on request.

    Args:
        state: The server's state.
        agent: The agent of the thread.
        thread: The thread to compact.
        mode: Compaction mode. None uses the agent's mode.

    Raises:
        errors.ApiError: If the number of messages would not decrease, as right after another compaction.
    """
    if state.documented and thread.is_default and agent.id == state.documented.agent_id:
        # The example of the documentation can be repeated.
        thread.replace_context([placed.message for placed in thread.stored])
        mode = "all"
    before = len(thread.context)
    kept = _kept(thread.context, mode or agent.compaction_mode)
    if before <= 2 + len(kept):
        raise errors.plain(400, errors.NOTHING_TO_COMPACT)
    summary = _summarize(state, thread)
    now = state.clock.now()
    content = _packed(summary, now, whole=not kept)
    message = Message(id=state.ids.new("message"), role="summary", created_at=now, content=content)
    thread.replace_context([thread.context[0], message, *kept])
    return {"summary": summary, "num_messages_before": before, "num_messages_after": len(thread.context)}


def make_room(state: State, agent: Agent, thread: Thread, trigger: Trigger) -> Message:
    """Compact a thread during a run, and return the summary."""
    context = thread.context
    kept = _kept(context, agent.compaction_mode)
    summary = _summarize(state, thread)
    now = state.clock.now()
    message = Message(id=state.ids.new("message"), role="summary", created_at=now, content=summary)
    thread.replace_context([context[0], message, *kept])
    stats: Json = {
        "trigger": trigger,
        "context_tokens_before": estimate(context),
        "context_tokens_after": estimate(thread.context),
        "context_window": agent.context_window,
        "messages_count_before": len(context),
        "messages_count_after": len(thread.context),
    }
    message.content = _packed(summary, now, whole=not kept, stats=stats)
    return message


def is_due(tokens: int, context_window: int) -> bool:
    """Return whether a context of this size must be compacted."""
    return tokens * 100 > TRIGGER_PERCENT * context_window


def estimate(context: Sequence[Message]) -> int:
    """Return the approximate number of tokens in a context."""
    return sum(len(str(message.content)) + len(message.text or "") for message in context) // 4


def _kept(context: list[Message], mode: str) -> list[Message]:
    if "sliding" not in mode:
        return []
    # A window begins with a turn of the model. A window of a single message is dropped.
    first = round(len(context) * WINDOW_SHARE)
    for index in range(first, len(context) - 1):
        if context[index].role == "assistant":
            return context[index:]
    return []


def _summarize(state: State, thread: Thread) -> str:
    texts = [message.content for message in thread.context[1:] if message.role == "user"]
    transcript = "\n".join(text for text in texts if isinstance(text, str))
    turn = state.script.next_summary(transcript)
    return turn.text or SUMMARY


def _packed(summary: str, now: datetime, *, whole: bool, stats: Json | None = None) -> str:
    hidden = "prior messages" if whole else "prior messages from the beginning of the conversation"
    alert: Json = {
        "type": "system_alert",
        "message": f"Note: {hidden} have been hidden from view due to conversation memory constraints.\n"
        f"The following is a summary of the previous messages:\n {summary}",
        "time": serializers.spoken_instant(now),
    }
    if stats is not None:
        alert["compaction_stats"] = stats
    return json.dumps(alert, indent=2)
