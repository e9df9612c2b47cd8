"""Sending: who may send, and how the answer of a run becomes a response."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass

from ..api import errors, serializers
from ..api.requests import Resume, Send
from ..store.models import Json, Thread
from ..store.state import State, request_token
from .agent_loop import Loop, Mode, RunCancelledError
from .runs import Journal, Run, follow

_CANCELLED = 'data: {"message_type": "stop_reason", "stop_reason": "cancelled"}\n\n'


def _in_background(state: State, work: asyncio.Task[None]) -> None:
    state.tasks.add(work)
    work.add_done_callback(state.tasks.discard)


async def send_json(state: State, thread: Thread, request: Send) -> Json:
    """Answer a request with ``streaming=false``. The answer is finished and stored even if the client hangs up.

    Raises:
        errors.ApiError: the default conversation is busy, or the run failed.
    """
    token = request_token(request.otids)
    # Without streaming, the real server locks default conversations only.
    if thread.is_default:
        state.check_free(thread)
    run = state.start_run(thread, background=False, streaming=False, types=request.types)
    if thread.is_default:
        state.lock(thread, token, run)
        state.note_otids(token, request.otids, run)
    loop = Loop(state, state.agent(thread.agent_id), thread, run, request, "json")
    messages: list[Json] = []
    failures: list[errors.RunFailedError] = []

    async def work() -> None:
        try:
            messages.extend([message async for message in loop.answer()])
        except errors.RunFailedError as failure:
            failures.append(failure)
        finally:
            run.finish("failed" if failures else "completed", state.clock.now(), loop.reason)
            state.unlock(thread, run)

    task = asyncio.create_task(work())
    _in_background(state, task)
    await asyncio.shield(task)
    if failures:
        raise failures[0].as_response()
    return serializers.letta_response(messages, loop.reason, loop.usage)


@dataclass(frozen=True, slots=True)
class Stream:
    """A stream on its way to a client.

    Attributes:
        events: the text of its events.
        hang_up: what to call when the client has read enough, or never began to.
    """

    events: AsyncGenerator[str]
    hang_up: Callable[[], None] = lambda: None


def send_stream(state: State, thread: Thread, request: Send) -> Stream:
    """Start the run of a streaming request.

    Raises:
        errors.ApiError: the conversation is busy.
    """
    token = request_token(request.otids)
    if request.background:
        first = state.run_by_otid(token)
        if first is not None:
            return Stream(events(state, first, first.journal, include_pings=request.include_pings))
    state.check_free(thread)
    run = state.start_run(thread, background=request.background, types=request.types)
    state.lock(thread, token, run)
    state.note_otids(token, request.otids, run)
    mode: Mode = "tokens" if request.stream_tokens else "steps"
    loop = Loop(state, state.agent(thread.agent_id), thread, run, request, mode)
    _in_background(state, asyncio.create_task(_stream(state, thread, loop)))
    if run.background:
        return Stream(events(state, run, run.journal, include_pings=request.include_pings))
    return Stream(events(state, run, run.outlet, include_pings=request.include_pings, own=True), run.abandon)


async def _stream(state: State, thread: Thread, loop: Loop) -> None:
    """Send everything a run has to say."""
    run = loop.run
    if loop.request.include_pings:
        await run.send(serializers.ping(state.ids.new("ping"), state.clock.now(), run.id))
    status, reason, error = "completed", "", None
    try:
        async for message in loop.answer():
            await run.send(message)
        reason = loop.reason
        ending = [
            serializers.sse(serializers.stop_reason(reason)),
            serializers.sse(loop.usage.as_json()),
            serializers.DONE,
        ]
    except asyncio.CancelledError:
        # The server stops: whoever starts it again finds the conversation free.
        run.finish("failed", state.clock.now(), "error")
        state.unlock(thread, run)
        raise
    except RunCancelledError:
        status, reason = "cancelled", "cancelled"
        # Only in the background is a cancelled stream brought to its proper end.
        ending = [_CANCELLED, serializers.DONE] if run.background else [_CANCELLED]
    except errors.RunFailedError as failure:
        status, reason = "failed", failure.stop_reason
        error, ending = _failed(run, loop, failure)
    # The last event tells the client that it may send again.
    run.finish(status, state.clock.now(), reason, error)
    state.unlock(thread, run)
    for text in ending:
        await run.send_text(text, final=text is ending[-1])


def _failed(run: Run, loop: Loop, failure: errors.RunFailedError) -> tuple[Json, list[str]]:
    """Return the error of a failed run, and its last events."""
    kind, message = failure.stream_error
    if loop.begun:
        # The real server cannot tell any more what went wrong.
        kind, message = "internal_error", "An error occurred during agent execution."
    error = serializers.error_message(run.id, (kind, message), failure.told or failure.detail)
    sent = {**error, "seq_id": run.journal.next + 1} if run.background else error
    ending = [serializers.sse(serializers.stop_reason(failure.stop_reason)), serializers.sse(sent, "error")]
    # In the background the error is the last event; in the foreground only if messages came before it.
    if not run.background and not loop.begun:
        ending.append(serializers.DONE)
    return error, ending


def resumed_run(state: State, conversation_id: str, request: Resume) -> Run:
    """Return the run that a request to resume means.

    Raises:
        errors.ApiError: there is none, it cannot be resumed, or it is too old.
    """
    if request.run_id:
        if not request.run_id.startswith("run-"):
            expected = "Expected format: 'run-<uuid4>'"
            raise errors.invalid_argument(f"Invalid run ID format: {request.run_id}. {expected}")
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


def resume_stream(state: State, run: Run, request: Resume) -> Stream:
    """Return the events of a run after the last one seen."""
    return Stream(
        events(
            state,
            run,
            run.journal,
            after=request.starting_after,
            batch_size=request.batch_size,
            include_pings=request.include_pings,
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
    own: bool = False,
) -> AsyncGenerator[str]:
    """Yield the text of a journal's events, and of the pings between them.

    Args:
        state: the server's memory.
        run: the run whose events they are.
        journal: where they are.
        after: the last number seen.
        batch_size: how many entries are read at a time.
        include_pings: whether a silent stream is kept open by pings.
        own: whether nobody else reads the journal, so that it need not keep what was sent.
    """
    keepalive = state.keepalive if include_pings else None
    sent = after
    async for event in follow(journal, after=after, batch_size=batch_size, keepalive=keepalive):
        if isinstance(event, int):
            seq_id = event or None if run.background else None
            yield serializers.sse(serializers.ping(state.ids.new("ping"), state.clock.now(), run.id, seq_id))
            continue
        yield event.text
        sent += 1
        if own:
            journal.forget(sent)
