"""The retry policy: which attempts are retried, and after which delay."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from random import random as random_fraction
from typing import Literal

from attrs import field, frozen

from ._settings_checks import MAX_WAIT, check_count, check_function, check_seconds

Idempotency = Literal["idempotent", "none"]
"""`"idempotent"` permits retries after any failure, `"none"` only if the request did not reach the server."""


@frozen
class Attempt:
    """The outcome of one attempt to send a request.

    Attributes:
        number: The number of the attempt, starting at 1.
        elapsed: Seconds since the first attempt began.
        status: The HTTP status code of the response, or None without a response.
        unsent: Whether the request certainly did not reach the server.
        retry_after: Seconds from the `Retry-After` header, 0 for a time in the past, or None without the header.
    """

    number: int
    elapsed: float
    status: int | None = None
    unsent: bool = False
    retry_after: float | None = None


@frozen
class RetryPolicy:
    """The number of retries and the delays before them.

    Idempotent requests are retried on connection errors, timeouts, 408, 429 and 5xx. Other requests are retried only if
    they did not reach the server. Idempotency is a property of the operation, not of the policy.

    Attributes:
        max_retries: The maximum number of attempts after the first. Defaults to 2.
        initial_delay: The delay before the second attempt [s]. Defaults to 0.5.
        max_delay: The maximum delay [s]. A response with a longer `Retry-After` is not retried. Defaults to 60.
        multiplier: The factor between consecutive delays. Defaults to 2.
        jitter: The random fraction of each delay, from 0 to 1, which keeps clients from retrying in step. Defaults to
            0.25.
        deadline: The time after the first attempt at which retries end [s]. Defaults to 300.
        random: A function that returns random numbers from 0 to 1. Defaults to `random.random`.

    Raises:
        TypeError: If a value has the wrong type.
        ValueError: If a number is negative, NaN or out of range.
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
        """Return the seconds to wait before the next attempt, or None to stop."""
        if attempt.number > self.max_retries or not may_retry(attempt, idempotency):
            return None
        if attempt.retry_after:  # a Retry-After of 0 gets the delay of the policy
            wait = attempt.retry_after
            if wait > min(self.max_delay, MAX_WAIT):
                return None
        else:
            wait = self.computed_delay(attempt.number)
        return wait if attempt.elapsed + wait <= self.deadline else None

    def computed_delay(self, number: int) -> float:
        """Return the seconds to wait after an attempt, without `Retry-After` and limits."""
        full = backoff(self.initial_delay, self.multiplier, number - 1, self.max_delay)
        return full * (1 - self.jitter * self.random())


def backoff(initial: float, multiplier: float, times: int, maximum: float) -> float:
    """Return the delay after `times` multiplications, at most `maximum` and `MAX_WAIT` seconds."""
    if not initial:
        return 0.0  # 0 times infinity would be NaN
    try:
        delay = min(initial, MAX_WAIT) * multiplier**times
    except OverflowError:
        delay = MAX_WAIT
    return min(delay, maximum, MAX_WAIT)


def may_retry(attempt: Attempt, idempotency: Idempotency) -> bool:
    """Return whether the outcome of an attempt permits another one."""
    if attempt.status is None:
        return attempt.unsent or idempotency == "idempotent"
    return idempotency == "idempotent" and (attempt.status in (408, 429) or attempt.status >= 500)


def retry_after(headers: Mapping[str, str], now: Callable[[], datetime]) -> float | None:
    """Return the seconds in `retry-after-ms` or `retry-after`, 0 for a time in the past, or None without either.

    A date is compared with the `date` header, so a wrong clock on either side does not matter. Without that header it
    is compared with `now`.
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
    """Return the date in a header, or None."""
    try:
        moment = parsedate_to_datetime(text or "")
        return moment.astimezone(UTC) if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None
