"""The state of an iterator over the events of a stream.

An iterator that failed keeps failing, and one that was interrupted, by an exception of a signal handler or by
cancellation, goes on: a frame is kept until its event is handed over, and a connection that was lost on the way is
resumed if its run is a background run.
"""

from __future__ import annotations

import copy
from typing import Any, Final

from .._http.fork_safety import FORKED, current_process
from .._instrumentation.dispatch import Instrumentation
from ..errors import LettaError
from .connection import Connection
from .resume import Resume
from .sse import Frame, SSEDecoder

CLOSED: Final = "The stream was closed before its end. The server finishes the run all the same: list the messages."


class BaseEventIterator:
    """What the iterators of sync and async code have in common."""

    def __init__(
        self, connection: Connection, resuming: Resume, instrumentation: Instrumentation, guarding: Any
    ) -> None:
        self._connection = connection
        self._resuming = resuming
        self._state = resuming.state
        self._receive = self._state.receive
        self._instrumentation = instrumentation
        self.guarding = guarding  # closes the connection when it is released
        self._decoder = SSEDecoder(self._state.limits.max_event_bytes)
        self._frames: list[Frame] = []  # the last first: each is kept until it is handed over
        self._begun = False
        self._lost: str | None = None  # what ended the connection while it was read
        self._failure: LettaError | None = None
        self._over = False

    def _check(self) -> None:
        """Check that the stream can be read on."""
        if self._failure is not None:
            raise copy.copy(self._failure)  # another object: a traceback would grow each time
        self._check_open()
        if self._connection.chunks is not None:
            self._state.check_time()
        elif not self._begun:
            self._begun = True
            self._state.wait()

    def _check_open(self) -> None:
        if self._connection.closed:
            raise self._state.interrupted(CLOSED)
        if self._connection.process != current_process():
            raise self._state.interrupted(FORKED)

    def _begin_body(self) -> None:
        self._decoder = SSEDecoder(self._state.limits.max_event_bytes)
        self._connection.chunks = None
        self._lost = None
        self._connection.ready = False

    def _note(self, fault: BaseException) -> bool:
        """Note what was raised; return whether the connection is to be closed."""
        connection = self._connection
        reading, connection.reading = connection.reading, False
        connection.ready = False
        if isinstance(fault, LettaError):
            if self._failure is None:
                self._failure = copy.copy(fault)
            return True
        if reading:
            # No reference to the exception: its traceback refers to this iterator, and to the frames of its user.
            self._lost = f"{type(fault).__name__} was raised while it was read"
            self._state.pause()
        return reading

    def __del__(self) -> None:
        self._instrumentation.on_end(GeneratorExit())
