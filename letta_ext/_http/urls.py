"""The URLs of requests. httpx checks and quotes each character of a URL, which takes as long as sending a request."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from itertools import chain
from typing import Any, Final

import httpx

from letta_api.types import QueryPair

MAX_CACHED_LENGTH: Final = 32
"""Characters of the longest query parameter whose URL is cached. Cursors are longer."""

MAX_PLAIN_LENGTH: Final = 2_000
"""Characters of the longest URL that is built without the checks of httpx, which limits the length of a URL."""

PLAIN: Final = re.compile(r"[A-Za-z0-9_.~-]*")
"""Text without characters to quote."""

PLAIN_URL: Final = re.compile(r"(https?://[^/?#]+)((?:/[A-Za-z0-9_~-][A-Za-z0-9_.~-]*)+/?)")
"""The origin and the path of a URL without characters to quote, dot segments or a query."""


def make_url(url: str, query: Sequence[QueryPair]) -> httpx.URL:
    """Return a URL with query parameters.

    Raises:
        httpx.InvalidURL: If it is too long or has characters that a URL cannot contain.
    """
    texts = tuple([(name, value) for name, value in query if isinstance(value, str)])
    if len(texts) < len(query):  # equal numbers of different types, such as 1 and True, would share a cache entry
        return httpx.URL(url, params=query)
    if all(len(value) <= MAX_CACHED_LENGTH for _, value in texts):
        return _cached(url, texts)
    return _make_url(url, texts)


def _make_url(url: str, query: tuple[tuple[str, str], ...]) -> httpx.URL:
    return _make_plain_url(url, query) or (httpx.URL(url, params=query) if query else httpx.URL(url))


_cached: Final = lru_cache(maxsize=128)(_make_url)
"""The cache serves conversations, runs and first pages that are requested many times."""

_origin: Final = lru_cache(maxsize=16)(httpx.URL)


def _make_plain_url(url: str, query: tuple[tuple[str, str], ...]) -> httpx.URL | None:
    """Return a URL. Return None if a character needs quoting, or if httpx would reorder repeated parameters."""
    parts, text = PLAIN_URL.fullmatch(url), "".join(chain.from_iterable(query))
    if parts is None or len(url) + len(text) > MAX_PLAIN_LENGTH or not PLAIN.fullmatch(text):
        return None
    if len(dict(query)) < len(query):
        return None
    found: Any = httpx.URL(_origin(parts[1]))
    try:
        # httpx has no public API for it. `copy_with` checks and quotes the whole URL again.
        found._uri_reference = found._uri_reference._replace(
            path=parts[2], query="&".join(map("=".join, query)) if query else None
        )
    except AttributeError:  # a version of httpx with other attributes
        return None
    return found  # type: ignore[no-any-return]  # see above
