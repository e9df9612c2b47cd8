"""Calls that a signal handler interrupts inside the connection pool."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final

import httpx
import pytest

from letta_ext import APITimeoutError, Letta, LettaError
from letta_ext._http import default_client

from .counting import counting_server
from .helpers import NO_RETRIES
from .interruptions import PlannedError


def interrupted_call(client: Letta, place: int) -> tuple[str, int] | None:
    """Make a call that raises at one of the pool's places where CPython runs signal handlers; return the place."""
    passed = 0
    found: tuple[str, int] | None = None

    def profile(frame: FrameType, event: str, _: object) -> None:
        nonlocal passed, found
        module = str(frame.f_globals.get("__name__"))
        if event not in ("call", "c_return") or not module.startswith(POOL):
            return
        if frame.f_code.co_name in ("_pop", "<lambda>"):  # these release; the collector runs the lambda
            return
        passed += 1
        if passed - 1 == place:
            found = frame.f_code.co_name, frame.f_lineno
            raise PlannedError

    sys.setprofile(profile)
    try:
        client.get("/v1/steps/")
    except (PlannedError, LettaError):
        pass
    finally:
        sys.setprofile(None)
    return found


POOL: Final = ("letta_ext._sync.connection_pool", "letta_ext._http.connection_pool", "letta_ext._http.concurrency")


@contextmanager
def frozen_objects() -> Iterator[None]:
    """Freeze existing objects, which makes collections a thousand times faster."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


@pytest.mark.parametrize("kept", [0, 1])
def test_call_interrupted_inside_pool_releases_slot_and_connection(kept: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """After an interruption at any place of the pool, the only slot is free and no extra connection is open."""
    monkeypatch.setattr(
        default_client, "DEFAULT_LIMITS", httpx.Limits(max_connections=1, max_keepalive_connections=kept)
    )
    short = httpx.Timeout(5, pool=0.05)
    with (
        counting_server() as server,
        Letta(base_url=server.base_url, retry=NO_RETRIES, timeout=short) as client,
        frozen_objects(),
    ):
        client.get("/v1/steps/")
        for place in range(1_000):
            found = interrupted_call(client, place)
            gc.collect()  # release a response that could not be closed
            try:
                client.get("/v1/steps/")
            except APITimeoutError:
                pytest.fail(f"an exception in {found} leaks a slot")
            assert server.wait_open(kept), found
            if found is None:
                break
    assert place > 20
