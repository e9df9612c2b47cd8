"""Fixtures of the specification tests."""

from __future__ import annotations

import pytest

from .document import Node, load


@pytest.fixture
def document() -> Node:
    """Return a copy of the specification that a test may change."""
    return load()
