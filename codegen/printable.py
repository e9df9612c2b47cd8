"""Text of a document, as it can be shown: no terminal, log or CI system takes a part of it for a command."""

from __future__ import annotations

import re

_MARKERS = re.compile("(?<=[:#])[:#]")
"""What commands in a log begin with: `::` and `##[` for GitHub Actions, `##vso[` for Azure, `##teamcity[`."""


def printable(text: str) -> str:
    r"""Return text as one line in which each character is seen: a line feed as `\n`, an escape code as `\x1b`."""
    shown = "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)
    return _MARKERS.sub(lambda match: f"\\x{ord(match[0]):02x}", shown)


def printable_lines(text: str) -> list[str]:
    """Return each line of a message of ours, printable. Lines are what line feeds end, and nothing else."""
    return [printable(line) for line in text.split("\n")] if text else [""]
