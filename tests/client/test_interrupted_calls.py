"""Calls that a signal handler interrupts in the middle of the connection pool."""

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

from .counting import counting
from .helpers import NO_RETRIES
from .interruptions import PlannedError


def call_interrupted(client: Letta, place: int) -> tuple[str, int] | None:
    """Make a call, and raise at one of the places of the pool where CPython runs signal handlers; return which."""
    passed = 0
    found: tuple[str, int] | None = None

    def profile(frame: FrameType, event: str, _: object) -> None:
        nonlocal passed, found
        module = str(frame.f_globals.get("__name__"))
        if event not in ("call", "c_return") or not module.startswith(POOL):
            return
        if frame.f_code.co_name in ("_pop", "<lambda>"):  # what gives back; the collector runs the other
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
def few_objects() -> Iterator[None]:
    """Let the collector pass over what there is already: it takes a thousandth of the time."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


@pytest.mark.parametrize("kept", [0, 1])
def test_a_call_that_a_signal_handler_ends_leaves_no_place_and_no_connection(
    kept: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At each place of the pool: the one place of the gate is free again, and no connection stays open besides."""
    monkeypatch.setattr(
        default_client, "DEFAULT_LIMITS", httpx.Limits(max_connections=1, max_keepalive_connections=kept)
    )
    short = httpx.Timeout(5, pool=0.05)
    with (
        counting() as server,
        Letta(base_url=server.base_url, retry=NO_RETRIES, timeout=short) as client,
        few_objects(),
    ):
        client.get("/v1/steps/")
        for place in range(1_000):
            found = call_interrupted(client, place)
            gc.collect()  # it releases a response that could not be closed
            try:
                client.get("/v1/steps/")
            except APITimeoutError:
                pytest.fail(f"an exception in {found} takes a place")
            assert server.wait_open(kept), found
            if found is None:
                break
    assert place > 20
