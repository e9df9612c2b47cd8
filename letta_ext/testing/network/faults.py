"""What can go wrong between a client and a server, and the plan of which request it happens to.

::

    server.faults.add(Cut(events=3), on="conversations.messages.create")
    server.faults.add(Answer(503, retry_after=0.1), LostAnswer(), None, Stall(events=1))

Each fault happens to one request, in the order in which they were added; None leaves a request alone. Where a fault
harms an answer, it harms what really goes over the connection: a client sees what a broken network would show it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Literal, get_args

from letta_api.operations import OPERATIONS

from .. import arguments


@dataclass(frozen=True, slots=True)
class Cut:
    """The connection breaks in the middle of the answer. The server goes on: a run is finished and stored.

    Attributes:
        events: after how many events.
        bytes: after how many bytes of the answer, its head included; 0 is an answer of which nothing comes.
        how: ``close`` ends the connection, ``reset`` breaks it off, and ``end`` is a proxy that ends the body
            properly, so that only its content tells that something is missing.
    """

    events: int | None = None
    bytes: int | None = None
    how: Literal["close", "reset", "end"] = "close"

    def __post_init__(self) -> None:
        _one_place(self.events, self.bytes)
        arguments.one_of("how", self.how, ("close", "reset", "end"))
        if self.how == "end" and self.bytes is not None:
            raise ValueError("a body ends properly after an event, not after a byte")


@dataclass(frozen=True, slots=True)
class Stall:
    """The answer stops coming, and the connection stays open.

    Attributes:
        events: after how many events.
        bytes: after how many bytes of the answer, its head included.
        seconds: how long, after which the rest comes; None for ever.
    """

    events: int | None = None
    bytes: int | None = None
    seconds: float | None = None

    def __post_init__(self) -> None:
        _one_place(self.events, self.bytes)
        if self.seconds is not None:
            arguments.seconds("seconds", self.seconds)


@dataclass(frozen=True, slots=True)
class Slow:
    """The answer comes in small pieces.

    Attributes:
        size: bytes in a piece.
        pause: seconds before each.
    """

    size: int = 1
    pause: float = 0.001

    def __post_init__(self) -> None:
        arguments.whole("size", self.size, 1)
        arguments.seconds("pause", self.pause)


@dataclass(frozen=True, slots=True)
class LostAnswer:
    """The request is processed, and the connection closes when the answer should begin."""


@dataclass(frozen=True, slots=True)
class LostRequest:
    """The connection closes before the request is processed."""


@dataclass(frozen=True, slots=True)
class Refuse:
    """Nobody listens, and what is connected is closed: a connection is refused, as where no server runs.

    It happens when its turn in the plan has come, before the next request and to all that are made in that time; so
    it cannot be meant for one operation. ``with server.down():`` does the same for a block of code.

    Attributes:
        seconds: for how long.
    """

    seconds: float

    def __post_init__(self) -> None:
        arguments.seconds("seconds", self.seconds)


@dataclass(frozen=True, slots=True)
class Answer:
    """Somebody else answers: a gateway, a proxy, a rate limit. The request is not processed.

    Attributes:
        status: the HTTP status, such as 408, 429 or 503.
        body: what is sent as JSON; text is sent as it is. None for a sentence that the status stands for.
        retry_after: the ``Retry-After`` header: seconds or an HTTP date.
        headers: other headers.
    """

    status: int
    body: object = None
    retry_after: float | str | None = None
    headers: Mapping[str, str] = field(default_factory=dict[str, str])

    def __post_init__(self) -> None:
        arguments.whole("status", self.status, 200, 599)
        arguments.json_value("body", self.body)
        if isinstance(self.retry_after, str):
            arguments.header_value("retry_after", self.retry_after)
        elif self.retry_after is not None:
            arguments.seconds("retry_after", self.retry_after)
        arguments.headers("headers", self.headers)


@dataclass(frozen=True, slots=True)
class Redirect:
    """The request is sent elsewhere.

    Attributes:
        location: where to; None for the same path.
        status: 301, 302, 303, 307 or 308.
    """

    location: str | None = None
    status: int = 307

    def __post_init__(self) -> None:
        arguments.one_of("status", self.status, (301, 302, 303, 307, 308))
        if self.location is not None:
            arguments.header_value("location", self.location)


@dataclass(frozen=True, slots=True)
class Malformed:
    """JSON that breaks off in the middle, in an HTTP answer that is whole.

    Attributes:
        events: in a stream, how many events come before the one that is malformed.
    """

    events: int = 0

    def __post_init__(self) -> None:
        arguments.whole("events", self.events)


@dataclass(frozen=True, slots=True)
class UnknownMessage:
    """A message of a type that no client knows yet, in a stream, a list or an answer that has messages.

    Attributes:
        type: its ``message_type``.
        events: how many events, or messages, come before it.
    """

    type: str = "hologram_message"
    events: int = 0

    def __post_init__(self) -> None:
        arguments.text("type", self.type)
        arguments.whole("events", self.events)


@dataclass(frozen=True, slots=True)
class ExtraFields:
    """Fields that no client knows yet, in every event, every item of a list, or the one object that is answered.

    Attributes:
        fields: their names and values.
    """

    fields: Mapping[str, object] = field(default_factory=lambda: {"hologram": True})

    def __post_init__(self) -> None:
        arguments.json_object("fields", self.fields)


@dataclass(frozen=True, slots=True)
class WrongType:
    """The answer is what it should be, and says that it is something else.

    Attributes:
        content_type: what it says.
    """

    content_type: str = "text/html; charset=utf-8"

    def __post_init__(self) -> None:
        arguments.header_value("content_type", self.content_type)


@dataclass(frozen=True, slots=True)
class BadChunk:
    """The framing of the body breaks: where the size of a chunk belongs stands something else.

    Attributes:
        events: after how many events.
    """

    events: int = 0

    def __post_init__(self) -> None:
        arguments.whole("events", self.events)


@dataclass(frozen=True, slots=True)
class Trim:
    """The server has dropped the beginning of its runs before the request comes, as it does after 10,000 events.

    Attributes:
        keep: how many of its newest events each run still has.
    """

    keep: int

    def __post_init__(self) -> None:
        arguments.whole("keep", self.keep)


Fault = (
    Cut
    | Stall
    | Slow
    | LostAnswer
    | LostRequest
    | Refuse
    | Answer
    | Redirect
    | Malformed
    | UnknownMessage
    | ExtraFields
    | WrongType
    | BadChunk
    | Trim
)

_KINDS: tuple[type[Fault], ...] = get_args(Fault)
_METHODS = ("GET", "POST", "PATCH", "PUT", "DELETE", "HEAD", "OPTIONS")


def _one_place(events: int | None, bytes_: int | None) -> None:
    for name, value in (("events", events), ("bytes", bytes_)):
        if value is not None:
            arguments.whole(name, value)
    if (events is None) == (bytes_ is None):
        raise ValueError("either after so many events or after so many bytes: give events or bytes")


class UnusedFaultError(AssertionError):
    """A planned fault did not happen, or not as often as planned."""


class Planned:
    """A planned fault, and how often it has happened.

    Args:
        fault: The fault; None for requests that are left alone.
        on: The requests that it is meant for; None for all.
        times: How often it is to happen; None for every time.
    """

    __slots__ = ("_happened", "_taken", "fault", "on", "times")

    def __init__(self, fault: Fault | None, on: str | None, times: int | None) -> None:
        self.fault = fault
        self.on = on
        self.times = times
        self._taken = 0
        self._happened = 0

    def take(self) -> bool:
        """Count a request that gets the fault. Return True if the fault is meant for more requests."""
        self._taken += 1
        return self.times is None or self._taken < self.times

    def happen(self) -> None:
        """Count that the fault happens. Called before a client can notice it."""
        self._happened += 1

    @property
    def unused(self) -> str | None:
        """The fault, and how often it happened of how often it should have; None if it did."""
        if self.fault is None or self._happened >= (1 if self.times is None else self.times):
            return None
        where = "" if self.on is None else f" on {self.on}"
        how_often = f"happened {self._happened} of {self.times} times" if self._happened else "never happened"
        cause = ""
        if self._taken > self._happened:
            requests = "1 request" if self._taken == 1 else f"{self._taken} requests"
            cause = f"; {requests} got it, but the end of the response came first, or there is no place for it"
        return f"{self.fault}{where} {how_often}{cause}"


class Due:
    """The fault of one request.

    Attributes:
        fault: The fault; None if the request is left alone.
    """

    __slots__ = ("_planned", "fault")

    def __init__(self, planned: Planned | None = None) -> None:
        self._planned: Planned | None = planned
        self.fault: Fault | None = None if planned is None else planned.fault

    def happen(self) -> None:
        """Note, once, that the fault happens."""
        planned, self._planned = self._planned, None
        if planned is not None:
            planned.happen()


class Faults:
    """Which fault happens to which request. It may be changed while the server runs, from any thread.

    Attributes:
        refuse: what is called when connections are to be refused, no request having come before.
    """

    def __init__(self) -> None:
        self._plan: list[Planned] = []
        self._all: list[Planned] = []
        self._lock = threading.Lock()
        self.refuse: Callable[[Refuse], None] | None = None

    def add(self, *faults: Fault | None, on: str | None = None, times: int | None = 1) -> None:
        """Append faults to the plan.

        A request gets the first fault of the plan that is meant for it, and that fault is used up.

        Args:
            faults: what happens, one request after the other; None is a request that is left alone.
            on: which requests they are meant for: an operation, such as ``conversations.messages.create``; or a
                path, with ``*`` for anything, and a method before it if need be, such as ``GET /v1/steps/*``. All by
                default.
            times: how often each fault happens; None for every time.

        Raises:
            TypeError: If an argument has another type.
            ValueError: there is no such operation; ``times`` is less than 1; a :class:`Refuse` is to happen to one
                operation, or for ever; there are no faults.
        """
        if not faults:
            raise ValueError("faults must hold at least one fault, got none")
        for fault in faults:
            if fault is not None and not isinstance(fault, _KINDS):
                raise TypeError(f"a fault must be one of letta_ext.testing, such as Cut(events=3), got {fault!r}")
        _check_on(on)
        if times is not None:
            if isinstance(times, bool) or not isinstance(times, int):
                raise TypeError(f"times must be an int, or None for every time, got {times!r}")
            if times < 1:
                raise ValueError(f"a fault happens at least once, not {times} times")
        for fault in faults:
            if isinstance(fault, Refuse) and (on is not None or times is None):
                raise ValueError("a refused connection has no operation yet, and ends at some time")
        with self._lock:
            added = [Planned(fault, on, times) for fault in faults]
            self._plan += added
            # Those that have happened are not needed any more, however many are added in a run.
            self._all = [known for known in self._all if known.unused is not None] + added
        self.turn()

    def clear(self) -> None:
        """Let nothing happen any more, and forget what was planned."""
        with self._lock:
            self._plan.clear()
            self._all.clear()

    @property
    def unused(self) -> list[str]:
        """The faults that were planned and did not happen, each as a line of text."""
        with self._lock:
            return [line for planned in self._all if (line := planned.unused) is not None]

    def assert_happened(self) -> None:
        """Fail if a planned fault did not happen, or not as often as planned.

        Raises:
            UnusedFaultError: If so; it names them all.
        """
        unused = self.unused
        if unused:
            raise UnusedFaultError("\n".join(unused))

    def __len__(self) -> int:
        """How many entries the plan still has."""
        with self._lock:
            return len(self._plan)

    def next(self, method: str, path: str) -> tuple[Due, Refuse | None]:
        """Take from the plan the fault of a request, and how connections are refused after it, if they are."""
        with self._lock:
            due = Due()
            for index, planned in enumerate(self._plan):
                if not isinstance(planned.fault, Refuse) and _matches(planned.on, method, path):
                    due = Due(planned)
                    self._take(index)
                    break
            return due, self._refuse_now()

    def turn(self) -> None:
        """Refuse connections, if that comes next and there is a server to do so."""
        with self._lock:
            if self.refuse is None or (fault := self._refuse_now()) is None:
                return
        self.refuse(fault)

    def _refuse_now(self) -> Refuse | None:
        planned = self._plan[0] if self._plan else None
        if planned is None or not isinstance(planned.fault, Refuse):
            return None
        self._take(0)
        planned.happen()
        return planned.fault

    def _take(self, index: int) -> None:
        if not self._plan[index].take():
            del self._plan[index]


def _check_on(on: object) -> None:
    if on is None:
        return
    if not isinstance(on, str):
        raise TypeError(f"on must be an operation or a path, got {on!r}")
    if "/" not in on and on not in OPERATIONS:
        raise ValueError(f"no operation {on!r}; there are {', '.join(sorted(OPERATIONS))}, or a path such as /v1/*")
    method, _, path = on.rpartition(" ")
    if "/" in on and (not path.startswith(("/", "*")) or not (method == "" or method in _METHODS)):
        methods = ", ".join(_METHODS)
        raise ValueError(f"on must be a path such as /v1/*, perhaps behind one of {methods} and a space, got {on!r}")


def _matches(on: str | None, method: str, path: str) -> bool:
    if on is None:
        return True
    if "/" in on:
        wanted, _, pattern = on.rpartition(" ")
        return wanted in ("", method) and fnmatchcase(path, pattern)
    operation = OPERATIONS[on]
    return operation.method == method and _fits(operation.path, path)


def _fits(template: str, path: str) -> bool:
    wanted, given = template.split("/"), path.split("/")
    return len(wanted) == len(given) and all(
        part == found or (part.startswith("{") and found) for part, found in zip(wanted, given, strict=True)
    )
