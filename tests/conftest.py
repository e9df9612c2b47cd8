"""Fixtures: both clients, an embedded server, and an environment without variables of the library."""

from __future__ import annotations

import gc
import signal
from collections.abc import Iterator

import pytest

from letta_ext.testing import EmbeddedServer

from .client.helpers import ClientDriver


def pytest_collection_finish() -> None:
    """Keep the modules of all tests out of later garbage collections, of which many tests wait for some."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="module", autouse=True)
def _frozen_objects() -> Iterator[None]:
    """Keep what the tests of a module leave in memory, such as imported packages, out of later collections, too."""
    yield
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LETTA_API_KEY", "LETTA_BASE_URL", "LETTA_LOG", "LETTA_LOG_BODIES"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="session", autouse=True)
def _interruptible() -> None:
    """Raise KeyboardInterrupt on SIGINT, also in the programs of tests: background jobs of a shell ignore it."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


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
