"""Request bodies that are not JSON, and cookie parameters, as generated request builders return them."""

from __future__ import annotations

from typing import Any

import httpx
from attrs import evolve

from letta_api.types import Request


def encode_content(operation: str, request: Request) -> Request:
    """Return a request whose form, files, text or bytes are encoded once, for all attempts.

    Its content has at most the bytes of the body and the cookies. The content type of the body is a header.

    Raises:
        TypeError: If a value cannot be encoded.
        ValueError: If a text cannot be encoded.
    """
    arguments = dict(request.content)
    cookies = arguments.pop("cookies", None)
    if not arguments:
        return request
    try:
        encoded = httpx.Request("POST", "http://form.invalid", **arguments)
        content: dict[str, Any] = {"content": encoded.read()}
    except UnicodeEncodeError as error:
        raise ValueError(f"{operation}() must have text that UTF-8 can encode in its body: {error.reason}") from None
    if cookies:
        content["cookies"] = cookies
    found = {"Content-Type": encoded.headers["Content-Type"]} if "Content-Type" in encoded.headers else {}
    return evolve(request, content=content, headers={**found, **request.headers})
