"""Sends requests with the caller's own httpx client, whose `base_url` is the server and whose headers authenticate.

The timeouts are the client's too. httpx's default ends a request after 5 seconds in which no byte came, which is less
than a server needs that works on an answer: give the client `LONG_TIMEOUT`.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from typing import Final

import httpx

from .errors import UnexpectedStatus
from .structs import loads
from .types import Request

LONG_TIMEOUT: Final = httpx.Timeout(10, read=600)
"""For a server that works on its answers: 600 seconds without a byte of the answer, 10 for each other step."""


def _prepare(client: httpx.Client | httpx.AsyncClient, request: Request, accept: str) -> httpx.Request:
    return client.build_request(
        request.method,
        request.path,
        params=request.query or None,
        json=request.body,
        headers={**request.headers, "Accept": accept},
    )


def _checked(response: httpx.Response) -> bytes:
    if response.is_success:
        return response.content
    try:
        body = loads(response.content)
    except ValueError:
        body = _text(response)
    raise UnexpectedStatus(response.status_code, body)


def _text(response: httpx.Response) -> str:
    try:
        return response.content.decode(response.charset_encoding or "utf-8", "replace")
    except (LookupError, ValueError):  # a charset that Python does not know, or that is none
        return response.content.decode("utf-8", "replace")


def send(client: httpx.Client, request: Request) -> bytes:
    """Sends a request and returns the text of the answer.

    Raises:
        UnexpectedStatus: the answer is no success.
        httpx.HTTPError: no answer came.
    """
    return _checked(client.send(_prepare(client, request, "application/json")))


async def send_async(client: httpx.AsyncClient, request: Request) -> bytes:
    """What `send` does, with an async client."""
    return _checked(await client.send(_prepare(client, request, "application/json")))


@contextmanager
def open_stream(client: httpx.Client, request: Request) -> Generator[httpx.Response, None, None]:
    """Sends a request and yields the answer, whose body is an event stream that has yet to be read.

    Raises:
        UnexpectedStatus: the answer is no success.
        httpx.HTTPError: no answer came.
    """
    response = client.send(_prepare(client, request, "text/event-stream"), stream=True)
    try:
        if not response.is_success:
            response.read()
            _checked(response)
        yield response
    finally:
        response.close()


@asynccontextmanager
async def open_stream_async(client: httpx.AsyncClient, request: Request) -> AsyncGenerator[httpx.Response, None]:
    """What `open_stream` does, with an async client."""
    response = await client.send(_prepare(client, request, "text/event-stream"), stream=True)
    try:
        if not response.is_success:
            await response.aread()
            _checked(response)
        yield response
    finally:
        await response.aclose()
