"""The pytest plugin of letta-ext: fixtures for a Letta server in memory, and for clients of it.

It imports nothing but pytest until one of its fixtures is asked for, so that it costs nothing where none is. It stands
beside the package, and not in it, because importing a part of a package imports the package.
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
    "letta(scene='default', delay=None, check=True, check_faults=True): how the server of letta_server is set up, "
    "with the arguments of letta_ext.testing.EmbeddedServer; a scene file is looked for beside the test's file"
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the settings."""
    parser.addini("letta_scene", "the scene of letta_server: a name, or a file's path from the root", default="default")
    parser.addini(
        "letta_check",
        "whether a test fails when a request or an answer of letta_server is not as Letta's specification says",
        type="bool",
        default=True,
    )
    parser.addini(
        "letta_check_faults",
        "whether a test fails when a fault that is planned for letta_server does not happen",
        type="bool",
        default=True,
    )


def pytest_configure(config: pytest.Config) -> None:
    """Declare the marker."""
    config.addinivalue_line("markers", _MARKER)


@pytest.fixture
def letta_server(request: pytest.FixtureRequest) -> Iterator[EmbeddedServer]:
    """A Letta server of the test's own, on loopback.

    The test fails at its end if a request that the server took, or an answer that it gave, is not as the
    specification says, or if a fault that was planned has not happened.
    """
    from letta_ext.testing import EmbeddedServer

    with EmbeddedServer(**_settings(request)) as server:
        yield server


@pytest.fixture
def letta_client(letta_server: EmbeddedServer) -> Iterator[Letta]:
    """A client of the test's server."""
    from letta_ext import Letta

    with Letta(base_url=letta_server.base_url, api_key="test") as client:
        yield client


@pytest.fixture
def async_letta_client(letta_server: EmbeddedServer) -> AsyncLetta:
    """An async client of the test's server, for any event loop and any plugin that runs async tests."""
    from letta_ext import AsyncLetta

    # It need not be closed, which would take an event loop: its connections are closed when it is dropped.
    return AsyncLetta(base_url=letta_server.base_url, api_key="test")


def _settings(request: pytest.FixtureRequest) -> dict[str, Any]:
    settings: dict[str, Any] = {
        "scene": _scene(request.config.getini("letta_scene"), request.config.rootpath),
        "check": request.config.getini("letta_check"),
        "check_faults": request.config.getini("letta_check_faults"),
    }
    marker = request.node.get_closest_marker("letta")
    if marker is None:
        return settings
    if marker.args:
        raise pytest.UsageError(f"the marker letta takes its arguments by name: {_MARKER}")
    given = dict(marker.kwargs)
    if "scene" in given:
        given["scene"] = _scene(given["scene"], request.path.parent)
    return settings | given


def _scene(scene: Any, folder: Path) -> Any:
    """Return a scene of which a file's path is looked for in a folder."""
    if isinstance(scene, (str, Path)) and (folder / scene).is_file():
        return folder / scene
    return scene
