"""Requests with the caller's httpx client.

The client provides the server's address, the credentials and the timeouts. httpx's default read timeout is 5 seconds,
which is too short for an agent's response: use `LONG_TIMEOUT`.
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
"""A timeout for agent responses: 600 seconds between received bytes, 10 seconds for each other operation."""


def _prepare(client: httpx.Client | httpx.AsyncClient, request: Request, accept: str) -> httpx.Request:
    return client.build_request(
        request.method,
        request.path,
        params=request.query or None,
        json=request.body,
        headers={**request.headers, "Accept": accept},
        **request.content,
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
    except (LookupError, ValueError):  # an unknown or malformed charset
        return response.content.decode("utf-8", "replace")


def send(client: httpx.Client, request: Request, accept: str = "application/json") -> bytes:
    """Send a request and return the response body.

    Args:
        client: The caller's client.
        request: The request.
        accept: The content type of the response. Defaults to JSON.

    Raises:
        UnexpectedStatus: If the server returns an error response.
        httpx.HTTPError: If no response is received.
    """
    return _checked(client.send(_prepare(client, request, accept)))


async def send_async(client: httpx.AsyncClient, request: Request, accept: str = "application/json") -> bytes:
    """Async version of `send`."""
    return _checked(await client.send(_prepare(client, request, accept)))


@contextmanager
def open_stream(client: httpx.Client, request: Request) -> Generator[httpx.Response, None, None]:
    """Send a request and yield the response before its body is read.

    Raises:
        UnexpectedStatus: If the server returns an error response.
        httpx.HTTPError: If no response is received.
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
    """Async version of `open_stream`."""
    response = await client.send(_prepare(client, request, "text/event-stream"), stream=True)
    try:
        if not response.is_success:
            await response.aread()
            _checked(response)
        yield response
    finally:
        await response.aclose()
