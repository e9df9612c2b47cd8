"""Fixtures: clients that load no certificates, and a virtual clock."""

from __future__ import annotations

import time

import anyio
import pytest

from ..tools.turns import ClientDriver
from .playing import Time


@pytest.fixture
def driver_class() -> type[ClientDriver]:
    """Return the class of `driver`."""
    return ClientDriver


@pytest.fixture
def virtual_time(monkeypatch: pytest.MonkeyPatch) -> Time:
    """Replace the sleeps of the library by a virtual clock."""
    virtual = Time()
    monkeypatch.setattr(time, "sleep", virtual.sleep)
    monkeypatch.setattr(anyio, "sleep", virtual.sleep_async)
    return virtual
