"""The event loop of the async tests, and property tests without deadlines."""

from __future__ import annotations

import pytest
from hypothesis import settings

# The time of one example is not the subject of any test, and machines of CI are slow.
settings.register_profile("letta", deadline=None)
settings.load_profile("letta")


@pytest.fixture
def anyio_backend() -> str:
    """Return the name of the event loop library."""
    return "asyncio"
