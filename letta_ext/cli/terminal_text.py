"""Text of a server that is safe for a terminal: without escape sequences, control and bidirectional characters."""

from __future__ import annotations

import json
import re
from typing import Any, Final

MAX_PAYLOAD: Final = 4096
"""Maximum length of a control string, such as a window title. A longer one is text without its introducer."""

_SPECIAL: Final = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u206f\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e007f]"
)
"""Control characters except tab and line feed, separators, bidirectional and tag characters, lone surrogates."""

_STRING_START: Final = r"(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])"
_PAYLOAD: Final = rf"[^\x00-\x1f\x7f-\x9f]{{0,{MAX_PAYLOAD}}}"  # introducers end it, so that each is read once
_SEQUENCE: Final = re.compile(
    rf"{_STRING_START}{_PAYLOAD}(?:\x07|\x9c|\x1b\\)"  # OSC, DCS, SOS, PM and APC, with their end
    r"|(?:\x1b\[|\x9b)[0-?]{0,64}[ -/]{0,8}[@-~]"  # CSI
    r"|\x1b[ -/]{0,8}[0-OQ-WYZ\\`-~]"  # other escape sequences
)
"""A complete escape sequence."""

_BEGINNING: Final = re.compile(
    rf"{_STRING_START}{_PAYLOAD}\x1b?|(?:\x1b\[|\x9b)[0-?]{{0,64}}[ -/]{{0,8}}|\x1b[ -/]{{0,8}}|\r"
)
"""The beginning of a sequence whose rest may follow."""

_REPLACED: Final = {"\r": "\n", "\x85": "\n", "\u2028": "\n", "\u2029": "\n"}
_JSON_ESCAPED: Final = re.compile(f"[\x7f-\x9f]|{_SPECIAL.pattern}")


class TerminalText:
    """Makes a text safe that arrives in pieces, at any division.

    The pieces that `feed` and `finish` return are together the same as `clean` of the whole text.
    """

    def __init__(self) -> None:
        self._held = ""

    def feed(self, piece: str) -> str:
        """Return the safe text up to the first sequence that may be incomplete, which is held."""
        return self._scan(piece, final=False)

    def finish(self) -> str:
        """Return the rest of the text."""
        return self._scan("", final=True)

    def _scan(self, piece: str, *, final: bool) -> str:
        text, self._held = self._held + piece, ""
        kept: list[str] = []
        position = 0
        while (found := _SPECIAL.search(text, position)) is not None:
            kept.append(text[position : found.start()])
            position = found.start()
            sequence = _SEQUENCE.match(text, position)
            if sequence is not None:
                position = sequence.end()
                continue
            if not final and _BEGINNING.fullmatch(text, position) is not None:
                self._held = text[position:]
                return "".join(kept)
            if text.startswith("\r\n", position):
                position += 1  # the line feed follows
                continue
            kept.append(_replacement(text[position]))
            position += 1
        kept.append(text[position:])
        return "".join(kept)


def _replacement(character: str) -> str:
    if "\ud800" <= character <= "\udfff":
        return "\ufffd"
    return _REPLACED.get(character, "")


def clean(text: str) -> str:
    """Return a text that neither moves the cursor, nor changes colors, nor reorders its characters on a terminal."""
    pieces = TerminalText()
    return pieces.feed(text) + pieces.finish()


def clean_line(text: str) -> str:
    """Return a safe text on one line, with single spaces."""
    return " ".join(clean(text).split())


def to_json(value: Any, *, indent: int | None = None, ascii_only: bool = False) -> str:
    """Return JSON in which each character that a terminal would interpret is escaped. It decodes to the same value.

    Args:
        value: A JSON value.
        indent: The number of spaces of each level. Defaults to None, for one line.
        ascii_only: Whether to escape all other characters beyond ASCII too. Defaults to False.
    """
    text = json.dumps(value, ensure_ascii=ascii_only, indent=indent, default=str)
    return _JSON_ESCAPED.sub(_json_escape, text)


def _json_escape(found: re.Match[str]) -> str:
    character = found[0]
    return json.dumps(character)[1:-1] if ord(character) > 0x7F else f"\\u{ord(character):04x}"
