"""The state of a stream of events, which `sse.py` splits into frames.

`state.py` makes events of them, `resuming.py` says how a stream that was cut goes on, and `fold.py` makes messages of
events.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import httpx

from .._instrumentation.dispatch import Instrumentation
from ..errors import APIResponseValidationError, LettaError
from .connection import Connection
from .resume import Resume

if TYPE_CHECKING:
    from letta_api.models import LettaResponse

ONCE: Final = "A stream can be iterated once. Keep the events in a list to go over them again."
NO_REASON: Final = "The stream ended without saying why the run stopped. List the messages of the conversation instead."


class BaseStream:
    """What the streams of sync and async code have in common."""

    def __init__(self, connection: Connection, resuming: Resume, instrumentation: Instrumentation) -> None:
        self._connection = connection
        self._resuming = resuming
        self._instrumentation = instrumentation
        self._begun = False

    @property
    def unlent_response(self) -> httpx.Response:
        """The HTTP response that is being read. It is closed with the stream."""
        return self._connection.response

    def _begin(self) -> None:
        if self._begun:
            raise LettaError(ONCE)
        self._begun = True

    @property
    def run_id(self) -> str | None:
        """The run, once an event has named it."""
        return self._resuming.state.run_id

    @property
    def last_seq_id(self) -> int | None:
        """The number of the last event of a background stream; one that starts after it misses and repeats nothing."""
        return self._resuming.state.last_seq_id


def whole(result: LettaResponse | None) -> LettaResponse:
    """Return the result of a stream that says why its run stopped.

    Raises:
        APIResponseValidationError: If it does not.
    """
    if result is None:
        raise APIResponseValidationError(NO_REASON)
    return result
