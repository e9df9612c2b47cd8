"""Fixtures: both clients, an embedded server, a virtual clock, and an environment without variables of the library."""

from __future__ import annotations

import time
from collections.abc import Iterator

import anyio
import pytest

from letta_ext.testing import EmbeddedServer

from ..tools.turns import ClientDriver
from .playing import Time


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LETTA_API_KEY", "LETTA_BASE_URL", "LETTA_LOG"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(params=["sync", "async"])
def driver(request: pytest.FixtureRequest) -> Iterator[ClientDriver]:
    driver = ClientDriver(is_async=request.param == "async")
    yield driver
    driver.close()


@pytest.fixture
def server() -> Iterator[EmbeddedServer]:
    with EmbeddedServer() as running:
        yield running


@pytest.fixture
def virtual_time(monkeypatch: pytest.MonkeyPatch) -> Time:
    """Replace the sleeps of the library by a virtual clock."""
    virtual = Time()
    monkeypatch.setattr(time, "sleep", virtual.sleep)
    monkeypatch.setattr(anyio, "sleep", virtual.sleep_async)
    return virtual
