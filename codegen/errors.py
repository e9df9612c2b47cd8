"""What can be wrong: the document, or one of the two generators."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager


class SpecError(Exception):
    """The document says something that the generator does not fully understand, or that contradicts itself.

    Attributes:
        place: where in the document, as a JSON pointer such as `#/components/schemas/Step/properties/id`.
        reason: what is wrong there, and what to write instead where that is known.
    """

    def __init__(self, place: str, reason: str) -> None:
        super().__init__(f"{place}: {reason}")
        self.place = place
        self.reason = reason


class SpecErrors(SpecError):  # noqa: N818 - they are errors
    """Several of them; `place` and `reason` are those of the first."""

    def __init__(self, faults: list[SpecError]) -> None:
        super().__init__(faults[0].place, faults[0].reason)
        self.faults = faults

    def __str__(self) -> str:
        return "\n".join(map(str, self.faults))


class Gathering:
    """Gathers the faults of many blocks, each of which ends at its first, and raises them together."""

    def __init__(self) -> None:
        self.faults: dict[str, SpecError] = {}

    @contextmanager
    def block(self) -> Generator[None, None, None]:
        """Keeps the faults of a block, one for each place."""
        try:
            yield
        except SpecErrors as several:
            for fault in several.faults:
                self.faults.setdefault(fault.place, fault)
        except SpecError as fault:
            self.faults.setdefault(fault.place, fault)

    def done(self) -> None:
        """Raises what was gathered, if anything was."""
        if self.faults:
            raise SpecErrors(list(self.faults.values()))


class GeneratorFailure(Exception):  # noqa: N818 - it is no error of ours
    """One of the two generators reported an error or a warning; either stops the run."""


class VendorError(Exception):
    """A copy cannot be made, or cannot be found."""


class InstallationError(Exception):
    """A tool that the output depends on is missing, or has another version than the pinned one."""


class OccupiedError(Exception):
    """A package cannot be put in its place without the loss of files that the generator did not make."""
