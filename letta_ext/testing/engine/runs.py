"""Runs: the events of one answer, their numbers, and how a reader follows them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from .. import arguments
from ..api import serializers
from ..store.models import Json

KEPT_FOR = timedelta(hours=3)
"""How long a run can be resumed, and an otid stands for its first run."""

KEPT_EVENTS = 10_000
"""How many events of a background run the server keeps."""

BACKLOG = 256
"""How far a foreground answer may run ahead of the client that reads it."""


@dataclass(frozen=True, slots=True)
class Event:
    """One event as it is sent. The final one ends the stream."""

    text: str
    final: bool


class Journal:
    """The events of one stream, numbered from 1.

    Args:
        keep: how many of the newest events to keep; None keeps all that were not forgotten.
    """

    def __init__(self, keep: int | None = KEPT_EVENTS) -> None:
        self.first = 1
        self.next = 1
        self._keep = keep
        self._events: dict[int, Event] = {}
        self._waiting: list[asyncio.Future[None]] = []

    def __len__(self) -> int:
        return len(self._events)

    def append(self, text: str, *, final: bool = False) -> None:
        """Add an event; every event consumes a number, also those that do not carry it."""
        self._events[self.next] = Event(text, final)
        self.next += 1
        if self._keep is not None:
            # The real server ends every run with one [DONE] more, which takes a place and is never read.
            self.forget(self.next - 1 - self._keep + final)
        self._wake()

    def forget(self, number: int) -> None:
        """Drop all events up to this number."""
        for dropped in range(self.first, number + 1):
            self._events.pop(dropped, None)
        self.first = max(self.first, number + 1)
        self._wake()

    def trim(self, keep: int) -> None:
        """Drop all but so many of the newest events."""
        self.forget(self.next - 1 - keep)

    def get(self, number: int) -> Event | None:
        """Return the event of that number, if it is kept."""
        return self._events.get(number)

    async def changed(self, seconds: float | None = None) -> bool:
        """Wait until events come or go; tell whether they did before the time was over."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        done, _ = await asyncio.wait({future}, timeout=seconds)
        return bool(done)

    def _wake(self) -> None:
        for future in self._waiting:
            if not future.done():
                future.set_result(None)
        self._waiting.clear()


@dataclass(slots=True, kw_only=True)
class Run:
    """One answer of an agent.

    Attributes:
        conversation_id: None where the real server does not note it: in default conversations, and without streaming.
        journal: what can be resumed; it stays empty unless the run is in the background.
        outlet: where the answer's own events go.
        read: whether someone reads the outlet.
        kind: what the real server calls the request that made it.
        types: the message types that the request asked for; None for all.
        tracked: whether the real server notes how it goes on, which it does for streams only.
        stop_reason: why it stopped, once it has.
        error: the ``error_message`` of a failed run.
    """

    id: str
    agent_id: str
    conversation_id: str | None
    background: bool
    created_at: datetime
    kind: str = "send_conversation_message"
    types: Sequence[str] | None = None
    tracked: bool = True
    completed_at: datetime | None = None
    stop_reason: str | None = None
    error: Json | None = None
    status: str = "running"
    journal: Journal = field(default_factory=Journal)
    outlet: Journal = field(default_factory=lambda: Journal(keep=None))
    read: bool = True

    def __post_init__(self) -> None:
        if self.background:
            self.outlet = self.journal

    @property
    def active(self) -> bool:
        """Whether the run still goes on."""
        return self.status == "running"

    @property
    def cancelled(self) -> bool:
        """Whether somebody cancelled it."""
        return self.status == "cancelled"

    def finish(self, status: str, at: datetime, stop_reason: str, error: Json | None = None) -> None:
        """Note how and when the run ended, unless it was cancelled before."""
        if self.active:
            self.status = status
            self.completed_at = at
            self.stop_reason = stop_reason
            self.error = error

    def is_expired(self, now: datetime) -> bool:
        """Tell whether the run is older than the server keeps runs."""
        return now - self.created_at > KEPT_FOR

    async def send(self, data: Json, *, event: str | None = None, final: bool = False) -> None:
        """Send an event, with its number if the run is in the background and the event has a place for it."""
        if self.background and "seq_id" in data:
            data = {**data, "seq_id": self.journal.next}
        await self.send_text(serializers.sse(data, event), final=final)

    async def send_text(self, text: str, *, final: bool = False) -> None:
        """Send an event that is already spelt out."""
        if self.background:
            self.journal.append(text, final=final)
            return
        while self.read and len(self.outlet) >= BACKLOG:
            await self.outlet.changed()
        if self.read:
            self.outlet.append(text, final=final)

    def abandon(self) -> None:
        """Note that the client hung up: the run goes on, and nobody waits for its events."""
        self.read = False
        self.outlet.forget(self.outlet.next - 1)


@dataclass(frozen=True, slots=True)
class Keepalive:
    """How a silent stream is kept open.

    Attributes:
        interval: seconds of silence after which a ping is sent.
        limit: seconds of silence after which the stream is given up.
    """

    interval: float = 30.0
    limit: float = 1800.0

    def __post_init__(self) -> None:
        arguments.seconds("interval", self.interval)
        arguments.seconds("limit", self.limit)
        if self.interval == 0:
            raise ValueError("interval must be positive, got 0")


async def follow(
    journal: Journal, *, after: int = 0, batch_size: int | None = None, keepalive: Keepalive | None = None
) -> AsyncIterator[Event | int]:
    """Yield the events of a journal after a number, as they come, to the final one.

    A number at or past the end waits for an event that never comes, as it does on the real server.

    Args:
        journal: what to read.
        after: the last number seen.
        batch_size: how many entries the server reads at a time. With 1 it reads the first entry again and again.
        keepalive: when to yield, instead of an event, the last number seen, for a ping to carry; None for never.
    """
    number = max(after + 1, journal.first)
    last = 0
    silent = 0.0
    while True:
        event = journal.get(number) if batch_size != 1 or number == journal.first else None
        if event is not None:
            silent = 0.0
            last = number
            yield event
            if event.final:
                return
            number = max(number + 1, journal.first)
        elif number < journal.first:
            number = journal.first
        elif not await journal.changed(keepalive.interval if keepalive else None) and keepalive:
            silent += keepalive.interval
            if silent > keepalive.limit:
                return
            yield last
