"""Faults of the embedded server for one case: mutated responses and network faults."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Final

from letta_ext.testing.network import faults
from letta_ext.testing.network.faults import Fault

from .mutating import ODD, Reply
from .playing import ResponseDeck

KEYS: Final = ("id", "run_id", "seq_id", "otid", "date", "message_type", "tool_call", "tool_calls", "content", "more")
SENDABLE: Final = tuple(value for value in ODD if "\\ud" not in ascii(value))
"""Odd values that the embedded server can encode."""

NETWORK: Final[tuple[Callable[[random.Random], Fault | None], ...]] = (
    lambda chance: None,
    lambda chance: faults.Cut(bytes=chance.randrange(3000)),
    lambda chance: faults.Cut(events=chance.randrange(8), how=chance.choice(("close", "reset", "end"))),
    lambda chance: faults.Slow(size=chance.randrange(500, 3000), pause=0),
    lambda chance: faults.LostResponse(),
    lambda chance: faults.LostRequest(),
    lambda chance: faults.Malformed(events=chance.randrange(5)),
    lambda chance: faults.UnknownMessage(type=str(chance.choice(("newer", "", "ping", "stop_reason"))), events=1),
    lambda chance: faults.ExtraFields({str(chance.choice(KEYS)): chance.choice(SENDABLE)}),
    lambda chance: faults.WrongType(chance.choice(("text/html", "", "application/json", "text/event-stream"))),
    lambda chance: faults.BadChunk(events=chance.randrange(5)),
    lambda chance: faults.Trim(keep=chance.randrange(5)),
    lambda chance: faults.Redirect(location=chance.choice((None, "/", "/v1/elsewhere")), status=307),
    lambda chance: faults.Respond(chance.choice((408, 429, 500, 503)), retry_after=chance.choice((None, 0, "x", 1e9))),
)
"""Faults that the embedded server applies to its own responses."""


def planned_faults(deck: ResponseDeck, method: str, path: str) -> Iterator[Fault | None]:
    """Yield the faults of the first requests of a case: a mutated response, and some more of either kind."""
    yield replacement(deck.reply(method, path))
    for _ in range(deck.chance.choice((0, 1, 3, 6))):
        if deck.chance.random() < 0.6:
            yield deck.chance.choice(NETWORK)(deck.chance)
        else:
            yield replacement(deck.reply("GET", path.rpartition("/")[0]))


def replacement(reply: Reply) -> faults.Respond:
    """Return the part of a response that the embedded server can send in place of its own."""
    headers = {
        name.decode(): value.decode("latin-1")
        for name, value in reply.headers
        if name not in (b"content-length", b"transfer-encoding")
    }
    body = "" if reply.status in (204, 205, 304) else reply.body.decode("utf-8", "replace")
    return faults.Respond(reply.status if reply.status < 600 else 500, body=body, headers=headers)
