"""Hostile text in any position of a document does not become code or break the package."""

from __future__ import annotations

import builtins
from collections import Counter
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from codegen.errors import SpecError
from codegen.pipeline import read
from tests.codegen.building import imported, make, stress_in_full
from tests.codegen.examples import run_everything
from tests.codegen.hostile import HOSTILE
from tests.codegen.positions import Position, named, positions, whole_document, with_text
from tests.codegen.test_hostile import harmless
from tests.stress.figures import FULL, figure

Texts = list[tuple[Position, str]]

WHOLE = whole_document()
POSITIONS = positions(WHOLE)
TEXTS = list(dict.fromkeys(HOSTILE))
ROUNDS = range(0, len(TEXTS), 6 if FULL else len(TEXTS) // 2)
"""The number of rounds; each puts another text into every position."""


def accepted(texts: Texts) -> bool:
    try:
        read(together(texts))
    except SpecError:
        return False
    return True


def together(texts: Texts) -> dict[str, Any]:
    """Return the document with texts in several positions, replaced from the innermost out."""
    data = WHOLE
    for position, text in sorted(texts, key=lambda each: (-len(each[0][0]), each[0][1] == "key")):
        try:
            data = with_text(data, position, text)
        except (KeyError, IndexError):
            continue  # the name was already changed in another position
    return data


def apart(texts: Texts) -> list[Texts]:
    """Return groups of texts that are accepted together, since two names can collide."""
    if len(texts) < 2 or accepted(texts):
        return [texts] if texts else []
    middle = len(texts) // 2
    return apart(texts[:middle]) + apart(texts[middle:])


def test_positions_cover_whole_document() -> None:
    """Every key and value is a position, and every kind of place occurs."""
    listed = [named(position) for position in POSITIONS]
    assert len(listed) == len(set(listed)) > 600
    words = (
        "properties enum const default example examples pattern title description discriminator mapping tags required"
    )
    more = (
        "operationId summary parameters content headers callbacks links security servers webhooks x-note x-letta-lazy"
    )
    there = " ".join(listed)
    assert [word for word in f"{words} {more}".split() if f"/{word}" not in there] == []


def test_whole_document_package_runs(tmp_path: Path) -> None:
    """The package of the whole document decodes, encodes and sends."""
    package, _ = make(WHOLE, tmp_path)
    with imported(package) as api:
        assert run_everything(WHOLE, api) >= 15


@stress_in_full
@pytest.mark.parametrize("number", ROUNDS)
def test_hostile_text_in_any_position_stays_text(number: int, tmp_path: Path) -> None:
    """An accepted text stays text: the package runs no code from it, and values round-trip."""
    tried = [(position, TEXTS[(n + number) % len(TEXTS)]) for n, position in enumerate(POSITIONS)]
    taken = [each for each in tried if accepted([each])]
    folders = count()
    for texts in apart(taken):
        folder = tmp_path / str(next(folders))
        folder.mkdir()
        data = together(texts)
        package, _ = make(data, folder)
        harmless(package, folder)
        with imported(package) as api:
            run_everything(data, api)
            assert not hasattr(builtins, "pWnEd")
    kinds = Counter(what for (_, what), _ in taken)
    figure(
        f"hostile texts in every position, round {number}",
        f"{len(tried)} tried, {len(taken)} taken as text ({kinds['key']} keys, {kinds['value']} values), the others "
        f"refused; in {next(folders)} packages; none runs, none breaks",
    )


@pytest.mark.parametrize("text", [text for text in TEXTS if "$source$" in text or ":=" in text or "str(" in text])
def test_key_of_lazy_array_round_trips(text: str, tmp_path: Path) -> None:
    """A key that looks like code or like a placeholder round-trips unchanged."""
    lazy = next(position for position in POSITIONS if position[0][-1] == "lazyKey" and position[1] == "key")
    data = with_text(WHOLE, lazy, text)
    package, _ = make(data, tmp_path)
    harmless(package, tmp_path)
    with imported(package) as api:
        run_everything(data, api)
        assert not hasattr(builtins, "pWnEd")
