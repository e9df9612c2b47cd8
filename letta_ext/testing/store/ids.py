"""Ids in Letta's formats, generated from a seed."""

from __future__ import annotations

import random
import re
import uuid

UUID4 = "[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
"""Pattern of the UUID in Letta's ids."""

USER_ID = "user-00000000-0000-4000-8000-000000000000"
ORGANIZATION_ID = "org-00000000-0000-4000-8000-000000000000"


class IdSource:
    """Generates ids from a seed."""

    def __init__(self, seed: int = 0) -> None:
        self._random = random.Random(seed)  # noqa: S311  # ids must be reproducible

    def uuid(self) -> str:
        """Return a version 4 UUID."""
        return str(uuid.UUID(int=self._random.getrandbits(128), version=4))

    def new(self, prefix: str) -> str:
        """Return an id such as ``run-<uuid4>``."""
        return f"{prefix}-{self.uuid()}"

    def hex(self, digits: int) -> str:
        """Return hexadecimal digits, as in the ids of tool calls."""
        return f"{self._random.getrandbits(4 * digits):0{digits}x}"


def is_id(prefix: str, value: str) -> bool:
    """Return whether a value is an id with this prefix."""
    return re.fullmatch(f"{prefix}-{UUID4}", value) is not None


def part_otid(message_id: str, part: int) -> str:
    """Return the otid of one part of a stored message.

    The parts of a turn share the id of the message. Letta writes the index of the part into the last seven bits.
    """
    number = uuid.UUID(message_id.removeprefix("message-")).int
    return str(uuid.UUID(int=(number & ~0x7F) | part))


def previous_id(message_id: str) -> str:
    """Return the id minus one, which Letta assigns to a streamed approval request."""
    number = uuid.UUID(message_id.removeprefix("message-")).int
    return f"message-{uuid.UUID(int=number - 1)}"
