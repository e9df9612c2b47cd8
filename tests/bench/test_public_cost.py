"""Budgets of public calls, from the call to the values in the caller's hands, as `test_cost.py` counts them.

Each includes the requests, and so the share of httpx. The rows of `rows_public.py` measure the same calls by the clock.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

import pytest

from . import bodies
from .counting import check, instructions, least
from .measuring import OURS, Work
from .rows_decoding import AsyncBody, Body
from .rows_public import (
    PAGE,
    async_iterate,
    async_messages_page,
    async_sides,
    async_steps_page,
    iterate,
    messages_page,
    paging,
    read_async_stream,
    read_stream,
    responding,
    steps_page,
    streaming,
    sync_sides,
)

EVENT: Final[dict[str, Any]] = json.loads(bodies.delta())
STEPS_TEXT: Final = bodies.steps_after(None, PAGE, PAGE)
MESSAGES_TEXT: Final = bodies.page_of_messages(PAGE)
STEPS: Final[list[dict[str, Any]]] = json.loads(STEPS_TEXT)
MESSAGES: Final[list[dict[str, Any]]] = json.loads(MESSAGES_TEXT)

pytest.importorskip("letta_client", reason="the rows compare with it")


def cost(sides: Mapping[str, Work]) -> int:
    """Return the instructions of our side."""
    return instructions(sides[OURS])


@pytest.mark.parametrize(
    ("sides", "objects", "bound"),
    [
        pytest.param(partial(sync_sides, responding(STEPS_TEXT), steps_page), STEPS, 2.6, id="steps"),
        pytest.param(partial(async_sides, responding(STEPS_TEXT), async_steps_page), STEPS, 2.65, id="async steps"),
        pytest.param(partial(sync_sides, responding(MESSAGES_TEXT), messages_page), MESSAGES, 3.9, id="messages"),
        pytest.param(
            partial(async_sides, responding(MESSAGES_TEXT), async_messages_page), MESSAGES, 4.05, id="async messages"
        ),
    ],
)
def test_page_cost_is_within_budget(
    sides: Callable[[], Mapping[str, Work]], objects: list[dict[str, Any]], bound: float
) -> None:
    """A page of 100 items stays within its budget, with its request."""
    check(cost(sides()) / least(*objects), bound)


@pytest.mark.parametrize(
    ("sides", "bound"),
    [
        pytest.param(lambda: sync_sides(paging(), iterate), 4.55, id="sync"),
        pytest.param(lambda: async_sides(paging(), async_iterate), 4.65, id="async"),
    ],
)
def test_iteration_cost_is_within_budget(sides: Callable[[], Mapping[str, Work]], bound: float) -> None:
    """Ten pages of 100 messages stay within their budget, with their thirteen requests."""
    check(cost(sides()) / (10 * least(*MESSAGES)), bound)


def event_cost(sides: Callable[[list[bytes]], Mapping[str, Work]]) -> float:
    """Return the instructions of an event of a long stream in chunks of 4 KB."""

    def chunks(count: int) -> list[bytes]:
        return bodies.in_chunks(bodies.stream(count), 4096)

    return (cost(sides(chunks(1_200))) - cost(sides(chunks(200)))) / 1_000


@pytest.mark.parametrize(
    ("sides", "bound"),
    [
        pytest.param(lambda chunks: sync_sides(streaming(chunks, Body), read_stream), 3.4, id="sync"),
        pytest.param(lambda chunks: async_sides(streaming(chunks, AsyncBody), read_async_stream), 3.9, id="async"),
    ],
)
def test_event_cost_is_within_budget(sides: Callable[[list[bytes]], Mapping[str, Work]], bound: float) -> None:
    """An event of a stream in chunks of 4 KB stays within its budget."""
    check(event_cost(sides) / least(EVENT), bound)


def test_response_cost_is_independent_of_its_logprobs() -> None:
    """A response costs the same for any number of logprobs of which one is read."""

    def first(client: Any) -> object:
        response = client.conversations.messages.create("conv-1", input="hi", streaming=False)
        return response.logprobs.content[0].token

    few, many = (cost(sync_sides(responding(bodies.response_with_logprobs(n)), first)) for n in (10, 2_000))
    assert abs(many - few) <= 0.01 * few


def test_import_of_client_loads_httpx_and_few_modules() -> None:
    """`from letta_ext import Letta` loads fewer modules than `import httpx, attrs`, and no others than its own."""

    def loaded(code: str) -> set[str]:
        command = [sys.executable, "-c", f"import sys; {code}; print(*sys.modules)"]
        return set(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split())

    ours, bare = loaded("from letta_ext import Letta"), loaded("import httpx, attrs")
    assert len(ours) <= len(bare)
    assert {name.partition(".")[0] for name in ours - bare} <= {"letta_api", "letta_ext"}
