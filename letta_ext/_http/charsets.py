"""Decoding of response bodies to text."""

from __future__ import annotations

import codecs
from typing import Final

import httpx

NO_CHARSETS: Final = frozenset({"idna", "punycode", "raw_unicode_escape", "undefined", "unicode_escape"})
"""Python text codecs that are escape formats or always fail."""


def charset_of(response: httpx.Response) -> str:
    """Return the charset of a response, or UTF-8 if it is missing or not a text codec of Python."""
    name = response.charset_encoding
    if name is None or _normalized(name) in NO_CHARSETS:
        return "utf-8"
    try:
        b"a".decode(name, "replace")  # LookupError for codecs that do not decode to text, such as hex
    except (LookupError, ValueError):
        return "utf-8"
    return name


def text_of(response: httpx.Response, content: bytes) -> str:
    """Return content as text, with undecodable bytes replaced by U+FFFD."""
    try:
        return content.decode(charset_of(response), "replace")
    except UnicodeError:  # from codecs that ignore "replace"
        return content.decode("utf-8", "replace")


class TextDecoder:
    """An incremental decoder of a body to text, with undecodable bytes replaced by U+FFFD.

    Args:
        response: The response, which determines the charset.
    """

    def __init__(self, response: httpx.Response) -> None:
        self._decoder = codecs.getincrementaldecoder(charset_of(response))("replace")

    def decode(self, piece: bytes, *, final: bool = False) -> str:
        """Return the text that this piece completes. Pass `final` at the end of the body."""
        try:
            return self._decoder.decode(piece, final)
        except UnicodeError:  # such as UTF-16 without a byte order mark
            self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
            return self._decoder.decode(piece, final)


class LineDecoder:
    """An incremental decoder of a body to lines of text.

    Args:
        response: The response, which determines the charset.
    """

    def __init__(self, response: httpx.Response) -> None:
        self._text = TextDecoder(response)
        self._pieces: list[str] = []
        self._cr = ""

    def decode(self, piece: bytes) -> list[str]:
        """Return the lines that this piece completes, without line ends."""
        text = self._cr + self._text.decode(piece)
        self._cr = "\r" if text.endswith("\r") else ""  # may be the first half of CRLF
        return self._lines(text.removesuffix("\r"))

    def flush(self) -> list[str]:
        """Return the remaining lines at the end of the body."""
        lines = self._lines(self._cr + self._text.decode(b"", final=True))
        return [*lines, "".join(self._pieces)] if self._pieces else lines

    def _lines(self, text: str) -> list[str]:
        whole: list[str] = []
        for line in text.splitlines(keepends=True):
            content = line.splitlines()[0]
            self._pieces.append(content)
            if len(content) < len(line):
                whole.append("".join(self._pieces))
                self._pieces.clear()
        return whole


def _normalized(name: str) -> str:
    try:
        return codecs.lookup(name).name.replace("-", "_")
    except (LookupError, ValueError):
        return name
