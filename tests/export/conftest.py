"""Fixtures: a server with steps, which the tests of a module share, and its client."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from letta_ext import Letta
from letta_ext.testing import EmbeddedServer

STEPS = 45


@pytest.fixture
def anyio_backend() -> str:
    """Return the name of the event loop library."""
    return "asyncio"


@pytest.fixture(scope="module")
def stocked() -> Iterator[EmbeddedServer]:
    """Return a server with steps, which no test changes."""
    with EmbeddedServer(check=False) as server:
        server.state.add_steps(server.agent_id, STEPS)
        yield server


@pytest.fixture
def client(stocked: EmbeddedServer) -> Iterator[Letta]:
    with Letta(base_url=stocked.base_url, max_retries=0) as client:
        yield client
