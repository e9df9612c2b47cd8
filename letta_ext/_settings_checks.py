"""Checks the numbers and functions of settings."""

from __future__ import annotations

from math import isnan
from typing import Final

MAX_WAIT: Final = 10_000_000
"""Seconds. The system's own calls refuse to wait much longer."""


def check_seconds(name: str, value: object, wanted: str, *, zero: bool) -> None:
    """Check a number of seconds, which may be infinite.

    Args:
        name: The name of the setting.
        value: Its value.
        wanted: The end of the message for a number that is not allowed, such as "must not be negative".
        zero: Whether 0 is allowed.

    Raises:
        TypeError: If the value is not a number.
        ValueError: If it is negative, not a number in the sense of `nan`, or too large for a float.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{name} must be a number, got {value!r:.80}")
    try:
        number = float(value)
    except OverflowError:
        raise ValueError(f"{name} must be smaller; float('inf') is no bound") from None
    if isnan(number) or number < 0 or (number == 0 and not zero):
        raise ValueError(f"{name} {wanted}, got {value!r}")


def check_count(name: str, value: object, least: int) -> None:
    """Check a whole number.

    Raises:
        TypeError: If the value is not a whole number.
        ValueError: If it is too small.
    """
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} must be a whole number, got {value!r:.80}")
    if value < least:
        raise ValueError(f"{name} must be {least} or more, got {value}")


def check_function(name: str, value: object) -> None:
    """Check a function.

    Raises:
        TypeError: If the value cannot be called.
    """
    if not callable(value):
        raise TypeError(f"{name} must be a function, got {value!r:.80}")
