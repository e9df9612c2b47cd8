"""Public calls against a server that sends mutated responses."""

from __future__ import annotations

import json
import pickle
import random
import re
import time
from collections.abc import Callable, Sequence
from functools import cache
from itertools import islice
from typing import Any, Final

from letta_api.model import Model, Unknown
from letta_ext import LettaError, RetryPolicy, StreamLimits
from letta_ext.busy import BusyPolicy

from ..client.helpers import CONVERSATION, STEP, ClientDriver, Recording, recordings
from .mutating import Mutator, Reply

INPUTS: Final = ("hi", "LONG 3", "REASON hm", "CALL get_secret", "CALL get_time")
"""Inputs that the embedded server's agent handles."""

_YIELD: Final = time.sleep

MAX_ITEMS: Final = 400
MAX_REQUESTS: Final = 150
"""Requests that one case may make. More show a client that does not back off or does not end."""

ENDPOINTS: Final = (
    ("POST", r"/conversations/[^/]+/messages"),
    ("POST", r"/conversations/[^/]+/stream"),
    ("POST", r"/conversations/[^/]+/compact"),
    ("GET", r"/conversations/[^/]+/messages"),
    ("GET", r"/steps/?"),
    ("GET", r"/steps/[^/]+"),
    ("GET", r"/steps/[^/]+/metrics"),
    ("GET", r"/steps/[^/]+/trace"),
    ("GET", r"/steps/[^/]+/messages"),
    ("PATCH", r"/steps/[^/]+/feedback"),
    ("GET", r"/runs/[^/]+"),
    ("GET", r"/conversations/[^/]+"),
)


class Time:
    """A clock that advances only when the library sleeps."""

    def __init__(self) -> None:
        self.now = 0.0

    def clock(self) -> float:
        """Return the time in seconds."""
        return self.now

    def sleep(self, seconds: float) -> None:
        """Advance the time at once."""
        self.now += max(0.0, seconds)
        _YIELD(0)  # let the server threads run

    async def sleep_async(self, seconds: float) -> None:
        """Async version of `sleep`."""
        self.now += max(0.0, seconds)


def make_recording(method: str, path: str, body: Any) -> Recording:
    """Return a response that was not recorded."""
    headers = {"content-type": "application/json"}
    return Recording("made", method, f"/v1{path}", None, None, 200, headers, json.dumps(body).encode())


@cache
def pools() -> list[list[Recording]]:
    """Return the recorded responses of each endpoint."""
    recorded_list = next(each for each in recordings() if each.name == "list_asc")
    ids = list(dict.fromkeys(message["id"] for message in json.loads(recorded_list.content)))
    run = {"id": "run-1", "status": "completed", "stop_reason": "end_turn", "background": True}
    more = [
        make_recording("GET", "/runs/run-1", run),
        make_recording("GET", "/runs/run-1", {**run, "status": "running"}),
        make_recording("GET", f"/conversations/{CONVERSATION}", {"id": CONVERSATION, "in_context_message_ids": ids}),
        make_recording(
            "GET", f"/conversations/{CONVERSATION}", {"id": CONVERSATION, "in_context_message_ids": ids[:7]}
        ),
    ]
    found: list[list[Recording]] = []
    for method, pattern in ENDPOINTS:
        matches = re.compile("/v1" + pattern).fullmatch
        found.append([each for each in (*recordings(), *more) if each.method == method and matches(each.path)])
    assert all(found)
    return found


def pool_of(method: str, path: str) -> list[Recording]:
    """Return the recorded responses of the endpoint of this request."""
    for (wanted, pattern), pool in zip(ENDPOINTS, pools(), strict=True):
        if wanted == method and re.fullmatch("/v1" + pattern, path):
            return pool
    return pools()[-1]


class ResponseDeck:
    """The responses of one case.

    Attributes:
        sends: The number of messages sent.
        redirects: The number of redirect responses.
        count: The number of requests.
    """

    def __init__(self, chance: random.Random, first: Recording | None, *, http: bool = True) -> None:
        self.chance = chance
        self.mutator = Mutator(chance)
        self.first = first
        self.http = http
        self.sends = 0
        self.redirects = 0
        self.count = 0

    def respond(self, method: str, path: str) -> Reply:
        """Return the response to a request; the first one is always mutated."""
        self.count += 1
        self.sends += method == "POST" and path.endswith("/messages")
        reply = self.reply(method, path)
        self.redirects += 300 <= reply.status < 400
        return reply

    def reply(self, method: str, path: str) -> Reply:
        """Return a response for this endpoint."""
        recorded, self.first = self.first, None
        is_first = recorded is not None
        if recorded is None:
            recorded = self.chance.choice(pool_of(method, path))
        if is_first or self.chance.random() < 0.5:
            return self.mutator.reply(recorded, http=self.http)
        kind = recorded.headers.get("content-type", "application/json").encode()
        return Reply(recorded.status, ((b"content-type", kind),), recorded.content, chunked=b"stream" in kind)


class PublicCalls:
    """The public calls, made with one client."""

    def __init__(self, driver: ClientDriver, base_url: str, time: Time, conversation: str = CONVERSATION) -> None:
        self.driver = driver
        self.time = time
        self.conversation = conversation
        self.client = driver.client(
            base_url=base_url,
            api_key="k",
            timeout=5,
            retry=RetryPolicy(max_retries=1, initial_delay=0.1, max_delay=1, random=lambda: 0.5),
            stream_limits=StreamLimits(max_event_bytes=2**20),
        )
        self.messages = self.client.conversations.messages
        self.busy = BusyPolicy(deadline=60, initial_delay=0.5, clock=time.clock)

    def consume(self, iterable: Any) -> None:
        """Iterate over an iterable, up to a limit."""
        left = MAX_ITEMS

        def stop(item: Any) -> bool:
            nonlocal left
            use_value(item)
            left -= 1
            return left == 0

        _, fault = self.driver.drain(iterable, stop)
        if fault is not None:
            raise fault

    def consume_stream(self, stream: Any, chance: random.Random) -> None:
        """Read a stream by one of its methods."""
        match chance.randrange(4):
            case 0:
                self.consume(stream)
            case 1:
                self.consume(stream.text())
            case 2:
                self.consume(stream.messages())
            case _:
                use_value(self.driver.run(stream.result()))
        use_value([stream.run_id, stream.last_seq_id])

    def create(self, chance: random.Random) -> None:
        """Send with a streamed response."""
        messages = self.messages
        background = chance.random() < 0.5
        self.consume_stream(
            self.driver.run(messages.create(self.conversation, input=chance.choice(INPUTS), background=background)),
            chance,
        )

    def create_json(self, chance: random.Random) -> None:
        """Send with a JSON response."""
        use_value(
            self.driver.run(self.messages.create(self.conversation, input=chance.choice(INPUTS), streaming=False))
        )

    def create_when_busy(self, chance: random.Random) -> None:
        """Send with a wait for a busy conversation."""
        messages = self.messages
        self.consume_stream(
            self.driver.run(messages.create(self.conversation, input=chance.choice(INPUTS), when_busy=self.busy)),
            chance,
        )

    def stream(self, chance: random.Random) -> None:
        """Resume a stream."""
        self.consume_stream(self.driver.run(self.messages.stream(self.conversation, run_id="run-1")), chance)

    def compact(self, chance: random.Random) -> None:
        """Compact a conversation."""
        use_value(self.driver.run(self.messages.compact(self.conversation)))

    def list_messages(self, chance: random.Random) -> None:
        """List messages from page to page and from a checkpoint."""
        messages = self.messages
        order, limit = chance.choice(("asc", "desc")), chance.choice((1, 5, 100))
        if chance.random() < 0.5:
            self.consume(messages.list(self.conversation, order=order, limit=limit))
            return
        page = self.driver.run(messages.list(self.conversation, order=order, limit=limit))
        checkpoint = json.loads(json.dumps(page.checkpoint()))
        use_value([page.items, page.has_next_page(), page.next_page_info()])
        self.consume(messages.list(self.conversation, checkpoint=checkpoint))

    def steps(self, chance: random.Random) -> None:
        """List steps."""
        self.consume(self.client.steps.list(limit=chance.choice((1, 5, 100)), order=chance.choice(("asc", "desc"))))

    def step(self, chance: random.Random) -> None:
        """Retrieve a step."""
        use_value(self.driver.run(self.client.steps.retrieve(STEP)))

    def metrics(self, chance: random.Random) -> None:
        """Retrieve the metrics of a step."""
        use_value(self.driver.run(self.client.steps.metrics.retrieve(STEP)))

    def trace(self, chance: random.Random) -> None:
        """Retrieve the trace of a step."""
        use_value(self.driver.run(self.client.steps.trace.retrieve(STEP)))

    def messages_of_step(self, chance: random.Random) -> None:
        """List the messages of a step."""
        self.consume(self.client.steps.messages.list(STEP))

    def feedback(self, chance: random.Random) -> None:
        """Give feedback on a step."""
        use_value(self.driver.run(self.client.steps.feedback.create(STEP, feedback="positive")))

    def follow(self, chance: random.Random) -> None:
        """Follow a conversation, and continue from the cursor."""
        arguments: dict[str, Any] = {"timeout": 20.0, "clock": self.time.clock, "interval": 1.0}
        start = chance.choice(({"from_start": True}, {}, {"after": "message-1"}))
        follow = self.messages.follow(self.conversation, **start, **arguments)
        try:
            self.consume(follow)
        finally:
            cursor = json.loads(json.dumps(follow.cursor))
        self.consume(self.messages.follow(self.conversation, after=cursor, **arguments))

    def run_tools(self, chance: random.Random) -> None:
        """Run a turn with tools."""

        def get_secret(name: str = "") -> str:
            return name

        turn = self.messages.run_tools(
            CONVERSATION,
            input=chance.choice(INPUTS),
            tools=[get_secret],
            approve=chance.choice((None, lambda call: True)),
            background=chance.random() < 0.7,
            max_rounds=3,
        )
        if chance.random() < 0.5:
            self.consume(turn.messages())
        result = self.driver.run(turn.result())
        use_value([result, result.messages, result.usage, result.stop_reason])

    def raw(self, chance: random.Random) -> None:
        """Call through the raw accessors and the untyped methods."""
        run, client = self.driver.run, self.client
        match chance.randrange(5):
            case 0:
                raw = run(client.steps.with_raw_response.retrieve(STEP))
                use_value([raw.status_code, raw.request_id, raw.text, repr(raw)])
                use_value(run(raw.parse()))
            case 1:
                raw = run(self.messages.with_raw_response.create(self.conversation, input=chance.choice(INPUTS)))
                self.consume_stream(run(raw.parse()), chance)
            case 2:
                raw = run(self.messages.with_raw_response.list(self.conversation, limit=5))
                page = run(raw.parse())
                self.consume(page)
            case 3:
                use_value(run(client.get(f"/v1/steps/{STEP}")))
            case _:
                self.unread(chance)

    def unread(self, chance: random.Random) -> None:
        """Read a streaming response in pieces."""
        streaming = self.client.steps.with_streaming_response.retrieve(STEP)
        parse = chance.random() < 0.5
        if not self.driver.is_async:
            with streaming as response:
                if parse:
                    use_value(response.parse())
                else:
                    list(islice(response.iter_lines(), MAX_ITEMS))
            return

        async def read() -> None:
            async with streaming as response:
                if parse:
                    use_value(await response.parse())
                else:
                    async for _ in response.iter_bytes():
                        pass

        self.driver.run(read())


def use_value(value: Any) -> None:
    """Use a value as a program does: show it and serialize it."""
    repr(value)
    if isinstance(value, (Model, Unknown)):
        json.dumps(value.to_dict(), default=str)
    items = getattr(value, "messages", None) or getattr(value, "items", None)
    for item in value if isinstance(value, list) else items if isinstance(items, list) else ():
        use_value(item)


def use_error(fault: LettaError) -> None:
    """Use an error as a program does: print it and pickle it."""
    assert str(fault).encode(errors="surrogatepass")
    assert type(pickle.loads(pickle.dumps(fault))) is type(fault)


Call = Callable[[PublicCalls, random.Random], None]

CALLS: Final[Sequence[tuple[str, Call, int, int]]] = (
    ("create", PublicCalls.create, 0, 6),
    ("create json", PublicCalls.create_json, 0, 2),
    ("create when busy", PublicCalls.create_when_busy, 0, 2),
    ("stream", PublicCalls.stream, 1, 3),
    ("compact", PublicCalls.compact, 2, 1),
    ("list", PublicCalls.list_messages, 3, 4),
    ("steps.list", PublicCalls.steps, 4, 2),
    ("steps.retrieve", PublicCalls.step, 5, 1),
    ("steps.metrics", PublicCalls.metrics, 6, 1),
    ("steps.trace", PublicCalls.trace, 7, 1),
    ("steps.messages", PublicCalls.messages_of_step, 8, 1),
    ("steps.feedback", PublicCalls.feedback, 9, 1),
    ("follow", PublicCalls.follow, 11, 4),
    ("run_tools", PublicCalls.run_tools, 0, 5),
    ("raw", PublicCalls.raw, 5, 2),
)
"""The calls: name, method, endpoint index of the first request, weight."""


def first_recording(name: str, kind: int, chance: random.Random) -> Recording:
    """Return the recorded response for the first request of a call."""
    pool = pools()[kind]
    match name:
        case "create" | "run_tools":
            streams = [each for each in pool if each.name.endswith("_stream")]
            pool = streams if chance.random() < 0.9 else pool
        case "create json":
            pool = [each for each in pool if not each.name.endswith("_stream")]
        case "create when busy":
            pool = [each for each in pool if each.status == 409]
        case _:
            pass
    return chance.choice(pool)


def draw_call(chance: random.Random) -> tuple[str, Call, Recording]:
    """Return a random call: its name, its method, and the recorded response of its first request."""
    name, call, kind, _ = chance.choices(CALLS, weights=[weight for *_, weight in CALLS])[0]
    return name, call, first_recording(name, kind, chance)
