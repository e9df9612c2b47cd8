"""The common part of sync and async streams.

`sse.py` splits the body into frames, `sequence.py` decodes frames to events, `resume.py` decides how an interrupted
stream is resumed, and `accumulator.py` combines events to messages.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import httpx

from .._http.errors_from_response import copy_of_request
from .._instrumentation.dispatch import Instrumentation
from ..errors import APIResponseValidationError, LettaError
from .connection import Connection
from .interruption import ReadsRun
from .resume import Resume

if TYPE_CHECKING:
    from typing_extensions import TypeVar  # with defaults, part of `typing` since Python 3.13

    from letta_api.models import LettaResponse
    from letta_api.unions import StreamEvent

    EventT_co = TypeVar("EventT_co", bound=StreamEvent, default=StreamEvent, covariant=True)
else:
    from typing import TypeVar

    EventT_co = TypeVar("EventT_co", covariant=True)

ALREADY_ITERATED: Final = "A stream can be iterated only once. Collect the events in a list to reuse them."
NO_STOP_REASON: Final = "The stream ended without a stop reason. List the messages of the conversation instead."


def no_iterator() -> None:
    """Return None, as a reference to an iterator that no longer exists does."""


class BaseStream(ReadsRun):
    """The common part of sync and async streams."""

    def __init__(self, connection: Connection, resume: Resume, instrumentation: Instrumentation) -> None:
        self._connection = connection
        self._resume = resume
        self._instrumentation = instrumentation
        self._iterated = False

    @property
    def connection_response(self) -> httpx.Response:
        """The HTTP response of the current connection. It is closed with the stream."""
        return self._connection.response

    def _start_iteration(self) -> None:
        if self._iterated:
            raise LettaError(ALREADY_ITERATED)
        self._iterated = True

    @property
    def run_id(self) -> str | None:
        """The id of the run. None until an event has it."""
        return self._resume.state.run_id

    @property
    def active_run_id(self) -> str | None:
        """The id of the run until its stream has ended. None before an event has it."""
        return None if self._resume.state.may_end else self.run_id

    @property
    def last_seq_id(self) -> int | None:
        """The sequence number of the last event of a background stream. `starting_after` takes it to continue."""
        return self._resume.state.last_seq_id


def require_result(result: LettaResponse | None, request: httpx.Request) -> LettaResponse:
    """Return the result of a stream.

    Args:
        result: The result, if the stream had a stop reason.
        request: The request of the stream.

    Raises:
        APIResponseValidationError: If the stream had no stop reason.
    """
    if result is None:
        error = APIResponseValidationError(NO_STOP_REASON)
        error.add_exchange(copy_of_request(request))
        raise error
    return result
