"""Iterators over the texts and messages of a stream.

As in `event_iterator.py`, an event is kept until all of its results are returned.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Self

from .._streaming.message_text import assistant_text
from .event_iterator import AsyncEventIterator

if TYPE_CHECKING:
    from letta_api.unions import Message, StreamEvent


class AsyncTextIterator(AsyncIterator[str]):
    """An iterator over the text of the agent, in deltas."""

    def __init__(self, events: AsyncEventIterator) -> None:
        self._events = events
        self._event: StreamEvent | None = None

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> str:
        while True:
            if self._event is None:
                async for event in self._events:
                    self._event = event
                    break
                else:
                    raise StopAsyncIteration
            text = assistant_text(self._event)
            self._event = None
            if text:
                return text

    async def aclose(self) -> None:
        """Close the connection, from any task. The run continues on the server."""
        await self._events.aclose()


class AsyncMessageIterator(AsyncIterator["Message"]):
    """An iterator over whole messages, each returned as soon as it is complete."""

    def __init__(self, events: AsyncEventIterator) -> None:
        from .._streaming.accumulator import MessageAccumulator

        self._events = events
        self._event: StreamEvent | None = None
        self._accumulator = MessageAccumulator()
        self._messages: list[Message] = []
        self._over = False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Message:
        while True:
            if self._messages:
                message = self._messages[0]
                del self._messages[0]
                return message
            if self._event is None:
                if self._over:
                    raise StopAsyncIteration
                async for event in self._events:
                    self._event = event
                    break
                else:
                    messages = self._accumulator.finish()
                    self._messages, self._over = messages, True
                    continue
            messages = self._accumulator.add(self._event)
            self._messages, self._event = messages, None

    async def aclose(self) -> None:
        """Close the connection, from any task. The run continues on the server."""
        await self._events.aclose()
