"""A turn that calls tools, sync and async: the few lines of I/O around `loop.py`, which decides."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Iterator, Mapping, Sequence
from contextlib import aclosing
from inspect import isawaitable, iscoroutinefunction
from typing import TYPE_CHECKING, Any, Final, TypeAlias, cast

import anyio

from letta_api import api
from letta_api.operations import RUNS_RETRIEVE

from ..calls.questions import question
from ..calls.requests import OPTIONS, prepare, read_body
from ..config import Config
from ..errors import APIConnectionError, APIStatusError, LettaError, PendingApprovalError, RunError, StreamInterrupted
from ..iteration import AsyncContinuingIterator, ContinuingIterator
from ..lists.items import field_of
from .loop import Await, Collect, Decide, Execute, Open, ToolLoop, ToolResult
from .tool import Toolbox, Verdict, read_verdict, run_tool, run_tool_async

if TYPE_CHECKING:
    from letta_api.models import ToolCall
    from letta_api.unions import Message, StreamEvent

    from ..resources.conversations import AsyncConversationsMessages, ConversationsMessages
    from ..sending.transport import AsyncTransport, Transport
    from ..streams.stream import AsyncStream, Stream

Approve: TypeAlias = "Callable[[ToolCall], Verdict]"
"""Decides whether a tool of the server may run: a bool, or a bool and the reason."""

AsyncApprove: TypeAlias = "Callable[[ToolCall], Verdict | Awaitable[Verdict]]"
"""What `Approve` is; may be async."""

Event: TypeAlias = "StreamEvent | Message"
"""An event; or a whole message, where the events of a run were lost and it had to be listed."""

TWICE: Final = "This turn is being gone over already. Leave that loop first."
PATIENCE: Final = 1.0
"""Seconds to wait for an async loop that was left."""

Item: TypeAlias = "tuple[Event, list[Message]]"
"""An event, and the messages that it completes."""


def of_run(messages: list[Message], run_id: str) -> tuple[list[Message], bool]:
    """The messages of a page, newest first, that are no older than those of a run, and whether there may be more."""
    mine = [field_of(message, "run_id") == run_id for message in messages]
    return messages, not any(mine) or mine[-1]


class _Turn:
    """What both turns are."""

    def __init__(
        self, config: Config, conversation_id: str, arguments: Mapping[str, Any], loop: ToolLoop, box: Toolbox
    ) -> None:
        # Refuses what `create` would refuse, before anything is sent.
        prepare(config, api.conversations_messages.conversations_messages_create, (conversation_id,), loop.request)
        self._conversation_id = conversation_id
        self._options = {name: value for name, value in arguments.items() if name in OPTIONS - {"extra_body"}}
        agent_id = arguments.get("agent_id")
        self._listing: dict[str, Any] = {**self._options, "order": "desc"}
        if agent_id is not None:
            self._listing["agent_id"] = agent_id
        self._loop = loop
        self._box = box
        # What was found and not handed out: several messages may be complete at once, and a loop left between them.
        self._listed: deque[Message] = deque()
        self._whole: deque[Message] = deque()

        self._taken: tuple[StreamEvent, Stream | AsyncStream] | None = None  # an event, and the stream that it is of

    def _out(self, messages: deque[Message]) -> Iterator[Message]:
        while messages:
            message = messages[0]
            del messages[0]  # a signal handler can run behind a call, and not here
            yield message

    def _told(self) -> Iterator[Item]:
        """The event that was taken from its stream last, unless it was handed over."""
        if self._taken is not None:
            event, stream = self._taken
            messages = self._loop.received(event, stream.run_id, stream.last_seq_id)
            self._taken = None
            if messages is not None:
                yield event, messages

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._conversation_id!r})"


class ToolTurn(_Turn):
    """A turn of an agent whose tools run here. Nothing is sent before it is gone over.

    Go over its events by `for`, over its whole messages by `messages()`, or read to the end by `result()`. Whatever is
    raised on the way, what was done is kept: going over it again goes on where it stood, runs no tool a second time and
    sends no result a second time. `result()` holds everything, also what was seen before.

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
        messages: ConversationsMessages,
        transport: Transport,
        conversation_id: str,
        arguments: Mapping[str, Any],
        loop: ToolLoop,
        box: Toolbox,
        approve: Approve | None,
    ) -> None:
        super().__init__(transport.config, conversation_id, arguments, loop, box)
        self._messages = messages
        self._transport = transport
        self._approve = approve
        self._going = False

    def __iter__(self) -> ContinuingIterator[Event]:
        """The events of all rounds as they come."""
        return ContinuingIterator(self._events)

    def messages(self) -> ContinuingIterator[Message]:
        """Whole messages of all rounds, each as soon as it is complete."""
        return ContinuingIterator(self._completed)

    def _events(self) -> Generator[Event, None, None]:
        for event, _ in self._items():
            yield event

    def _completed(self) -> Generator[Message, None, None]:
        yield from self._out(self._whole)
        for _, messages in self._items():
            self._whole.extend(messages)
            yield from self._out(self._whole)

    def result(self) -> ToolResult:
        """Goes on to the end of the turn and returns all of it."""
        for _ in self._items():
            pass
        return self._loop.result()

    def _items(self) -> Generator[Item, None, None]:
        if self._going:
            raise LettaError(TWICE)
        self._going = True
        try:
            yield from self._go()
        finally:
            self._going = False

    def _go(self) -> Generator[Item, None, None]:
        loop = self._loop
        yield from self._told()
        while True:
            for message in self._out(self._listed):
                yield message, [message]
            task = loop.next()
            match task:
                case None:
                    return
                case Open():
                    yield from self._round(task)
                case Decide(call):
                    verdict: Any = self._approve and self._approve(call)
                    loop.decided(read_verdict(call, verdict))
                case Execute(calls):
                    for call in calls:
                        record = loop.starting(call)
                        record(run_tool(self._box, call))
                case Await(run_id, delay):
                    time.sleep(delay)
                    call_of_run = question(self._transport.config, RUNS_RETRIEVE, self._options, run_id=run_id)
                    loop.looked(read_body(self._transport.send(call_of_run)))
                case Collect(run_id):
                    self._listed.extend(loop.collected(self._newest(run_id)))

    def _round(self, task: Open) -> Generator[Item, None, None]:
        loop = self._loop
        loop.opening()
        try:
            stream = self._open(task)
        except APIStatusError as refusal:
            loop.refused(refusal, again=task.again)
            return
        except APIConnectionError as fault:
            loop.unanswered(fault)
            raise
        with stream:
            try:
                for event in stream:
                    self._taken = event, stream
                    yield from self._told()
            except StreamInterrupted as fault:
                loop.interrupted(fault)
                return
            except (RunError, PendingApprovalError) as fault:
                raise loop.failed(fault)  # noqa: B904  (it is the same one)
        loop.ended()

    def _open(self, task: Open) -> Stream:
        if task.again:
            return self._messages.stream(self._conversation_id, **task.arguments)
        return cast("Stream", self._messages.create(self._conversation_id, **task.arguments))

    def _newest(self, run_id: str) -> list[Message]:
        found: list[Message] = []
        for page in self._messages.list(self._conversation_id, **self._listing).iter_pages():
            items, more = of_run(page.items, run_id)
            found += items
            if not more:
                break
        return found


class AsyncToolTurn(_Turn):
    """What `ToolTurn` is, for async code. The tools of one round run at the same time."""

    def __init__(
        self,
        messages: AsyncConversationsMessages,
        transport: AsyncTransport,
        conversation_id: str,
        arguments: Mapping[str, Any],
        loop: ToolLoop,
        box: Toolbox,
        approve: AsyncApprove | None,
    ) -> None:
        super().__init__(transport.config, conversation_id, arguments, loop, box)
        self._messages = messages
        self._transport = transport
        self._approve = approve
        self._left: anyio.Event | None = None

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
        if self._left is not None:
            # A loop that was just left is closed in one of the event loop's next turns.
            with anyio.move_on_after(PATIENCE):
                await self._left.wait()
        if self._left is not None:
            raise LettaError(TWICE)
        left = self._left = anyio.Event()
        try:
            async with aclosing(self._go()) as items:
                async for item in items:
                    yield item
        finally:
            self._left = None
            left.set()

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
                    loop.decided(read_verdict(call, await verdict if isawaitable(verdict) else verdict))
                case Execute(calls):
                    await self._run_all(calls)
                case Await(run_id, delay):
                    await anyio.sleep(delay)
                    call_of_run = question(self._transport.config, RUNS_RETRIEVE, self._options, run_id=run_id)
                    loop.looked(read_body(await self._transport.send(call_of_run)))
                case Collect(run_id):
                    self._listed.extend(loop.collected(await self._newest(run_id)))

    async def _run_all(self, calls: Sequence[ToolCall]) -> None:
        try:
            async with anyio.create_task_group() as group:
                for call in calls:
                    group.start_soon(self._run, call)
        except BaseExceptionGroup as faults:
            raise faults.exceptions[0] from None  # as in sync code; only what is no `Exception` gets here

    async def _run(self, call: ToolCall) -> None:
        await run_tool_async(self._box, call, self._loop.starting(call))

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
        async with stream, aclosing(stream.__aiter__()) as events:
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
        if task.again:
            return await self._messages.stream(self._conversation_id, **task.arguments)
        return cast("AsyncStream", await self._messages.create(self._conversation_id, **task.arguments))

    async def _newest(self, run_id: str) -> list[Message]:
        found: list[Message] = []
        async for page in (await self._messages.list(self._conversation_id, **self._listing)).iter_pages():
            items, more = of_run(page.items, run_id)
            found += items
            if not more:
                break
        return found


def check_approve(approve: Callable[..., Any] | None, *, may_be_async: bool) -> None:
    """Refuses an approval callback that cannot be called.

    Raises:
        TypeError: it is none, or async where nothing can await it.
    """
    if approve is not None and not callable(approve):
        raise TypeError(f"approve must be a function, not {approve!r}")
    if iscoroutinefunction(approve) and not may_be_async:
        raise TypeError("approve is async; use AsyncLetta, or give a function that is not")
