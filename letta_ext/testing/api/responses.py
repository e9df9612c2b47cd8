"""JSON and event-stream responses."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from typing import TypeAlias

from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from ..engine.message_service import Stream
from ..store.state import State
from . import serializers
from .request_schema import Record

Handler: TypeAlias = Callable[[State, Record], Awaitable[object]]
"""Returns the response to one request, or its JSON."""


class CompactJSON(JSONResponse):
    """A JSON response without whitespace, as in Letta."""

    def render(self, content: object) -> bytes:
        """Return the encoded body."""
        return serializers.encode(content).encode()


class EventStream(Response):
    """A stream of events. As in Letta, the headers are sent with the first event."""

    def __init__(self, stream: Stream) -> None:
        super().__init__(media_type="text/event-stream")
        del self.headers["content-length"]
        self._stream = stream

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the events until the stream ends or the client disconnects."""
        sending = asyncio.ensure_future(self._send_events(send))
        disconnecting = asyncio.ensure_future(_wait_for_disconnect(receive))
        try:
            await asyncio.wait({sending, disconnecting}, return_when=asyncio.FIRST_COMPLETED)
            if sending.done():
                sending.result()
        finally:
            sending.cancel()
            disconnecting.cancel()
            await asyncio.gather(sending, disconnecting, return_exceptions=True)
            self._stream.on_disconnect()

    async def _send_events(self, send: Send) -> None:
        started = False
        async with aclosing(self._stream.events) as source:
            async for text in source:
                if not started:
                    await self._start(send)
                    started = True
                await send({"type": "http.response.body", "body": text.encode(), "more_body": True})
        if not started:
            await self._start(send)
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _start(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})


async def _wait_for_disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
