"""Public calls that are made to a server which sends mutated responses."""

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
"""What is said; the embedded server's agent knows what to do then."""

_YIELD: Final = time.sleep

MOST_ITEMS: Final = 400
MOST_REQUESTS: Final = 150
"""How many requests one case may make; a client that makes more does not back off, or does not end."""

KINDS: Final = (
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
    """A clock that moves only when the library sleeps."""

    def __init__(self) -> None:
        self.now = 0.0

    def clock(self) -> float:
        """The time, in seconds."""
        return self.now

    def sleep(self, seconds: float) -> None:
        """Lets the time pass at once."""
        self.now += max(0.0, seconds)
        _YIELD(0)  # to the threads of the servers

    async def sleep_async(self, seconds: float) -> None:
        """Async version of `sleep`."""
        self.now += max(0.0, seconds)


def made(method: str, path: str, body: Any) -> Recording:
    """A response that was not recorded."""
    headers = {"content-type": "application/json"}
    return Recording("made", method, f"/v1{path}", None, None, 200, headers, json.dumps(body).encode())


@cache
def pools() -> list[list[Recording]]:
    """The recorded responses of each kind of request."""
    listed = next(each for each in recordings() if each.name == "list_asc")
    ids = list(dict.fromkeys(message["id"] for message in json.loads(listed.content)))
    run = {"id": "run-1", "status": "completed", "stop_reason": "end_turn", "background": True}
    more = [
        made("GET", "/runs/run-1", run),
        made("GET", "/runs/run-1", {**run, "status": "running"}),
        made("GET", f"/conversations/{CONVERSATION}", {"id": CONVERSATION, "in_context_message_ids": ids}),
        made("GET", f"/conversations/{CONVERSATION}", {"id": CONVERSATION, "in_context_message_ids": ids[:7]}),
    ]
    found: list[list[Recording]] = []
    for method, pattern in KINDS:
        matches = re.compile("/v1" + pattern).fullmatch
        found.append([each for each in (*recordings(), *more) if each.method == method and matches(each.path)])
    assert all(found)
    return found


def pool_of(method: str, path: str) -> list[Recording]:
    """The recorded responses of requests like this one."""
    for (wanted, pattern), pool in zip(KINDS, pools(), strict=True):
        if wanted == method and re.fullmatch("/v1" + pattern, path):
            return pool
    return pools()[-1]


class Deck:
    """The responses of one case.

    Attributes:
        sends: how many messages were sent.
        redirects: how many requests were redirected.
        count: how many requests there were.
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
        """The response of a request: the first is always mutated."""
        self.count += 1
        self.sends += method == "POST" and path.endswith("/messages")
        reply = self.reply(method, path)
        self.redirects += 300 <= reply.status < 400
        return reply

    def reply(self, method: str, path: str) -> Reply:
        """The response of a request of this kind."""
        recorded, self.first = self.first, None
        is_first = recorded is not None
        if recorded is None:
            recorded = self.chance.choice(pool_of(method, path))
        if is_first or self.chance.random() < 0.5:
            return self.mutator.reply(recorded, http=self.http)
        kind = recorded.headers.get("content-type", "application/json").encode()
        return Reply(recorded.status, ((b"content-type", kind),), recorded.content, chunked=b"stream" in kind)


class Play:
    """One client, and the calls that are made with it."""

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

    def all_of(self, things: Any) -> None:
        """Goes over an iterable, up to a bound."""
        left = MOST_ITEMS

        def stop(item: Any) -> bool:
            nonlocal left
            look_at(item)
            left -= 1
            return left == 0

        _, fault = self.driver.drain(things, stop)
        if fault is not None:
            raise fault

    def streamed(self, stream: Any, chance: random.Random) -> None:
        """Reads a stream in one of the ways that there are."""
        match chance.randrange(4):
            case 0:
                self.all_of(stream)
            case 1:
                self.all_of(stream.text())
            case 2:
                self.all_of(stream.messages())
            case _:
                look_at(self.driver.run(stream.result()))
        look_at([stream.run_id, stream.last_seq_id])

    def create(self, chance: random.Random) -> None:
        """A send whose response is streamed."""
        messages = self.messages
        background = chance.random() < 0.5
        self.streamed(
            self.driver.run(messages.create(self.conversation, input=chance.choice(INPUTS), background=background)),
            chance,
        )

    def create_at_once(self, chance: random.Random) -> None:
        """A send whose response comes at once."""
        look_at(self.driver.run(self.messages.create(self.conversation, input=chance.choice(INPUTS), streaming=False)))

    def create_when_busy(self, chance: random.Random) -> None:
        """A send that waits for its turn."""
        messages = self.messages
        self.streamed(
            self.driver.run(messages.create(self.conversation, input=chance.choice(INPUTS), when_busy=self.busy)),
            chance,
        )

    def stream(self, chance: random.Random) -> None:
        """A stream that is resumed."""
        self.streamed(self.driver.run(self.messages.stream(self.conversation, run_id="run-1")), chance)

    def compact(self, chance: random.Random) -> None:
        """A compaction."""
        look_at(self.driver.run(self.messages.compact(self.conversation)))

    def listed(self, chance: random.Random) -> None:
        """A list of messages, from page to page and from a checkpoint."""
        messages = self.messages
        order, limit = chance.choice(("asc", "desc")), chance.choice((1, 5, 100))
        if chance.random() < 0.5:
            self.all_of(messages.list(self.conversation, order=order, limit=limit))
            return
        page = self.driver.run(messages.list(self.conversation, order=order, limit=limit))
        checkpoint = json.loads(json.dumps(page.checkpoint()))
        look_at([page.items, page.has_next_page(), page.next_page_info()])
        self.all_of(messages.list(self.conversation, checkpoint=checkpoint))

    def steps(self, chance: random.Random) -> None:
        """A list of steps."""
        self.all_of(self.client.steps.list(limit=chance.choice((1, 5, 100)), order=chance.choice(("asc", "desc"))))

    def step(self, chance: random.Random) -> None:
        """A step."""
        look_at(self.driver.run(self.client.steps.retrieve(STEP)))

    def metrics(self, chance: random.Random) -> None:
        """The metrics of a step."""
        look_at(self.driver.run(self.client.steps.metrics.retrieve(STEP)))

    def trace(self, chance: random.Random) -> None:
        """The trace of a step."""
        look_at(self.driver.run(self.client.steps.trace.retrieve(STEP)))

    def messages_of_step(self, chance: random.Random) -> None:
        """The messages of a step."""
        self.all_of(self.client.steps.messages.list(STEP))

    def feedback(self, chance: random.Random) -> None:
        """Feedback on a step."""
        look_at(self.driver.run(self.client.steps.feedback.create(STEP, feedback="positive")))

    def follow(self, chance: random.Random) -> None:
        """Following a conversation, and going on from the cursor."""
        arguments: dict[str, Any] = {"timeout": 20.0, "clock": self.time.clock, "interval": 1.0}
        start = chance.choice(({"from_start": True}, {}, {"after": "message-1"}))
        follow = self.messages.follow(self.conversation, **start, **arguments)
        try:
            self.all_of(follow)
        finally:
            cursor = json.loads(json.dumps(follow.cursor))
        self.all_of(self.messages.follow(self.conversation, after=cursor, **arguments))

    def run_tools(self, chance: random.Random) -> None:
        """A turn that runs tools."""

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
            self.all_of(turn.messages())
        result = self.driver.run(turn.result())
        look_at([result, result.messages, result.usage, result.stop_reason])

    def raw(self, chance: random.Random) -> None:
        """Raw responses, and the methods of the client itself."""
        run, client = self.driver.run, self.client
        match chance.randrange(5):
            case 0:
                raw = run(client.steps.with_raw_response.retrieve(STEP))
                look_at([raw.status_code, raw.request_id, raw.text, repr(raw)])
                look_at(run(raw.parse()))
            case 1:
                raw = run(self.messages.with_raw_response.create(self.conversation, input=chance.choice(INPUTS)))
                self.streamed(run(raw.parse()), chance)
            case 2:
                raw = run(self.messages.with_raw_response.list(self.conversation, limit=5))
                page = run(raw.parse())
                self.all_of(page)
            case 3:
                look_at(run(client.get(f"/v1/steps/{STEP}")))
            case _:
                self.unread(chance)

    def unread(self, chance: random.Random) -> None:
        """A response whose body is read in pieces."""
        streaming = self.client.steps.with_streaming_response.retrieve(STEP)
        parse = chance.random() < 0.5
        if not self.driver.is_async:
            with streaming as response:
                if parse:
                    look_at(response.parse())
                else:
                    list(islice(response.iter_lines(), MOST_ITEMS))
            return

        async def go() -> None:
            async with streaming as response:
                if parse:
                    look_at(await response.parse())
                else:
                    async for _ in response.iter_bytes():
                        pass

        self.driver.run(go())


def look_at(value: Any) -> None:
    """Uses a value the way that a program does: shows it, and writes it."""
    repr(value)
    if isinstance(value, (Model, Unknown)):
        json.dumps(value.to_dict(), default=str)
    items = getattr(value, "messages", None) or getattr(value, "items", None)
    for item in value if isinstance(value, list) else items if isinstance(items, list) else ():
        look_at(item)


def look_at_fault(fault: LettaError) -> None:
    """Uses an error the way that a program does: prints it, and sends it to another process."""
    assert str(fault).encode(errors="surrogatepass")
    assert type(pickle.loads(pickle.dumps(fault))) is type(fault)


Call = Callable[[Play, random.Random], None]

CALLS: Final[Sequence[tuple[str, Call, int, int]]] = (
    ("create", Play.create, 0, 6),
    ("create at once", Play.create_at_once, 0, 2),
    ("create when busy", Play.create_when_busy, 0, 2),
    ("stream", Play.stream, 1, 3),
    ("compact", Play.compact, 2, 1),
    ("list", Play.listed, 3, 4),
    ("steps.list", Play.steps, 4, 2),
    ("steps.retrieve", Play.step, 5, 1),
    ("steps.metrics", Play.metrics, 6, 1),
    ("steps.trace", Play.trace, 7, 1),
    ("steps.messages", Play.messages_of_step, 8, 1),
    ("steps.feedback", Play.feedback, 9, 1),
    ("follow", Play.follow, 11, 4),
    ("run_tools", Play.run_tools, 0, 5),
    ("raw", Play.raw, 5, 2),
)
"""The calls: name, what makes it, the kind of its first request, how often it is drawn."""


def first_of(name: str, kind: int, chance: random.Random) -> Recording:
    """The recorded response that the first request of a call gets."""
    pool = pools()[kind]
    match name:
        case "create" | "run_tools":
            streams = [each for each in pool if each.name.endswith("_stream")]
            pool = streams if chance.random() < 0.9 else pool
        case "create at once":
            pool = [each for each in pool if not each.name.endswith("_stream")]
        case "create when busy":
            pool = [each for each in pool if each.status == 409]
        case _:
            pass
    return chance.choice(pool)


def drawn(chance: random.Random) -> tuple[str, Call, Recording]:
    """A call: its name, what makes it, and the recorded response of its first request."""
    name, call, kind, _ = chance.choices(CALLS, weights=[weight for *_, weight in CALLS])[0]
    return name, call, first_of(name, kind, chance)
