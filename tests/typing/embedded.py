"""Calls of the embedded server that both checkers must accept. Nothing here runs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import assert_type

from letta_ext.testing import Clock, Cut, EmbeddedServer, Received, State, SystemClock, TickingClock, build


class Halted:
    """A clock of a user's own."""

    def now(self) -> datetime:
        return datetime(2026, 1, 1, tzinfo=UTC)

    def advance(self, by: timedelta) -> None:
        raise NotImplementedError


def clocks(clock: Clock) -> None:
    with EmbeddedServer(clock=SystemClock()) as server:
        assert_type(server.state.clock, Clock)
        server.state.clock.advance(timedelta(hours=3, minutes=1))
    EmbeddedServer(clock=TickingClock(datetime(2030, 1, 1, tzinfo=UTC)))
    EmbeddedServer(clock=Halted())
    EmbeddedServer(build(state=State(clock=clock)), clock=None)


def faults(server: EmbeddedServer) -> None:
    server.faults.add(Cut(events=3), None, on="steps.list", times=None)
    assert_type(server.faults.unused, list[str])
    assert_type(server.requests, list[Received])
    server.assert_faults_happened()
    EmbeddedServer(check=True, check_faults=True)
