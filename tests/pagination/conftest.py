"""The event loop of the async tests."""

from __future__ import annotations

import pytest


@pytest.fixture
def anyio_backend() -> str:
    """Return the name of the event loop library."""
    return "asyncio"
