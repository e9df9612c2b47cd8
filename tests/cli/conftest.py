"""Fixtures: the command line on an embedded server, with a pipe and with a terminal as its output."""

from __future__ import annotations

import pytest

from letta_ext.testing import EmbeddedServer

from .running import CommandLine


@pytest.fixture
def cli(server: EmbeddedServer, monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    """Return the command line, which finds the server by its environment variable."""
    monkeypatch.setenv("LETTA_BASE_URL", server.base_url)
    for name in ("NO_COLOR", "FORCE_COLOR", "CLICOLOR_FORCE"):
        monkeypatch.delenv(name, raising=False)
    return CommandLine(monkeypatch)
