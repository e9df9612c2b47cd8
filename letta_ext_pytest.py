"""The pytest plugin of letta-ext: fixtures for an embedded Letta server and its clients.

It imports only pytest until a fixture is used. It is a top-level module, because a module within the package would
import the package.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from letta_ext import AsyncLetta, Letta
    from letta_ext.testing import EmbeddedServer

_MARKER = (
    "letta(scenario='default', delay=None, check=True, check_faults=True): options of letta_server, as in "
    "letta_ext.testing.EmbeddedServer; a scenario file is resolved relative to the test file"
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the ini options."""
    parser.addini(
        "letta_scenario",
        "scenario of letta_server: a name, or a path relative to the root directory",
        default="default",
    )
    parser.addini(
        "letta_check",
        "fail a test if a request or a response of letta_server does not match the specification",
        type="bool",
        default=True,
    )
    parser.addini(
        "letta_check_faults",
        "fail a test if a planned fault of letta_server does not happen",
        type="bool",
        default=True,
    )


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker."""
    config.addinivalue_line("markers", _MARKER)


@pytest.fixture
def letta_server(request: pytest.FixtureRequest) -> Iterator[EmbeddedServer]:
    """Start an embedded Letta server for the test.

    The test fails at its end if a request or a response does not match the specification, or if a planned fault did not
    happen.
    """
    from letta_ext.testing import EmbeddedServer

    with EmbeddedServer(**_server_options(request)) as server:
        yield server


@pytest.fixture
def letta_client(letta_server: EmbeddedServer) -> Iterator[Letta]:
    """Return a client of the embedded server."""
    from letta_ext import Letta

    with Letta(base_url=letta_server.base_url, api_key="test") as client:
        yield client


@pytest.fixture
def async_letta_client(letta_server: EmbeddedServer) -> AsyncLetta:
    """Return an async client of the embedded server, for any event loop and any plugin for async tests."""
    from letta_ext import AsyncLetta

    # Closing it would need an event loop. Its connections are closed when it is garbage-collected.
    return AsyncLetta(base_url=letta_server.base_url, api_key="test")


@pytest.fixture
def letta_agent_id(letta_server: EmbeddedServer) -> str:
    """Return the id of the agent of the embedded server."""
    return letta_server.agent_id


@pytest.fixture
def letta_conversation_id(letta_server: EmbeddedServer) -> str:
    """Return the id of a conversation with the agent of the embedded server."""
    return letta_server.conversation_id


def _server_options(request: pytest.FixtureRequest) -> dict[str, Any]:
    options: dict[str, Any] = {
        "scenario": _resolve_scenario(request.config.getini("letta_scenario"), request.config.rootpath),
        "check": request.config.getini("letta_check"),
        "check_faults": request.config.getini("letta_check_faults"),
    }
    marker = request.node.get_closest_marker("letta")
    if marker is None:
        return options
    if marker.args:
        raise pytest.UsageError(f"the marker letta accepts only keyword arguments: {_MARKER}")
    marker_options = dict(marker.kwargs)
    if "scenario" in marker_options:
        marker_options["scenario"] = _resolve_scenario(marker_options["scenario"], request.path.parent)
    return options | marker_options


def _resolve_scenario(scenario: Any, folder: Path) -> Any:
    """Return a scenario. Resolve a file name relative to a folder."""
    if isinstance(scenario, (str, Path)) and (folder / scenario).is_file():
        return folder / scenario
    return scenario
