"""Compaction: replaces the older messages of a conversation by a summary."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Literal

from ..api import errors, serializers
from ..store.models import Agent, CompactionSettings, Json, Message, Thread
from ..store.state import State
from .script import SUMMARY

Trigger = Literal["post_step_context_check", "context_window_exceeded"]
"""Why a run compacts its context."""

TRIGGER_PERCENT = 90
"""Share of the context window above which a run compacts the context [%]."""

SAFETY_MARGIN = 1.3
"""Factor of the estimated number of tokens in a sliding window."""


def compact(state: State, agent: Agent, thread: Thread, settings: CompactionSettings) -> Json:
    """Compact a thread on request.

    Args:
        state: The server's state.
        agent: The agent of the thread.
        thread: The thread to compact.
        settings: The settings of the agent with those of the request.

    Raises:
        errors.ApiError: If the number of messages would not decrease, as right after another compaction.
    """
    if state.documented and thread.is_default and agent.id == state.documented.agent_id:
        # The example of the documentation can be repeated.
        thread.replace_context([placed.message for placed in thread.stored])
        settings = CompactionSettings("all")
    before = len(thread.context)
    kept = _kept(thread.context, settings, agent.context_window)
    if before <= 2 + len(kept):
        raise errors.plain(400, errors.NOTHING_TO_COMPACT)
    summary, message = _replace_older(state, thread, kept)
    message.content = _packed(summary, message.created_at, whole=not kept)
    return {"summary": summary, "num_messages_before": before, "num_messages_after": len(thread.context)}


def make_room(state: State, agent: Agent, thread: Thread, trigger: Trigger) -> Message:
    """Compact a thread during a run, and return the summary."""
    context = thread.context
    kept = _kept(context, agent.compaction, agent.context_window)
    summary, message = _replace_older(state, thread, kept)
    stats: Json = {
        "trigger": trigger,
        "context_tokens_before": estimate(context),
        "context_tokens_after": estimate(thread.context),
        "context_window": agent.context_window,
        "messages_count_before": len(context),
        "messages_count_after": len(thread.context),
    }
    message.content = _packed(summary, message.created_at, whole=not kept, stats=stats)
    return message


def is_due(tokens: int, context_window: int) -> bool:
    """Return whether a context of this size must be compacted."""
    return tokens * 100 > TRIGGER_PERCENT * context_window


def estimate(context: Sequence[Message]) -> int:
    """Return the approximate number of tokens in a context."""
    return sum(len(str(message.content)) + len(message.text or "") for message in context) // 4


def _kept(context: list[Message], settings: CompactionSettings, context_window: int) -> list[Message]:
    """Return the messages that remain, which begin with a turn of the model. Drop more until the tokens fit."""
    pending = _pending(context)
    if "sliding" not in settings.mode:
        return pending
    share, goal = settings.share, (1 - settings.share) * context_window
    # The last message, or the one before an approval, cannot be the only one that remains.
    end = len(context) - (2 if context[-1].role.startswith("approval") else 1)
    first = None
    tokens: float = context_window
    while tokens >= goal and share < 1:
        share += 0.1
        candidates = range(min(round(share * len(context)), len(context) - 1), 0, -1)
        first = next((index for index in candidates if context[index].role in ("assistant", "approval_request")), None)
        if first is not None:
            tokens = SAFETY_MARGIN * estimate([context[0], *context[first:]])
    return pending if first is None or share >= 1 or first >= end else context[first:]


def _pending(context: list[Message]) -> list[Message]:
    """Return the turn that waits for an approval, if any."""
    last = context[-1]
    if last.role != "approval_request":
        return []
    before = context[-2]
    return [before, last] if before.role == "assistant" and before.step_id == last.step_id else [last]


def _replace_older(state: State, thread: Thread, kept: list[Message]) -> tuple[str, Message]:
    """Replace all messages but the system message and those that remain. Return the summary and its message."""
    texts = [message.content for message in thread.context[1:] if message.role == "user"]
    transcript = "\n".join(text for text in texts if isinstance(text, str))
    summary = state.script.next_summary(transcript).text or SUMMARY
    message = state.new_message("summary", content=summary)
    thread.replace_context([thread.context[0], message, *kept])
    return summary, message


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
