"""An ASGI layer that lets faults happen: what each does to the request, the answer, or the line."""

from __future__ import annotations

import json
from http.client import responses
from typing import Protocol

from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..api import serializers
from ..store.state import State
from .connection import Line, line_of
from .faults import (
    Answer,
    BadChunk,
    Cut,
    Due,
    ExtraFields,
    Faults,
    LostAnswer,
    LostRequest,
    Malformed,
    Redirect,
    Refuse,
    Slow,
    Stall,
    Trim,
    UnknownMessage,
    WrongType,
)
from .response_rewriter import Rewriting

FAULT = "letta_ext.fault"
"""The key of a scope under which the fault stands that happened to its request."""

_NOT_A_SIZE = b"this is no chunk size\r\n"


def faulty(app: ASGIApp, faults: Faults, state: State, gate: Gate) -> ASGIApp:
    """Return an application to whose requests and answers the planned faults happen.

    Args:
        app: the application.
        faults: the plan.
        state: the memory whose runs may be trimmed.
        gate: what lets connections in.
    """

    async def called(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await app(scope, receive, send)
            return
        due, refuse = faults.next(scope["method"], scope["path"])
        scope[FAULT] = due.fault
        if refuse is None:
            await _happen(due, app, scope, receive, send)
            return
        # Shut before the answer goes out, or its client could be back before.
        gate.shut(spare=line_of(scope))
        try:
            await _happen(due, app, scope, receive, _closing(send))
        finally:
            gate.open_after(refuse.seconds)

    async def _happen(due: Due, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        fault = due.fault
        match fault:
            case None:
                await app(scope, receive, send)
            case Answer() | Redirect():
                await _read(receive)
                due.happen()
                await _instead(fault, scope["raw_path"].decode("latin-1"))(scope, receive, send)
            case LostRequest():
                # Read whole: a connection that is closed upon unread bytes is reset instead.
                await _read(receive)
                due.happen()
                line_of(scope).cut()
            case Cut(how="end", events=int(events)):
                await app(scope, receive, _Ending(send, events, due).send)
            case Cut() | Stall() | Slow() | LostAnswer() | BadChunk():
                carried = Cut(bytes=0) if isinstance(fault, LostAnswer) else fault
                await _Courier(line_of(scope), send, carried, due).carry(app, scope, receive)
            case Trim():
                due.happen()
                for run in state.runs.values():
                    run.journal.trim(fault.keep)
                await app(scope, receive, send)
            case Malformed() | UnknownMessage() | ExtraFields() | WrongType():
                await app(scope, receive, Rewriting(send, fault, due.happen).send)
            case Refuse():
                raise AssertionError("connections are refused before there is a request")

    return called


class Gate(Protocol):
    """What lets connections in."""

    def shut(self, spare: Line | None = None) -> None:
        """Refuse new connections, and close all but one."""
        ...

    def open_after(self, seconds: float) -> None:
        """Let connections in again after so many seconds."""
        ...


def _closing(send: Send) -> Send:
    """Return what sends answers that end their connections."""

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message["headers"], (b"connection", b"close")]
        await send(message)

    return sending


async def _read(receive: Receive) -> None:
    while (message := await receive())["type"] == "http.request" and message.get("more_body"):
        pass


def _instead(fault: Answer | Redirect, path: str) -> Response:
    if isinstance(fault, Redirect):
        return Response(status_code=fault.status, headers={"location": fault.location or path})
    headers = dict(fault.headers)
    if fault.retry_after is not None:
        after = fault.retry_after
        headers["retry-after"] = after if isinstance(after, str) else f"{after:g}"
    if fault.status in (204, 304):
        return Response(None, fault.status, headers)  # neither has a body
    if isinstance(fault.body, str):
        return Response(fault.body, fault.status, headers, "text/plain")
    body = fault.body if fault.body is not None else {"detail": responses.get(fault.status, "Unknown")}
    return Response(json.dumps(body), fault.status, headers, "application/json")


def _events(message: Message) -> int:
    """Return how many events a part of a body ends."""
    return message["body"].count(serializers.END_OF_EVENT) if message["type"] == "http.response.body" else 0


class _Ending:
    """Ends a body properly after so many events, as a proxy may do."""

    def __init__(self, send: Send, events: int, due: Due) -> None:
        self._send = send
        self._left = events
        self._due = due
        self._ended = False

    async def send(self, message: Message) -> None:
        if self._ended:
            return
        body = message["type"] == "http.response.body"
        if not body:
            _drop_header(message, b"content-length")  # a shorter body ends properly only in chunks
        if body and self._left <= 0:
            self._ended = True
            self._due.happen()
            await self._send({"type": "http.response.body", "body": b"", "more_body": False})
            return
        await self._send(message)
        self._left -= _events(message)


class _Courier:
    """Carries the bytes of one answer over a line, and harms them on the way."""

    def __init__(self, line: Line, send: Send, fault: Cut | Stall | Slow | BadChunk, due: Due) -> None:
        self._due = due
        self._line = line
        self._send = send
        self._fault = fault
        self._bytes = 0
        self._events = 0
        self._happened = False

    async def carry(self, app: ASGIApp, scope: Scope, receive: Receive) -> None:
        self._line.hold()
        try:
            await app(scope, receive, self.send)
        finally:
            self._line.release()

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start" and isinstance(self._fault, BadChunk):
            # Without a length, the body comes in chunks.
            _drop_header(message, b"content-length")
        if message["type"] == "http.response.body" and not self._happened and self._is_due():
            await self._break_in()
        await self._send(message)
        await self._pass(self._line.take())
        self._events += _events(message)

    def _is_due(self) -> bool:
        """Tell whether a fault that counts events happens before what comes next."""
        events = None if isinstance(self._fault, Slow) else self._fault.events
        return events is not None and self._events >= events

    async def _break_in(self) -> None:
        self._happened = True
        self._due.happen()
        match self._fault:
            case Cut():
                self._line.cut(reset=self._fault.how == "reset")
            case Stall():
                await self._line.lost(self._fault.seconds)
            case BadChunk():
                self._line.put(_NOT_A_SIZE)
                self._line.cut()
            case Slow():
                pass

    async def _pass(self, data: bytes) -> None:
        """Put bytes on the line, up to the one after which something happens."""
        fault = self._fault
        if isinstance(fault, Slow):
            self._due.happen()
            for at in range(0, len(data), fault.size):
                if await self._line.lost(fault.pause):
                    return
                self._line.put(data[at : at + fault.size])
            return
        place = None if isinstance(fault, BadChunk) or self._happened else fault.bytes
        if place is not None and self._bytes + len(data) >= place:
            before = place - self._bytes
            self._line.put(data[:before])
            await self._break_in()
            data = data[before:]
        self._bytes += len(data)
        self._line.put(data)


def _drop_header(message: Message, name: bytes) -> None:
    message["headers"] = [(key, value) for key, value in message["headers"] if key != name]
