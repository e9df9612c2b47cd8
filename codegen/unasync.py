"""Derives sync code from async code, token by token.

What the two differ in besides these tokens stands in a pair of hand-written modules, which the tokens select.
"""

from __future__ import annotations

import io
import re
import tokenize
from itertools import accumulate
from typing import Final

_GONE: Final = frozenset({"async", "await"})

_WRAPPERS: Final = frozenset({"Awaitable"})
"""What annotations of async code put around the type of a result."""

_NAMES: Final = {
    "AsyncArrayPage": "SyncArrayPage",
    "AsyncByteStream": "SyncByteStream",
    "AsyncExitStack": "ExitStack",
    "AsyncGenerator": "Generator",
    "AsyncIterable": "Iterable",
    "AsyncIterator": "Iterator",
    "AsyncPage": "SyncPage",
    "AsyncPaginator": "SyncPage",
    "StopAsyncIteration": "StopIteration",
    "__aenter__": "__enter__",
    "__aexit__": "__exit__",
    "__aiter__": "__iter__",
    "__anext__": "__next__",
    "aclose": "close",
    "aclosing": "closing",
    "aiter": "iter",
    "aiter_bytes": "iter_bytes",
    "aiter_lines": "iter_lines",
    "aiter_raw": "iter_raw",
    "anext": "next",
    "aread": "read",
    "async_paginator": "sync_paginator",
    "async_primitives": "sync_primitives",
    "asynccontextmanager": "contextmanager",
    "handle_async_request": "handle_request",
}
"""Names that do not only lose their `Async` or `async_`."""

_PHRASES: Final = {
    r"\ban (`?)(?=Async[A-Z])": r"a \1",
    r"\ban async (?=httpx)": "an ",
    r"\b([Aa])n (`?)async (?=for\b|with\b)": r"\1 \2",
    r"\basync (?=for\b|with\b)": "",
    r"\b(another|any|other) task\b": r"\1 thread",
    r" when awaited\b": "",
    r",? or an awaitable of (?:it|that)\b": "",
    r",? async or not\b": "",
    r"# noqa: ASYNC\d+.*": "",
}
"""Words of comments and strings that only async code has."""

_WORD: Final = re.compile(r"[A-Za-z_]\w*")


def sync_name(name: str) -> str:
    """Return the sync name for a name of async code."""
    if name in _NAMES:
        return _NAMES[name]
    if name.startswith("Async") and name[5:6].isupper():
        return name[5:]
    return name.removeprefix("async_")


def to_sync(code: str) -> str:
    """Return the sync code for async code."""
    lines = code.splitlines(keepends=True)
    begins = [0, *accumulate(map(len, lines))]
    edits: list[tuple[int, int, str]] = []
    unwrapping: list[int] = []  # how many brackets are open inside of each wrapper
    for token in tokenize.generate_tokens(io.StringIO(code).readline):
        start, end = (begins[row - 1] + column for row, column in (token.start, token.end))
        word = token.string
        if token.type == tokenize.NAME and word in _GONE:
            rest = code[end:]
            edits.append((start, end + len(rest) - len(rest.lstrip(" ")), ""))
        elif token.type == tokenize.NAME and word in _WRAPPERS and code[end : end + 1] == "[":
            edits.append((start, end + 1, ""))
            unwrapping.append(0)
        elif token.type == tokenize.NAME:
            edits.append((start, end, sync_name(word)))
        elif token.type == tokenize.OP and word in "[]" and unwrapping:
            unwrapping[-1] += 1 if word == "[" else -1
            if unwrapping[-1] == 0:
                edits.append((start, end, ""))
                unwrapping.pop()
        elif token.type in _TEXTS:
            edits.append((start, end, _sync_text(code[start:end])))
    for start, end, text in reversed(edits):
        code = f"{code[:start]}{text}{code[end:]}"
    return code


def _sync_text(text: str) -> str:
    for phrase, plain in _PHRASES.items():
        text = re.sub(phrase, plain, text)
    return _WORD.sub(lambda word: sync_name(word[0]), text)


_TEXTS: Final = frozenset(
    getattr(tokenize, name)
    for name in ("STRING", "COMMENT", "FSTRING_MIDDLE", "TSTRING_MIDDLE")
    if hasattr(tokenize, name)
)
"""Comments and strings. An f-string is one string before Python 3.12, and its text has a type of its own since."""
