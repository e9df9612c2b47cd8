"""Tests of `letta-ext doctor`."""

from __future__ import annotations

import pytest

from letta_ext.testing import EmbeddedServer, Respond

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


def test_doctor_https_address_of_a_plain_server_names_the_remedy(cli: CommandLine, server: EmbeddedServer) -> None:
    """An address that begins with https:// instead of http:// is recognized, by all commands."""
    address = server.base_url.replace("http://", "https://")
    failed = cli.run("doctor", "--base-url", address).json[-1]
    assert failed["check"] == "server"
    assert "begin base_url with http://" in failed["detail"]
    assert "begin base_url with http://" in cli.run("steps", "--base-url", address, "--max-retries", "0").err


@pytest.mark.parametrize(
    ("response", "remedy"),
    [
        (Respond(200, "<html>"), "another program"),
        (Respond(200, {"ok": True}), "another program"),
        (Respond(401), "Set LETTA_API_KEY"),
        (Respond(500), "log of the server"),
        (Respond(301, headers={"location": "https://example.com/"}), ""),
    ],
)
def test_doctor_server_that_is_not_letta_has_a_remedy(
    cli: CommandLine, server: EmbeddedServer, response: Respond, remedy: str
) -> None:
    """The remedy depends on the response of the server."""
    server.faults.add(response, on="GET /v1/health/")
    failed = cli.run("doctor").json[-1]
    assert (failed["check"], failed["ok"]) == ("server", False)
    assert remedy in failed["remedy"] if remedy else not failed["remedy"]


def test_doctor_invalid_key_fails_the_check_of_the_key(shared_cli: CommandLine) -> None:
    """An API key that no header can contain is a problem of the key, not of the address."""
    failed = shared_cli.run("doctor", "--api-key", "a\nb").json[-1]
    assert (failed["check"], failed["ok"]) == ("key", False)


@pytest.mark.parametrize("width", [60, 80, 120])
def test_doctor_on_a_terminal_fits_its_width(cli: CommandLine, width: int) -> None:
    """The lines of the doctor are not longer than the terminal is wide."""
    done = cli.on_terminal("doctor", width=width)
    assert done.code == 0, done.out
    assert "latency" in done.out
    assert max(map(len, done.out.splitlines())) <= width
