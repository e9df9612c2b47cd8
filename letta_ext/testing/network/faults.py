"""Faults between a client and the server, and the plan that assigns them to requests.

::

    server.faults.add(Cut(events=3), on="conversations.messages.create")
    server.faults.add(Respond(503, retry_after=0.1), LostResponse(), None, Stall(events=1))

Each fault applies to one request, in the order of the plan. None leaves a request unchanged. Faults act on the
connection itself, so that the client observes a broken network.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Literal, get_args

from starlette.routing import compile_path

from letta_api.operations import OPERATIONS

from .. import arguments


@dataclass(frozen=True, slots=True)
class Cut:
    """The connection breaks within the response. The server finishes and stores the run.

    Attributes:
        events: Number of events before the cut.
        bytes: Number of bytes of the response before the cut, including its head. 0 drops the complete response.
        how: ``close`` closes the connection, ``reset`` sends a TCP reset, and ``end`` ends the body early with valid
            framing, as a proxy may.
    """

    events: int | None = None
    bytes: int | None = None
    how: Literal["close", "reset", "end"] = "close"

    def __post_init__(self) -> None:
        _check_position(self.events, self.bytes)
        arguments.one_of("how", self.how, ("close", "reset", "end"))
        if self.how == "end" and self.bytes is not None:
            raise ValueError("bytes must be None with how='end', which ends the body after an event")


@dataclass(frozen=True, slots=True)
class Stall:
    """The response stops, and the connection stays open.

    Attributes:
        events: Number of events before the stall.
        bytes: Number of bytes of the response before the stall, including its head.
        seconds: Duration [s] after which the rest is sent. None never sends the rest.
    """

    events: int | None = None
    bytes: int | None = None
    seconds: float | None = None

    def __post_init__(self) -> None:
        _check_position(self.events, self.bytes)
        if self.seconds is not None:
            arguments.seconds("seconds", self.seconds)


@dataclass(frozen=True, slots=True)
class Slow:
    """The response is sent in small chunks.

    Attributes:
        size: Size of a chunk [B].
        pause: Pause before each chunk [s].
    """

    size: int = 1
    pause: float = 0.001

    def __post_init__(self) -> None:
        arguments.integer("size", self.size, 1)
        arguments.seconds("pause", self.pause)


@dataclass(frozen=True, slots=True)
class LostResponse:
    """The request is processed, and the connection closes before the response."""


@dataclass(frozen=True, slots=True)
class LostRequest:
    """The connection closes before the request is processed."""


@dataclass(frozen=True, slots=True)
class Refuse:
    """The server closes its connections and refuses new ones, as if it did not run.

    The fault applies when it is first in the plan, before the next request. It affects all connections, so it cannot be
    limited to an operation. ``with server.down():`` does the same for a block of code.

    Attributes:
        seconds: Duration [s].
    """

    seconds: float

    def __post_init__(self) -> None:
        arguments.seconds("seconds", self.seconds)


@dataclass(frozen=True, slots=True)
class Respond:
    """A proxy or a rate limit responds instead of the server. The request is not processed.

    Attributes:
        status: Status code, such as 408, 429 or 503.
        body: JSON value, or a text that is sent unchanged. None sends the reason phrase of the status code.
        retry_after: Value of the ``Retry-After`` header: seconds or an HTTP date.
        headers: Further headers.
    """

    status: int
    body: object = None
    retry_after: float | str | None = None
    headers: Mapping[str, str] = field(default_factory=dict[str, str])

    def __post_init__(self) -> None:
        arguments.integer("status", self.status, 200, 599)
        arguments.json_value("body", self.body)
        if isinstance(self.retry_after, str):
            arguments.header_value("retry_after", self.retry_after)
        elif self.retry_after is not None:
            arguments.seconds("retry_after", self.retry_after)
        arguments.headers("headers", self.headers)


@dataclass(frozen=True, slots=True)
class Redirect:
    """The server redirects the request.

    Attributes:
        location: Target of the redirect. None redirects to the same path.
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
    """Truncated JSON in a complete HTTP response.

    Attributes:
        events: In a stream, the number of events before the malformed one.
    """

    events: int = 0

    def __post_init__(self) -> None:
        arguments.integer("events", self.events)


@dataclass(frozen=True, slots=True)
class UnknownMessage:
    """A message of an unknown type in a stream, a list or a response with messages.

    Attributes:
        type: Its ``message_type``.
        events: Number of events or messages before it.
    """

    type: str = "hologram_message"
    events: int = 0

    def __post_init__(self) -> None:
        arguments.text("type", self.type)
        arguments.integer("events", self.events)


@dataclass(frozen=True, slots=True)
class ExtraFields:
    """Unknown fields in every event, every item of a list, or a single object.

    Attributes:
        fields: Names and values of the fields.
    """

    fields: Mapping[str, object] = field(default_factory=lambda: {"hologram": True})

    def __post_init__(self) -> None:
        arguments.json_object("fields", self.fields)


@dataclass(frozen=True, slots=True)
class WrongType:
    """A response with a wrong content type.

    Attributes:
        content_type: Value of the ``Content-Type`` header.
    """

    content_type: str = "text/html; charset=utf-8"

    def __post_init__(self) -> None:
        arguments.header_value("content_type", self.content_type)


@dataclass(frozen=True, slots=True)
class BadChunk:
    """Invalid framing: a chunk of the body has an invalid size.

    Attributes:
        events: Number of events before the invalid chunk.
    """

    events: int = 0

    def __post_init__(self) -> None:
        arguments.integer("events", self.events)


@dataclass(frozen=True, slots=True)
class Trim:
    """The server has dropped the oldest events of its runs, as it does after 10,000 events.

    Attributes:
        keep: Number of the newest events that each run keeps.
    """

    keep: int

    def __post_init__(self) -> None:
        arguments.integer("keep", self.keep)


Fault = (
    Cut
    | Stall
    | Slow
    | LostResponse
    | LostRequest
    | Refuse
    | Respond
    | Redirect
    | Malformed
    | UnknownMessage
    | ExtraFields
    | WrongType
    | BadChunk
    | Trim
)

_FAULT_TYPES: tuple[type[Fault], ...] = get_args(Fault)
_METHODS = ("GET", "POST", "PATCH", "PUT", "DELETE", "HEAD", "OPTIONS")


def _check_position(events: int | None, bytes_: int | None) -> None:
    for name, value in (("events", events), ("bytes", bytes_)):
        if value is not None:
            arguments.integer(name, value)
    if (events is None) == (bytes_ is None):
        raise ValueError("exactly one of events and bytes must be set")


class UnusedFaultError(AssertionError):
    """A planned fault did not happen, or not as often as planned."""


@dataclass(slots=True, eq=False)
class PlannedFault:
    """A planned fault and its counters.

    Attributes:
        fault: The fault. None leaves requests unchanged.
        on: The requests that it applies to. None applies to all.
        times: How often to inject the fault. None injects it every time.
    """

    fault: Fault | None
    on: str | None
    times: int | None
    _assigned: int = 0
    _injected: int = 0

    def assign(self) -> bool:
        """Count a request that is assigned the fault. Return whether the fault applies to further requests."""
        self._assigned += 1
        return self.times is None or self._assigned < self.times

    def mark_injected(self) -> None:
        """Count an injection. Called before the client can observe it."""
        self._injected += 1

    @property
    def unused(self) -> str | None:
        """A description of the fault and its counters. None if it was injected as often as planned."""
        if self.fault is None or self._injected >= (1 if self.times is None else self.times):
            return None
        where = "" if self.on is None else f" on {self.on}"
        how_often = f"happened {self._injected} of {self.times} times" if self._injected else "never happened"
        cause = ""
        if self._assigned > self._injected:
            requests = "1 request" if self._assigned == 1 else f"{self._assigned} requests"
            cause = f"; {requests} got it, but the response ended before its position or does not support it"
        return f"{self.fault}{where} {how_often}{cause}"


class PendingFault:
    """The fault assigned to one request.

    Attributes:
        fault: The fault. None leaves the request unchanged.
    """

    __slots__ = ("_planned", "fault")

    def __init__(self, planned: PlannedFault | None = None) -> None:
        self._planned: PlannedFault | None = planned
        self.fault: Fault | None = None if planned is None else planned.fault

    def mark_injected(self) -> None:
        """Count, once, that the fault is injected."""
        planned, self._planned = self._planned, None
        if planned is not None:
            planned.mark_injected()


class Faults:
    """The plan of faults. It can be changed from any thread while the server runs.

    Attributes:
        refuse: Called to refuse connections between two requests.
    """

    def __init__(self) -> None:
        self._plan: list[PlannedFault] = []
        self._planned: list[PlannedFault] = []
        self._lock = threading.Lock()
        self.refuse: Callable[[Refuse], None] | None = None

    def add(self, *faults: Fault | None, on: str | None = None, times: int | None = 1) -> None:
        """Append faults to the plan.

        A request is assigned the first fault of the plan that applies to it.

        Args:
            faults: One fault per request. None leaves a request unchanged.
            on: The requests that the faults apply to: an operation such as ``conversations.messages.create``, or a path
                such as ``GET /v1/steps/*``, where the method is optional. None applies to all requests.
            times: How often each fault happens. None injects it every time. Defaults to 1.

        Raises:
            TypeError: If an argument has another type.
            ValueError: If faults are missing, ``on`` is unknown, ``times`` is less than 1, or `Refuse` is
                combined with ``on`` or ``times=None``.
        """
        if not faults:
            raise ValueError("faults must hold at least one fault, got none")
        for fault in faults:
            if fault is not None and not isinstance(fault, _FAULT_TYPES):
                raise TypeError(f"fault must be a fault of letta_ext.testing, such as Cut(events=3), got {fault!r}")
        _check_on(on)
        if times is not None:
            if isinstance(times, bool) or not isinstance(times, int):
                raise TypeError(f"times must be an int, or None for every time, got {times!r}")
            if times < 1:
                raise ValueError(f"times must be at least 1, got {times}")
        for fault in faults:
            if isinstance(fault, Refuse) and (on is not None or times is None):
                raise ValueError("on and times=None cannot be combined with Refuse, which affects all connections")
        with self._lock:
            added = [PlannedFault(fault, on, times) for fault in faults]
            self._plan += added
            # Drop the completed faults, so that the list stays short when a loop adds faults.
            self._planned = [known for known in self._planned if known.unused is not None] + added
        self.refuse_if_due()

    def clear(self) -> None:
        """Clear the plan."""
        with self._lock:
            self._plan.clear()
            self._planned.clear()

    @property
    def unused(self) -> list[str]:
        """The planned faults that did not happen, each as a line of text."""
        with self._lock:
            return [line for planned in self._planned if (line := planned.unused) is not None]

    def assert_happened(self) -> None:
        """Fail if a planned fault did not happen, or not as often as planned.

        Raises:
            UnusedFaultError: If there are such faults. The message lists them.
        """
        unused = self.unused
        if unused:
            raise UnusedFaultError("\n".join(unused))

    def __len__(self) -> int:
        """Return the number of entries left in the plan."""
        with self._lock:
            return len(self._plan)

    def next(self, method: str, path: str) -> tuple[PendingFault, Refuse | None]:
        """Take the fault of a request from the plan, and the `Refuse` that follows it, if any."""
        with self._lock:
            due = PendingFault()
            for index, planned in enumerate(self._plan):
                if not isinstance(planned.fault, Refuse) and _matches(planned.on, method, path):
                    due = PendingFault(planned)
                    self._assign(index)
                    break
            return due, self._refuse_now()

    def refuse_if_due(self) -> None:
        """Refuse connections if the plan continues with `Refuse` and a server runs."""
        with self._lock:
            if self.refuse is None or (fault := self._refuse_now()) is None:
                return
        self.refuse(fault)

    def _refuse_now(self) -> Refuse | None:
        planned = self._plan[0] if self._plan else None
        if planned is None or not isinstance(planned.fault, Refuse):
            return None
        self._assign(0)
        planned.mark_injected()
        return planned.fault

    def _assign(self, index: int) -> None:
        if not self._plan[index].assign():
            del self._plan[index]


def _check_on(on: object) -> None:
    if on is None:
        return
    if not isinstance(on, str):
        raise TypeError(f"on must be an operation or a path, got {on!r}")
    if "/" not in on and on not in OPERATIONS:
        raise ValueError(f"on must be one of {', '.join(sorted(OPERATIONS))}, or a path such as /v1/*, got {on!r}")
    method, _, path = on.rpartition(" ")
    if "/" in on and (not path.startswith(("/", "*")) or not (method == "" or method in _METHODS)):
        methods = ", ".join(_METHODS)
        raise ValueError(f"on must be a path such as /v1/*, optionally after one of {methods} and a space, got {on!r}")


def _matches(on: str | None, method: str, path: str) -> bool:
    if on is None:
        return True
    if "/" in on:
        wanted, _, pattern = on.rpartition(" ")
        return wanted in ("", method) and fnmatchcase(path, pattern)
    operation = OPERATIONS[on]
    return operation.method == method and compile_path(operation.path)[0].match(path) is not None
