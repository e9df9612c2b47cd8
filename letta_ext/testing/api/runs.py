"""The runs of the embedded server."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, get_args

from letta_api.enums import RunStatus

from ..engine.runs import Run
from ..scenarios import setup_api
from ..store.ids import is_id
from ..store.state import State
from . import errors, lists, serializers
from .request_schema import Record
from .requests import page
from .responses import Handler


async def _list(state: State, request: Record) -> object:
    query = request.query
    if unknown := [status for status in query.statuses or () if status not in get_args(RunStatus)]:
        raise errors.plain(400, f"'{unknown[0]}' is not a valid RunStatus")
    agents = [query.agent_id] if query.agent_id else query.agent_ids
    statuses = query.statuses or (["created", "running"] if query.active else None)

    def matches(run: Run) -> bool:
        json_run = setup_api.run_json(run)
        return (
            (not agents or run.agent_id in agents)
            and (not query.conversation_id or run.conversation_id == query.conversation_id)
            and (not statuses or json_run["status"] in statuses)
            and (query.background is None or run.background == query.background)
            and (query.stop_reason is None or json_run["stop_reason"] == query.stop_reason)
        )

    order = "asc" if query.ascending else query.order
    ordered = lists.in_order(state.runs_of_agents(), lambda run: run.created_at, order)
    # A cursor can be any run. `after` selects the runs before it, `before` those after it. A cursor without a run is
    # ignored.
    ids = [run.id for run in ordered]
    end = ids.index(query.after) if query.after in ids else None
    start = ids.index(query.before) + 1 if query.before in ids else 0
    selected = [run for run in ordered[start:end] if matches(run)]
    return [setup_api.run_json(run) for run in selected[: query.limit]]


async def _retrieve(state: State, request: Record) -> object:
    return setup_api.run_json(_run(state, request))


async def _messages(state: State, request: Record) -> object:
    run = _run(state, request)
    return lists.run_messages(state.stored(), run.id, page(request.query))


async def _steps(state: State, request: Record) -> object:
    found = lists.run_steps(list(state.steps.values()), _run(state, request).id, page(request.query))
    return [serializers.step(step) for step in found]


def _run(state: State, request: Record) -> Run:
    run_id = request.path.run_id
    if not is_id("run", run_id):
        raise errors.invalid_id("run", run_id)
    return state.run(run_id)


ROUTES: Final[Sequence[tuple[str, str, Handler]]] = (
    ("GET", "/v1/runs/", _list),
    ("GET", "/v1/runs/{run_id}", _retrieve),
    ("GET", "/v1/runs/{run_id}/messages", _messages),
    ("GET", "/v1/runs/{run_id}/steps", _steps),
)
"""Method, path and handler of each operation."""
