"""Fixtures: clients that load no certificates."""

from __future__ import annotations

import pytest

from .turns import ClientDriver


@pytest.fixture
def driver_class() -> type[ClientDriver]:
    """Return the class of `driver`."""
    return ClientDriver
