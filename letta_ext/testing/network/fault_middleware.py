"""ASGI middleware that injects faults into requests, responses and connections."""

from __future__ import annotations

import json
from http.client import responses
from typing import Protocol

from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..api import serializers
from ..store.state import State
from .connection import Connection, connection_of
from .faults import (
    BadChunk,
    Cut,
    ExtraFields,
    Faults,
    LostRequest,
    LostResponse,
    Malformed,
    PendingFault,
    Redirect,
    Refuse,
    Respond,
    Slow,
    Stall,
    Trim,
    UnknownMessage,
    WrongType,
)
from .response_rewriter import ResponseRewriter

FAULT = "letta_ext.fault"
"""The key of the ASGI scope that holds the fault of the request."""

_INVALID_CHUNK_SIZE = b"invalid chunk size\r\n"


def inject_faults(app: ASGIApp, faults: Faults, state: State, gate: Gate) -> ASGIApp:
    """Wrap an application so that the planned faults are injected.

    Args:
        app: The application.
        faults: The plan.
        state: The state whose runs `Trim` shortens.
        gate: The listener that `Refuse` closes.
    """

    async def wrapped(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await app(scope, receive, send)
            return
        due, refuse = faults.next(scope["method"], scope["path"])
        scope[FAULT] = due.fault
        if refuse is None:
            await _inject(due, app, scope, receive, send)
            return
        # Refuse connections before the response is sent, because its client can reconnect immediately.
        gate.shut(keep=connection_of(scope))
        try:
            await _inject(due, app, scope, receive, _closing_connection(send))
        finally:
            gate.open_after(refuse.seconds)

    async def _inject(due: PendingFault, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        fault = due.fault
        match fault:
            case None:
                await app(scope, receive, send)
            case Respond() | Redirect():
                await _discard_body(receive)
                due.mark_injected()
                await _substitute_response(fault, scope["raw_path"].decode("latin-1"))(scope, receive, send)
            case LostRequest():
                # Read the complete body: closing a connection with unread bytes resets it.
                await _discard_body(receive)
                due.mark_injected()
                connection_of(scope).cut()
            case Cut(how="end", events=int(events)):
                await app(scope, receive, _EarlyEnd(send, events, due).send)
            case Cut() | Stall() | Slow() | LostResponse() | BadChunk():
                connection_fault = Cut(bytes=0) if isinstance(fault, LostResponse) else fault
                await _ConnectionFault(connection_of(scope), send, connection_fault, due).run(app, scope, receive)
            case Trim():
                due.mark_injected()
                for run in state.runs.values():
                    run.journal.trim(fault.keep)
                await app(scope, receive, send)
            case Malformed() | UnknownMessage() | ExtraFields() | WrongType():
                await app(scope, receive, ResponseRewriter(send, fault, due.mark_injected).send)
            case Refuse():
                raise AssertionError("Refuse is injected before there is a request")

    return wrapped


class Gate(Protocol):
    """A listener that accepts or refuses connections."""

    def shut(self, keep: Connection | None = None) -> None:
        """Refuse new connections, and close all open ones except for one."""
        ...

    def open_after(self, seconds: float) -> None:
        """Accept connections again after a delay [s]."""
        ...


def _closing_connection(send: Send) -> Send:
    """Wrap `send` so that the response closes its connection."""

    async def send_closing(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message["headers"], (b"connection", b"close")]
        await send(message)

    return send_closing


async def _discard_body(receive: Receive) -> None:
    while (message := await receive())["type"] == "http.request" and message.get("more_body"):
        pass


def _substitute_response(fault: Respond | Redirect, path: str) -> Response:
    if isinstance(fault, Redirect):
        return Response(status_code=fault.status, headers={"location": fault.location or path})
    headers = dict(fault.headers)
    if fault.retry_after is not None:
        after = fault.retry_after
        headers["retry-after"] = after if isinstance(after, str) else f"{after:g}"
    if fault.status in (204, 304):
        return Response(None, fault.status, headers)  # neither status has a body
    if isinstance(fault.body, str):
        return Response(fault.body, fault.status, headers, "text/plain")
    body = fault.body if fault.body is not None else {"detail": responses.get(fault.status, "Unknown")}
    return Response(json.dumps(body), fault.status, headers, "application/json")


def _count_events(message: Message) -> int:
    """Return the number of events that end in a part of a body."""
    return message["body"].count(serializers.END_OF_EVENT) if message["type"] == "http.response.body" else 0


class _EarlyEnd:
    """Ends a body after some events with valid framing, as a proxy may."""

    def __init__(self, send: Send, events: int, due: PendingFault) -> None:
        self._send = send
        self._remaining = events
        self._due = due
        self._has_ended = False

    async def send(self, message: Message) -> None:
        if self._has_ended:
            return
        body = message["type"] == "http.response.body"
        if not body:
            _drop_header(message, b"content-length")  # a shorter body is valid only with chunked encoding
        if body and self._remaining <= 0:
            self._has_ended = True
            self._due.mark_injected()
            await self._send({"type": "http.response.body", "body": b"", "more_body": False})
            return
        await self._send(message)
        self._remaining -= _count_events(message)


class _ConnectionFault:
    """Writes one response to the connection and injects a fault on the way."""

    def __init__(
        self, connection: Connection, send: Send, fault: Cut | Stall | Slow | BadChunk, due: PendingFault
    ) -> None:
        self._due = due
        self._connection = connection
        self._send = send
        self._fault = fault
        self._bytes = 0
        self._sent_events = 0
        self._injected = False
        self._released = False

    async def run(self, app: ASGIApp, scope: Scope, receive: Receive) -> None:
        self._connection.hold()
        try:
            await app(scope, receive, self.send)
        finally:
            self._release()

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start" and isinstance(self._fault, BadChunk):
            # A response without Content-Length is sent in chunks.
            _drop_header(message, b"content-length")
        if message["type"] == "http.response.body" and not self._injected and self._is_due():
            await self._inject()
        await self._send(message)
        await self._write(self._connection.take_held())
        self._sent_events += _count_events(message)
        if message["type"] == "http.response.body" and not message.get("more_body"):
            # The client can send its next request, which may hold the connection, before the application returns.
            self._release()

    def _release(self) -> None:
        if not self._released:
            self._released = True
            self._connection.release()

    def _is_due(self) -> bool:
        """Return whether a fault that counts events is due before the next chunk."""
        events = None if isinstance(self._fault, Slow) else self._fault.events
        return events is not None and self._sent_events >= events

    async def _inject(self) -> None:
        self._injected = True
        self._due.mark_injected()
        match self._fault:
            case Cut():
                self._connection.cut(reset=self._fault.how == "reset")
            case Stall():
                await self._connection.wait_lost(self._fault.seconds)
            case BadChunk():
                self._connection.write_through(_INVALID_CHUNK_SIZE)
                self._connection.cut()
            case Slow():
                pass

    async def _write(self, data: bytes) -> None:
        """Write bytes up to the position of the fault, inject it, and write the rest."""
        fault = self._fault
        if isinstance(fault, Slow):
            self._due.mark_injected()
            for start in range(0, len(data), fault.size):
                if await self._connection.wait_lost(fault.pause):
                    return
                self._connection.write_through(data[start : start + fault.size])
            return
        position = None if isinstance(fault, BadChunk) or self._injected else fault.bytes
        if position is not None and self._bytes + len(data) >= position:
            count = position - self._bytes
            self._connection.write_through(data[:count])
            await self._inject()
            data = data[count:]
        self._bytes += len(data)
        self._connection.write_through(data)


def _drop_header(message: Message, name: bytes) -> None:
    message["headers"] = [(key, value) for key, value in message["headers"] if key != name]
