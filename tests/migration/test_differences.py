"""Every public name, signature, field and method of letta-client is here, or its absence is explained."""

from __future__ import annotations

import pytest

from tests.migration.differences import NAMES, Difference, stale, unexplained
from tests.migration.reflection import differences


@pytest.fixture(scope="module")
def found() -> list[str]:
    """Return the differences between the two clients."""
    return list(differences())


def test_every_difference_is_explained(found: list[str]) -> None:
    """No difference between the clients lacks an entry."""
    assert list(unexplained(found)) == []


def test_every_entry_explains_a_difference(found: list[str]) -> None:
    """No entry is stale."""
    assert list(stale(found)) == []


@pytest.mark.parametrize("entry", NAMES, ids=lambda entry: str(entry.subject)[:40])
def test_entry_has_reason_and_remedy(entry: Difference) -> None:
    """Each entry states what is different and what to write."""
    assert min(map(len, (entry.subject, entry.here, entry.instead))) > 5
    assert entry.found
