"""The list iteration of `tests/pagination/proof.py` on the real server."""

from __future__ import annotations

import os

import httpx
import pytest

from tests.pagination.comparison import LIMITS, iterate_all_lists


@pytest.mark.stress
def test_lists_on_real_server_lose_and_repeat_no_item(address: str, model: str) -> None:
    """Lists with each limit, order and filter lose and repeat no item."""
    full = os.environ.get("LETTA_STRESS") == "full"
    with httpx.Client(base_url=address, timeout=120) as http:
        limits = LIMITS if full else (1, 5, None)
        figures = iterate_all_lists(address, http, model, limits=limits, turns=5 if full else 3)
    print(f"\nFIGURE walks, real server\n{figures}")
    assert figures.faults == []
