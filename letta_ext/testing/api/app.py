"""The HTTP surface: which path does what. Every decision is made elsewhere."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import cast

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from ..engine import compaction, message_service
from ..scenarios import setup_api
from ..scenarios.builtin import BuiltinScenario, Scenario
from ..scenarios.selection import select_scenario
from ..store.ids import is_id
from ..store.state import State
from . import errors, lists, requests, serializers
from .responses import CompactJSON, EventStream
from .validation import NOT_AN_OBJECT, Fields, Problems, cleaned, is_object

Handler = Callable[[State, Request], Awaitable[Response]]

VERSION = "0.16.8"
"""The release of the real server whose behaviour this is."""

LONGEST_BODY = 16 * 2**20
"""How many bytes a request's body may have."""

_UNREADABLE = "There was an error parsing the body"
_LISTS = ("trace_ids", "tags", "include_return_message_types")


def create_app(scene: BuiltinScenario | Scenario | Path | str = "default") -> Starlette:
    """Return a Letta server as an ASGI application.

    Its memory is at ``app.state.stage.state``, and with it the script of what its agents answer.

    Args:
        scene: what the server holds: a scene's name, the path of a scene file, or a stage that
            :func:`letta_ext.testing.build` set.

    Raises:
        ValueError: there is no such scene, or its file is not one.
    """
    stage = select_scenario(scene)
    state = stage.state

    def bind(handler: Handler) -> Callable[[Request], Awaitable[Response]]:
        async def endpoint(request: Request) -> Response:
            try:
                return await handler(state, request)
            except errors.ApiError as error:
                return CompactJSON(error.body, error.status)

        return endpoint

    table: list[tuple[str, str, Handler]] = [
        ("GET", "/v1/health/", _health),
        ("POST", "/v1/tools/", _create_tool),
        ("GET", "/v1/tools/", _list_tools),
        ("POST", "/v1/agents/", _create_agent),
        ("GET", "/v1/agents/", _list_agents),
        ("GET", "/v1/agents/{agent_id}", _retrieve_agent),
        ("POST", "/v1/conversations/", _create_conversation),
        ("GET", "/v1/conversations/", _list_conversations),
        ("GET", "/v1/conversations/{conversation_id}", _retrieve_conversation),
        ("POST", "/v1/conversations/{conversation_id}/cancel", _cancel),
        ("GET", "/v1/conversations/{conversation_id}/messages", _list_messages),
        ("POST", "/v1/conversations/{conversation_id}/messages", _send),
        ("POST", "/v1/conversations/{conversation_id}/stream", _resume),
        ("POST", "/v1/conversations/{conversation_id}/compact", _compact),
        ("GET", "/v1/steps/", _list_steps),
        ("GET", "/v1/steps/{step_id}", _retrieve_step),
        ("GET", "/v1/steps/{step_id}/metrics", _step_metrics),
        ("GET", "/v1/steps/{step_id}/trace", _step_trace),
        ("GET", "/v1/steps/{step_id}/messages", _step_messages),
        ("PATCH", "/v1/steps/{step_id}/feedback", _step_feedback),
        ("GET", "/v1/runs/{run_id}", _retrieve_run),
    ]
    routes = [Route(path, bind(handler), methods=[method]) for method, path, handler in table]
    for route in routes:
        route.methods = (route.methods or set()) - {"HEAD"}  # Starlette adds it to GET, and Letta answers it with 405
    app = Starlette(routes=routes, exception_handlers={HTTPException: _http_error})
    app.state.stage = stage
    return app


async def _http_error(_: Request, error: Exception) -> Response:
    known = cast("HTTPException", error)
    return CompactJSON({"detail": known.detail}, known.status_code)


async def _body(request: Request, problems: Problems, *, required: bool = True) -> Fields:
    raw = await _read(request)
    value: object = None
    if raw and not _says_json(request.headers.get("content-type", "")):
        value = raw
    elif raw:
        try:
            value = cleaned(json.loads(raw))
        except json.JSONDecodeError as error:
            problems.add("json_invalid", ("body", error.pos), "JSON decode error", {}, error=error.msg)
            problems.raise_if_any()
        except (ValueError, RecursionError):  # not UTF-8, a number of more than 4,300 digits, or nested too deeply
            raise errors.plain(400, _UNREADABLE) from None
    if value is None:
        if required:
            problems.missing(("body",), None)
            problems.raise_if_any()
        value = {}
    if not is_object(value):
        problems.add("model_attributes_type", ("body",), NOT_AN_OBJECT, value)
        raise errors.validation(problems.found)
    return Fields(value, ("body",), problems)


async def _read(request: Request) -> bytes:
    raw = bytearray()
    try:
        async for part in request.stream():
            raw += part
            if len(raw) > LONGEST_BODY:
                raise errors.plain(413, f"The body has more than {LONGEST_BODY} bytes")
    except ClientDisconnect:
        raise errors.plain(400, _UNREADABLE) from None
    return bytes(raw)


def _says_json(content_type: str) -> bool:
    kind = content_type.partition(";")[0].strip().lower()
    return kind == "application/json" or (kind.startswith("application/") and kind.endswith("+json"))


def _query(request: Request, problems: Problems) -> Fields:
    values: dict[str, object] = dict(request.query_params)
    for name in _LISTS:
        if name in values:
            values[name] = request.query_params.getlist(name)
    return Fields(values, ("query",), problems)


def _conversation_id(request: Request, problems: Problems) -> str:
    conversation_id = str(request.path_params["conversation_id"])
    requests.check_conversation_path(conversation_id, problems)
    return conversation_id


def _step_id(request: Request) -> str:
    step_id = str(request.path_params["step_id"])
    requests.check_step_path(step_id)
    return step_id


async def _health(_: State, __: Request) -> Response:
    return CompactJSON({"version": VERSION, "status": "ok"})


async def _create_tool(state: State, request: Request) -> Response:
    return CompactJSON(setup_api.tool_json(setup_api.tool_from(state, await _body(request, Problems()))))


async def _list_tools(state: State, request: Request) -> Response:
    name = request.query_params.get("name")
    return CompactJSON([setup_api.tool_json(tool) for tool in state.tools.values() if name in (None, tool.name)])


async def _create_agent(state: State, request: Request) -> Response:
    return CompactJSON(setup_api.agent_json(setup_api.agent_from(state, await _body(request, Problems()))))


async def _list_agents(state: State, request: Request) -> Response:
    fields = _query(request, Problems())
    limit = fields.integer("limit", 50)
    fields.problems.raise_if_any()
    newest_first = list(reversed(state.agents.values()))
    return CompactJSON([setup_api.agent_json(agent) for agent in newest_first[:limit]])


async def _retrieve_agent(state: State, request: Request) -> Response:
    return CompactJSON(setup_api.agent_json(state.agent(str(request.path_params["agent_id"]))))


async def _create_conversation(state: State, request: Request) -> Response:
    query = _query(request, Problems())
    agent_id = query.text("agent_id") if "agent_id" in query.values else None
    if agent_id is None:
        query.problems.missing(("query", "agent_id"), None)
    query.problems.raise_if_any()
    body = await _body(request, Problems(), required=False)
    summary = body.optional_text("summary")
    body.problems.raise_if_any()
    conversation = setup_api.create_conversation(state, agent_id or "", summary)
    return CompactJSON(setup_api.conversation_json(conversation, whole=False))


async def _list_conversations(state: State, request: Request) -> Response:
    fields = _query(request, Problems())
    agent_id = fields.optional_text("agent_id")
    limit = fields.integer("limit", 50)
    order = fields.choice("order", "desc", ("asc", "desc"))
    after = fields.optional_text("after")
    fields.problems.raise_if_any()
    known = [each for each in state.conversations.values() if agent_id in (None, each.thread.agent_id)]
    if order == "desc":
        known.reverse()
    ids = [each.id for each in known]
    start = ids.index(after) + 1 if after in ids else 0
    return CompactJSON([setup_api.conversation_json(each, whole=False) for each in known[start : start + limit]])


async def _retrieve_conversation(state: State, request: Request) -> Response:
    conversation = state.conversation(str(request.path_params["conversation_id"]))
    return CompactJSON(setup_api.conversation_json(conversation))


async def _cancel(state: State, request: Request) -> Response:
    problems = Problems()
    conversation_id = _conversation_id(request, problems)
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


async def _list_messages(state: State, request: Request) -> Response:
    problems = Problems()
    conversation_id = _conversation_id(request, problems)
    fields = _query(request, problems)
    agent_id = fields.optional_text("agent_id")
    page = requests.page(fields, default_order="desc", default_limit=100)
    types = requests.message_types(fields)
    fields.optional_boolean("include_err")
    problems.raise_if_any()
    if fields.get("group_id"):
        return CompactJSON([])  # groups of agents, of which this server has none
    direct = state.direct_agent_id(conversation_id, agent_id)
    if direct is None and conversation_id not in state.conversations:
        # The real server does not look whether there is such a conversation.
        return CompactJSON([])
    if direct is not None and direct not in state.agents:
        raise errors.agent_not_found()
    thread = state.thread(conversation_id, agent_id)
    relative = state.order_relative_cursors
    return CompactJSON(lists.thread_messages(thread, page, types, order_relative=relative))


async def _send(state: State, request: Request) -> Response:
    problems = Problems()
    conversation_id = _conversation_id(request, problems)
    fields = await _body(request, problems, required=state.documented is None)
    wanted = requests.send(fields, state.ids, anything=state.documented is not None)
    thread = state.thread(conversation_id, wanted.agent_id)
    if wanted.override_model and wanted.override_model not in state.models:
        raise errors.plain(404, f"NOT_FOUND: Handle {wanted.override_model} not found, must be one of")
    if not thread.is_default:
        state.conversation(conversation_id).last_message_at = state.clock.now()
    if not wanted.streaming:
        return CompactJSON(await message_service.send_json(state, thread, wanted))
    return EventStream(message_service.send_stream(state, thread, wanted))


async def _resume(state: State, request: Request) -> Response:
    problems = Problems()
    conversation_id = _conversation_id(request, problems)
    wanted = requests.resume(await _body(request, problems, required=False))
    run = message_service.resumed_run(state, conversation_id, wanted)
    if wanted.batch_size is not None and wanted.batch_size < 1:
        # The real server fails before the first event, and says no more than this.
        return Response(status_code=500, media_type="text/event-stream")
    return EventStream(message_service.resume_stream(state, run, wanted))


async def _compact(state: State, request: Request) -> Response:
    problems = Problems()
    conversation_id = _conversation_id(request, problems)
    wanted = requests.compact(await _body(request, problems, required=False))
    thread = state.thread(conversation_id, wanted.agent_id)
    try:
        return CompactJSON(compaction.compact(state, state.agent(thread.agent_id), thread, wanted.mode))
    except errors.ApiError:
        raise
    except Exception as error:  # a function of the script may raise any exception
        raise state.failed(error).as_response() from error


async def _list_steps(state: State, request: Request) -> Response:
    fields = _query(request, Problems())
    page = requests.page(fields, default_order="desc", default_limit=50)
    wanted = requests.step_filter(fields)
    fields.problems.raise_if_any()
    if wanted.agent_id is not None and not is_id("agent", wanted.agent_id):
        expected = "Expected format: 'agent-<uuid4>'"
        raise errors.invalid_argument(f"Invalid agent ID format: {wanted.agent_id}. {expected}")
    found = lists.steps(list(state.steps.values()), wanted, page)
    return CompactJSON([serializers.step(step) for step in found])


async def _retrieve_step(state: State, request: Request) -> Response:
    return CompactJSON(serializers.step(state.step(_step_id(request))))


async def _step_metrics(state: State, request: Request) -> Response:
    return CompactJSON(serializers.step_metrics(state.step(_step_id(request), "StepMetrics")))


async def _step_trace(state: State, request: Request) -> Response:
    step = state.steps.get(_step_id(request))
    return CompactJSON(step.trace.as_json() if step and step.trace else None)


async def _step_messages(state: State, request: Request) -> Response:
    step_id = _step_id(request)
    fields = _query(request, Problems())
    page = requests.page(fields, default_order="asc", default_limit=100)
    fields.problems.raise_if_any()
    step = state.steps.get(step_id)
    return CompactJSON(lists.step_messages(step, page) if step else [])


async def _step_feedback(state: State, request: Request) -> Response:
    step_id = _step_id(request)
    wanted = requests.feedback(await _body(request, Problems()))
    step = state.step(step_id)
    step.feedback = wanted.feedback
    if wanted.tags is not None:
        step.tags = list(wanted.tags)
    return CompactJSON(serializers.step(step))


async def _retrieve_run(state: State, request: Request) -> Response:
    run_id = str(request.path_params["run_id"])
    if not is_id("run", run_id):
        expected = "Expected format: 'run-<uuid4>'"
        raise errors.invalid_argument(f"Invalid run ID format: {run_id}. {expected}")
    if run_id not in state.runs:
        raise errors.not_found("Run", run_id)
    return CompactJSON(setup_api.run_json(state.runs[run_id]))
