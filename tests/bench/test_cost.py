"""What things cost, in instructions against those of the least that could do it: no clock, so no machine is too busy.

Each bound is below one and a half times the figure: what costs half as much again fails, and what has become cheaper
asks for a lower bound.
"""

from __future__ import annotations

import gc
import json
import subprocess
import sys
import tracemalloc
from collections.abc import Callable, Iterator, Mapping
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
from .counting import CallCounter, copier, instructions
from .rows_decoding import CONVERSATION, answering
from .rows_memory import held, listing_steps

SLACK = 1.5


def body(text: bytes) -> dict[str, Any]:
    """An object of a recording."""
    found: dict[str, Any] = json.loads(text)
    return found


EVENT_TEXT = bodies.delta()
PIECE_TEXT = next(text for text in bodies.events("send_tool_tokens_stream") if b'"tool_call_message"' in text)
STEP_TEXT, PAGE_TEXT = bodies.recorded("step_retrieve"), bodies.recorded("list_asc")
EVENT, PIECE, STEP = body(EVENT_TEXT), body(PIECE_TEXT), body(STEP_TEXT)
STEPS = (f"step-{number}" for number in count())
"""Ids, each of which is asked for once."""
PAGE: list[dict[str, Any]] = json.loads(PAGE_TEXT)
read_page = conversations_messages_list.read_response


def least(*objects: Mapping[str, Any]) -> int:
    """The least that decoding these objects can take."""
    return sum(instructions(partial(copier(each), each)) for each in objects)


def check(figure: float, bound: float) -> None:
    """Holds a figure to its bound, and the bound to the figure."""
    assert figure <= bound, f"costs {figure:.2f} times the least, of which {bound} are allowed"
    assert bound < SLACK * figure, f"costs only {figure:.2f} times the least: lower the bound of {bound}"


@pytest.fixture(autouse=True)
def _nobody_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another test of the same process may have loaded what makes spans, and calls are watched from then on."""
    monkeypatch.delitem(sys.modules, "opentelemetry.trace", raising=False)


@pytest.mark.parametrize(
    ("work", "objects", "bound"),
    [
        pytest.param(lambda: stream_event_from_json(EVENT_TEXT), [EVENT], 2.6, id="an event"),
        pytest.param(lambda: stream_event_from_json(PIECE_TEXT), [PIECE], 7, id="a piece of a tool call"),
        pytest.param(lambda: read_page(PAGE_TEXT), PAGE, 3.2, id="the messages of a page"),
        pytest.param(lambda: Step.from_json(STEP_TEXT), [STEP], 2.4, id="a step"),
        pytest.param(lambda: stream_event_from_dict(EVENT), [EVENT], 2.2, id="an event, parsed already"),
        pytest.param(lambda: [message_from_dict(each) for each in PAGE], PAGE, 2.9, id="a page, parsed already"),
    ],
)
def test_decoding_costs_little_more_than_copying(
    work: Callable[[], object], objects: list[dict[str, Any]], bound: float
) -> None:
    check(instructions(work) / least(*objects), bound)


def test_an_array_that_waits_costs_nothing_for_each_item() -> None:
    short, long = (instructions(partial(LettaResponse.from_json, bodies.response_with_logprobs(n))) for n in (10, 200))
    assert short == long


def draining(count: int) -> Callable[[], None]:
    """A call that is answered with a stream of so many events, each in a chunk of its own."""
    http = answering(bodies.frame_by_frame(bodies.stream(count)))
    client = Letta(api_key="key", base_url="http://letta.test", http_client=http)

    def drain() -> None:
        for _ in client.conversations.messages.create(CONVERSATION, input="hello"):
            pass

    return drain


def test_an_event_goes_through_a_stream_for_little_more_than_its_decoding() -> None:
    one_event = (instructions(draining(220)) - instructions(draining(20))) / 200
    check(one_event / least(EVENT), 6.2)


def walking(steps: int, page: int) -> Callable[[], int]:
    """A walk over a list."""
    client = listing_steps(steps)
    return lambda: sum(1 for _ in client.steps.list(limit=page))


def test_an_item_is_walked_over_for_a_few_times_its_decoding() -> None:
    one_item = (instructions(walking(300, 100)) - instructions(walking(100, 100))) / 200
    check(one_item / least(STEP), 4.8)


def test_a_page_costs_in_proportion_to_its_size() -> None:
    assert instructions(walking(400, 400)) < 2.2 * instructions(walking(200, 200))


def test_a_call_costs_little_more_than_httpx_alone() -> None:
    def answer() -> Any:
        return answering([bodies.recorded("step_retrieve")], "application/json")

    client = Letta(api_key="key", base_url="http://letta.test", http_client=answer())
    bare = answer()
    ours = instructions(lambda: client.steps.retrieve(next(STEPS)))
    check(ours / instructions(lambda: bare.get(f"http://letta.test/v1/steps/{next(STEPS)}").json()), 1.3)


@pytest.mark.parametrize(
    ("call", "bound"),
    [
        pytest.param(lambda client: client.conversations.messages.create(CONVERSATION, input="hi"), 114, id="create"),
        pytest.param(lambda client: client.steps.retrieve(STEP["id"]), 91, id="retrieve"),
        pytest.param(lambda client: client.steps.retrieve(next(STEPS)), 180, id="retrieve another step"),
        pytest.param(lambda client: client.steps.list(), 109, id="list"),
        pytest.param(lambda client: client.steps.list(limit=10), 188, id="list with a query"),
    ],
)
def test_second_call_of_a_client_makes_few_python_calls_before_its_first_byte(
    call: Callable[[Letta], object], bound: int
) -> None:
    """A warm client reaches its transport within a bounded number of Python calls, those of httpx included."""
    counter = CallCounter()

    def answer(request: httpx.Request) -> httpx.Response:
        counter.stop()
        if request.method == "POST":
            return httpx.Response(200, headers={"content-type": "text/event-stream"}, content=b"data: [DONE]\n\n")
        return httpx.Response(200, content=b"[]" if request.url.path.endswith("/") else STEP_TEXT)

    http = httpx.Client(transport=httpx.MockTransport(answer))
    client = Letta(api_key="key", base_url="http://letta.test", http_client=http)
    call(client)
    counter.start()
    try:
        call(client)
    finally:
        counter.stop()
    assert counter.count <= bound < SLACK * counter.count


def test_a_message_holds_less_than_its_json_does() -> None:
    text = bodies.page_of_messages(500)
    ours = held(lambda: read_page(text))
    assert ours < 0.9 * held(lambda: json.loads(text))


def held_after(iterating: Iterator[object], *counts: int) -> list[int]:
    """The bytes that are held after so many items, without what waits for the garbage collector."""
    found: list[int] = []
    tracemalloc.start()
    try:
        for number, _ in enumerate(iterating, 1):
            if number in counts:
                gc.collect()  # httpx's responses are reference cycles, and hold their bodies
                found.append(tracemalloc.get_traced_memory()[0])
    finally:
        tracemalloc.stop()
    return found


def test_going_over_a_stream_or_a_list_holds_nothing() -> None:
    http = answering(bodies.frame_by_frame(bodies.stream(5_000)))
    client = Letta(api_key="key", base_url="http://letta.test", http_client=http)
    events = iter(client.conversations.messages.create(CONVERSATION, input="hello"))
    steps = iter(listing_steps(5_000).steps.list(limit=100))
    for iterating in (events, steps):
        early, late = held_after(iterating, 2_000, 5_000)
        assert late - early < 3_000 * 12  # 12 bytes an item are less than holding anything of it would take


def test_models_are_loaded_when_they_are_needed() -> None:
    code = "import sys, letta_ext; print(*(m for m in sys.modules if 'letta_api' in m))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert [name for name in done.stdout.split() if ".models." in name or ".unions." in name] == []
