"""Where the embedded server takes the time from."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import httpx
import pytest

from letta_api.models import AssistantMessage
from letta_ext import Letta
from letta_ext.testing import EmbeddedServer, SystemClock, TickingClock, build

from .conftest import TLS


class Fixed:
    """A clock of a user's own."""

    def __init__(self, now: Any) -> None:
        self.time = now

    def now(self) -> Any:
        return self.time

    def advance(self, by: timedelta) -> None:
        self.time += by


def wrong(value: Any) -> Any:
    """Return a value of a type that type checkers refuse."""
    return value


def created(server: EmbeddedServer) -> datetime:
    with Letta(base_url=server.base_url, api_key="k") as client:
        client.conversations.messages.create(server.conversation_id, input="hello", streaming=False)
        [message] = client.conversations.messages.list(server.conversation_id, order="desc", limit=1).items
        assert isinstance(message, AssistantMessage)
        return message.date


def test_the_default_clock_is_the_same_in_every_run() -> None:
    """Two servers in process give their messages the same dates, at the beginning of 2026."""
    dates = set()
    for _ in range(2):
        with EmbeddedServer() as server:
            dates.add(created(server))
    [date] = dates
    assert date.date().isoformat() == "2026-01-01"


@pytest.mark.parametrize(
    "clock",
    [
        SystemClock(),
        TickingClock(datetime(2030, 5, 5, tzinfo=UTC)),
        TickingClock(datetime(2030, 5, 5, tzinfo=timezone(timedelta(hours=9)))),
        Fixed(datetime(1999, 1, 1, tzinfo=UTC)),
    ],
    ids=["system", "ticking", "ticking elsewhere", "custom"],
)
@pytest.mark.parametrize("scenario", ["default", "docs", "stage", "file"])
def test_a_clock_that_is_passed_is_used(clock: Any, scenario: str, tmp_path: Any) -> None:
    """`clock` is the clock of every kind of scenario."""
    (tmp_path / "scenario.yaml").write_text("otherwise: yes\n", encoding="utf-8")
    given: Any = {"stage": build(), "file": tmp_path / "scenario.yaml"}.get(scenario, scenario)
    with EmbeddedServer(given, clock=clock) as server:
        assert server.state.clock is clock
        before = clock.now()
        assert abs(created(server) - before) < timedelta(seconds=2)
        if scenario != "stage":
            assert server.state.conversations[server.conversation_id].created_at <= before


@pytest.mark.parametrize("clock", [SystemClock(), TickingClock(), Fixed(datetime(2026, 1, 1, tzinfo=UTC))], ids=type)
def test_a_run_expires_after_three_hours_by_any_clock(clock: Any) -> None:
    """`state.clock.advance` moves every clock."""
    with EmbeddedServer(clock=clock) as server, httpx.Client(base_url=server.base_url, verify=TLS) as http:
        path = f"/v1/conversations/{server.conversation_id}"
        message = {"role": "user", "content": "x", "otid": "a"}
        http.post(f"{path}/messages", json={"messages": [message], "background": True})
        assert http.post(f"{path}/stream", json={"otid": "a"}).status_code == 200
        server.state.clock.advance(timedelta(hours=3, minutes=1))
        assert http.post(f"{path}/stream", json={"otid": "a"}).status_code == 404


def test_no_two_readings_of_the_system_clock_are_equal() -> None:
    """Steps are ordered by their creation times, so these differ."""
    clock = SystemClock()
    readings = [clock.now() for _ in range(20_000)]
    assert readings == sorted(set(readings))
    assert abs(readings[-1] - datetime.now(UTC)) < timedelta(seconds=5)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: EmbeddedServer(clock=wrong("now")), TypeError, "clock must have the methods now and advance"),
        (lambda: EmbeddedServer(clock=wrong(SystemClock)), TypeError, "clock must have the methods now and advance"),
        (lambda: EmbeddedServer(clock=Fixed(datetime(2026, 1, 1))), ValueError, "must be timezone-aware"),  # noqa: DTZ001  # naive
        (lambda: EmbeddedServer(clock=Fixed(7)), TypeError, "must be a datetime, got 7"),
        (lambda: TickingClock(wrong("2026")), TypeError, "start must be a datetime, got '2026'"),
        (lambda: TickingClock(datetime(2026, 1, 1)), ValueError, "start must be timezone-aware"),  # noqa: DTZ001  # naive
        (lambda: TickingClock(tick=wrong(1)), TypeError, "tick must be a timedelta, got 1"),
        (lambda: TickingClock(tick=timedelta(-1)), ValueError, "tick must not be negative"),
        (lambda: TickingClock().advance(wrong(3)), TypeError, "by must be a timedelta, got 3"),
        (lambda: TickingClock().advance(timedelta(-1)), ValueError, "by must not be negative"),
        (lambda: TickingClock().advance(timedelta.max), ValueError, "must not exceed the year 9999"),
        (lambda: SystemClock().advance(timedelta(-1)), ValueError, "by must not be negative"),
        (lambda: SystemClock().advance(timedelta.max), ValueError, "must not exceed the year 9999"),
    ],
)
def test_a_clock_that_makes_no_sense_is_refused(make: Any, error: type[Exception], message: str) -> None:
    """A wrong clock is refused where it is made or passed."""
    with pytest.raises(error, match=message):
        make()


def test_yesterday_is_not_empty_on_the_command_line() -> None:
    """`python -m letta_ext.testing` uses the clock of the machine."""
    command = [sys.executable, "-m", "letta_ext.testing", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline().split()
            since = datetime.now(UTC) - timedelta(days=1)
            with Letta(base_url=line[2], api_key="k") as client:
                client.conversations.messages.create(line[-1].rstrip(")"), input="hello", streaming=False)
                assert len(client.steps.list(start_date=since.isoformat()).items) == 1
        finally:
            process.terminate()
