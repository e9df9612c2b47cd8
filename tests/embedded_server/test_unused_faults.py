"""Planned faults that do not happen are reported by the server and by the pytest plugin."""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from letta_ext.testing import (
    BadChunk,
    Cut,
    EmbeddedServer,
    ExtraFields,
    Fault,
    LostRequest,
    LostResponse,
    Malformed,
    Redirect,
    Refuse,
    Respond,
    Slow,
    Stall,
    Trim,
    UnknownMessage,
    UnusedFaultError,
    WrongType,
)

from .conftest import ServerClient
from .test_plugin import run

EVERY_FAULT: list[Fault] = [
    Cut(events=2),
    Cut(events=2, how="end"),
    Cut(bytes=40),
    Stall(events=1, seconds=0),
    Stall(bytes=40, seconds=0),
    Slow(size=100_000, pause=0),
    LostResponse(),
    LostRequest(),
    Refuse(0),
    Respond(503),
    Respond(299),
    Respond(204),
    Redirect("https://elsewhere.test"),
    Redirect(),
    Malformed(events=1),
    UnknownMessage(events=1),
    ExtraFields(),
    WrongType(),
    BadChunk(events=1),
    Trim(keep=1),
]


@pytest.mark.parametrize("fault", EVERY_FAULT, ids=str)
def test_fault_is_unused_until_injected(api: ServerClient, fault: Fault) -> None:
    """A fault is listed as unused until it is injected into a request."""
    faults = api.server.faults
    if not isinstance(fault, Refuse):  # Refuse is injected immediately
        faults.add(fault)
        with pytest.raises(UnusedFaultError, match=f"^{re.escape(str(fault))} never happened$"):
            api.server.assert_faults_happened()
        faults.clear()
        assert faults.unused == []
    faults.add(fault)
    with suppress(httpx.HTTPError):
        api.send("hello", stream_tokens=True)
    api.server.assert_faults_happened()


@pytest.mark.parametrize(
    "fault",
    [
        Cut(events=100),
        Cut(bytes=1_000_000),
        Cut(events=100, how="end"),
        Stall(events=100),
        Stall(bytes=1_000_000),
        Malformed(events=100),
        UnknownMessage(events=100),
        BadChunk(events=100),
    ],
    ids=str,
)
def test_fault_beyond_response_is_unused(api: ServerClient, fault: Fault) -> None:
    """A fault beyond the end of the response is unused."""
    api.server.faults.add(fault)
    assert api.send("hello").status_code == 200
    [line] = api.server.faults.unused
    assert line.startswith(f"{fault} never happened; 1 request got it")
    api.server.faults.clear()


@pytest.mark.parametrize(
    ("fault", "path"), [(UnknownMessage(), "/v1/health/"), (ExtraFields(), "/v1/runs/")], ids=["message", "fields"]
)
def test_fault_in_response_without_messages_is_unused(api: ServerClient, fault: Fault, path: str) -> None:
    """A fault in messages or objects is unused on a response without them."""
    api.server.faults.add(fault)
    assert api.http.get(path).status_code == 200
    assert len(api.server.faults.unused) == 1
    api.server.faults.clear()


@pytest.mark.parametrize(
    ("requests", "times", "unused"),
    [(0, 1, "never happened"), (0, None, "never happened"), (1, 3, "happened 1 of 3 times"), (1, None, ""), (3, 3, "")],
)
def test_fault_times_counts_injections(api: ServerClient, requests: int, times: int | None, unused: str) -> None:
    """A fault is used if it happened as often as planned, or once with `times=None`."""
    api.server.faults.add(Respond(503), on="steps.list", times=times)
    for _ in range(requests):
        assert api.http.get("/v1/steps/").status_code == 503
    assert [line.partition(" on steps.list ")[2] for line in api.server.faults.unused] == [unused] * bool(unused)
    api.server.faults.clear()


def test_check_faults_raises_for_unused_faults() -> None:
    """The ``with`` block raises only with ``check_faults=True``, and does not replace another exception."""
    with EmbeddedServer() as server:
        server.faults.add(Respond(503))
    with pytest.raises(UnusedFaultError, match="never happened"), EmbeddedServer(check_faults=True) as server:
        server.faults.add(Respond(503))
    with pytest.raises(ZeroDivisionError), EmbeddedServer(check_faults=True) as server:
        server.faults.add(Respond(503), Respond(1 // len(server.requests)))


def test_none_in_plan_may_stay_unused(api: ServerClient) -> None:
    """None in a plan may stay unused."""
    api.server.faults.add(None, Respond(503), None)
    assert [api.http.get("/v1/health/").status_code for _ in range(2)] == [200, 503]
    api.server.assert_faults_happened()


PLUGIN_TESTS = """
import pytest
from letta_ext.testing import Respond

def test_unused(letta_server):
    letta_server.faults.add(Respond(503), on="steps.list")

@pytest.mark.letta(check_faults={marker})
def test_marked(letta_server):
    letta_server.faults.add(Respond(503), on="steps.list")

def test_used(letta_server, letta_client):
    letta_server.faults.add(Respond(503), on="steps.list")
    letta_client.steps.list()

def test_that_fails_itself(letta_server):
    letta_server.faults.add(Respond(503), on="steps.list")
    assert False, "failure of the test"
"""


@pytest.mark.parametrize(
    ("marker", "setting", "outcome"),
    [
        (False, None, {"errors": ["test_unused", "test_that_fails_itself"]}),
        (True, "false", {"errors": ["test_marked"]}),
    ],
)
def test_plugin_fails_test_with_unused_faults(tmp_path: Path, marker: bool, setting: str | None, outcome: Any) -> None:
    """A test with an unused fault fails, unless the marker or the setting turns the check off."""
    if setting is not None:
        (tmp_path / "pytest.ini").write_text(f"[pytest]\nletta_check_faults = {setting}\n", encoding="utf-8")
    done = run(tmp_path, PLUGIN_TESTS.format(marker=marker), "--strict-markers", "--strict-config")
    errors = re.findall(r"^ERROR test_it\.py::(\w+)", done.stdout, re.MULTILINE)
    assert errors == outcome["errors"], done.stdout
    assert re.findall(r"^FAILED test_it\.py::(\w+)", done.stdout, re.MULTILINE) == ["test_that_fails_itself"]
    assert "UnusedFaultError: Respond(status=503, body=None, retry_after=None, headers={}) on steps.list never" in (
        done.stdout
    )
