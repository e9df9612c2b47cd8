"""Following a conversation, sync and async: the few lines of I/O around `news.py`, which decides."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import aclosing, closing
from functools import partial
from inspect import isbuiltin, iscoroutinefunction
from typing import TYPE_CHECKING, Any, Final

import anyio
import httpx
from attrs import define

from letta_api import api
from letta_api.operations import CONVERSATIONS_RETRIEVE

from ..calls.questions import context_of, question
from ..calls.requests import read_body
from ..calls.validation import check_arguments, check_id
from ..errors import (
    APIConnectionError,
    APIStatusError,
    BadRequestError,
    ConflictError,
    NotFoundError,
    PendingApprovalError,
    PermissionDeniedError,
    RunError,
    RunExpiredError,
)
from ..iteration import AsyncContinuingIterator, ContinuingIterator
from ..limits import StreamLimits
from ..retry import RetryPolicy
from ..shapes import is_object
from .news import FollowCursor, Follower, Listing, Question
from .pace import Pace

if TYPE_CHECKING:
    from letta_api.unions import Message, StreamEvent

    from ..resources.conversations import AsyncConversationsMessages, ConversationsMessages
    from ..sending.transport import AsyncTransport, Transport
    from ..streams.fold import Folder
    from ..streams.stream import AsyncStream, Stream

NOT_NOW: Final = (BadRequestError, NotFoundError, RunExpiredError, ConflictError, APIConnectionError)
"""What asking for the stream of the active run raises where there is none that can be read."""

BROKEN: Final = (RunError, PendingApprovalError, APIConnectionError)
"""What reading it raises. The list tells what became of the run."""

NOT_TOLD: Final = (BadRequestError, NotFoundError, PermissionDeniedError)
"""What asking for the context raises where the server does not tell."""


@define
class _Visit:
    """One loop over a follower.

    Attributes:
        pace: How often it looks, and how long.
        handed: The message that was handed over last. Whether it is the last of all is asked afterwards.
    """

    pace: Pace
    handed: Message | None = None


class _Follow:
    """What both are."""

    def __init__(
        self,
        conversation_id: str,
        agent_id: str | None,
        follower: Follower,
        pace: Callable[[], Pace],
        until: Callable[[Message], bool] | None,
        clock: Callable[[], float],
    ) -> None:
        self._conversation_id = conversation_id
        self._arguments: dict[str, Any] = {} if agent_id is None else {"agent_id": agent_id}
        self._follower = follower
        self._make_pace = pace
        if until is not None and not callable(until):
            raise TypeError(f"until must be a function that is given a message, or None, not {until!r}")
        check_function("until", until, may_be_async=False)
        check_function("clock", clock, may_be_async=False)
        self._until = until
        self._clock = clock
        self._found: list[Message] = []
        self._next = 0

    @property
    def cursor(self) -> FollowCursor:
        """Where it stands, behind the last message that it yielded: a small JSON value.

        `follow(conversation_id, after=cursor)` goes on from there, in another process too.
        """
        return self._follower.cursor()

    def _hand_over(self) -> Message:
        """The next message that was found."""
        self._follower.handed_over(self._found, self._next)
        self._next += 1
        return self._found[self._next - 1]

    @property
    def _has_found(self) -> bool:
        return self._next < len(self._found)

    def _is_last(self, message: Message) -> bool:
        return self._until is not None and self._until(message)

    def _check_refusal(self, refusal: APIStatusError) -> None:
        """Raises what says that there is no such conversation; its list does not, and is just empty.

        A server that does not know the question itself answers 404 too, without naming the conversation.
        """
        if isinstance(refusal, NotFoundError) and self._conversation_id in (refusal.detail or ""):
            raise refusal

    def _stream_arguments(self, timeout: httpx.Timeout, left: float | None) -> dict[str, Any]:
        """How the stream of the active run is read: it may break at any time, and must not outlast the follower."""
        more: dict[str, Any] = {"retry": RetryPolicy(max_retries=0), "stream_limits": StreamLimits(total=left or None)}
        if left is not None:
            read = left if timeout.read is None else min(left, timeout.read)
            more["timeout"] = httpx.Timeout(**{**timeout.as_dict(), "read": max(read, 0.001)})
        return {**self._arguments, **more}

    def _tells(self, folder: Folder, event: StreamEvent) -> bool:
        """Whether an event says that there is something to look for; a ping says that time has passed."""
        from letta_api.models import LettaPing

        completed = folder.add(event)
        return isinstance(event, LettaPing) or not all(self._follower.knows(message) for message in completed)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._conversation_id!r})"


class Follow(_Follow):
    """The messages of a conversation as they appear; go over it by `for`.

    Leaving the loop ends the reading; another loop goes on behind the last message that was yielded.

    Raises (while it is gone over):
        NotFoundError: there is no such conversation.
        ListChangedError: the message to go on behind is none of its messages.
        APIConnectionError: the server cannot be reached; `cursor` says where to go on later.
        APIError: see `letta_ext.errors`.
    """

    def __init__(
        self,
        messages: ConversationsMessages,
        transport: Transport,
        conversation_id: str,
        agent_id: str | None,
        follower: Follower,
        pace: Callable[[], Pace],
        until: Callable[[Message], bool] | None,
        clock: Callable[[], float],
        sleep: Callable[[float], object] | None,
    ) -> None:
        super().__init__(conversation_id, agent_id, follower, pace, until, clock)
        check_function("sleep", sleep, may_be_async=False)
        self._messages = messages
        self._transport = transport
        self._sleep = sleep or time.sleep

    def __iter__(self) -> ContinuingIterator[Message]:
        """Whole messages, in the order in which the server has them."""
        return ContinuingIterator(partial(self._go, _Visit(self._make_pace())))

    def _go(self, visit: _Visit) -> Generator[Message, None, None]:
        if visit.handed is not None and self._is_last(visit.handed):
            return
        with closing(self._signals(visit.pace)) as signals:
            for _ in signals:
                self._look(visit.pace)
                while self._has_found:
                    visit.handed = message = self._hand_over()
                    yield message
                    if self._is_last(message):
                        return

    def _signals(self, pace: Pace) -> Generator[None, None, None]:
        """Says whenever it is time to look."""
        heard = False
        while True:
            yield
            if pace.left(self._clock()) == 0:
                return
            if not heard or pace.found:
                stream = self._attach(pace)
                heard = stream is not None and (yield from self._heard(stream, pace))
            else:
                heard = False  # a run that told of nothing new is not asked for again at once
            if not heard:
                self._sleep(pace.pause(self._clock()))

    def _heard(self, stream: Stream, pace: Pace) -> Generator[None, None, bool]:
        """Says whenever the stream of a run tells of something; returns whether it was read to its end."""
        from ..streams.fold import Folder

        folder, heard = Folder(), False
        pace.attached()
        try:
            with stream:
                for event in stream:
                    heard = True
                    if self._tells(folder, event) and pace.is_due(self._clock()):
                        yield
        except BROKEN:
            return False
        return heard

    def _look(self, pace: Pace) -> None:
        if self._has_found:
            return
        looking = self._follower.look()
        try:
            asked = next(looking)
            while True:
                asked = looking.send(self._answer(asked))
        except StopIteration as done:
            self._found, self._next = done.value, 0
        pace.looked(self._clock(), found=self._has_found)

    def _answer(self, asked: Question) -> Any:
        ids, transport = (self._conversation_id,), self._transport
        if isinstance(asked, Listing):
            endpoint = api.conversations_messages.conversations_messages_list
            return transport.call(endpoint, ids, {**self._arguments, **asked.arguments})
        call = question(transport.config, CONVERSATIONS_RETRIEVE, {}, conversation_id=self._conversation_id)
        try:
            return context_of(read_body(transport.send(call)))
        except NOT_TOLD as refusal:
            self._check_refusal(refusal)
            return None

    def _attach(self, pace: Pace) -> Stream | None:
        arguments = self._stream_arguments(self._transport.config.timeout, pace.left(self._clock()))
        try:
            return self._messages.stream(self._conversation_id, **arguments)
        except NOT_NOW:
            return None


class AsyncFollow(_Follow):
    """What `Follow` is, for async code; go over it by `async for`."""

    def __init__(
        self,
        messages: AsyncConversationsMessages,
        transport: AsyncTransport,
        conversation_id: str,
        agent_id: str | None,
        follower: Follower,
        pace: Callable[[], Pace],
        until: Callable[[Message], bool] | None,
        clock: Callable[[], float],
        sleep: Callable[[float], Awaitable[object]] | None,
    ) -> None:
        super().__init__(conversation_id, agent_id, follower, pace, until, clock)
        check_function("sleep", sleep, may_be_async=True)
        self._messages = messages
        self._transport = transport
        self._sleep = sleep or anyio.sleep

    def __aiter__(self) -> AsyncContinuingIterator[Message]:
        """Whole messages, in the order in which the server has them."""
        return AsyncContinuingIterator(partial(self._go, _Visit(self._make_pace())))

    async def _go(self, visit: _Visit) -> AsyncGenerator[Message, None]:
        if visit.handed is not None and self._is_last(visit.handed):
            return
        async with aclosing(self._signals(visit.pace)) as signals:
            async for _ in signals:
                await self._look(visit.pace)
                while self._has_found:
                    visit.handed = message = self._hand_over()
                    yield message
                    if self._is_last(message):
                        return

    async def _signals(self, pace: Pace) -> AsyncGenerator[None, None]:
        """Says whenever it is time to look."""
        heard = False
        while True:
            yield
            if pace.left(self._clock()) == 0:
                return
            # A run that told of nothing new is not asked for again at once.
            stream = await self._attach(pace) if not heard or pace.found else None
            heard = False
            if stream is not None:
                from ..streams.fold import Folder

                folder = Folder()
                pace.attached()
                try:
                    async with stream, aclosing(stream.__aiter__()) as events:
                        async for event in events:
                            heard = True
                            if self._tells(folder, event) and pace.is_due(self._clock()):
                                yield
                except BROKEN:
                    heard = False
            if not heard:
                await self._sleep(pace.pause(self._clock()))

    async def _look(self, pace: Pace) -> None:
        if self._has_found:
            return
        looking = self._follower.look()
        try:
            asked = next(looking)
            while True:
                asked = looking.send(await self._answer(asked))
        except StopIteration as done:
            self._found, self._next = done.value, 0
        pace.looked(self._clock(), found=self._has_found)

    async def _answer(self, asked: Question) -> Any:
        ids, transport = (self._conversation_id,), self._transport
        if isinstance(asked, Listing):
            endpoint = api.conversations_messages.conversations_messages_list
            return await transport.call(endpoint, ids, {**self._arguments, **asked.arguments})
        call = question(transport.config, CONVERSATIONS_RETRIEVE, {}, conversation_id=self._conversation_id)
        try:
            return context_of(read_body(await transport.send(call)))
        except NOT_TOLD as refusal:
            self._check_refusal(refusal)
            return None

    async def _attach(self, pace: Pace) -> AsyncStream | None:
        arguments = self._stream_arguments(self._transport.config.timeout, pace.left(self._clock()))
        try:
            return await self._messages.stream(self._conversation_id, **arguments)
        except NOT_NOW:
            return None


def check_function(name: str, function: Callable[..., object] | None, *, may_be_async: bool) -> None:
    """Checks a function that the follower calls.

    Raises:
        TypeError: If it is not a function, or async although its result is not awaited, or the reverse.
    """
    if function is None:
        return
    if not callable(function):
        raise TypeError(f"{name} must be a function or None, got {function!r}")
    if iscoroutinefunction(function) and not may_be_async:
        raise TypeError(f"{name} must be a function that is not async, got {function!r}")
    if isbuiltin(function) and may_be_async:
        raise TypeError(f"{name} must be an async function, got {function!r}")


def make_follower(
    conversation_id: str, agent_id: str | None, after: str | FollowCursor | None, from_start: bool
) -> Follower:
    """The deciding part of a follower.

    Raises:
        TypeError: an argument is of the wrong type.
        ValueError: an argument has an impossible value.
    """
    endpoint = api.conversations_messages.conversations_messages_list
    facts = endpoint.OPERATION.page
    if facts is None:
        raise TypeError(f"{endpoint.OPERATION.id} does not page")
    check_arguments(endpoint.build_request, (conversation_id,), {} if agent_id is None else {"agent_id": agent_id})
    if isinstance(after, str):
        check_id("after", after)
    elif after is not None and not is_object(after):
        raise TypeError(f"after must be the id of a message, or a cursor, not {after!r}")
    if not isinstance(from_start, bool):
        raise TypeError(f"from_start must be True or False, got {from_start!r}")
    if after is not None and from_start:
        raise ValueError("give after or from_start, not both")
    of = agent_id if conversation_id == "default" and agent_id is not None else conversation_id
    direct = conversation_id == "default" or conversation_id.startswith("agent-")
    return Follower(facts, of, direct, after, from_start)
