"""Exceptions of the generator."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager


class SpecError(Exception):
    """The document is invalid or uses an unsupported feature.

    Attributes:
        place: The JSON pointer of the place, such as `#/components/schemas/Step/properties/id`.
        reason: The problem at that place, and its remedy.
    """

    def __init__(self, place: str, reason: str) -> None:
        super().__init__(f"{place}: {reason}")
        self.place = place
        self.reason = reason


class SpecErrors(SpecError):  # noqa: N818  # plural of an error
    """Several errors. `place` and `reason` are those of the first."""

    def __init__(self, faults: list[SpecError]) -> None:
        super().__init__(faults[0].place, faults[0].reason)
        self.faults = faults

    def __str__(self) -> str:
        return "\n".join(map(str, self.faults))


class ErrorCollector:
    """A collector of errors: each block ends at its first error, and all are raised together."""

    def __init__(self) -> None:
        self.faults: dict[str, SpecError] = {}

    @contextmanager
    def block(self) -> Generator[None, None, None]:
        """Return a context manager that collects the errors of a block, one per place."""
        try:
            yield
        except SpecErrors as several:
            for fault in several.faults:
                self.faults.setdefault(fault.place, fault)
        except SpecError as fault:
            self.faults.setdefault(fault.place, fault)

    def raise_all(self) -> None:
        """Raise the collected errors, if any."""
        if self.faults:
            raise SpecErrors(list(self.faults.values()))


class GeneratorFailure(Exception):  # noqa: N818  # a failure of another generator
    """openapi-python-client or datamodel-code-generator reported an error or a warning."""


class VendorError(Exception):
    """A copy cannot be made or checked."""


class InstallationError(Exception):
    """A required tool is missing or has another version."""


class OccupiedError(Exception):
    """A package cannot be replaced without losing files that were not generated."""
