"""The state of an iterator over the events of a stream.

An iterator that failed raises the same error again. An iterator that was interrupted by cancellation or by an exception
of a signal handler continues: each frame is kept until its event is returned, and a background stream whose connection
was lost is resumed.
"""

from __future__ import annotations

import copy
import sys
from typing import Any, Final

from letta_api.structs import reject

from .._http.fork_safety import FORKED, current_process
from .._instrumentation.dispatch import Instrumentation
from ..errors import LettaError
from .connection import Connection
from .plain_events import Decoders, Parser
from .resume import Resume
from .sse import Frame, SSEDecoder

EVENTS_PER_TURN: Final = 512
"""The events of a chunk after which other tasks of an event loop get a turn: about 1 ms. Reading a chunk is a turn."""

CLOSED: Final = "The stream was closed before its end. The run continues on the server: list the messages."


class BaseEventIterator:
    """The common part of sync and async event iterators."""

    _is_finalizing = staticmethod(sys.is_finalizing)  # an attribute: the globals are None when the interpreter exits

    def __init__(
        self, connection: Connection, resume: Resume, instrumentation: Instrumentation, close_guard: Any
    ) -> None:
        self._connection = connection
        self._resume = resume
        self._state = resume.state
        self._receive = self._state.receive
        self._instrumentation = instrumentation
        self.close_guard = close_guard  # closes the connection when it is garbage-collected
        self._decoder = SSEDecoder(self._state.limits.max_event_bytes)
        self._frames: list[Frame] = []  # in reverse order; each is kept until its event is returned
        self._later: list[Frame] = []  # the frames after those, in reverse order
        self._parse: Parser = reject  # replaced on first use
        self._decoders: Decoders = {}
        self._started = False
        self._read_error: str | None = None  # the cause of an interruption while reading
        self._failure: LettaError | None = None
        self._finished = False

    def _check(self) -> None:
        """Check that the stream can be read."""
        if self._failure is not None:
            raise copy.copy(self._failure)  # a copy, since the traceback would grow each time
        self._check_open()
        if self._connection.chunks is not None:
            self._state.check_timeouts()
        elif not self._started:
            self._started = True
            self._state.start_wait()

    def _check_open(self) -> None:
        if self._connection.closed:
            raise self._state.interrupted(CLOSED)
        if self._connection.process != current_process():
            raise self._state.interrupted(FORKED)

    def _defer_later(self) -> None:
        """Keep the frames of this turn, and defer those after them."""
        self._connection.ready = False  # the next read takes the deferred frames
        self._later = self._frames[:-EVENTS_PER_TURN]
        del self._frames[:-EVENTS_PER_TURN]

    def _restore_later(self) -> None:
        """Take the frames of the next turn."""
        self._frames = self._later[-EVENTS_PER_TURN:]
        del self._later[-EVENTS_PER_TURN:]

    def _reset_body(self) -> None:
        self._decoder = SSEDecoder(self._state.limits.max_event_bytes)
        self._connection.chunks = None
        self._read_error = None
        self._connection.ready = False

    def _record_error(self, error: BaseException) -> bool:
        """Record an exception, and return whether to close the connection."""
        connection = self._connection
        reading, connection.reading = connection.reading, False
        connection.ready = False
        if isinstance(error, LettaError):
            if self._failure is None:
                self._failure = copy.copy(error)
            return True
        if reading:
            # Only text is kept: the traceback would keep this iterator and the caller's frames alive.
            self._read_error = f"{type(error).__name__} was raised while it was read"
            self._state.pause_wait()
        return reading

    def __del__(self) -> None:
        if not self._is_finalizing():
            self._instrumentation.on_end(GeneratorExit())
