"""Every public name, signature, field and method of letta-client is here, or its absence is explained."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.migration.differences import BEHAVIOR, NAMES, Difference, stale, table, unexplained
from tests.migration.programs_table import programs_table
from tests.migration.reflection import differences

PAGE = Path(__file__).parents[2] / "docs" / "migration.md"
TABLES = {
    "behavior": table(BEHAVIOR, "letta-client"),
    "names": table(NAMES, "letta-client"),
    "programs": programs_table(),
}


@pytest.fixture(scope="module")
def found() -> list[str]:
    """Return the differences between the two clients."""
    return list(differences())


@pytest.mark.slow
def test_every_difference_is_explained(found: list[str]) -> None:
    """No difference between the clients lacks an entry."""
    assert list(unexplained(found)) == []


@pytest.mark.slow
def test_every_entry_explains_a_difference(found: list[str]) -> None:
    """No entry is stale."""
    assert list(stale(found)) == []


@pytest.mark.parametrize("entry", [*NAMES, *BEHAVIOR], ids=lambda entry: str(entry.subject)[:40])
def test_entry_has_reason_and_remedy(entry: Difference) -> None:
    """Each entry states what is different and what to write, and fits into a row of a table."""
    texts = (entry.subject, entry.here, entry.instead)
    assert min(map(len, texts)) > 5
    assert not any(character in text for text in texts for character in "|\n")


@pytest.mark.parametrize("name", TABLES)
def test_page_has_table_of_differences(name: str) -> None:
    """The page for users prints the tables. `LETTA_WRITE_GOLDEN=1` writes them."""
    text = PAGE.read_text("utf-8")
    head, mark, rest = text.partition(f"<!-- {name} -->\n")
    _, end, tail = rest.partition("<!-- end -->\n")
    wanted = f"{head}{mark}{TABLES[name]}\n{end}{tail}"
    if os.environ.get("LETTA_WRITE_GOLDEN"):
        PAGE.write_text(wanted, encoding="utf-8", newline="\n")
    assert mark
    assert end
    assert PAGE.read_text("utf-8") == wanted
