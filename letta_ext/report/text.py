"""Texts, numbers and times as the report shows them."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

DASH: Final = "\N{EN DASH}"
"""The sign of a value that is not known."""

_PICTURES: Final = {code: chr(0x2400 + code) for code in range(0x20) if chr(code) not in "\n\t"} | {0x7F: "\u2421"}
_REORDERING: Final = [*range(0x202A, 0x202F), *range(0x2066, 0x206A)]
"""Characters that override or isolate the direction of the text after them."""
_MARKED: Final = {code: f"[U+{code:04X}]" for code in [*range(0x80, 0xA0), *_REORDERING, 0xFFFE, 0xFFFF]}
_SURROGATES: Final = dict.fromkeys(range(0xD800, 0xE000), "\N{REPLACEMENT CHARACTER}")
_VISIBLE: Final = _PICTURES | _MARKED | _SURROGATES
_UNUSUAL: Final = re.compile("[" + "".join(map(re.escape, map(chr, _VISIBLE))) + "]")
"""Most texts have none of these characters."""


def visible(text: object) -> str:
    """Return a text in which control characters are replaced by visible signs, and line ends are uniform.

    The characters that change the direction of the text after them become their code point, such as `[U+202E]`.
    """
    plain = str(text).replace("\r\n", "\n").replace("\r", "\n")
    return plain.translate(_VISIBLE) if _UNUSUAL.search(plain) else plain


def cut(text: str, limit: int) -> tuple[str, int]:
    """Return the first characters of a text, and the number of the omitted ones."""
    return (text, 0) if len(text) <= limit else (text[:limit], len(text) - limit)


def pretty_json(text: str, limit: int) -> str:
    """Return indented JSON. Return other texts, and those longer than the limit, unchanged."""
    if len(text) > limit:
        return text
    try:
        return json.dumps(json.loads(text), indent=2, ensure_ascii=False)
    except (ValueError, RecursionError):
        return text


def to_json(value: Any) -> str:
    """Return indented JSON of a decoded value."""
    return json.dumps(value, indent=2, ensure_ascii=False, default=str)


def first_line(text: str, limit: int = 120) -> str:
    """Return the start of a text as one line."""
    line = " ".join(text[: 4 * limit].split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def count(number: int | None) -> str:
    """Return a count with thousands separators."""
    return DASH if number is None else f"{number:,}"


def plural(number: int, singular: str, several: str = "") -> str:
    """Return a count with its noun."""
    return f"{number:,} {singular if number == 1 else several or singular + 's'}"


def seconds(ns: int | None) -> str:
    """Return a duration as seconds with three decimals, for columns."""
    return DASH if ns is None else f"{ns / 1e9:,.3f}"


def duration(ns: int | None) -> str:
    """Return a duration with its unit."""
    if ns is None:
        return DASH
    if ns < 1_000_000_000:
        return f"{ns / 1e6:.0f} ms"
    total = ns / 1e9
    if total < 60:
        return f"{total:.2f} s" if total < 10 else f"{total:.1f} s"
    minutes, rest = divmod(round(total), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days} d {hours} h"
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {rest:02} s"


def money(amount: Decimal | None, decimals: int | None = None) -> str:
    """Return an amount. By default, it has two decimals or two significant digits, and at most six decimals."""
    if amount is None:
        return DASH
    if decimals is None:
        decimals = min(6, max(2, 1 - amount.adjusted())) if amount else 2
    smallest = Decimal(1).scaleb(-decimals)
    return f"<{smallest}" if 0 < amount < smallest / 2 else f"{amount:,.{decimals}f}"


def column_decimals(highest: Decimal | None) -> int:
    """Return the decimals of the amounts of a column, given the highest one."""
    return 6 if highest is None or highest < 1 else 4 if highest < 100 else 2


def instant(time: datetime | None) -> str:
    """Return a time in UTC, to the second."""
    if time is None:
        return DASH
    try:
        return time.astimezone(UTC).isoformat(" ", "seconds").removesuffix("+00:00")
    except OverflowError:  # the time in UTC is before year 1 or after 9999
        return str(time)


def moment(time: datetime) -> str:
    """Return a time in UTC to the minute. Seconds are shown if they are not 0."""
    text = instant(time)
    return text.removesuffix(":00")


def moments(start: datetime, end: datetime) -> tuple[str, str]:
    """Return two times in UTC to the minute, or as dates if both are at midnight."""
    texts = moment(start), moment(end)
    if all(text.endswith(" 00:00") for text in texts):
        return texts[0].removesuffix(" 00:00"), texts[1].removesuffix(" 00:00")
    return texts
