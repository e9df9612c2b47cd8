"""Sends messages: locks the conversation, starts the run, and streams or returns its response."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass

from ..api import errors, serializers
from ..api.request_schema import Record
from ..api.requests import Send
from ..store.ids import is_id
from ..store.models import Json, Thread
from ..store.state import State, request_token
from .agent_loop import AgentLoop, Mode, RunCancelledError
from .runs import Journal, Run

_CANCELLED = 'data: {"message_type": "stop_reason", "stop_reason": "cancelled"}\n\n'


def _keep_task(state: State, work: asyncio.Task[None]) -> None:
    state.tasks.add(work)
    work.add_done_callback(state.tasks.discard)


async def send_json(state: State, thread: Thread, request: Send) -> Json:
    """Process a request with ``streaming=false``. The run continues if the client disconnects.

    Raises:
        errors.ApiError: If the default conversation is busy, or the run fails.
    """
    token = request_token(request.otids)
    # Without streaming, Letta locks only default conversations.
    if thread.is_default:
        state.check_free(thread)
    run = state.start_run(thread, background=False, streaming=False, config=request.run_config)
    if thread.is_default:
        state.lock(thread, token, run)
        state.record_otids(token, request.otids, run)
    agent_loop = AgentLoop(state, state.agent(thread.agent_id), thread, run, request, "json")
    messages: list[Json] = []
    failures: list[errors.RunFailedError] = []

    async def work() -> None:
        try:
            messages.extend([message async for message in agent_loop.messages()])
        except errors.RunFailedError as failure:
            failures.append(failure)
        finally:
            run.finish("failed" if failures else "completed", state.clock.now(), agent_loop.reason)
            state.unlock(thread, run)

    task = asyncio.create_task(work())
    _keep_task(state, task)
    await asyncio.shield(task)
    if failures:
        raise failures[0].as_response()
    reason = serializers.stop_reason(agent_loop.reason)
    return {
        "messages": messages,
        "stop_reason": reason,
        "usage": agent_loop.usage.as_json(),
        **serializers.nulls("logprobs", "turns"),
    }


@dataclass(frozen=True, slots=True)
class Stream:
    """A stream for one client.

    Attributes:
        events: The encoded events.
        on_disconnect: Called when the client stops reading.
    """

    events: AsyncGenerator[str]
    on_disconnect: Callable[[], None] = lambda: None


def send_stream(state: State, thread: Thread, request: Send) -> Stream:
    """Start the run of a streaming request.

    Raises:
        errors.ApiError: If the conversation is busy.
    """
    token = request_token(request.otids)
    if request.options.background:
        first = state.run_by_otid(token)
        if first is not None:
            return Stream(events(state, first, first.journal, include_pings=request.options.include_pings))
    state.check_free(thread)
    run = state.start_run(thread, background=request.options.background, config=request.run_config)
    state.lock(thread, token, run)
    state.record_otids(token, request.otids, run)
    mode: Mode = "tokens" if request.options.stream_tokens else "steps"
    agent_loop = AgentLoop(state, state.agent(thread.agent_id), thread, run, request, mode)
    _keep_task(state, asyncio.create_task(_stream(state, thread, agent_loop)))
    if run.background:
        return Stream(events(state, run, run.journal, include_pings=request.options.include_pings))
    return Stream(
        events(state, run, run.outlet, include_pings=request.options.include_pings, exclusive=True), run.stop_reading
    )


async def _stream(state: State, thread: Thread, agent_loop: AgentLoop) -> None:
    """Send all events of a run."""
    run = agent_loop.run
    if agent_loop.request.options.include_pings:
        await run.send(serializers.ping(state.ids.new("ping"), state.clock.now(), run.id))
    status, reason, error = "completed", "", None
    try:
        async for message in agent_loop.messages():
            await run.send(message)
        reason = agent_loop.reason
        ending = [
            serializers.sse(serializers.stop_reason(reason)),
            serializers.sse(agent_loop.usage.as_json()),
            serializers.DONE,
        ]
    except asyncio.CancelledError:
        # The server stops. After a restart the conversation must not be busy.
        run.finish("failed", state.clock.now(), "error")
        state.unlock(thread, run)
        raise
    except RunCancelledError:
        status, reason = "cancelled", "cancelled"
        # Only a background stream that is cancelled ends with [DONE].
        ending = [_CANCELLED, serializers.DONE] if run.background else [_CANCELLED]
    except errors.RunFailedError as failure:
        status, reason = "failed", failure.stop_reason
        error, ending = _failure_events(run, agent_loop, failure)
    # The client may send again after the last event, so the lock is released before it.
    run.finish(status, state.clock.now(), reason, error)
    # Letta records the stop reason of streams only.
    agent_loop.agent.last_stop_reason = run.stop_reason
    state.unlock(thread, run)
    for text in ending:
        await run.send_text(text, final=text is ending[-1])


def _failure_events(run: Run, agent_loop: AgentLoop, failure: errors.RunFailedError) -> tuple[Json, list[str]]:
    """Return the error of a failed run and its last events."""
    kind, message = failure.stream_error
    if agent_loop.started:
        # After the first message Letta does not report the cause.
        kind, message = "internal_error", "An error occurred during agent execution."
    error = serializers.error_message(run.id, (kind, message), failure.stream_detail or failure.detail)
    numbered = {**error, "seq_id": run.journal.next + 1} if run.background else error
    ending = [serializers.sse(serializers.stop_reason(failure.stop_reason)), serializers.sse(numbered, "error")]
    # A background stream ends with the error, a foreground stream only if messages preceded it.
    if not run.background and not agent_loop.started:
        ending.append(serializers.DONE)
    return error, ending


def resumed_run(state: State, conversation_id: str, request: Record) -> Run:
    """Return the run to resume.

    Raises:
        errors.ApiError: If the run does not exist, cannot be resumed, or has expired.
    """
    if request.run_id:
        if not is_id("run", request.run_id):
            raise errors.invalid_id("run", request.run_id)
        run = state.runs.get(request.run_id)
        if run is None:
            raise errors.not_found("Run", request.run_id)
    elif request.otid:
        run = state.run_by_otid(request.otid)
        if run is None:
            detail = f"No run found for otid={request.otid}. The run may have expired or never existed."
            raise errors.plain(404, detail)
    else:
        direct = state.direct_agent_id(conversation_id, request.agent_id)
        active = state.active_runs(conversation_id, direct)
        if not active and state.documented and direct == state.documented.agent_id:
            active = [state.runs[state.documented.run_id]]
        if not active:
            raise errors.invalid_argument("No active runs found for this conversation.")
        run = active[0]
        if not run.background:
            raise errors.invalid_argument("Run was not created in background mode, so it cannot be retrieved.")
    if run.is_expired(state.clock.now()):
        raise errors.expired()
    return run


def resume_stream(state: State, run: Run, request: Record) -> Stream:
    """Return the events of a run after a sequence number."""
    return Stream(
        events(
            state,
            run,
            run.journal,
            after=request.starting_after,
            batch_size=request.batch_size,
            include_pings=bool(request.include_pings),
        )
    )


async def events(
    state: State,
    run: Run,
    journal: Journal,
    *,
    after: int = 0,
    batch_size: int | None = None,
    include_pings: bool,
    exclusive: bool = False,
) -> AsyncGenerator[str]:
    """Yield the encoded events of a journal up to the final one, with pings in between.

    Args:
        state: The server's state.
        run: The run of the journal.
        journal: The events.
        after: The last sequence number that the client has received. A number at or beyond the end waits for an event
            that never arrives, as in Letta.
        batch_size: Number of entries read at a time. With 1, Letta reads the first entry repeatedly.
        include_pings: Whether to send pings while the stream is silent.
        exclusive: Whether this is the only reader, so that sent events can be dropped.
    """
    keepalive = state.keepalive if include_pings else None
    number, last, silent = max(after + 1, journal.first), 0, 0.0
    while True:
        event = journal.get(number) if batch_size != 1 or number == journal.first else None
        if event is not None:
            silent, last = 0.0, number
            yield event.text
            if exclusive:
                journal.drop_through(number)
            if event.final:
                return
            number = max(number + 1, journal.first)
        elif number < journal.first:
            number = journal.first
        elif not await journal.changed(keepalive.interval if keepalive else None) and keepalive:
            silent += keepalive.interval
            if silent > keepalive.limit:
                return
            seq_id = last or None if run.background else None
            yield serializers.sse(serializers.ping(state.ids.new("ping"), state.clock.now(), run.id, seq_id))
