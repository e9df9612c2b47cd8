"""Callbacks for attempts, resumed streams and busy conversations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from attrs import frozen

from ._settings_checks import check_function
from .retry import Attempt


@frozen
class AttemptReport:
    """The end of one attempt to send a request.

    Attributes:
        operation: The id of the operation, such as `steps.list`.
        attempt: The number, status and timing of the attempt.
        error: The transport error, or None if a response arrived.
        delay: Seconds until the next attempt, or None if this is the last one.
    """

    operation: str
    attempt: Attempt
    error: Exception | None
    delay: float | None


@frozen
class ResumeReport:
    """The interruption of a background stream that will be resumed.

    Attributes:
        run_id: The id of the run, or None if unknown.
        last_seq_id: The sequence number after which the stream resumes.
        number: The number of consecutive resumptions without a new event, including this one.
        delay: Seconds until the stream is resumed.
        error: The transport error, the error of the last request to resume, or None if the server closed the
            connection.
    """

    run_id: str | None
    last_seq_id: int | None
    number: int
    delay: float
    error: Exception | None


@frozen
class BusyReport:
    """A wait of a send for another run in the conversation.

    Attributes:
        conversation_id: The id of the conversation.
        run_id: The id of the active run, or None if the server did not send it.
        waited: Seconds since the send began to wait.
    """

    conversation_id: str
    run_id: str | None
    waited: float


@frozen
class Hooks:
    """Callbacks of a client or a call. They run in the calling thread or task, and their exceptions propagate.

    Attributes:
        on_attempt: Called after each attempt to send a request.
        on_resume: Called before an interrupted background stream is resumed.
        on_busy: Called before each wait for another run to end.

    Raises:
        TypeError: If a callback is not callable.
    """

    on_attempt: Callable[[AttemptReport], object] | None = None
    on_resume: Callable[[ResumeReport], object] | None = None
    on_busy: Callable[[BusyReport], object] | None = None

    def __attrs_post_init__(self) -> None:
        for name in ("on_attempt", "on_resume", "on_busy"):
            if getattr(self, name) is not None:
                check_function(name, getattr(self, name))


NO_HOOKS: Final = Hooks()
"""The default hooks, which do nothing."""
