"""The agents of the embedded server."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final, get_args

from starlette.requests import Request
from starlette.responses import Response

from letta_api.enums import AgentRelation, StopReasonType

from ..scenarios import setup_api
from ..store.models import Agent, Json
from ..store.state import State
from . import errors
from .incoming import agent_id_of, body_of, query_of
from .lists import check_limit, in_order
from .responses import CompactJSON, Handler
from .validation import Problems

_CLOUD_FILTERS: Final = (
    *("project_id", "template_id", "base_template_id", "identity_id", "created_by_id"),
    "identifier_keys",
)
"""Filters by properties that no agent of this server has."""


async def _create(state: State, request: Request) -> Response:
    return CompactJSON(setup_api.agent_json(setup_api.agent_from(state, await body_of(request, Problems()))))


async def _list(state: State, request: Request) -> Response:
    fields = query_of(request, Problems())
    name, query_text = fields.optional_text("name"), fields.optional_text("query_text")
    tags, match_all = fields.optional_texts("tags"), fields.boolean("match_all_tags", default=False)
    before, after = fields.optional_text("before"), fields.optional_text("after")
    limit = fields.optional_integer("limit", 50)
    cloud = [fields.get(each) for each in _CLOUD_FILTERS]
    fields.optional_choices("include", get_args(AgentRelation), "literal_error")
    order = fields.choice("order", "desc", ("asc", "desc"))
    order_by = fields.choice("order_by", "created_at", ("created_at", "updated_at", "last_run_completion"))
    fields.boolean("ascending", default=False)
    stop_reason = fields.optional_choice("last_stop_reason", get_args(StopReasonType), "enum")
    fields.problems.raise_if_any()
    check_limit(limit or 0)

    def matches(agent: Agent) -> bool:
        has = agent.tags.__contains__
        return (
            (not name or agent.name == name)
            and (not query_text or query_text.lower() in agent.name.lower())
            and (not tags or (all if match_all else any)(map(has, tags)))
            and (stop_reason is None or agent.last_stop_reason == stop_reason)
            and not any(cloud)
        )

    def key(agent: Agent) -> datetime | None:
        return {"created_at": agent.created_at, "updated_at": agent.updated_at}.get(order_by)

    selected = in_order([agent for agent in state.agents.values() if matches(agent)], key, order)
    # A cursor without an agent is ignored. A limit of 0 means no limit.
    ids = [agent.id for agent in selected]
    start = ids.index(after) + 1 if after in ids else 0
    end = ids.index(before) if before in ids else None
    return CompactJSON([setup_api.agent_json(agent) for agent in selected[start:end][: limit or None]])


async def _retrieve(state: State, request: Request) -> Response:
    agent_id, fields = agent_id_of(request), query_of(request, Problems())
    fields.optional_choices("include", get_args(AgentRelation), "literal_error")
    fields.problems.raise_if_any()
    return CompactJSON(setup_api.agent_json(state.agent(agent_id)))


async def _update(state: State, request: Request) -> Response:
    agent_id, fields = agent_id_of(request), await body_of(request, Problems())
    apply = setup_api.agent_changes(state, fields)
    fields.problems.raise_if_any()
    if agent_id not in state.agents:
        raise errors.not_found("Agent", agent_id)
    agent = state.agents[agent_id]
    apply(agent)
    agent.updated_at = state.clock.now()
    return CompactJSON(setup_api.agent_json(agent))


async def _delete(state: State, request: Request) -> Response:
    agent_id = agent_id_of(request)
    if agent_id not in state.agents:
        raise errors.not_found("Agent", agent_id)
    state.delete_agent(agent_id)
    return CompactJSON({"message": f"Agent id={agent_id} successfully deleted"})


async def _cancel(state: State, request: Request) -> Response:
    agent_id, fields = agent_id_of(request), await body_of(request, Problems(), required=False)
    run_ids = fields.optional_texts("run_ids")
    fields.problems.raise_if_any()
    return CompactJSON(_cancelled(state, run_ids or _runs_of(state, agent_id)))


def _runs_of(state: State, agent_id: str) -> Sequence[str]:
    """Return the active runs of an agent, or its latest run, as in Letta."""
    runs = [run.id for run in state.active_runs(None, agent_id)]
    runs = runs or [run.id for run in reversed(state.runs_of_agents()) if run.agent_id == agent_id][:1]
    if not runs:
        raise errors.plain(409, f"CONFLICT: No active runs to cancel for agent {agent_id}")
    return runs


def _cancelled(state: State, run_ids: Sequence[str]) -> Json:
    results: Json = {}
    for run_id in run_ids:
        run = state.runs.get(run_id)
        if run is not None:
            run.finish("cancelled", state.clock.now(), "cancelled")
        results[run_id] = "failed" if run is None else "cancelled"
    return results


ROUTES: Final[Sequence[tuple[str, str, Handler]]] = (
    ("POST", "/v1/agents/", _create),
    ("GET", "/v1/agents/", _list),
    ("GET", "/v1/agents/{agent_id}", _retrieve),
    ("PATCH", "/v1/agents/{agent_id}", _update),
    ("DELETE", "/v1/agents/{agent_id}", _delete),
    ("POST", "/v1/agents/{agent_id}/messages/cancel", _cancel),
)
"""Method, path and handler of each operation."""
