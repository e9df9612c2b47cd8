"""PlannedFault faults that do not happen are reported: by the server, and by the pytest plugin."""

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
def test_a_fault_that_happened_is_used_and_one_that_did_not_is_named(talk: ServerClient, fault: Fault) -> None:
    """Each fault counts as used once a request has met it, and is named until then."""
    faults = talk.server.faults
    if not isinstance(fault, Refuse):  # it happens at once
        faults.add(fault)
        with pytest.raises(UnusedFaultError, match=f"^{re.escape(str(fault))} never happened$"):
            talk.server.assert_faults_happened()
        faults.clear()
        assert faults.unused == []
    faults.add(fault)
    with suppress(httpx.HTTPError):
        talk.send("hello", stream_tokens=True)
    talk.server.assert_faults_happened()


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
def test_a_fault_behind_the_end_of_a_response_did_not_happen(talk: ServerClient, fault: Fault) -> None:
    """A fault whose place the response never reaches is unused, although a request has got it."""
    talk.server.faults.add(fault)
    assert talk.send("hello").status_code == 200
    [line] = talk.server.faults.unused
    assert line.startswith(f"{fault} never happened; 1 request got it")
    talk.server.faults.clear()


@pytest.mark.parametrize("fault", [UnknownMessage(), ExtraFields()], ids=str)
def test_a_fault_without_a_place_in_the_response_did_not_happen(talk: ServerClient, fault: Fault) -> None:
    """A fault that adds to messages is unused on a response that has none."""
    talk.server.faults.add(fault)
    assert talk.http.get("/v1/runs/" if isinstance(fault, ExtraFields) else "/v1/health/").status_code in (200, 404)
    assert len(talk.server.faults.unused) == (0 if isinstance(fault, ExtraFields) else 1)
    talk.server.faults.clear()


@pytest.mark.parametrize(
    ("requests", "times", "unused"),
    [(0, 1, "never happened"), (0, None, "never happened"), (1, 3, "happened 1 of 3 times"), (1, None, ""), (3, 3, "")],
)
def test_how_often_a_fault_happened(talk: ServerClient, requests: int, times: int | None, unused: str) -> None:
    """A fault is used if it happened as often as planned; one for every time, if it happened at all."""
    talk.server.faults.add(Respond(503), on="steps.list", times=times)
    for _ in range(requests):
        assert talk.http.get("/v1/steps/").status_code == 503
    assert [line.partition(" on steps.list ")[2] for line in talk.server.faults.unused] == [unused] * bool(unused)
    talk.server.faults.clear()


def test_the_server_reports_unused_faults_when_asked_to() -> None:
    """Leaving the ``with`` block raises with ``check_faults=True`` only, and never over another exception."""
    with EmbeddedServer() as server:
        server.faults.add(Respond(503))
    with pytest.raises(UnusedFaultError, match="never happened"), EmbeddedServer(check_faults=True) as server:
        server.faults.add(Respond(503))
    with pytest.raises(ZeroDivisionError), EmbeddedServer(check_faults=True) as server:
        server.faults.add(Respond(503), Respond(1 // len(server.requests)))


def test_requests_that_are_left_alone_are_no_fault(talk: ServerClient) -> None:
    """None in a plan may stay unused."""
    talk.server.faults.add(None, Respond(503), None)
    assert [talk.http.get("/v1/health/").status_code for _ in range(2)] == [200, 503]
    talk.server.assert_faults_happened()


PLANNED = """
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
    assert False, "the test's own"
"""


@pytest.mark.parametrize(
    ("marker", "setting", "outcome"),
    [
        (False, None, {"errors": ["test_unused", "test_that_fails_itself"]}),
        (True, "false", {"errors": ["test_marked"]}),
    ],
)
def test_the_plugin_fails_a_test_whose_faults_did_not_happen(
    tmp_path: Path, marker: bool, setting: str | None, outcome: Any
) -> None:
    """A test with an unused fault fails, unless the marker or the setting says otherwise."""
    if setting is not None:
        (tmp_path / "pytest.ini").write_text(f"[pytest]\nletta_check_faults = {setting}\n", encoding="utf-8")
    done = run(tmp_path, PLANNED.format(marker=marker), "--strict-markers", "--strict-config")
    errors = re.findall(r"^ERROR test_it\.py::(\w+)", done.stdout, re.MULTILINE)
    assert errors == outcome["errors"], done.stdout
    assert re.findall(r"^FAILED test_it\.py::(\w+)", done.stdout, re.MULTILINE) == ["test_that_fails_itself"]
    assert "UnusedFaultError: Respond(status=503, body=None, retry_after=None, headers={}) on steps.list never" in (
        done.stdout
    )
