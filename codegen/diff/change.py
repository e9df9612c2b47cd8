"""A difference between two documents."""

from __future__ import annotations

from enum import IntEnum

from attrs import frozen


class Level(IntEnum):
    """The severity of a change for users of the package."""

    COSMETIC = 0
    ADDITIVE = 1
    BREAKING = 2

    @property
    def bump(self) -> str:
        """The required version bump."""
        return {"COSMETIC": "patch", "ADDITIVE": "minor", "BREAKING": "major"}[self.name]


SENDER, READER = "sender", "reader"
BOTH = (SENDER, READER)


@frozen
class Change:
    """A difference.

    Attributes:
        place: The name of the changed item, such as `Step.status` or `steps.list(limit)`.
        what: The change.
        hits: The affected users: senders of requests, readers of responses, or both.
        surface: The effect on the generated package, or "".
    """

    level: Level
    place: str
    what: str
    hits: tuple[str, ...] = ()
    surface: str = ""
