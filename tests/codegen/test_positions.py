"""No text becomes code or breaks a package, in any position of a document that says everything."""

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
"""In each round every position has another text."""


def accepted(texts: Texts) -> bool:
    try:
        read(together(texts))
    except SpecError:
        return False
    return True


def together(texts: Texts) -> dict[str, Any]:
    """The document with a text in each of several positions, the innermost first: the others stay where they are."""
    data = WHOLE
    for position, text in sorted(texts, key=lambda each: (-len(each[0][0]), each[0][1] == "key")):
        try:
            data = with_text(data, position, text)
        except (KeyError, IndexError):
            continue  # the name was already changed in another position
    return data


def apart(texts: Texts) -> list[Texts]:
    """Texts in groups that the reader takes together: two names can end up alike."""
    if len(texts) < 2 or accepted(texts):
        return [texts] if texts else []
    middle = len(texts) // 2
    return apart(texts[:middle]) + apart(texts[middle:])


def test_positions_are_all_of_them() -> None:
    """Each key and each value of the whole document is one, and every kind of place that a document has is there."""
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


def test_whole_document_runs_with_plain_names(tmp_path: Path) -> None:
    """Everything that the document says can be read, written and sent."""
    package, _ = make(WHOLE, tmp_path)
    with imported(package) as api:
        assert run_everything(WHOLE, api) >= 15


@stress_in_full
@pytest.mark.parametrize("number", ROUNDS)
def test_hostile_text_in_any_position_neither_runs_nor_breaks(number: int, tmp_path: Path) -> None:
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
def test_key_of_waiting_array_stays_a_key(text: str, tmp_path: Path) -> None:
    """A key that looks like code or like a placeholder round-trips unchanged."""
    lazy = next(position for position in POSITIONS if position[0][-1] == "lazyKey" and position[1] == "key")
    data = with_text(WHOLE, lazy, text)
    package, _ = make(data, tmp_path)
    harmless(package, tmp_path)
    with imported(package) as api:
        run_everything(data, api)
        assert not hasattr(builtins, "pWnEd")
