"""The conversations of the embedded server."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from ..engine.cancellation import cancel
from ..scenarios import setup_api
from ..store.models import Conversation
from ..store.state import State
from . import errors
from .content import to_json
from .lists import check_limit, in_order
from .request_schema import Record
from .responses import Handler


async def _create(state: State, request: Record) -> object:
    agent_id, body = request.query.agent_id, request.body
    if agent_id not in state.agents:
        raise errors.agent_not_found()
    labels = body.isolated_block_labels or ()
    existing = [block["label"] for block in state.agents[agent_id].blocks]
    if missing := [label for label in labels if label not in existing]:
        raise errors.invalid_argument(f"Block with label '{missing[0]}' not found on agent '{agent_id}'")
    conversation = setup_api.create_conversation(state, agent_id, body.summary)
    conversation.model, conversation.model_settings = body.model, to_json(body.model_settings)
    conversation.isolated_block_ids = [state.ids.new("block") for _ in labels]
    return setup_api.conversation_json(conversation, with_messages=False)


async def _list(state: State, request: Record) -> object:
    query = request.query
    order, order_by, after = query.order, query.order_by, query.after
    conversations = [each for each in state.conversations.values() if query.agent_id in (None, each.thread.agent_id)]
    if query.summary_search:
        conversations = [each for each in conversations if query.summary_search in (each.summary or "")]

    def key(conversation: Conversation) -> datetime | None:
        if order_by == "last_run_completion":
            return state.last_completion(conversation.id)
        return conversation.created_at if order_by == "created_at" else conversation.last_message_at

    selected = in_order(conversations, key, order)
    if after:
        # The cursor can be a deleted conversation.
        last = key(state.deleted_conversations.get(after) or state.conversation(after))
        if last is None:
            # Conversations without a date follow the others, in the order of their ids.
            ids = [each.id for each in selected]
            selected = selected[ids.index(after) + 1 :] if after in ids else []
        else:
            selected = [each for each in selected if _is_after(each, key(each), after, last, order)]
    check_limit(query.limit)
    return [setup_api.conversation_json(each, with_messages=False) for each in selected[: query.limit]]


def _is_after(conversation: Conversation, value: datetime | None, after: str, last: datetime, order: str) -> bool:
    """Return whether a conversation follows a cursor. Without a date it does in descending order only."""
    if value is None:
        return order == "desc"
    return (value, conversation.id) > (last, after) if order == "asc" else (value, conversation.id) < (last, after)


async def _retrieve(state: State, request: Record) -> object:
    return setup_api.conversation_json(state.conversation(request.path.conversation_id))


async def _update(state: State, request: Record) -> object:
    conversation = state.conversation(request.path.conversation_id)
    for name in ("summary", "model", "model_settings", "last_message_at"):
        value = to_json(getattr(request.body, name))
        if name == "last_message_at" and value is not None:
            value = value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)
        if value is not None:
            setattr(conversation, name, value)
    conversation.updated_at = state.clock.now()
    return setup_api.conversation_json(conversation, with_messages=False)


async def _delete(state: State, request: Record) -> object:
    conversation = state.conversation(request.path.conversation_id)
    state.deleted_conversations[conversation.id] = state.conversations.pop(conversation.id)
    return None


async def _cancel(state: State, request: Record) -> object:
    conversation_id = request.path.conversation_id
    direct = state.direct_agent_id(conversation_id, request.query.agent_id)
    if direct is None:
        state.conversation(conversation_id)
    runs = state.active_runs(conversation_id, direct)
    if not runs:
        raise errors.plain(409, f"CONFLICT: No active runs to cancel for conversation {conversation_id}")
    for run in runs:
        cancel(state, run)
    return {run.id: "cancelled" for run in runs}


ROUTES: Final[Sequence[tuple[str, str, Handler]]] = (
    ("POST", "/v1/conversations/", _create),
    ("GET", "/v1/conversations/", _list),
    ("GET", "/v1/conversations/{conversation_id}", _retrieve),
    ("PATCH", "/v1/conversations/{conversation_id}", _update),
    ("DELETE", "/v1/conversations/{conversation_id}", _delete),
    ("POST", "/v1/conversations/{conversation_id}/cancel", _cancel),
)
"""Method, path and handler of each operation."""
