"""Validation of the numbers and functions of settings."""

from __future__ import annotations

from math import isnan
from typing import Final

MAX_WAIT: Final = 10_000_000
"""Maximum timeout and delay [s]. System calls reject much longer ones."""


def check_seconds(name: str, value: object, requirement: str, *, zero: bool) -> None:
    """Check a number of seconds, which may be infinite.

    Args:
        name: The name of the setting.
        value: The value of the setting.
        requirement: The requirement for the error message, such as "must not be negative".
        zero: Whether 0 is valid.

    Raises:
        TypeError: If the value is not a number.
        ValueError: If the number is negative, NaN or too large for a float.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{name} must be a number, got {value!r:.80}")
    try:
        number = float(value)
    except OverflowError:
        raise ValueError(f"{name} must fit into a float. Pass float('inf') for no bound.") from None
    if isnan(number) or number < 0 or (number == 0 and not zero):
        raise ValueError(f"{name} {requirement}, got {value!r}")


def check_count(name: str, value: object, minimum: int) -> None:
    """Check an integer.

    Raises:
        TypeError: If the value is not an integer.
        ValueError: If the value is less than `minimum`.
    """
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} must be an integer, got {value!r:.80}")
    if value < minimum:
        raise ValueError(f"{name} must be {minimum} or more, got {value}")


def check_function(name: str, value: object) -> None:
    """Check a callable.

    Raises:
        TypeError: If the value is not callable.
    """
    if not callable(value):
        raise TypeError(f"{name} must be a function, got {value!r:.80}")
