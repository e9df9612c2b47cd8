"""Fixtures that make counts independent of other tests in the same process."""

from __future__ import annotations

import sys

import pytest

from .newer import forget_learned_fields


@pytest.fixture(autouse=True)
def _without_instrumentation(monkeypatch: pytest.MonkeyPatch) -> None:
    """Disable spans, which another test may have enabled."""
    monkeypatch.delitem(sys.modules, "opentelemetry.trace", raising=False)


@pytest.fixture(autouse=True)
def _without_learned_fields(monkeypatch: pytest.MonkeyPatch) -> None:
    """Decode documented fields alone: other tests have sent undocumented ones."""
    forget_learned_fields(monkeypatch)
