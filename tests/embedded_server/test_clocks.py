"""The clocks of the embedded server."""

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


class CustomClock:
    """A user-defined clock."""

    def __init__(self, now: Any) -> None:
        self.time = now

    def now(self) -> Any:
        return self.time

    def advance(self, by: timedelta) -> None:
        self.time += by


def untyped(value: Any) -> Any:
    """Return a value whose type a type checker rejects."""
    return value


def date_of_new_message(server: EmbeddedServer) -> datetime:
    with Letta(base_url=server.base_url, api_key="k") as client:
        client.conversations.messages.create(server.conversation_id, input="hello", streaming=False)
        [message] = client.conversations.messages.list(server.conversation_id, order="desc", limit=1).items
        assert isinstance(message, AssistantMessage)
        return message.date


def test_default_clock_gives_equal_dates_in_every_run() -> None:
    """Two servers assign the same dates to their messages, from the start of 2026."""
    dates = set()
    for _ in range(2):
        with EmbeddedServer() as server:
            dates.add(date_of_new_message(server))
    [date] = dates
    assert date.date().isoformat() == "2026-01-01"


@pytest.mark.parametrize(
    "clock",
    [
        SystemClock(),
        TickingClock(datetime(2030, 5, 5, tzinfo=UTC)),
        TickingClock(datetime(2030, 5, 5, tzinfo=timezone(timedelta(hours=9)))),
        CustomClock(datetime(1999, 1, 1, tzinfo=UTC)),
    ],
    ids=["system", "ticking", "ticking elsewhere", "custom"],
)
@pytest.mark.parametrize("scenario", ["default", "docs", "prepared", "file"])
def test_clock_argument_replaces_scenario_clock(clock: Any, scenario: str, tmp_path: Any) -> None:
    """`clock` replaces the clock of every kind of scenario."""
    (tmp_path / "scenario.yaml").write_text("otherwise: yes\n", encoding="utf-8")
    given: Any = {"prepared": build(), "file": tmp_path / "scenario.yaml"}.get(scenario, scenario)
    with EmbeddedServer(given, clock=clock) as server:
        assert server.state.clock is clock
        before = clock.now()
        assert abs(date_of_new_message(server) - before) < timedelta(seconds=2)
        if scenario != "prepared":
            assert server.state.conversations[server.conversation_id].created_at <= before


@pytest.mark.parametrize(
    "clock", [SystemClock(), TickingClock(), CustomClock(datetime(2026, 1, 1, tzinfo=UTC))], ids=type
)
def test_clock_advance_expires_runs(clock: Any) -> None:
    """`state.clock.advance` moves every clock."""
    with EmbeddedServer(clock=clock) as server, httpx.Client(base_url=server.base_url, verify=TLS) as http:
        path = f"/v1/conversations/{server.conversation_id}"
        message = {"role": "user", "content": "x", "otid": "a"}
        http.post(f"{path}/messages", json={"messages": [message], "background": True})
        assert http.post(f"{path}/stream", json={"otid": "a"}).status_code == 200
        server.state.clock.advance(timedelta(hours=3, minutes=1))
        assert http.post(f"{path}/stream", json={"otid": "a"}).status_code == 404


def test_system_clock_readings_strictly_increase() -> None:
    """Readings of the system clock are strictly increasing."""
    clock = SystemClock()
    readings = [clock.now() for _ in range(20_000)]
    assert readings == sorted(set(readings))
    assert abs(readings[-1] - datetime.now(UTC)) < timedelta(seconds=5)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: EmbeddedServer(clock=untyped("now")), TypeError, "clock must have the methods now and advance"),
        (lambda: EmbeddedServer(clock=untyped(SystemClock)), TypeError, "clock must have the methods now and advance"),
        (lambda: EmbeddedServer(clock=CustomClock(datetime(2026, 1, 1))), ValueError, "must be timezone-aware"),  # noqa: DTZ001  # naive
        (lambda: EmbeddedServer(clock=CustomClock(7)), TypeError, "must be a datetime, got 7"),
        (lambda: TickingClock(untyped("2026")), TypeError, "start must be a datetime, got '2026'"),
        (lambda: TickingClock(datetime(2026, 1, 1)), ValueError, "start must be timezone-aware"),  # noqa: DTZ001  # naive
        (lambda: TickingClock(tick=untyped(1)), TypeError, "tick must be a timedelta, got 1"),
        (lambda: TickingClock(tick=timedelta(-1)), ValueError, "tick must not be negative"),
        (lambda: TickingClock().advance(untyped(3)), TypeError, "by must be a timedelta, got 3"),
        (lambda: TickingClock().advance(timedelta(-1)), ValueError, "by must not be negative"),
        (lambda: TickingClock().advance(timedelta.max), ValueError, "must not exceed the year 9999"),
        (lambda: SystemClock().advance(timedelta(-1)), ValueError, "by must not be negative"),
        (lambda: SystemClock().advance(timedelta.max), ValueError, "must not exceed the year 9999"),
    ],
)
def test_invalid_clock_is_rejected(make: Any, error: type[Exception], message: str) -> None:
    """An invalid clock raises where it is created or passed."""
    with pytest.raises(error, match=message):
        make()


def test_command_line_uses_system_clock() -> None:
    """The command line uses the system clock."""
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
