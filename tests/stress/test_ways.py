"""A message is sent once, or its error states the doubt, through any hook, `auth=` flow or transport."""

from __future__ import annotations

import gc
import warnings

import pytest

from letta_ext.testing import EmbeddedServer

from ..integration.ways import KINDS, WAYS, table
from .figures import figure, sample

pytestmark = pytest.mark.stress

ALWAYS = {"as it is", "response hook cannot connect", "CONNECT refused", "aiohttp, response lost"}


def test_every_send_path_sends_once_or_states_doubt(server: EmbeddedServer) -> None:
    """Each path sends once, or raises an error that states that the message may have been processed."""

    def stored(conversation_id: str) -> int:
        placed = server.state.conversations[conversation_id].thread.stored
        return sum(each.message.role == "user" for each in placed)

    names = ALWAYS | {*sample(list(WAYS), 8)}
    ways = {name: way for name, way in WAYS.items() if name in names}
    with warnings.catch_warnings():
        # httpcore leaks the socket of a SOCKS failure, aiohttp that of an unclosed transport.
        warnings.simplefilter("ignore", ResourceWarning)
        lines = table(server.base_url, lambda: server.conversation_id, stored, list(KINDS), ways)
        gc.collect()
    twice = 0  # `table` fails otherwise
    figure("ways to send", f"{len(ways)} of {len(WAYS)}, sends {len(lines) - 1}, sent twice {twice}")
    print("\n".join(lines))
