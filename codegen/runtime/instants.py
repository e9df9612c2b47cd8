"""Date-times in JSON."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

read_instant = datetime.fromisoformat
"""Parse a date-time that may lack an offset."""


def in_utc(instant: datetime) -> datetime:
    """Return a date-time without an offset as UTC."""
    return instant.replace(tzinfo=UTC)


def parse_instant(value: str) -> datetime:
    """Parse a date-time as an aware datetime; the default offset is UTC."""
    instant = read_instant(value)
    return instant if instant.tzinfo else in_utc(instant)


LAST: Final[list[tuple[str, datetime | None]]] = [("", None)]
"""The text and the value of the last date-time. Consecutive messages and events often have the same one."""


def parse_and_remember(value: str) -> tuple[str, datetime]:
    """Parse a date-time, and keep it in `LAST`."""
    instant = read_instant(value)
    LAST[0] = found = (value, instant if instant.tzinfo else in_utc(instant))
    return found
