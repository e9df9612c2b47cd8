"""Instants as they are written in JSON."""

from __future__ import annotations

from datetime import UTC, datetime

read_instant = datetime.fromisoformat
"""An instant as it is written, with or without an offset."""


def in_utc(instant: datetime) -> datetime:
    """The instant that a time without an offset means."""
    return instant.replace(tzinfo=UTC)


def parse_instant(value: str) -> datetime:
    """An aware datetime; a time without an offset is in UTC."""
    instant = read_instant(value)
    return instant if instant.tzinfo else in_utc(instant)
