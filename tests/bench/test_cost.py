"""Budgets of cost, as a ratio of instructions to those of the cheapest equivalent. Timing does not affect them.

Each budget is below 1.5 times the figure: a cost that grows by half fails, and one that has fallen needs a lower
budget.
"""

from __future__ import annotations

import gc
import json
import subprocess
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from functools import partial
from itertools import count
from typing import Any

import httpx
import pytest

from letta_api.api.conversations_messages import conversations_messages_list
from letta_api.models import LettaResponse, Step
from letta_api.unions import message_from_dict, stream_event_from_dict, stream_event_from_json
from letta_ext import Letta

from . import bodies
from .counting import SLACK, CallCounter, check, instructions, least
from .newer import READERS, with_field
from .rows_decoding import CONVERSATION, answering
from .rows_memory import held, listing_steps


def body(text: bytes) -> dict[str, Any]:
    """Return an object of a recording."""
    found: dict[str, Any] = json.loads(text)
    return found


EVENT_TEXT = bodies.delta()
PIECE_TEXT = next(text for text in bodies.events("send_tool_tokens_stream") if b'"tool_call_message"' in text)
STEP_TEXT, PAGE_TEXT = bodies.recorded("step_retrieve"), bodies.recorded("list_asc")
EVENT, PIECE, STEP = body(EVENT_TEXT), body(PIECE_TEXT), body(STEP_TEXT)
STEPS = (f"step-of-cost-{number}" for number in count())
"""Ids, each used once in the process: the client keeps the URLs of recent requests."""
PAGE: list[dict[str, Any]] = json.loads(PAGE_TEXT)
read_page = conversations_messages_list.read_response


@pytest.mark.parametrize(("read", "text"), [pytest.param(read, text, id=name) for name, read, text in READERS])
def test_undocumented_field_costs_at_most_a_third_more(read: Callable[[bytes], object], text: bytes) -> None:
    """An object of a server that is newer by one field costs at most 1.3 times one without it."""
    newer = with_field(text, "newer_field")
    read(newer)  # learns the field
    assert instructions(partial(read, newer)) <= 1.3 * instructions(partial(read, text))


@pytest.mark.parametrize(
    ("work", "objects", "bound"),
    [
        pytest.param(lambda: stream_event_from_json(EVENT_TEXT), [EVENT], 2.6, id="an event"),
        pytest.param(lambda: stream_event_from_json(PIECE_TEXT), [PIECE], 4.6, id="a piece of a tool call"),
        pytest.param(lambda: read_page(PAGE_TEXT), PAGE, 3.2, id="the messages of a page"),
        pytest.param(lambda: Step.from_json(STEP_TEXT), [STEP], 2.4, id="a step"),
        pytest.param(lambda: stream_event_from_dict(EVENT), [EVENT], 2.2, id="an event, parsed already"),
        pytest.param(lambda: [message_from_dict(each) for each in PAGE], PAGE, 2.9, id="a page, parsed already"),
    ],
)
def test_decoding_cost_is_within_budget(
    work: Callable[[], object], objects: list[dict[str, Any]], bound: float
) -> None:
    """Decoding stays within its budget relative to copying."""
    check(instructions(work) / least(*objects), bound)


def test_lazy_array_cost_is_independent_of_length() -> None:
    """An array that is not accessed costs the same for any length."""
    short, long = (instructions(partial(LettaResponse.from_json, bodies.response_with_logprobs(n))) for n in (10, 200))
    assert short == long


def draining(count: int) -> Callable[[], None]:
    """Return a call that reads a stream of `count` events, each in a separate chunk."""
    http = answering(bodies.frame_by_frame(bodies.stream(count)))
    client = Letta(api_key="key", base_url="http://letta.test", http_client=http)

    def drain() -> None:
        for _ in client.conversations.messages.create(CONVERSATION, input="hello"):
            pass

    return drain


def test_stream_cost_per_event_is_within_budget() -> None:
    """A stream event stays within its budget relative to its decoding."""
    one_event = (instructions(draining(220)) - instructions(draining(20))) / 200
    check(one_event / least(EVENT), 6.2)


def listing(steps: int, page: int) -> Callable[[], int]:
    """Return a call that iterates over a list."""
    client = listing_steps(steps)
    return lambda: sum(1 for _ in client.steps.list(limit=page))


def test_list_cost_per_item_is_within_budget() -> None:
    """A list item stays within its budget relative to its decoding."""
    one_item = (instructions(listing(300, 100)) - instructions(listing(100, 100))) / 200
    check(one_item / least(STEP), 2.95)


def test_page_cost_is_linear() -> None:
    """The cost of a page is linear in its size."""
    assert instructions(listing(400, 400)) < 2.2 * instructions(listing(200, 200))


def test_call_cost_is_within_budget_of_httpx() -> None:
    """A call stays within its budget relative to httpx."""

    def respond() -> Any:
        return answering([bodies.recorded("step_retrieve")], "application/json")

    client = Letta(api_key="key", base_url="http://letta.test", http_client=respond())
    bare = respond()
    ours = instructions(lambda: client.steps.retrieve(next(STEPS)))
    check(ours / instructions(lambda: bare.get(f"http://letta.test/v1/steps/{next(STEPS)}").json()), 0.7)


@pytest.mark.parametrize(
    ("call", "bound"),
    [
        pytest.param(lambda client: client.conversations.messages.create(CONVERSATION, input="hi"), 113, id="create"),
        pytest.param(lambda client: client.steps.retrieve(STEP["id"]), 88, id="retrieve"),
        pytest.param(lambda client: client.steps.retrieve(next(STEPS)), 100, id="retrieve another step"),
        pytest.param(lambda client: client.steps.list(), 107, id="list"),
        pytest.param(lambda client: client.steps.list(limit=10), 120, id="list with a query"),
    ],
)
def test_second_call_sends_first_byte_within_call_budget(call: Callable[[Letta], object], bound: int) -> None:
    """A warm client reaches its transport within a bounded number of Python calls, those of httpx included."""
    counter = CallCounter()

    def respond(request: httpx.Request) -> httpx.Response:
        counter.stop()
        if request.method == "POST":
            return httpx.Response(200, headers={"content-type": "text/event-stream"}, content=b"data: [DONE]\n\n")
        return httpx.Response(200, content=b"[]" if request.url.path.endswith("/") else STEP_TEXT)

    http = httpx.Client(transport=httpx.MockTransport(respond))
    client = Letta(api_key="key", base_url="http://letta.test", http_client=http)
    call(client)
    counts: list[int] = []
    for _ in range(3):  # the lowest counts: a cache that another test has invalidated is filled in one call only
        with counter.counting():
            call(client)
        counts.append(counter.count)
    assert min(counts) <= bound < SLACK * min(counts)


def test_decoded_message_uses_less_memory_than_its_json() -> None:
    """A decoded message uses less memory than its parsed JSON."""
    text = bodies.page_of_messages(500)
    ours = held(lambda: read_page(text))
    assert ours < 0.9 * held(lambda: json.loads(text))


def held_after(iterating: Iterator[object], *counts: int) -> list[int]:
    """Return the used bytes after so many items, without garbage."""
    found: list[int] = []
    tracemalloc.start()
    try:
        for number, _ in enumerate(iterating, 1):
            if number in counts:
                gc.collect()  # httpx's responses are reference cycles that hold their bodies
                found.append(tracemalloc.get_traced_memory()[0])
    finally:
        tracemalloc.stop()
    return found


def test_iteration_of_stream_and_list_uses_constant_memory() -> None:
    """Iteration keeps no memory per item."""
    http = answering(bodies.frame_by_frame(bodies.stream(5_000)))
    client = Letta(api_key="key", base_url="http://letta.test", http_client=http)
    events = iter(client.conversations.messages.create(CONVERSATION, input="hello"))
    steps = iter(listing_steps(5_000).steps.list(limit=100))
    for iterating in (events, steps):
        early, late = held_after(iterating, 2_000, 5_000)
        assert late - early < 3_000 * 12  # any object per item would take more than 12 bytes


def test_import_of_package_does_not_import_models() -> None:
    """`import letta_ext` imports no model."""
    code = "import sys, letta_ext; print(*(m for m in sys.modules if 'letta_api' in m))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert [name for name in done.stdout.split() if ".models." in name or ".unions." in name] == []
