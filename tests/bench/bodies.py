"""What is decoded: recorded answers of a real server, and large ones made after their pattern."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any, Final

RECORDINGS: Final = Path(__file__).parents[1] / "fixtures" / "recordings"
TOKENS: Final = 20_000


@cache
def recorded(name: str) -> bytes:
    """The body of a recorded answer."""
    return (RECORDINGS / f"{name}.body").read_bytes()


@cache
def events(name: str) -> tuple[bytes, ...]:
    """The data of each event of a recorded stream, its end apart."""
    lines = recorded(name).split(b"\n")
    return tuple(line[6:] for line in lines if line.startswith(b"data: {"))


def delta(number: int = 2) -> bytes:
    """One event of a token stream: a piece of what the agent says."""
    return events("send_tokens_stream")[number]


@cache
def stream(count: int, name: str = "send_tokens_stream") -> bytes:
    """A stream of `count` token events, with its opening and its end."""
    frames = recorded(name).split(b"\n\n")
    opening, pieces, closing = frames[:1], frames[1:5], [f for f in frames if b"assistant_message" not in f][1:]
    return b"\n\n".join([*opening, *(pieces[n % len(pieces)] for n in range(count)), *closing])


def in_chunks(body: bytes, size: int = 1400) -> list[bytes]:
    """A body as a network might deliver it."""
    return [body[at : at + size] for at in range(0, len(body), size)]


def frame_by_frame(body: bytes) -> list[bytes]:
    """A body as a server writes it: each event in a chunk of its own."""
    return [frame + b"\n\n" for frame in body.split(b"\n\n") if frame]


@cache
def response_with_logprobs(tokens: int = TOKENS, likely: int = 0) -> bytes:
    """The JSON answer of a send that asked for log-probabilities, `likely` alternatives each."""
    answer: dict[str, Any] = json.loads(recorded("send_json"))

    def token(n: int) -> dict[str, Any]:
        text = f"word{n} "
        others = [{"token": f"w{n}{m}", "logprob": -1.5 - m, "bytes": None} for m in range(likely)]
        return {"token": text, "bytes": list(text.encode()), "logprob": -0.0001 * n, "top_logprobs": others}

    answer["logprobs"] = {"content": [token(n) for n in range(tokens)], "refusal": None}
    return json.dumps(answer, separators=(",", ":")).encode()


@cache
def _step_around_its_id() -> tuple[bytes, bytes]:
    step = json.loads(recorded("step_retrieve"))
    front, _, back = json.dumps(step, separators=(",", ":")).encode().partition(step["id"].encode())
    return front, back


def steps_after(after: str | None, limit: int, total: int) -> bytes:
    """What a list of `total` steps has behind a cursor: at most `limit` of them, each with an id of its own."""
    front, back = _step_around_its_id()
    first = 0 if after is None else int(after[5:13], 16) + 1
    ids = (b"step-%08x-0000-4000-8000-000000000000" % n for n in range(first, min(first + limit, total)))
    return b"[" + b",".join([front + each + back for each in ids]) + b"]"


@cache
def page_of_messages(count: int) -> bytes:
    """A page of messages, of the kinds a conversation holds."""
    kinds = json.loads(recorded("list_asc"))
    page = [{**kinds[n % len(kinds)], "id": f"message-{n:08x}-0000-4000-8000-000000000000"} for n in range(count)]
    return json.dumps(page, separators=(",", ":")).encode()
