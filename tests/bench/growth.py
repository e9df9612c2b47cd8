"""How cost grows with size: time and memory of decoding, paging, streams. A slope of one is a cost in proportion."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from typing import Any

from attrs import frozen

from letta_api.api.conversations_messages import conversations_messages_list
from letta_api.models import LettaResponse
from letta_api.unions import Message
from letta_ext import Letta

from . import bodies
from .measuring import measure
from .rows_decoding import CONVERSATION, answering
from .rows_memory import held, listing_steps

SIZES = (100, 300, 1_000, 3_000, 10_000, 30_000)
PAIRS = 5
PAGE = 100


@frozen
class Line:
    """What was measured at each size.

    Attributes:
        name: what grows.
        unit: of the values, `s` or `bytes`.
        points: sizes and values.
    """

    name: str
    unit: str
    points: Sequence[tuple[int, float]]

    @property
    def slope(self) -> float:
        """The exponent: 1 where twice the size costs twice as much."""
        sizes, values = zip(*self.points, strict=True)
        return statistics.linear_regression([math.log(x) for x in sizes], [math.log(y) for y in values]).slope


def _decode_page(text: bytes) -> list[Message]:
    return conversations_messages_list.read_response(text)


def _visit(text: bytes) -> object:
    content: Any = LettaResponse.from_json(text).logprobs
    return [token.logprob for token in content.content]


def _drain(body: bytes) -> Callable[[], object]:
    client = Letta(api_key="key", base_url="http://letta.test", http_client=answering(bodies.in_chunks(body)))

    def drain() -> None:
        for _ in client.conversations.messages.create(CONVERSATION, input="hello"):
            pass

    return drain


def _walk(count: int) -> Callable[[], object]:
    """Return a call that lists so many steps, page by page."""
    client = listing_steps(count)

    def walk() -> None:
        if (found := sum(1 for _ in client.steps.list(limit=PAGE))) != count:
            raise RuntimeError(f"{found} steps of {count}")

    return walk


def measure_lines(sizes: Sequence[int] = SIZES) -> list[Line]:
    """Measures all of them."""

    def timed(make: Callable[[int], Callable[[], object]]) -> list[tuple[int, float]]:
        works = {str(size): make(size) for size in sizes}
        taken = measure(works, PAIRS)
        return [(size, sorted(taken[str(size)])[PAIRS // 2]) for size in sizes]

    def page(size: int) -> Callable[[], object]:
        text = bodies.page_of_messages(size)
        return lambda: _decode_page(text)

    def logprobs(size: int) -> Callable[[], object]:
        text = bodies.response_with_logprobs(size)
        return lambda: _visit(text)

    return [
        Line("decode a page of n messages", "s", timed(page)),
        Line("visit n token logprobs", "s", timed(logprobs)),
        Line("a stream of n events", "s", timed(lambda size: _drain(bodies.stream(size)))),
        Line("walk n steps, 100 a page", "s", timed(_walk)),
        Line("memory of n messages", "bytes", [(n, held(page(n))) for n in sizes]),
    ]


def text(lines: Sequence[Line]) -> str:
    """Return the lines for a terminal."""
    least, most = lines[0].points[0][0], lines[0].points[-1][0]
    rows = [f"{'growth':32}{'exponent':>10}  {f'at {least:,}':20}  at {most:,}"]
    for line in lines:
        first, last = line.points[0][1], line.points[-1][1]
        rows.append(f"{line.name:32}{line.slope:10.2f}  {f'{first:.3g} {line.unit}':20}  {last:.3g} {line.unit}")
    return "\n".join(rows)
