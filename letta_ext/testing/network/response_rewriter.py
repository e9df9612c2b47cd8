"""Faults in the content of a complete response."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping

from starlette.types import Message, Send

from ..api import serializers
from ..api.validation import is_object, is_sequence
from .faults import ExtraFields, Malformed, UnknownMessage, WrongType

_DATA = b"data: "


class ResponseRewriter:
    """Rewrites the content of one response.

    Args:
        send: Sends the rewritten response.
        fault: The fault to inject.
        on_injected: Called before the content changes.
    """

    def __init__(
        self, send: Send, fault: Malformed | UnknownMessage | ExtraFields | WrongType, on_injected: Callable[[], None]
    ) -> None:
        self._on_injected = on_injected
        self._send = send
        self._fault = fault
        self._start: Message = {}
        self._stream = False
        self._body = b""
        self._count = 0

    async def send(self, message: Message) -> None:
        """Send a part of the response. JSON is sent when it is complete, events immediately."""
        if message["type"] == "http.response.start":
            self._start = message
            headers = dict(message["headers"])
            self._stream = headers.get(b"content-type", b"").startswith(b"text/event-stream")
            if isinstance(self._fault, WrongType):
                self._on_injected()
                headers[b"content-type"] = self._fault.content_type.encode("latin-1")
                message["headers"] = list(headers.items())
            if self._stream:
                await self._send(message)
        elif self._stream:
            events = message["body"].split(serializers.END_OF_EVENT)
            complete = b"".join(self._rewrite_event(event) + serializers.END_OF_EVENT for event in events[:-1])
            await self._send({**message, "body": complete + events[-1]})
        else:
            self._body += message["body"]
            if not message.get("more_body"):
                await self._send_json(message)

    async def _send_json(self, last: Message) -> None:
        body = self._rewrite_json(self._body)
        headers = [pair for pair in self._start["headers"] if pair[0] != b"content-length"]
        self._start["headers"] = [*headers, (b"content-length", str(len(body)).encode())]
        await self._send(self._start)
        await self._send({**last, "body": body})

    def _rewrite_json(self, body: bytes) -> bytes:
        match self._fault:
            case Malformed():
                self._on_injected()
                return body[: len(body) // 2]
            case WrongType():
                return body
            case ExtraFields(fields=fields):
                return self._changed_json(body, lambda value: _with_fields(value, fields))
            case UnknownMessage() as fault:
                return self._changed_json(body, lambda value: _with_message(value, fault))

    def _changed_json(self, body: bytes, change: Callable[[object], object]) -> bytes:
        """Return changed JSON, or the same bytes if the change does not apply."""
        try:
            before = json.loads(body)
        except ValueError:
            return body
        after = change(before)
        if after == before:
            return body
        self._on_injected()
        return serializers.encode(after).encode()

    def _rewrite_event(self, event: bytes) -> bytes:
        """Return an event as sent, preceded by an inserted event if the fault adds one."""
        count, self._count = self._count, self._count + 1
        head, found, data = event.partition(_DATA)
        match self._fault:
            case Malformed(events=position) if position == count:
                self._on_injected()
                return head + found + data[: len(data) // 2]
            case UnknownMessage(events=position) if position == count:
                self._on_injected()
                return (
                    _DATA
                    + serializers.encode(_unknown_message(self._fault.type)).encode()
                    + serializers.END_OF_EVENT
                    + event
                )
            case ExtraFields(fields=fields) if data.startswith(b"{"):
                self._on_injected()
                return head + found + serializers.encode(_with_fields(json.loads(data), fields)).encode()
            case _:
                return event


def _unknown_message(kind: str) -> dict[str, object]:
    return {
        "id": "message-00000000-0000-4000-8000-000000000000",
        "date": "2026-01-01T00:00:00+00:00",
        "message_type": kind,
        "content": "unknown",
    }


def _with_fields(value: object, fields: Mapping[str, object]) -> object:
    if is_sequence(value):
        return [_with_fields(item, fields) for item in value]
    if is_object(value):
        messages = {"messages": _with_fields(value["messages"], fields)} if is_sequence(value.get("messages")) else {}
        return {**value, **messages, **fields}
    return value


def _with_message(value: object, fault: UnknownMessage) -> object:
    if is_sequence(value):
        return [*value[: fault.events], _unknown_message(fault.type), *value[fault.events :]]
    if is_object(value) and is_sequence(value.get("messages")):
        return {**value, "messages": _with_message(value["messages"], fault)}
    return value
