"""Docstrings of generated code: wrapped and escaped text."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Iterator

WIDTH = 100
"""The width of wrapped text."""

DEPRECATED = "Deprecated."
"""The first line of the documentation of deprecated items."""

Section = tuple[str, list[tuple[str, str]]]
"""A section: a title, such as `Args`, and its entries, each a name and a description."""

_LISTED = re.compile(r"[-*] |\d+[.)] |[\w.]+ \([^()]*\): |\w+: \(")


def with_deprecation(text: str, *, deprecated: bool) -> str:
    """Return the documentation, with a deprecation notice if it is deprecated and does not mention that."""
    return f"{DEPRECATED} {text}".strip() if deprecated and "deprecated" not in text.lower() else text


def docstring(text: str, indent: int = 4, sections: Iterable[Section] = ()) -> str:
    """Return a docstring literal: wrapped text and Google-style sections."""
    width, pad = WIDTH - indent, " " * indent
    lines = list(_wrapped(text, width)) or [""]
    for title, items in sections:
        lines += ["", f"{title}:"]
        for name, meaning in items:
            line = f"{name}: {' '.join(meaning.split())}".removesuffix(": ")
            lines += textwrap.wrap(
                line,
                width,
                initial_indent="    ",
                subsequent_indent="        ",
                break_long_words=False,
                break_on_hyphens=False,
            )
    if len(lines) > 1:
        body = "\n".join(pad + escaped(line) if line and n else escaped(line) for n, line in enumerate(lines))
        return f'"""{body}\n{pad}"""'
    if lines[0].endswith('"'):
        return f'"""{escaped(lines[0][:-1])}\\""""'
    return f'"""{escaped(lines[0])}"""'


def escaped(line: str) -> str:
    """Return a line escaped for a docstring. Lines are escaped after wrapping, so that no escape is split."""
    line = line.replace("\\", "\\\\").replace('"""', '\\"\\"\\"')
    if line.isprintable():
        return line
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in line)


def _wrapped(text: str, width: int) -> Iterator[str]:
    """Yield the lines of a text. Paragraphs are wrapped; indented lines and list items stay separate."""
    for line in _joined(text):
        bare = line.lstrip()
        pad = " " * min(len(line) - len(bare), 12)
        hang = pad + ("  " if _LISTED.match(bare) else "")
        lines = textwrap.wrap(
            bare, width, initial_indent=pad, subsequent_indent=hang, break_long_words=False, break_on_hyphens=False
        )
        yield from lines or [""]


def _joined(text: str) -> list[str]:
    lines: list[str] = []
    flows = False
    for raw in re.sub(r"\r\n?", "\n", text).expandtabs(4).strip().split("\n"):
        line = raw.rstrip()
        if line and flows and not line.startswith(" ") and not _LISTED.match(line):
            lines[-1] += " " + line
        elif line or (lines and lines[-1]):
            lines.append(line)
        flows = bool(line) and not line.startswith(" ") and not line.endswith(":")
    return lines
