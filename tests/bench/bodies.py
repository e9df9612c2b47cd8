"""Decoded data: recorded responses of a real server, and large ones of the same form."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any, Final

RECORDINGS: Final = Path(__file__).parents[1] / "fixtures" / "recordings"
TOKENS: Final = 20_000


@cache
def recorded(name: str) -> bytes:
    """Return the body of a recorded response."""
    return (RECORDINGS / f"{name}.body").read_bytes()


@cache
def events(name: str) -> tuple[bytes, ...]:
    """Return the data of each event of a recorded stream, without the terminal event."""
    lines = recorded(name).split(b"\n")
    return tuple(line[6:] for line in lines if line.startswith(b"data: {"))


def delta(number: int = 2) -> bytes:
    """Return one event of a token stream."""
    return events("send_tokens_stream")[number]


@cache
def stream(count: int, name: str = "send_tokens_stream") -> bytes:
    """Return a stream of `count` token events with its first and last events."""
    frames = recorded(name).split(b"\n\n")
    opening, pieces, closing = frames[:1], frames[1:5], [f for f in frames if b"assistant_message" not in f][1:]
    return b"\n\n".join([*opening, *(pieces[n % len(pieces)] for n in range(count)), *closing])


def in_chunks(body: bytes, size: int = 1400) -> list[bytes]:
    """Return a body in chunks as a network may deliver it."""
    return [body[at : at + size] for at in range(0, len(body), size)]


def frame_by_frame(body: bytes) -> list[bytes]:
    """Return a body with each event in a separate chunk."""
    return [frame + b"\n\n" for frame in body.split(b"\n\n") if frame]


@cache
def response_with_logprobs(tokens: int = TOKENS, likely: int = 0) -> bytes:
    """Return the JSON response of a send with log-probabilities, `likely` alternatives each."""
    response: dict[str, Any] = json.loads(recorded("send_json"))

    def token(n: int) -> dict[str, Any]:
        text = f"word{n} "
        others = [{"token": f"w{n}{m}", "logprob": -1.5 - m, "bytes": None} for m in range(likely)]
        return {"token": text, "bytes": list(text.encode()), "logprob": -0.0001 * n, "top_logprobs": others}

    response["logprobs"] = {"content": [token(n) for n in range(tokens)], "refusal": None}
    return json.dumps(response, separators=(",", ":")).encode()


@cache
def _step_around_its_id() -> tuple[bytes, bytes]:
    step = json.loads(recorded("step_retrieve"))
    front, _, back = json.dumps(step, separators=(",", ":")).encode().partition(step["id"].encode())
    return front, back


def steps_after(after: str | None, limit: int, total: int) -> bytes:
    """Return at most `limit` of `total` steps after a cursor, each with a unique id."""
    front, back = _step_around_its_id()
    first = 0 if after is None else int(after[5:13], 16) + 1
    ids = (b"step-%08x-0000-4000-8000-000000000000" % n for n in range(first, min(first + limit, total)))
    return b"[" + b",".join([front + each + back for each in ids]) + b"]"


@cache
def page_of_messages(count: int) -> bytes:
    """Return a page of messages of each type."""
    kinds = json.loads(recorded("list_asc"))
    page = [{**kinds[n % len(kinds)], "id": f"message-{n:08x}-0000-4000-8000-000000000000"} for n in range(count)]
    return json.dumps(page, separators=(",", ":")).encode()
