"""When a request is sent again. Nothing here does I/O or sleeps: a policy answers, the client acts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from random import random as random_fraction
from typing import Literal

from attrs import field, frozen

from ._settings_checks import MAX_WAIT, check_count, check_function, check_seconds

Idempotency = Literal["idempotent", "none"]
"""Whether a request may be sent again whatever became of it, or only where it cannot have reached the server."""


@frozen
class Attempt:
    """What became of one attempt.

    Attributes:
        number: 1 for the first.
        elapsed: seconds since the first was begun.
        status: the HTTP status of the answer, or None where none came.
        unsent: whether the request cannot have reached the server.
        retry_after: how many seconds the server asks to wait, 0 for a time that has passed, or None where it asks for
            nothing.
    """

    number: int
    elapsed: float
    status: int | None = None
    unsent: bool = False
    retry_after: float | None = None


@frozen
class RetryPolicy:
    """How often, and after how long, a request is sent again.

    Whether it may be sent again at all is not the policy's to say: that is a fact of the operation.

    Attributes:
        max_retries: attempts besides the first.
        initial_delay: seconds before the second attempt.
        max_delay: the most seconds between two attempts; a longer Retry-After is not waited for, but raised.
        multiplier: what each delay is longer by than the one before.
        jitter: the part of a delay that is left to chance, from 0 to 1, so that many clients do not return at once.
        deadline: seconds after which no further attempt is begun.
        random: a source of numbers from 0 to 1.

    Raises:
        TypeError: a value is of the wrong type.
        ValueError: a number is negative, or not a number.
    """

    max_retries: int = 2
    initial_delay: float = 0.5
    max_delay: float = 60.0
    multiplier: float = 2.0
    jitter: float = 0.25
    deadline: float = 300.0
    random: Callable[[], float] = field(default=random_fraction, repr=False, eq=False)

    def __attrs_post_init__(self) -> None:
        check_count("max_retries", self.max_retries, 0)
        for name in ("initial_delay", "max_delay", "deadline"):
            check_seconds(name, getattr(self, name), "must not be negative", zero=True)
        check_seconds("multiplier", self.multiplier, "must be positive", zero=False)
        check_seconds("jitter", self.jitter, "must be from 0 to 1", zero=True)
        if self.jitter > 1:
            raise ValueError(f"jitter must be from 0 to 1, got {self.jitter!r}")
        check_function("random", self.random)

    def delay(self, attempt: Attempt, idempotency: Idempotency) -> float | None:
        """Seconds to wait before the next attempt, or None where there shall be none."""
        if attempt.number > self.max_retries or not _may_retry(attempt, idempotency):
            return None
        if attempt.retry_after:  # a server that asks for no wait is not asked again at once
            # Whoever asks for more patience than there is gets none of it: the caller hears of it at once.
            wait = attempt.retry_after
            if wait > min(self.max_delay, MAX_WAIT):
                return None
        else:
            full = backoff(self.initial_delay, self.multiplier, attempt.number - 1, self.max_delay)
            wait = full * (1 - self.jitter * self.random())
        return wait if attempt.elapsed + wait <= self.deadline else None


def backoff(initial: float, multiplier: float, times: int, most: float) -> float:
    """Return a delay in seconds that was multiplied so many times, up to the most that is wanted and can be waited."""
    if not initial:
        return 0.0  # however often it is multiplied, also by infinity
    try:
        delay = min(initial, MAX_WAIT) * multiplier**times
    except OverflowError:
        delay = MAX_WAIT
    return min(delay, most, MAX_WAIT)


def _may_retry(attempt: Attempt, idempotency: Idempotency) -> bool:
    if attempt.status is None:
        return attempt.unsent or idempotency == "idempotent"
    return idempotency == "idempotent" and (attempt.status in (408, 429) or attempt.status >= 500)


def retry_after(headers: Mapping[str, str], now: Callable[[], datetime]) -> float | None:
    """Return the seconds that the server asks to wait, 0 for a time that has passed, or None if it names none.

    They are in `retry-after-ms`, or in `retry-after` as seconds or as a date. A date is relative to the server's own
    `date`, so that a wrong clock on either side does not matter; without one, to `now`.
    """
    for name, scale in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        try:
            seconds = float(headers[name]) * scale
        except (KeyError, ValueError):
            continue
        if 0 <= seconds < float("inf"):
            return seconds
    moment = _date(headers.get("retry-after"))
    if moment is None:
        return None
    return max(0.0, (moment - (_date(headers.get("date")) or now())).total_seconds())


def _date(text: str | None) -> datetime | None:
    """Return the date of a header, or None if it holds none."""
    try:
        moment = parsedate_to_datetime(text or "")
        return moment.astimezone(UTC) if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None
