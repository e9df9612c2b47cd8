"""Tests of the text that reaches a terminal."""

from __future__ import annotations

import json
import unicodedata
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from letta_ext.cli.terminal_text import MAX_PAYLOAD, TerminalText, clean, clean_line, to_json

PIECES = st.sampled_from(
    [
        "\x1b", "\x1b[", "\x1b]", "\x1bP", "\x9b", "\x9d", "\x90", "\x07", "\x9c", "\x1b\\", "31m", "0;title", "?25l",
        "\r", "\n", "\r\n", "\t", "\x00", "\x08", "\x7f", "\x85", "\u202e", "\u2066", "\u2028", "\ud800", "[bold]", "a",
        " ", "\x1bc", "\x1b(0", "\U000e0041", "é", "\u05d0",
    ]
)  # fmt: skip
HOSTILE = st.lists(st.one_of(PIECES, st.text(max_size=5)), max_size=12).map("".join)

# The first text that is drawn waits for the tables of Unicode.
CHECKED = settings(deadline=None, max_examples=80, suppress_health_check=[HealthCheck.too_slow])


def is_safe(character: str) -> bool:
    """Return whether a terminal prints a character, and does not interpret it."""
    if character in "\n\t":
        return True
    category = unicodedata.category(character)
    bidirectional = "\u202a" <= character <= "\u202e" or "\u2066" <= character <= "\u2069"
    return category not in ("Cc", "Cs", "Zl", "Zp") and not bidirectional


@CHECKED
@given(text=HOSTILE)
def test_clean_any_text_has_no_control_characters(text: str) -> None:
    """A safe text has no character that a terminal interprets, and is not changed by another pass."""
    safe = clean(text)
    assert all(map(is_safe, safe))
    assert clean(safe) == safe


@CHECKED
@given(text=st.text(alphabet=st.characters(categories=["L", "N", "P", "S", "Zs"])))
def test_clean_plain_text_is_unchanged(text: str) -> None:
    """Letters, numbers, punctuation and spaces stay."""
    assert clean(text) == text


@CHECKED
@given(pieces=st.lists(HOSTILE, max_size=6))
def test_terminal_text_in_pieces_equals_whole_text(pieces: list[str]) -> None:
    """The division of a stream into deltas does not matter, even within an escape sequence."""
    text = TerminalText()
    assert "".join([*map(text.feed, pieces), text.finish()]) == clean("".join(pieces))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;window title\x07text", "text"),
        ("\x1b]8;;https://example.org\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x9b2Jcleared", "cleared"),
        ("\x1bPq#0;2;0\x1b\\image", "image"),
        ("\x1b(0box", "box"),
        ("over\rwritten", "over\nwritten"),
        ("line\r\nline", "line\nline"),
        ("user\u202etxt.exe", "usertxt.exe"),
        ("\x1b]0;never ended", "]0;never ended"),
        ("\x1b]0;" + "a" * (MAX_PAYLOAD + 1) + "\x07b", "]0;" + "a" * (MAX_PAYLOAD + 1) + "b"),
    ],
)
def test_clean_known_sequence_leaves_its_text(text: str, expected: str) -> None:
    """Each kind of escape sequence is removed as a whole, and hides no text that follows."""
    assert clean(text) == expected


def test_terminal_text_plain_delta_is_not_held() -> None:
    """Text without a special character is returned at once."""
    text = TerminalText()
    assert text.feed("hello") == "hello"
    assert text.finish() == ""


def test_clean_line_has_one_line() -> None:
    """A line has single spaces in place of line ends."""
    assert clean_line(" a\nb\r\n\tc ") == "a b c"


VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | HOSTILE,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(HOSTILE, inner, max_size=3),
    max_leaves=8,
)


@CHECKED
@given(value=VALUES, ascii_only=st.booleans())
def test_to_json_any_value_decodes_to_itself_and_is_safe(value: Any, ascii_only: bool) -> None:
    """JSON has one line, no character that a terminal interprets, and the same value."""
    text = to_json(value, ascii_only=ascii_only)
    assert json.loads(text) == value
    assert "\n" not in text
    assert all(map(is_safe, text))
    assert not ascii_only or text.isascii()
