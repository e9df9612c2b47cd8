"""Fixtures: the embedded server with the travel scenario, and its client."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from attrs import frozen

from letta_ext import Letta
from letta_ext.report import render_report
from letta_ext.testing import EmbeddedServer

from .scenarios import CREATED, DAY, PRICES, travel


@frozen
class Travel:
    """The travel scenario after its end."""

    server: EmbeddedServer
    client: Letta
    runs: dict[str, str]


@pytest.fixture(scope="package")
def scenario() -> Iterator[Travel]:
    with EmbeddedServer() as server, Letta(base_url=server.base_url) as client:
        yield Travel(server, client, travel(server, client))


@pytest.fixture(scope="package")
def day(scenario: Travel) -> str:
    """Return the report of the day of the scenario."""
    return render_report(scenario.client, prices=PRICES, created=CREATED, **DAY)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"
