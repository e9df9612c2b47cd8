"""The specification, for every test in this directory."""

from __future__ import annotations

import pytest

from .document import Node, load


@pytest.fixture
def document() -> Node:
    """A fresh copy, which a test may change."""
    return load()
