"""The walks of `tests/pagination/proof.py` on the real server."""

from __future__ import annotations

import os

import httpx
import pytest

from tests.pagination.proof import LIMITS, walk_everything


@pytest.mark.stress
def test_walks_lose_and_repeat_nothing(address: str, model: str) -> None:
    full = os.environ.get("LETTA_STRESS") == "full"
    with httpx.Client(base_url=address, timeout=120) as http:
        figures = walk_everything(address, http, model, limits=LIMITS if full else (1, 5, None), turns=5 if full else 3)
    print(f"\nFIGURE walks, real server\n{figures}")
    assert figures.faults == []
