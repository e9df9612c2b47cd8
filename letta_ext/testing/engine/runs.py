"""Runs: the numbered events of a response, and how a reader follows them."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from .. import arguments
from ..api import serializers
from ..store.models import Json

RUN_RETENTION = timedelta(hours=3)
"""Time during which a run can be resumed, and an otid refers to its first run."""

MAX_EVENTS = 10_000
"""Number of events of a background run that the server keeps."""

BACKLOG = 256
"""Maximum number of events that a foreground run buffers for its reader."""


@dataclass(frozen=True, slots=True)
class Event:
    """One encoded event. The final one ends the stream."""

    text: str
    final: bool


class Journal:
    """The events of one stream, numbered from 1.

    Args:
        keep: Number of the newest events to keep. None keeps all events until `drop_through`.
    """

    def __init__(self, keep: int | None = MAX_EVENTS) -> None:
        self.first = 1
        self.next = 1
        self._keep = keep
        self._events: dict[int, Event] = {}
        self._waiters: list[asyncio.Future[None]] = []

    def __len__(self) -> int:
        return len(self._events)

    def append(self, text: str, *, final: bool = False) -> None:
        """Append an event. Every event consumes a number, even if it does not contain it."""
        self._events[self.next] = Event(text, final)
        self.next += 1
        if self._keep is not None:
            # Letta ends every run with a second [DONE], which occupies an entry and is never read.
            self.drop_through(self.next - 1 - self._keep + final)
        self._wake()

    def drop_through(self, number: int) -> None:
        """Drop all events up to a number."""
        for dropped in range(self.first, number + 1):
            self._events.pop(dropped, None)
        self.first = max(self.first, number + 1)
        self._wake()

    def trim(self, keep: int) -> None:
        """Drop all but the newest events."""
        self.drop_through(self.next - 1 - keep)

    def get(self, number: int) -> Event | None:
        """Return the event of a number, or None if it was dropped."""
        return self._events.get(number)

    async def changed(self, seconds: float | None = None) -> bool:
        """Wait for a change. Return False after the timeout [s]."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.append(future)
        done, _ = await asyncio.wait({future}, timeout=seconds)
        return bool(done)

    def _wake(self) -> None:
        for future in self._waiters:
            if not future.done():
                future.set_result(None)
        self._waiters.clear()


@dataclass(slots=True, kw_only=True)
class Run:
    """One run of an agent.

    Attributes:
        conversation_id: None in default conversations and without streaming, as in Letta.
        journal: The events that can be resumed. Empty unless the run is in the background.
        outlet: The events of the response itself.
        read: Whether a client reads the outlet.
        kind: The run type in Letta's metadata.
        config: The settings of the request that the run contains.
        tracked: Whether Letta updates the status of the run, which it does for streams only.
        stop_reason: Stop reason of a finished run.
        error: The ``error_message`` of a failed run.
    """

    id: str
    agent_id: str
    conversation_id: str | None
    background: bool
    created_at: datetime
    kind: str = "send_conversation_message"
    config: Json = field(default_factory=Json)
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
        """Whether the run is still running."""
        return self.status == "running"

    @property
    def cancelled(self) -> bool:
        """Whether the run was cancelled."""
        return self.status == "cancelled"

    @property
    def is_shown_active(self) -> bool:
        """Whether the API shows the run as active, as it does for all runs without streaming."""
        return self.active or not (self.tracked or self.cancelled)

    @property
    def is_cancellable(self) -> bool:
        """Whether the API shows the run as active, or it waits for an approval."""
        return self.is_shown_active or self.stop_reason == "requires_approval"

    def cancel(self, at: datetime) -> None:
        """Cancel the run."""
        self.status = "running"
        self.finish("cancelled", at, "cancelled")

    def finish(self, status: str, at: datetime, stop_reason: str, error: Json | None = None) -> None:
        """Set the final status, unless the run was cancelled."""
        if self.active:
            self.status = status
            self.completed_at = at
            self.stop_reason = stop_reason
            self.error = error

    def is_expired(self, now: datetime) -> bool:
        """Return whether the run has expired."""
        return now - self.created_at > RUN_RETENTION

    async def send(self, data: Json) -> None:
        """Send an event, with its number if the run is in the background and the event has a ``seq_id``."""
        if self.background and "seq_id" in data:
            data = {**data, "seq_id": self.journal.next}
        await self.send_text(serializers.sse(data))

    async def send_text(self, text: str, *, final: bool = False) -> None:
        """Send an encoded event."""
        if self.background:
            self.journal.append(text, final=final)
            return
        while self.read and len(self.outlet) >= BACKLOG:
            await self.outlet.changed()
        if self.read:
            self.outlet.append(text, final=final)

    def stop_reading(self) -> None:
        """Mark the response as unread after the client has disconnected. The run continues."""
        self.read = False
        self.outlet.drop_through(self.outlet.next - 1)


@dataclass(frozen=True, slots=True)
class Keepalive:
    """The pings in a silent stream.

    Attributes:
        interval: Silence before a ping [s].
        limit: Silence after which the stream ends [s].
    """

    interval: float = 30.0
    limit: float = 1800.0

    def __post_init__(self) -> None:
        arguments.seconds("interval", self.interval)
        arguments.seconds("limit", self.limit)
        if self.interval == 0:
            raise ValueError("interval must be positive, got 0")
