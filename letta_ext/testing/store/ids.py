"""Identifiers: valid to every check of the real server, and the same in every run of a test."""

from __future__ import annotations

import random
import re
import uuid

UUID4 = "[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
"""What the real server lets follow an id's prefix."""

USER_ID = "user-00000000-0000-4000-8000-000000000000"
ORGANIZATION_ID = "org-00000000-0000-4000-8000-000000000000"


class IdSource:
    """Makes ids from a seed."""

    def __init__(self, seed: int = 0) -> None:
        self._random = random.Random(seed)  # noqa: S311 - the same ids every time is what is wanted

    def uuid(self) -> str:
        """Return a random-looking version 4 UUID."""
        return str(uuid.UUID(int=self._random.getrandbits(128), version=4))

    def new(self, prefix: str) -> str:
        """Return an id such as ``run-<uuid4>``."""
        return f"{prefix}-{self.uuid()}"

    def hex(self, digits: int) -> str:
        """Return that many hexadecimal digits, the form in which models name their tool calls."""
        return f"{self._random.getrandbits(4 * digits):0{digits}x}"


def is_id(prefix: str, value: str) -> bool:
    """Tell whether the value is an id of that kind."""
    return re.fullmatch(f"{prefix}-{UUID4}", value) is not None


def part_otid(message_id: str, part: int) -> str:
    """Return the otid of one rendered part of a stored message.

    The parts of a model turn share the message's id; the real server tells them apart by writing the part's index
    into the last seven bits.
    """
    number = uuid.UUID(message_id.removeprefix("message-")).int
    return str(uuid.UUID(int=(number & ~0x7F) | part))


def previous_id(message_id: str) -> str:
    """Return the id one below: what the real server gives an approval request that a stream announced."""
    number = uuid.UUID(message_id.removeprefix("message-")).int
    return f"message-{uuid.UUID(int=number - 1)}"
