"""The agents of the embedded server."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from ..engine.cancellation import cancel
from ..scenarios import setup_api
from ..store.models import Agent, Json
from ..store.state import State
from . import errors
from .lists import check_limit, in_order
from .request_schema import Record
from .responses import Handler

_CLOUD_FILTERS: Final = (
    *("project_id", "template_id", "base_template_id", "identity_id", "created_by_id"),
    "identifier_keys",
)
"""Filters by properties that no agent of this server has."""


_RELATIONS: Final = {
    "blocks": {"memory", "agent.blocks"},
    "tags": {"tags", "memory", "agent.tags", "agent.blocks"},
    "tools": {"tools", "agent.tools"},
}
"""Fields that a request can omit by selecting others, and the values that select them."""


async def _create(state: State, request: Record) -> object:
    return setup_api.agent_json(setup_api.agent_from(state, request.body))


async def _list(state: State, request: Record) -> object:
    query = request.query
    name, query_text, tags, order_by = query.name, query.query_text, query.tags, query.order_by
    limit, before, after = query.limit, query.before, query.after
    cloud = [getattr(query, each) for each in _CLOUD_FILTERS]
    check_limit(limit or 0)

    def matches(agent: Agent) -> bool:
        has = agent.tags.__contains__
        return (
            (not name or agent.name == name)
            and (not query_text or query_text.lower() in agent.name.lower())
            and (not tags or (all if query.match_all_tags else any)(map(has, tags)))
            and (query.last_stop_reason is None or agent.last_stop_reason == query.last_stop_reason)
            and not any(cloud)
        )

    def key(agent: Agent) -> datetime | None:
        return {"created_at": agent.created_at, "updated_at": agent.updated_at}.get(order_by)

    ordered = in_order(list(state.agents.values()), key, query.order)
    # A cursor can be any agent. A cursor without an agent is ignored. A limit of 0 means no limit.
    ids = [agent.id for agent in ordered]
    start = ids.index(after) + 1 if after in ids else 0
    end = ids.index(before) if before in ids else None
    selected = [agent for agent in ordered[start:end] if matches(agent)]
    return [_with_relations(agent, query) for agent in selected[: limit or None]]


async def _retrieve(state: State, request: Record) -> object:
    return _with_relations(state.agent(request.path.agent_id), request.query)


def _with_relations(agent: Agent, query: Record) -> Json:
    """Return the JSON of an agent with the relations that a query selects."""
    fields: dict[str, Any] = setup_api.agent_json(agent)
    legacy, include = query.include_relationships, query.include
    if legacy is not None or include:
        selected = set(include or legacy or ())
        for field, selectors in _RELATIONS.items():
            if not selected & selectors:
                fields[field] = []
        if not selected & _RELATIONS["blocks"]:
            fields["memory"] |= {"blocks": []}
    return fields


async def _update(state: State, request: Record) -> object:
    body = request.body
    limits = body.context_window_limit is not None or body.has("max_tokens")
    if body.model_settings is not None or body.parallel_tool_calls is not None or (limits and body.model is None):
        # Letta reads the agent first to change these.
        state.agent(request.path.agent_id)
    if body.embedding is not None and "/" not in body.embedding:
        raise errors.invalid_argument(f"Embedding model {body.embedding} not found")
    agent = _agent(state, request)
    setup_api.update_agent(state, agent, body)
    return setup_api.agent_json(agent)


async def _delete(state: State, request: Record) -> object:
    agent_id = _agent(state, request).id
    state.delete_agent(agent_id)
    return {"message": f"Agent id={agent_id} successfully deleted"}


def _agent(state: State, request: Record) -> Agent:
    agent_id = request.path.agent_id
    if agent_id not in state.agents:
        raise errors.not_found("Agent", agent_id)
    return state.agents[agent_id]


async def _cancel(state: State, request: Record) -> object:
    agent_id = request.path.agent_id
    # Letta remembers the latest run of each agent, also after both were deleted.
    latest = next((run.id for run in reversed(state.runs.values()) if run.agent_id == agent_id), None)
    run_ids = request.body.run_ids or [latest]
    if run_ids == [None]:
        raise errors.plain(409, f"CONFLICT: No active runs to cancel for agent {agent_id}")
    existing = {run.id: run for run in state.runs_of_agents()}
    for run_id in run_ids:
        if run_id in existing:
            cancel(state, existing[run_id])
    return {run_id: "cancelled" if run_id in existing else "failed" for run_id in run_ids}


ROUTES: Final[Sequence[tuple[str, str, Handler]]] = (
    ("POST", "/v1/agents/", _create),
    ("GET", "/v1/agents/", _list),
    ("GET", "/v1/agents/{agent_id}", _retrieve),
    ("PATCH", "/v1/agents/{agent_id}", _update),
    ("DELETE", "/v1/agents/{agent_id}", _delete),
    ("POST", "/v1/agents/{agent_id}/messages/cancel", _cancel),
)
"""Method, path and handler of each operation."""
