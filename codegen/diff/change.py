"""One difference between two documents."""

from __future__ import annotations

from enum import IntEnum

from attrs import frozen


class Level(IntEnum):
    """How much a change matters to those who use the package."""

    COSMETIC = 0
    ADDITIVE = 1
    BREAKING = 2

    @property
    def bump(self) -> str:
        """The version bump that it calls for."""
        return {"COSMETIC": "patch", "ADDITIVE": "minor", "BREAKING": "major"}[self.name]


SENDER, READER = "sender", "reader"
BOTH = (SENDER, READER)


@frozen
class Change:
    """One difference.

    Attributes:
        place: what changed, in the API's terms, such as `Step.status` or `steps.list(limit)`.
        what: what happened to it.
        hits: who notices: those who send requests, those who read answers, or both.
        surface: what it does to the generated package, or "".
    """

    level: Level
    place: str
    what: str
    hits: tuple[str, ...] = ()
    surface: str = ""
