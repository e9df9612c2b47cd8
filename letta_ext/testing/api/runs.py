"""The runs of the embedded server."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, get_args

from starlette.requests import Request
from starlette.responses import Response

from letta_api.enums import RunStatus, StopReasonType

from ..engine.runs import Run
from ..scenarios import setup_api
from ..store.state import State
from . import errors, lists, requests, serializers
from .incoming import query_of, run_id_of
from .responses import CompactJSON, Handler
from .validation import Problems

MAX_LIMIT: Final = 1000
"""Maximum limit of the list of runs."""


async def _list(state: State, request: Request) -> Response:
    fields = query_of(request, Problems())
    agent_ids, agent_id = fields.optional_texts("agent_ids"), fields.optional_text("agent_id")
    statuses, background = fields.optional_texts("statuses"), fields.optional_boolean("background")
    stop_reason = fields.optional_choice("stop_reason", get_args(StopReasonType), "enum")
    conversation_id = fields.optional_text("conversation_id")
    before, after = fields.optional_text("before"), fields.optional_text("after")
    limit = fields.integer("limit", 100)
    if "limit" in fields.values and not any(each["loc"] == ("query", "limit") for each in fields.problems.found):
        fields.problems.bounds(("query", "limit"), fields.values["limit"], limit, minimum=1, maximum=MAX_LIMIT)
    order = fields.choice("order", "desc", ("asc", "desc"))
    fields.choice("order_by", "created_at", ("created_at",))
    active, ascending = fields.boolean("active", default=False), fields.boolean("ascending", default=False)
    fields.problems.raise_if_any()
    if unknown := [status for status in statuses or () if status not in get_args(RunStatus)]:
        raise errors.plain(400, f"'{unknown[0]}' is not a valid RunStatus")
    agents = [agent_id] if agent_id else agent_ids
    statuses = statuses or (["created", "running"] if active else None)

    def matches(run: Run) -> bool:
        json_run = setup_api.run_json(run)
        return (
            (not agents or run.agent_id in agents)
            and (not conversation_id or run.conversation_id == conversation_id)
            and (not statuses or json_run["status"] in statuses)
            and (background is None or run.background == background)
            and (stop_reason is None or json_run["stop_reason"] == stop_reason)
        )

    order = "asc" if ascending else order
    selected = lists.in_order(
        [run for run in state.runs_of_agents() if matches(run)], lambda run: run.created_at, order
    )
    # `after` selects the runs before the cursor, `before` those after it. A cursor without a run is ignored.
    ids = [run.id for run in selected]
    end = ids.index(after) if after in ids else None
    start = ids.index(before) + 1 if before in ids else 0
    return CompactJSON([setup_api.run_json(run) for run in selected[start:end][:limit]])


async def _retrieve(state: State, request: Request) -> Response:
    return CompactJSON(setup_api.run_json(state.run(run_id_of(request))))


async def _messages(state: State, request: Request) -> Response:
    fields = query_of(request, Problems())
    page = requests.page(fields, default_order="asc", default_limit=100)
    fields.problems.raise_if_any()
    run = state.run(run_id_of(request))
    return CompactJSON(lists.run_messages(state.threads_of(run.agent_id), run.id, page))


async def _steps(state: State, request: Request) -> Response:
    fields = query_of(request, Problems())
    page = requests.page(fields, default_order="desc", default_limit=100)
    fields.problems.raise_if_any()
    run = state.run(run_id_of(request))
    found = lists.run_steps(list(state.steps.values()), run.id, page)
    return CompactJSON([serializers.step(step) for step in found])


ROUTES: Final[Sequence[tuple[str, str, Handler]]] = (
    ("GET", "/v1/runs/", _list),
    ("GET", "/v1/runs/{run_id}", _retrieve),
    ("GET", "/v1/runs/{run_id}/messages", _messages),
    ("GET", "/v1/runs/{run_id}/steps", _steps),
)
"""Method, path and handler of each operation."""
