"""Fixtures: both clients, an embedded server, and an environment without variables of the library."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from letta_ext.testing import EmbeddedServer

from .client.helpers import ClientDriver


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LETTA_API_KEY", "LETTA_BASE_URL", "LETTA_LOG", "LETTA_LOG_BODIES"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def driver_class() -> type[ClientDriver]:
    """Return the class of `driver`, which packages of tests override."""
    return ClientDriver


@pytest.fixture(params=["sync", "async"])
def driver(request: pytest.FixtureRequest, driver_class: type[ClientDriver]) -> Iterator[ClientDriver]:
    driver = driver_class(is_async=request.param == "async")
    yield driver
    driver.close()


@pytest.fixture
def server() -> Iterator[EmbeddedServer]:
    with EmbeddedServer() as running:
        yield running
