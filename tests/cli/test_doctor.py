"""Tests of `letta-ext doctor`."""

from __future__ import annotations

import pytest

from .running import CommandLine


def test_doctor_working_server_passes_each_check(cli: CommandLine) -> None:
    """The doctor of a working server ends with 0, and reports each check."""
    done = cli.run("doctor")
    assert done.code == 0, done.out
    found = {each["check"]: each["ok"] for each in done.json}
    assert found == {
        "client": True,
        "address": True,
        "key": None,
        "server": True,
        "latency": True,
        "access": True,
    }


def test_doctor_unreachable_server_fails_with_remedy(cli: CommandLine) -> None:
    """The doctor names an unreachable server and how to start one, and ends with 1."""
    done = cli.run("doctor", "--base-url", "http://127.0.0.1:1")
    assert done.code == 1
    failed = [each for each in done.json if each["ok"] is False]
    assert [each["check"] for each in failed] == ["server"]
    assert "letta-ext serve" in failed[0]["remedy"]


@pytest.mark.parametrize("width", [60, 80, 120])
def test_doctor_on_a_terminal_fits_its_width(cli: CommandLine, width: int) -> None:
    """The lines of the doctor are not longer than the terminal is wide."""
    done = cli.on_terminal("doctor", width=width)
    assert done.code == 0, done.out
    assert "latency" in done.out
    assert max(map(len, done.out.splitlines())) <= width
