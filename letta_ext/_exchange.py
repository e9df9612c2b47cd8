"""Copies of requests and responses for errors: without secrets, without connections, and small enough to be pickled."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

import httpx
from attrs import frozen

OF_THE_BODY: Final = frozenset({"content-encoding", "content-length", "transfer-encoding"})
"""Headers about the body as it was sent. A copy has the decoded text."""


@frozen
class RequestCopy:
    """A request of which secrets and body are removed.

    Attributes:
        method: The HTTP method.
        url: The URL without user info, and with secret query parameters redacted.
        headers: The headers, with secret ones redacted.
    """

    method: str
    url: str
    headers: tuple[tuple[str, str], ...]

    def to_httpx(self) -> httpx.Request:
        """Return the request as a class of httpx."""
        headers = [(name, value) for name, value in self.headers if name not in OF_THE_BODY]
        return httpx.Request(self.method, self.url, headers=headers)


def response_copy(
    status: int,
    headers: Mapping[str, str],
    text: str | None,
    body: Any,
    request: httpx.Request | None,
    elapsed: timedelta | None = None,
) -> httpx.Response:
    """Return a response as a class of httpx.

    Args:
        status: The status code.
        headers: The headers, with secrets redacted.
        text: The text of the body, with secrets redacted. None if only `body` is known.
        body: The decoded body.
        request: The request, if it is known.
        elapsed: The time from the request to the end of the response, if it is known.
    """
    kept = {name: value for name, value in headers.items() if name.lower() not in OF_THE_BODY}
    if text is None:
        text = "" if body is None else body if isinstance(body, str) else json.dumps(body, default=str)
        if not isinstance(body, str) and body is not None:
            kept.setdefault("content-type", "application/json")
    kept = {name: _as_utf8(value) if name.lower() == "content-type" else value for name, value in kept.items()}
    content = text.encode("utf-8", "replace")
    response = httpx.Response(status, headers=kept, content=content, request=request)
    if elapsed is not None:
        response.elapsed = elapsed
    return response


def _as_utf8(content_type: str) -> str:
    """Return a content type whose charset, if it has one, is that of the copy."""
    kind, *parameters = content_type.split(";")
    return f"{kind}; charset=utf-8" if any("charset" in each.lower() for each in parameters) else content_type
