"""The walks of `proof.py` on the embedded server, with cursors of either meaning."""

from __future__ import annotations

import httpx
import pytest

from letta_ext.testing import EmbeddedServer
from tests.walks.proof import walk_everything


@pytest.mark.proof
@pytest.mark.parametrize("order_relative", [False, True], ids=["chronological cursors", "order-relative cursors"])
def test_walks_of_an_embedded_server_lose_and_repeat_nothing(order_relative: bool) -> None:
    with EmbeddedServer() as server, httpx.Client(base_url=server.base_url) as http:
        server.state.order_relative_cursors = order_relative
        figures = walk_everything(server.base_url, http, "openai-proxy/gpt-4o-mini")
    print(f"\nPROOF walks, embedded server, order-relative {order_relative}: {figures}")
    assert not figures.faults
    assert figures.walks == 132
