"""A turn that calls tools: the I/O around `tools/state_machine.py`, which decides."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from letta_api import api
from letta_api.operations import RUNS_RETRIEVE

from .._http.requests import resume_endpoint
from ..async_primitives import ExclusiveIteration, maybe_await, run_tools, sleep
from ..errors import APIConnectionError, APIStatusError, PendingApprovalError, RunError, StreamInterrupted
from ..tools.runner import AsyncApprove, BaseTurn, Event, Item, of_run
from ..tools.state_machine import Await, Collect, Decide, Execute, Open, ToolResult, TurnStateMachine
from ..tools.tool import ToolRegistry, read_verdict
from .resilient_iterators import AsyncContinuingIterator
from .stream import AsyncStream
from .transport import AsyncTransport

if TYPE_CHECKING:
    from letta_api.unions import Message

CREATE = api.conversations_messages.conversations_messages_create
LIST = api.conversations_messages.conversations_messages_list


class AsyncToolTurn(BaseTurn):
    """A turn of an agent whose tools run here. Nothing is sent before it is gone over.

    Go over its events by `async for`, over its whole messages by `messages()`, or read to the end by `result()`.
    Whatever is raised on the way, what was done is kept: going over it again goes on where it stood, runs no
    tool a second time and sends no result a second time. `result()` holds everything, also what was seen before.

    Raises (while it is gone over):
        PendingApprovalError: a call needs approval and there is no `approve`; or the agent waited for answers already.
        TooManyRoundsError: the agent called tools in more than `max_rounds` rounds.
        RunError: a run failed, which ends the turn.
        StreamInterrupted: a stream broke off and could not be resumed; going on later finds its run.
        LettaError: what was sent may have run or not, and cannot be found any more: a foreground run of which nothing
            was heard, or hours have passed.
        ConversationBusyError: another run holds the conversation.
        APIError: see `letta_ext.errors`.
    """

    def __init__(
        self,
        transport: AsyncTransport,
        conversation_id: str,
        arguments: Mapping[str, Any],
        loop: TurnStateMachine,
        box: ToolRegistry,
        approve: AsyncApprove | None,
    ) -> None:
        super().__init__(transport.config, conversation_id, arguments, loop, box)
        self._transport = transport
        self._approve = approve
        self._loops = ExclusiveIteration()

    def __aiter__(self) -> AsyncContinuingIterator[Event]:
        """The events of all rounds as they come."""
        return AsyncContinuingIterator(self._events)

    def messages(self) -> AsyncContinuingIterator[Message]:
        """Whole messages of all rounds, each as soon as it is complete."""
        return AsyncContinuingIterator(self._completed)

    async def _events(self) -> AsyncGenerator[Event, None]:
        async with aclosing(self._items()) as items:
            async for event, _ in items:
                yield event

    async def _completed(self) -> AsyncGenerator[Message, None]:
        for message in self._out(self._whole):
            yield message
        async with aclosing(self._items()) as items:
            async for _, messages in items:
                self._whole.extend(messages)
                for message in self._out(self._whole):
                    yield message

    async def result(self) -> ToolResult:
        """Goes on to the end of the turn and returns all of it."""
        async with aclosing(self._items()) as items:
            async for _ in items:
                pass
        return self._loop.result()

    async def _items(self) -> AsyncGenerator[Item, None]:
        await self._loops.enter()
        try:
            async with aclosing(self._go()) as items:
                async for item in items:
                    yield item
        finally:
            self._loops.leave()

    async def _go(self) -> AsyncGenerator[Item, None]:
        loop = self._loop
        for item in self._told():
            yield item
        while True:
            for message in self._out(self._listed):
                yield message, [message]
            task = loop.next()
            match task:
                case None:
                    return
                case Open():
                    async with aclosing(self._round(task)) as items:
                        async for item in items:
                            yield item
                case Decide(call):
                    verdict: Any = self._approve and self._approve(call)
                    loop.decided(read_verdict(call, await maybe_await(verdict)))
                case Execute(calls):
                    await run_tools(self._box, calls, loop.starting)
                case Await(run_id, delay):
                    await sleep(delay)
                    loop.looked(await self._transport.ask(RUNS_RETRIEVE, self._options, run_id=run_id))
                case Collect(run_id):
                    self._listed.extend(loop.collected(await self._newest(run_id)))

    async def _round(self, task: Open) -> AsyncGenerator[Item, None]:
        loop = self._loop
        loop.opening()
        try:
            stream = await self._open(task)
        except APIStatusError as refusal:
            loop.refused(refusal, again=task.again)
            return
        except APIConnectionError as fault:
            loop.unanswered(fault)
            raise
        async with stream, aclosing(aiter(stream)) as events:
            try:
                async for event in events:
                    self._taken = event, stream
                    for item in self._told():
                        yield item
            except StreamInterrupted as fault:
                loop.interrupted(fault)
                return
            except (RunError, PendingApprovalError) as fault:
                raise loop.failed(fault)  # noqa: B904  (it is the same one)
        loop.ended()

    async def _open(self, task: Open) -> AsyncStream:
        endpoint = resume_endpoint(CREATE) if task.again else CREATE
        return await self._transport.stream(endpoint, (self._conversation_id,), task.arguments)

    async def _newest(self, run_id: str) -> list[Message]:
        found: list[Message] = []
        async for page in (await self._transport.page(LIST, (self._conversation_id,), self._listing)).iter_pages():
            items, more = of_run(page.items, run_id)
            found += items
            if not more:
                break
        return found
