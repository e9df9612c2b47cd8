"""The conversations of the embedded server."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from ..scenarios import setup_api
from ..store.models import Conversation
from ..store.state import State
from . import errors
from .incoming import body_of, conversation_id_of, own_conversation_id_of, query_of
from .lists import check_limit, in_order
from .responses import CompactJSON, Handler
from .validation import Fields, Problems

ORDERS: Final = ("created_at", "last_run_completion", "last_message_at")


async def _create(state: State, request: Request) -> Response:
    query = query_of(request, Problems())
    agent_id = query.text("agent_id") if "agent_id" in query.values else None
    if agent_id is None:
        query.problems.missing(("query", "agent_id"), None)
    query.problems.raise_if_any()
    body = await body_of(request, Problems(), required=False)
    summary, labels = body.optional_text("summary"), body.optional_texts("isolated_block_labels")
    model, settings = body.optional_text("model"), body.optional_dict("model_settings")
    body.problems.raise_if_any()
    if agent_id not in state.agents:
        raise errors.agent_not_found()
    existing = [block.label for block in state.agents[agent_id].blocks]
    if missing := [label for label in labels or () if label not in existing]:
        raise errors.invalid_argument(f"Block with label '{missing[0]}' not found on agent '{agent_id}'")
    conversation = setup_api.create_conversation(state, agent_id, summary)
    conversation.model, conversation.model_settings = model, settings
    conversation.isolated_block_ids = [state.ids.new("block") for _ in labels or ()]
    return CompactJSON(setup_api.conversation_json(conversation, with_messages=False))


async def _list(state: State, request: Request) -> Response:
    fields = query_of(request, Problems())
    agent_id, limit = fields.optional_text("agent_id"), fields.integer("limit", 50)
    after, text = fields.optional_text("after"), fields.optional_text("summary_search")
    order = fields.choice("order", "desc", ("asc", "desc"))
    order_by = fields.choice("order_by", "created_at", ORDERS)
    fields.problems.raise_if_any()
    conversations = [each for each in state.conversations.values() if agent_id in (None, each.thread.agent_id)]
    if text:
        conversations = [each for each in conversations if text in (each.summary or "")]

    def key(conversation: Conversation) -> datetime | None:
        if order_by == "last_run_completion":
            return state.last_completion(conversation.id)
        return conversation.created_at if order_by == "created_at" else conversation.last_message_at

    selected = in_order(conversations, key, order)
    if after:
        last = key(state.conversation(after))
        if last is None:
            # Conversations without a date follow the others, in the order of their ids.
            ids = [each.id for each in selected]
            selected = selected[ids.index(after) + 1 :] if after in ids else []
        else:
            selected = [each for each in selected if _is_after(each, key(each), after, last, order)]
    check_limit(limit)
    return CompactJSON([setup_api.conversation_json(each, with_messages=False) for each in selected[:limit]])


def _is_after(conversation: Conversation, value: datetime | None, after: str, last: datetime, order: str) -> bool:
    """Return whether a conversation follows a cursor. Without a date it does in descending order only."""
    if value is None:
        return order == "desc"
    return (value, conversation.id) > (last, after) if order == "asc" else (value, conversation.id) < (last, after)


async def _retrieve(state: State, request: Request) -> Response:
    return CompactJSON(setup_api.conversation_json(state.conversation(own_conversation_id_of(request))))


async def _update(state: State, request: Request) -> Response:
    conversation_id, fields = own_conversation_id_of(request), await body_of(request, Problems())
    summary, model = fields.optional_text("summary"), fields.optional_text("model")
    settings, date = fields.optional_dict("model_settings"), _date(fields, "last_message_at")
    fields.problems.raise_if_any()
    conversation = state.conversation(conversation_id)
    conversation.summary = conversation.summary if summary is None else summary
    conversation.model = conversation.model if model is None else model
    conversation.model_settings = conversation.model_settings if settings is None else settings
    conversation.last_message_at = date or conversation.last_message_at
    conversation.updated_at = state.clock.now()
    return CompactJSON(setup_api.conversation_json(conversation, with_messages=False))


def _date(fields: Fields, name: str) -> datetime | None:
    text = fields.optional_text(name)
    try:
        return datetime.fromisoformat(text) if text else None
    except ValueError:
        message = "Input should be a valid datetime or date, input is too short"
        location = (*fields.location, name)
        fields.problems.add("datetime_from_date_parsing", location, message, text, error="input is too short")
        return None


async def _delete(state: State, request: Request) -> Response:
    conversation = state.conversation(own_conversation_id_of(request))
    del state.conversations[conversation.id]
    return CompactJSON(None)


async def _cancel(state: State, request: Request) -> Response:
    problems = Problems()
    conversation_id = conversation_id_of(request, problems)
    problems.raise_if_any()
    direct = state.direct_agent_id(conversation_id, request.query_params.get("agent_id"))
    if direct is None:
        state.conversation(conversation_id)
    runs = state.active_runs(conversation_id, direct)
    if not runs:
        raise errors.plain(409, f"CONFLICT: No active runs to cancel for conversation {conversation_id}")
    for run in runs:
        run.finish("cancelled", state.clock.now(), "cancelled")
    return CompactJSON({run.id: "cancelled" for run in runs})


ROUTES: Final[Sequence[tuple[str, str, Handler]]] = (
    ("POST", "/v1/conversations/", _create),
    ("GET", "/v1/conversations/", _list),
    ("GET", "/v1/conversations/{conversation_id}", _retrieve),
    ("PATCH", "/v1/conversations/{conversation_id}", _update),
    ("DELETE", "/v1/conversations/{conversation_id}", _delete),
    ("POST", "/v1/conversations/{conversation_id}/cancel", _cancel),
)
"""Method, path and handler of each operation."""
