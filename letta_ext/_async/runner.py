"""The turn of an agent with client tools. `tools/state_machine.py` decides about its steps."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from letta_api import api
from letta_api.operations import RUNS_RETRIEVE

from .._http.requests import resume_endpoint
from ..async_primitives import ExclusiveIteration, maybe_await, run_tools, sleep
from ..errors import APIConnectionError, APIStatusError, PendingApprovalError, RunError, StreamInterrupted
from ..tools.pending import ConversationKey
from ..tools.runner import AsyncApprove, BaseTurn, Event, Item, of_run
from ..tools.state_machine import ToolResult, TurnStateMachine
from ..tools.steps import FetchMessages, FindPending, OpenStream, PollRun, RequestApproval, RunTools
from ..tools.tool import ToolRegistry, decision_from_verdict
from .pending import find_active_run, find_pending
from .resilient_iterators import AsyncResumableIterator
from .stream import AsyncStream
from .transport import AsyncTransport

if TYPE_CHECKING:
    from letta_api.unions import Message

CREATE = api.conversations_messages.conversations_messages_create
LIST = api.conversations_messages.conversations_messages_list


class AsyncToolTurn(BaseTurn):
    """The turn of an agent with client tools. The first request is sent when it is iterated.

    Iterate its events by `async for`, its whole messages by `messages()`, or read it to the end by `result()`. After an
    exception, iterating it again continues the turn: no tool is run twice and no result is sent twice. `result()` has
    all messages, including those yielded before.

    Raises (during iteration):
        PendingApprovalError: If a call needs approval and `approve` is None, or if the agent already waited for
            tool returns or approvals.
        TooManyRoundsError: If the agent calls tools in more than `max_rounds` rounds.
        RunError: If a run fails, which ends the turn.
        StreamInterrupted: If a stream is interrupted and cannot be resumed. Iterating again finds its run.
        LettaError: If it is unknown whether a request was processed: a foreground run without an event, or a request
            that is hours old.
        ConversationBusyError: If another run holds the conversation.
        APIError: See `letta_ext.errors`.
    """

    def __init__(
        self,
        transport: AsyncTransport,
        conversation_id: str,
        arguments: Mapping[str, Any],
        machine: TurnStateMachine,
        registry: ToolRegistry,
        approve: AsyncApprove | None,
    ) -> None:
        super().__init__(transport.config, conversation_id, arguments, machine, registry)
        self._transport = transport
        self._approve = approve
        self._guard = ExclusiveIteration()

    def __aiter__(self) -> AsyncResumableIterator[Event]:
        """Return an iterator over the events of all rounds, as they arrive."""
        return AsyncResumableIterator(self._events)

    def messages(self) -> AsyncResumableIterator[Message]:
        """Return an iterator over the whole messages of all rounds."""
        return AsyncResumableIterator(self._completed)

    async def _events(self) -> AsyncGenerator[Event, None]:
        async with aclosing(self._items()) as items:
            async for event, _ in items:
                yield event

    async def _completed(self) -> AsyncGenerator[Message, None]:
        for message in self._drain(self._unyielded):
            yield message
        async with aclosing(self._items()) as items:
            async for _, messages in items:
                self._unyielded.extend(messages)
                for message in self._drain(self._unyielded):
                    yield message

    async def result(self) -> ToolResult:
        """Run the turn to its end, and return its result."""
        async with aclosing(self._items()) as items:
            async for _ in items:
                pass
        return self._machine.result()

    async def _items(self) -> AsyncGenerator[Item, None]:
        await self._guard.enter()
        try:
            async with aclosing(self._run()) as items:
                async for item in items:
                    yield item
        finally:
            self._guard.leave()

    async def _run(self) -> AsyncGenerator[Item, None]:
        machine = self._machine
        for item in self._take_event():
            yield item
        while True:
            for message in self._drain(self._listed):
                yield message, [message]
            step = machine.next()
            match step:
                case None:
                    return
                case OpenStream():
                    async with aclosing(self._round(step)) as items:
                        async for item in items:
                            yield item
                case RequestApproval(call):
                    verdict: Any = self._approve and self._approve(call)
                    machine.record_decision(decision_from_verdict(call, await maybe_await(verdict)))
                case RunTools(calls):
                    await run_tools(self._registry, calls, machine.start_tool)
                case PollRun(run_id, delay):
                    await sleep(delay)
                    machine.record_run_status(
                        await self._transport.call_internal(RUNS_RETRIEVE, self._options, run_id=run_id)
                    )
                case FindPending():
                    await self._pick_up()
                case FetchMessages(run_id):
                    self._listed.extend(machine.record_messages(await self._newest(run_id)))

    async def _pick_up(self) -> None:
        key = ConversationKey.of(self._conversation_id, self._listing.get("agent_id"))
        run_id = await find_active_run(self._transport, key, self._options)
        if run_id is not None:
            self._machine.record_active_run(run_id)
            return
        request = await find_pending(self._transport, key, self._options)
        self._listed.extend(self._machine.record_pending(request))

    async def _round(self, step: OpenStream) -> AsyncGenerator[Item, None]:
        machine = self._machine
        machine.mark_sent()
        try:
            stream = await self._open(step)
        except APIStatusError as error:
            machine.on_error_response(error, resume=step.resume)
            return
        except APIConnectionError as error:
            machine.on_connection_error(error)
            raise
        async with stream, aclosing(aiter(stream)) as events:
            try:
                async for event in events:
                    self._taken = event, stream
                    for item in self._take_event():
                        yield item
            except StreamInterrupted as error:
                machine.on_interrupted(error)
                return
            except (RunError, PendingApprovalError) as error:
                raise machine.fail(error)  # noqa: B904  # it is the same exception
        machine.on_stream_end()

    async def _open(self, step: OpenStream) -> AsyncStream:
        endpoint = resume_endpoint(CREATE) if step.resume else CREATE
        return await self._transport.stream(endpoint, (self._conversation_id,), step.arguments)

    async def _newest(self, run_id: str) -> list[Message]:
        found: list[Message] = []
        async for page in (await self._transport.page(LIST, (self._conversation_id,), self._listing)).iter_pages():
            items, more = of_run(page.items, run_id)
            found += items
            if not more:
                break
        return found
