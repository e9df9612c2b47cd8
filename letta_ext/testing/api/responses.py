"""The two kinds of responses: JSON, and streams of events."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from typing import TypeAlias

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from ..engine.message_service import Stream
from ..store.state import State
from . import serializers

Handler: TypeAlias = Callable[[State, Request], Awaitable[Response]]
"""Makes the response to one request."""


class CompactJSON(JSONResponse):
    """JSON without spaces, as the real server writes it."""

    def render(self, content: object) -> bytes:
        """Return the body."""
        return serializers.encode(content).encode()


class EventStream(Response):
    """A stream of events. Like the real server's, it does not even send its headers before the first event."""

    def __init__(self, stream: Stream) -> None:
        super().__init__(media_type="text/event-stream")
        del self.headers["content-length"]
        self._stream = stream

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the events, until they end or the client hangs up."""
        sending = asyncio.ensure_future(self._send_events(send))
        hanging_up = asyncio.ensure_future(_disconnected(receive))
        try:
            await asyncio.wait({sending, hanging_up}, return_when=asyncio.FIRST_COMPLETED)
            if sending.done():
                sending.result()
        finally:
            sending.cancel()
            hanging_up.cancel()
            await asyncio.gather(sending, hanging_up, return_exceptions=True)
            self._stream.hang_up()

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


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
