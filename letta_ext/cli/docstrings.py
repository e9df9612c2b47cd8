"""The parts of a generated docstring: the help of a command and of each of its options."""

from __future__ import annotations

import re
from inspect import cleandoc
from typing import Final

from attrs import frozen

_SECTION: Final = re.compile(r"^(Args|Returns|Raises):\n", re.MULTILINE)
_ARGUMENT: Final = re.compile(r"^    \*{0,2}(\w+): ", re.MULTILINE)
_ADDRESS: Final = re.compile(r"^Documented as `(.*)`\.$", re.MULTILINE)


@frozen
class Help:
    """The help of an operation.

    Attributes:
        text: The description, without the sections.
        arguments: The description of each argument.
    """

    text: str
    arguments: dict[str, str]


def parse_docstring(docstring: str | None) -> Help:
    """Return the help in a docstring."""
    text, *sections = _SECTION.split(cleandoc(docstring or ""))
    named = dict(zip(sections[::2], sections[1::2], strict=True))
    _, *entries = _ARGUMENT.split(named.get("Args", ""))
    arguments = {name: _one_line(entry) for name, entry in zip(entries[::2], entries[1::2], strict=True)}
    paragraphs = map(_one_line, _ADDRESS.sub(r"Sends `\1`.", text).split("\n\n"))
    return Help("\n\n".join(filter(None, paragraphs)), arguments)


def _one_line(text: str) -> str:
    """Return a text on one line, without the emphasis of Markdown."""
    return " ".join(text.replace("**", "").split())
