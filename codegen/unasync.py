"""Derives sync code from async code, token by token.

What the two differ in besides these tokens stands in a pair of hand-written modules, which the tokens select.
"""

from __future__ import annotations

import io
import re
import tokenize
from typing import Final

_GONE: Final = frozenset({"async", "await"})

_NAMES: Final = {
    "AsyncPaginator": "SyncPage",
    "AsyncPage": "SyncPage",
    "AsyncGenerator": "Generator",
    "AsyncIterator": "Iterator",
    "AsyncIterable": "Iterable",
    "AsyncExitStack": "ExitStack",
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
    "asynccontextmanager": "contextmanager",
}
"""Names that do not only lose their `Async` or `async_`."""

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
    edits: list[tuple[int, int, int, str]] = []
    for token in tokenize.generate_tokens(io.StringIO(code).readline):
        (row, start), (last, end) = token.start, token.end
        if token.type == tokenize.NAME and token.string in _GONE:
            rest = lines[row - 1][end:]
            edits.append((row, start, end + len(rest) - len(rest.lstrip(" ")), ""))
        elif token.type == tokenize.NAME and sync_name(token.string) != token.string:
            edits.append((row, start, end, sync_name(token.string)))
        elif token.type in (tokenize.STRING, tokenize.COMMENT, *_MIDDLES):
            for number in range(row, last + 1):
                line = lines[number - 1]
                begin, stop = (start if number == row else 0), (end if number == last else len(line))
                words = [w for w in _WORD.finditer(line, begin, stop) if sync_name(w[0]) != w[0]]
                edits += [(number, w.start(), w.end(), sync_name(w[0])) for w in words]
    for row, start, end, text in sorted(edits, reverse=True):
        line = lines[row - 1]
        lines[row - 1] = f"{line[:start]}{text}{line[end:]}"
    return "".join(lines)


_MIDDLES: Final = tuple(
    getattr(tokenize, name) for name in ("FSTRING_MIDDLE", "TSTRING_MIDDLE") if hasattr(tokenize, name)
)
"""The text of f-strings, which are one string each before Python 3.12."""
