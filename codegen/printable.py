"""Escapes text of a document for terminals, logs and CI systems."""

from __future__ import annotations

import re

_MARKERS = re.compile("(?<=[:#])[:#]")
"""Prefixes of log commands: `::` and `##[` for GitHub Actions, `##vso[` for Azure, `##teamcity[`."""


def printable(text: str) -> str:
    r"""Return text as one line with visible characters: a line feed as `\n`, an escape code as `\x1b`."""
    shown = "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)
    return _MARKERS.sub(lambda match: f"\\x{ord(match[0]):02x}", shown)


def printable_lines(text: str) -> list[str]:
    """Return the lines of a message, escaped. Only line feeds separate lines."""
    return [printable(line) for line in text.split("\n")] if text else [""]
