"""The derivation of sync code from async code, token by token.

All other differences are in pairs of hand-written modules, such as `async_primitives.py` and `sync_primitives.py`. The
substituted name of the module selects one of them.
"""

from __future__ import annotations

import io
import re
import tokenize
from itertools import accumulate
from typing import Final

_DROPPED: Final = frozenset({"async", "await"})

_UNWRAPPED: Final = frozenset({"Awaitable"})
"""Generic types that are replaced by their argument."""

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
"""Names that are replaced by more than the removal of `Async` or `async_`."""

_REPLACEMENTS: Final = {
    r"\ban (`?)(?=Async[A-Z])": r"a \1",
    r"\b([Aa])n async (?=httpx)": r"\1n ",
    r"\b([Aa])n (`?)async (?=for\b|with\b)": r"\1 \2",
    r"\basync (?=for\b|with\b)": "",
    r"\b(another|any|other) task\b": r"\1 thread",
    r" when awaited\b": "",
    r",? or an awaitable of (?:it|that)\b": "",
    r",? async or not\b": "",
    r"# noqa: ASYNC\d+.*": "",
}
"""Replacements in comments and strings, as regular expressions."""

_WORD: Final = re.compile(r"[A-Za-z_]\w*")


def sync_name(name: str) -> str:
    """Return the sync counterpart of a name."""
    if name in _NAMES:
        return _NAMES[name]
    if name.startswith("Async") and name[5:6].isupper():
        return name[5:]
    return name.removeprefix("async_")


def to_sync(code: str) -> str:
    """Return the sync counterpart of async code."""
    lines = code.splitlines(keepends=True)
    line_starts = [0, *accumulate(map(len, lines))]
    edits: list[tuple[int, int, str]] = []
    open_brackets: list[int] = []  # the number of open brackets inside of each wrapper
    for token in tokenize.generate_tokens(io.StringIO(code).readline):
        start, end = (line_starts[row - 1] + column for row, column in (token.start, token.end))
        word = token.string
        if token.type == tokenize.NAME and word in _DROPPED:
            while code.startswith(" ", end):
                end += 1
            edits.append((start, end, ""))
        elif token.type == tokenize.NAME and word in _UNWRAPPED and code[end : end + 1] == "[":
            edits.append((start, end + 1, ""))
            open_brackets.append(0)
        elif token.type == tokenize.NAME:
            edits.append((start, end, sync_name(word)))
        elif token.type == tokenize.OP and word in "[]" and open_brackets:
            open_brackets[-1] += 1 if word == "[" else -1
            if open_brackets[-1] == 0:
                edits.append((start, end, ""))
                open_brackets.pop()
        elif token.type in _TEXT_TOKENS:
            edits.append((start, end, _sync_text(code[start:end])))
    parts: list[str] = []
    position = 0
    for start, end, text in edits:
        parts += (code[position:start], text)
        position = end
    return "".join([*parts, code[position:]])


def _sync_text(text: str) -> str:
    for pattern, replacement in _REPLACEMENTS.items():
        text = re.sub(pattern, replacement, text)
    return _WORD.sub(lambda word: sync_name(word[0]), text)


_TEXT_TOKENS: Final = frozenset(
    getattr(tokenize, name)
    for name in ("STRING", "COMMENT", "FSTRING_MIDDLE", "TSTRING_MIDDLE")
    if hasattr(tokenize, name)
)
"""The token types of comments and strings. Since Python 3.12, the text of an f-string has a separate type."""
