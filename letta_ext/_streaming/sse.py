"""The decoder of server-sent events that the generated package has, with the exception of this library."""

from __future__ import annotations

from letta_api.sse import Frame as Frame
from letta_api.sse import ServerSentEvent as ServerSentEvent
from letta_api.sse import SSEDecoder as Decoder

from ..errors import EventTooLargeError
from ..limits import DEFAULT_MAX_EVENT_BYTES


class SSEDecoder(Decoder):
    """Decodes one stream. Feed it every chunk in turn; what is incomplete when the stream ends is no event.

    Args:
        max_event_bytes: Bytes that one event may have. A larger one is an `EventTooLargeError`.
    """

    def __init__(self, max_event_bytes: int = DEFAULT_MAX_EVENT_BYTES) -> None:
        super().__init__(max_event_bytes, EventTooLargeError)
