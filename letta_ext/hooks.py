"""What a client tells about its work while it does it: attempts, resumed streams, waiting for one's turn."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from attrs import frozen

from ._settings_checks import check_function
from .retry import Attempt


@frozen
class AttemptReport:
    """One attempt to send a request has ended.

    Attributes:
        operation: the operation's id, such as `steps.list`.
        attempt: what became of it.
        error: what went wrong where no answer came, else None.
        delay: seconds until the next attempt, or None where there will be none.
    """

    operation: str
    attempt: Attempt
    error: Exception | None
    delay: float | None


@frozen
class ResumeReport:
    """A background stream was cut, and is about to be resumed.

    Attributes:
        run_id: the run, where known.
        last_seq_id: the number behind which it goes on.
        number: how many times in a row it was resumed without progress, this one included.
        delay: seconds until then.
        error: what cut it, or None where the connection was just closed.
    """

    run_id: str | None
    last_seq_id: int | None
    number: int
    delay: float
    error: Exception | None


@frozen
class BusyReport:
    """A conversation is busy, and the send waits for its turn.

    Attributes:
        conversation_id: the conversation.
        run_id: the run that holds it, where the server says so.
        waited: seconds since the send began to wait.
    """

    conversation_id: str
    run_id: str | None
    waited: float


@frozen
class Hooks:
    """Functions that are called as things happen. What they raise comes out of the call; they should be quick.

    Attributes:
        on_attempt: after every attempt to send a request.
        on_resume: before a cut background stream is resumed.
        on_busy: before each wait for another run to end.

    Raises:
        TypeError: one of them is not a function.
    """

    on_attempt: Callable[[AttemptReport], object] | None = None
    on_resume: Callable[[ResumeReport], object] | None = None
    on_busy: Callable[[BusyReport], object] | None = None

    def __attrs_post_init__(self) -> None:
        for name in ("on_attempt", "on_resume", "on_busy"):
            if getattr(self, name) is not None:
                check_function(name, getattr(self, name))


NO_HOOKS: Final = Hooks()
"""The hooks of a client to which none are passed."""
