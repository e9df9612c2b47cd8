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
"""Characters of the longest query that is added without the checks of httpx, which limits the length of a URL."""

PLAIN: Final = re.compile(r"[A-Za-z0-9_.~-]*")
"""Text without characters to quote."""


def make_url(url: str, query: Sequence[QueryPair]) -> httpx.URL:
    """Return a URL with query parameters.

    Raises:
        httpx.InvalidURL: If it is too long or has characters that a URL cannot contain.
    """
    if not query:
        return _parsed(url, ())
    # Equal numbers of different types, such as 1 and True, would share a place in the cache.
    texts = [(name, value) for name, value in query if isinstance(value, str)]
    if len(texts) < len(query):
        return httpx.URL(url, params=query)
    if all(len(value) <= MAX_CACHED_LENGTH for _, value in texts):
        return _parsed(url, tuple(texts))
    return _with_plain_query(_parsed(url, ()), texts) or httpx.URL(url, params=query)


@lru_cache(maxsize=128)
def _parsed(url: str, query: tuple[QueryPair, ...]) -> httpx.URL:
    """Return a URL. The cache serves conversations, runs and first pages that are requested many times."""
    return httpx.URL(url, params=query) if query else httpx.URL(url)


def _with_plain_query(url: httpx.URL, query: Sequence[tuple[str, str]]) -> httpx.URL | None:
    """Return a parsed URL with another query, or None if a character needs quoting or a name is repeated."""
    text = "".join(chain.from_iterable(query))
    if len(text) > MAX_PLAIN_LENGTH or len(dict(query)) < len(query) or not PLAIN.fullmatch(text):
        return None
    found: Any = httpx.URL(url)
    try:
        # httpx has no public API for it. `copy_with` checks and quotes the whole URL again.
        found._uri_reference = found._uri_reference._replace(query="&".join(map("=".join, query)))
    except AttributeError:  # a version of httpx with other attributes
        return None
    return found  # type: ignore[no-any-return]  # see above
