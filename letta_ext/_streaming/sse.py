"""The decoder of server-sent events of the generated package, which raises `EventTooLargeError`."""

from __future__ import annotations

from letta_api.sse import Frame as Frame
from letta_api.sse import ServerSentEvent as ServerSentEvent
from letta_api.sse import SSEDecoder as Decoder

from ..errors import EventTooLargeError
from ..limits import DEFAULT_MAX_EVENT_BYTES


class SSEDecoder(Decoder):
    """The decoder of one stream. Call it with each chunk; an incomplete event at the end is dropped.

    Args:
        max_event_bytes: The maximum size of an event [bytes]. A larger event raises `EventTooLargeError`.
    """

    def __init__(self, max_event_bytes: int = DEFAULT_MAX_EVENT_BYTES) -> None:
        super().__init__(max_event_bytes, EventTooLargeError)
