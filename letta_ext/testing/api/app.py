"""The ASGI application: routes and handlers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import cast

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ..._version import LETTA_VERSION
from ..engine import compaction, message_service
from ..scenarios import setup_api
from ..scenarios.builtin import BuiltinScenario, Scenario
from ..scenarios.selection import select_scenario
from ..store.state import State
from . import agents, conversations, errors, lists, requests, runs, serializers
from .incoming import read
from .request_schema import Record, operation
from .requests import page
from .responses import CompactJSON, EventStream, Handler


def create_app(scenario: BuiltinScenario | Scenario | Path | str = "default") -> Starlette:
    """Return a Letta server as an ASGI application.

    Its state, with the script, is at ``app.state.scenario.state``.

    Args:
        scenario: The name of a built-in scenario, the path of a scenario file, or a scenario from
            `letta_ext.testing.build`. Defaults to ``default``.

    Raises:
        ValueError: If the scenario does not exist, or its file is invalid.
    """
    selected = select_scenario(scenario)
    state = selected.state

    def bind(method: str, path: str, handler: Handler) -> Callable[[Request], Awaitable[Response]]:
        # Examples of the documentation send no message.
        default_input = "hello" if state.documented and handler is _send else None

        async def endpoint(request: Request) -> Response:
            try:
                incoming = await read(request, operation(method, path), default_input=default_input)
                result = await handler(state, incoming)
            except errors.ApiError as error:
                return CompactJSON(error.body, error.status)
            return result if isinstance(result, Response) else CompactJSON(result)

        return endpoint

    table: list[tuple[str, str, Handler]] = [
        ("GET", "/v1/health/", _health),
        ("POST", "/v1/tools/", _create_tool),
        ("GET", "/v1/tools/", _list_tools),
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
        *agents.ROUTES,
        *conversations.ROUTES,
        *runs.ROUTES,
    ]
    routes = [Route(path, bind(method, path, handler), methods=[method]) for method, path, handler in table]
    for route in routes:
        # Starlette adds HEAD to GET, and Letta responds to it with 405.
        route.methods = (route.methods or set()) - {"HEAD"}
    app = Starlette(routes=routes, exception_handlers={HTTPException: _http_error})
    app.state.scenario = selected
    return app


async def _http_error(_: Request, error: Exception) -> Response:
    known = cast("HTTPException", error)
    return CompactJSON({"detail": known.detail}, known.status_code)


async def _health(_: State, __: Record) -> object:
    return {"version": LETTA_VERSION, "status": "ok"}


async def _create_tool(state: State, request: Record) -> object:
    body = request.body
    approval = bool(body.default_requires_approval)
    return setup_api.tool_json(setup_api.create_tool(state, body.source_code, requires_approval=approval))


async def _list_tools(state: State, request: Record) -> object:
    name = request.query.name
    return [setup_api.tool_json(tool) for tool in state.tools.values() if name in (None, tool.name)]


async def _list_messages(state: State, request: Record) -> object:
    conversation_id, query = request.path.conversation_id, request.query
    direct = state.direct_agent_id(conversation_id, query.agent_id)
    if direct is None and conversation_id not in state.conversations:
        # Letta does not check that the conversation exists.
        return []
    if direct is not None and direct not in state.agents:
        raise errors.agent_not_found()
    thread = state.thread(conversation_id, query.agent_id)
    relative = state.order_relative_cursors
    return lists.thread_messages(thread, state.stored(), query, page(query), order_relative=relative)


async def _send(state: State, request: Record) -> object:
    conversation_id, options = request.path.conversation_id, request.body
    sent = requests.send(options, state.ids)
    thread = state.thread(conversation_id, options.agent_id)
    if options.override_model and options.override_model not in state.models:
        raise errors.unknown_handle(options.override_model)
    if not thread.is_default:
        state.conversation(conversation_id).last_message_at = state.clock.now()
    if not options.streaming:
        return await message_service.send_json(state, thread, sent)
    return EventStream(message_service.send_stream(state, thread, sent))


async def _resume(state: State, request: Record) -> object:
    run = message_service.resumed_run(state, request.path.conversation_id, request.body)
    if request.body.batch_size is not None and request.body.batch_size < 1:
        # Letta fails before the first event, without a body.
        return Response(status_code=500, media_type="text/event-stream")
    return EventStream(message_service.resume_stream(state, run, request.body))


async def _compact(state: State, request: Record) -> object:
    thread = state.thread(request.path.conversation_id, request.body.agent_id)
    agent = state.agent(thread.agent_id)
    try:
        settings = setup_api.compaction_from(request.body.compaction_settings, agent.compaction)
        return compaction.compact(state, agent, thread, settings)
    except errors.ApiError:
        raise
    except Exception as error:  # a script function may raise any exception
        raise state.record_failure(error).as_response() from error


async def _list_steps(state: State, request: Record) -> object:
    found = lists.steps(state.steps_of_agents(), request.query, page(request.query))
    return [serializers.step(step) for step in found]


async def _retrieve_step(state: State, request: Record) -> object:
    return serializers.step(state.step(request.path.step_id))


async def _step_metrics(state: State, request: Record) -> object:
    return serializers.step_metrics(state.step(request.path.step_id, "StepMetrics"))


async def _step_trace(state: State, request: Record) -> object:
    # Letta keeps the traces of deleted agents.
    step = state.steps.get(request.path.step_id)
    return step.trace() if step and step.trace else None


async def _step_messages(state: State, request: Record) -> object:
    step = state.find_step(request.path.step_id)
    return lists.step_messages(step.messages if step else [], state.stored(), page(request.query))


async def _step_feedback(state: State, request: Record) -> object:
    step = state.step(request.path.step_id)
    step.feedback = request.body.feedback
    if request.body.tags is not None:
        step.tags = list(request.body.tags)
    return serializers.step(step)
