"""A message is there once, or its error says that it may be, whatever hook, flow or transport it is sent through."""

from __future__ import annotations

import gc
import warnings

import pytest

from letta_ext.testing import EmbeddedServer

from ..integration.ways import KINDS, WAYS, table
from .figures import figure, sample

pytestmark = pytest.mark.stress

ALWAYS = {"as it is", "response hook cannot connect", "CONNECT refused", "aiohttp, answer lost"}


def test_every_way_sends_once_or_says_that_it_may_have(server: EmbeddedServer) -> None:
    def stored(conversation_id: str) -> int:
        placed = server.state.conversations[conversation_id].thread.stored
        return sum(each.message.role == "user" for each in placed)

    names = ALWAYS | {*sample(list(WAYS), 8)}
    ways = {name: way for name, way in WAYS.items() if name in names}
    with warnings.catch_warnings():
        # httpcore leaves the socket open where a SOCKS proxy refuses; aiohttp where its transport is not closed.
        warnings.simplefilter("ignore", ResourceWarning)
        lines = table(server.base_url, lambda: server.conversation_id, stored, list(KINDS), ways)
        gc.collect()
    twice = 0  # else `table` had failed
    figure("ways to send", f"{len(ways)} of {len(WAYS)}, sends {len(lines) - 1}, sent twice {twice}")
    print("\n".join(lines))
