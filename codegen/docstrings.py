"""Documentation as it stands in generated code: wrapped text that is safe inside a docstring, whatever it says."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Iterator

WIDTH = 100
"""Columns of wrapped documentation."""

DEPRECATED = "Deprecated."
"""How the documentation of what is deprecated begins, where it does not say so itself."""

Section = tuple[str, list[tuple[str, str]]]
"""A title, such as `Args`, and what is listed under it: a name and what it means."""

_LISTED = re.compile(r"[-*] |\d+[.)] |[\w.]+ \([^()]*\): |\w+: \(")


def noted(text: str, *, deprecated: bool) -> str:
    """Return documentation that says of what is deprecated that it is, where it does not say so itself."""
    return f"{DEPRECATED} {text}".strip() if deprecated and "deprecated" not in text.lower() else text


def docstring(text: str, indent: int = 4, sections: Iterable[Section] = ()) -> str:
    """A triple-quoted string literal that reads as `text`, wrapped, with sections in Google's style behind it."""
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
    """One line of text for the inside of a docstring. It comes after wrapping, so that no escape is cut in two."""
    line = line.replace("\\", "\\\\").replace('"""', '\\"\\"\\"')
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in line)


def _wrapped(text: str, width: int) -> Iterator[str]:
    """The lines of a text. A paragraph flows; what is indented, or an item of a list, keeps its own line."""
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
