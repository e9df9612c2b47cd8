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
from typing import Literal

from letta_api.operations import OPERATIONS


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
        if self.how not in ("close", "reset", "end"):
            raise ValueError(f"how is 'close', 'reset' or 'end', not {self.how!r}")
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
        _not_negative("seconds", self.seconds)


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
        if self.size < 1:
            raise ValueError(f"a piece has at least one byte, not {self.size}")
        _not_negative("pause", self.pause)


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
        _not_negative("seconds", self.seconds)


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
        if not 200 <= self.status <= 599:
            raise ValueError(f"a final HTTP status is between 200 and 599, not {self.status}")


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
        if self.status not in (301, 302, 303, 307, 308):
            raise ValueError(f"a redirect has status 301, 302, 303, 307 or 308, not {self.status}")


@dataclass(frozen=True, slots=True)
class Malformed:
    """JSON that breaks off in the middle, in an HTTP answer that is whole.

    Attributes:
        events: in a stream, how many events come before the one that is malformed.
    """

    events: int = 0


@dataclass(frozen=True, slots=True)
class UnknownMessage:
    """A message of a type that no client knows yet, in a stream, a list or an answer that has messages.

    Attributes:
        type: its ``message_type``.
        events: how many events, or messages, come before it.
    """

    type: str = "hologram_message"
    events: int = 0


@dataclass(frozen=True, slots=True)
class ExtraFields:
    """Fields that no client knows yet, in every event, every item of a list, or the one object that is answered.

    Attributes:
        fields: their names and values.
    """

    fields: Mapping[str, object] = field(default_factory=lambda: {"hologram": True})


@dataclass(frozen=True, slots=True)
class WrongType:
    """The answer is what it should be, and says that it is something else.

    Attributes:
        content_type: what it says.
    """

    content_type: str = "text/html; charset=utf-8"


@dataclass(frozen=True, slots=True)
class BadChunk:
    """The framing of the body breaks: where the size of a chunk belongs stands something else.

    Attributes:
        events: after how many events.
    """

    events: int = 0


@dataclass(frozen=True, slots=True)
class Trim:
    """The server has dropped the beginning of its runs before the request comes, as it does after 10,000 events.

    Attributes:
        keep: how many of its newest events each run still has.
    """

    keep: int

    def __post_init__(self) -> None:
        _not_negative("keep", self.keep)


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


def _one_place(events: int | None, bytes_: int | None) -> None:
    if (events is None) == (bytes_ is None):
        raise ValueError("either after so many events or after so many bytes")
    _not_negative("events", events)
    _not_negative("bytes", bytes_)


def _not_negative(name: str, value: float | None) -> None:
    if value is not None and value < 0:
        raise ValueError(f"{name} is not negative, and not {value}")


@dataclass(frozen=True, slots=True)
class _Planned:
    fault: Fault | None
    on: str | None
    left: float


class Faults:
    """Which fault happens to which request. It may be changed while the server runs, from any thread.

    Attributes:
        refuse: what is called when connections are to be refused, no request having come before.
    """

    def __init__(self) -> None:
        self._plan: list[_Planned] = []
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
            ValueError: there is no such operation; ``times`` is less than 1; a :class:`Refuse` is to happen to one
                operation, or for ever.
        """
        if on is not None and "/" not in on and on not in OPERATIONS:
            raise ValueError(f"no operation {on!r}; there are {', '.join(sorted(OPERATIONS))}, or a path such as /v1/*")
        if times is not None and times < 1:
            raise ValueError(f"a fault happens at least once, not {times} times")
        for fault in faults:
            if isinstance(fault, Refuse) and (on is not None or times is None):
                raise ValueError("a refused connection has no operation yet, and ends at some time")
        with self._lock:
            self._plan += [_Planned(fault, on, float("inf") if times is None else times) for fault in faults]
        self.turn()

    def clear(self) -> None:
        """Let nothing happen any more."""
        with self._lock:
            self._plan.clear()

    def __len__(self) -> int:
        """How many entries the plan still has."""
        with self._lock:
            return len(self._plan)

    def next(self, method: str, path: str) -> tuple[Fault | None, Refuse | None]:
        """Take from the plan the fault of a request, and how connections are refused after it, if they are."""
        with self._lock:
            fault = None
            for index, planned in enumerate(self._plan):
                if not isinstance(planned.fault, Refuse) and _matches(planned.on, method, path):
                    fault = planned.fault
                    self._take(index)
                    break
            return fault, self._refuse_now()

    def turn(self) -> None:
        """Refuse connections, if that comes next and there is a server to do so."""
        with self._lock:
            if self.refuse is None or (fault := self._refuse_now()) is None:
                return
        self.refuse(fault)

    def _refuse_now(self) -> Refuse | None:
        fault = self._plan[0].fault if self._plan else None
        if not isinstance(fault, Refuse):
            return None
        self._take(0)
        return fault

    def _take(self, index: int) -> None:
        planned = self._plan[index]
        if planned.left > 1:
            self._plan[index] = _Planned(planned.fault, planned.on, planned.left - 1)
        else:
            del self._plan[index]


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
