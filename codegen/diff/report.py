"""Prints changes as text or as Markdown. Equal changes in several places are grouped."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Sequence

from attrs import frozen

from codegen.diff.change import Change, Level
from codegen.printable import printable
from codegen.prune import Skip

TITLES = {Level.BREAKING: "Breaking", Level.ADDITIVE: "Additive", Level.COSMETIC: "Cosmetic"}

WIDTH = 110
"""The width of text."""


@frozen
class Row:
    """A change with all its places."""

    places: list[str]
    what: str
    hits: tuple[str, ...]
    surface: str


def bump(changes: Sequence[Change]) -> str:
    """Return the version bump of all changes."""
    return max((c.level for c in changes), default=Level.COSMETIC).bump if changes else "none"


def as_text(changes: Sequence[Change], left: Sequence[tuple[str, Skip]] = ()) -> str:
    """Return a line per change, grouped by severity.

    Args:
        changes: The changes.
        left: The skipped parts, with the name of the document that has them.
    """
    lines: list[str] = []
    for level, title in TITLES.items():
        some = [c for c in changes if c.level is level]
        if some:
            lines += [f"{title} ({len(some)})", *(line for row in rows(some) for line in _lines(row)), ""]
    if left:
        gathered = _losses(left).items()
        lines += [f"Not compared ({len(left)})", *(line for key, some in gathered for line in _indented(key, some)), ""]
    return "\n".join([*lines, _conclusion(changes, left)])


def as_markdown(changes: Sequence[Change], left: Sequence[tuple[str, Skip]] = ()) -> str:
    """Return a Markdown table per severity, with cosmetic changes folded. For the arguments, see `as_text`."""
    lines = [f"**{_conclusion(changes, left)}**", ""]
    for level, title in TITLES.items():
        some = [c for c in changes if c.level is level]
        if not some:
            continue
        table = ["| where | what | hits | generated package |", "|---|---|---|---|", *map(_row, rows(some))]
        head = f"{title} ({len(some)})"
        if level is Level.COSMETIC:
            lines += ["<details>", f"<summary>{head}</summary>", "", *table, "", "</details>", ""]
        else:
            lines += [f"### {head}", "", *table, ""]
    if left:
        rows_ = [f"| {_cell('; '.join(some))} | {_cell(key)} |" for key, some in _losses(left).items()]
        lines += [f"### Not compared ({len(left)})", "", "| where | why |", "|---|---|", *rows_, ""]
    return "\n".join(lines).rstrip() + "\n"


def _losses(left: Sequence[tuple[str, Skip]]) -> dict[str, list[str]]:
    """Return the places of skipped parts, by effect and reason."""
    found: dict[str, list[str]] = {}
    for name, skip in left:
        inside = f" (at {skip.at.removeprefix(skip.place)})" if skip.at != skip.place else ""
        found.setdefault(f"{name}: {skip.what}, because it {skip.cause}", []).append(f"{skip.place}{inside}")
    return found


def rows(changes: Iterable[Change]) -> list[Row]:
    """Return the changes, with equal changes grouped."""
    grouped: dict[tuple[str, tuple[str, ...], str], list[str]] = {}
    for change in changes:
        grouped.setdefault((change.what, change.hits, change.surface), []).append(change.place)
    return [Row(_gathered(places), *key) for key, places in grouped.items()]


def _gathered(places: Sequence[str]) -> list[str]:
    """Return places grouped by owner: `A.x`, `A.y`, `B.x`, `B.y` become `x, y of A, B`."""
    by_owner: dict[str, list[str]] = {}
    for owner, member in map(_split, places):
        if member:
            by_owner.setdefault(owner, []).append(member)
    by_members: dict[tuple[str, ...], list[str]] = {}
    for owner, members in by_owner.items():
        by_members.setdefault(tuple(members), []).append(owner)
    found = [place for place in places if not _split(place)[1]]
    for some, owners in by_members.items():
        if len(some) == len(owners) == 1:
            found.append(_joined(owners[0], some[0]))
        else:
            bare = (member.replace("(", "", 1).replace(")", "", 1) if member[0] == "(" else member for member in some)
            found.append(f"{', '.join(bare)} of {', '.join(owners)}")
    return found


def _split(place: str) -> tuple[str, str]:
    """Split a place into owner and item: `steps.list(limit)` into `steps.list` and `(limit)`."""
    head, bracket, tail = place.partition("(")
    if bracket:
        return head, bracket + tail
    owner, _, member = place.rpartition(".")
    # Names of operations contain dots; names of components begin with a capital.
    return (owner, member) if owner and owner[:1].isupper() else (place, "")


def _joined(owner: str, member: str) -> str:
    return f"{owner}{member}" if member.startswith("(") else f"{owner}.{member}"


def _conclusion(changes: Sequence[Change], left: Sequence[object] = ()) -> str:
    if left:
        was = "1 place was" if len(left) == 1 else f"{len(left)} places were"
        if not changes:
            return f"No difference in what was compared; {was} not compared."
    elif not changes:
        return "No difference: no new version is called for."
    counts = ", ".join(f"{sum(c.level is level for c in changes)} {title.lower()}" for level, title in TITLES.items())
    more = f"; {was} not compared" if left else ""
    return f"{counts}: calls for a {bump(changes)} version{more}."


def _lines(row: Row) -> list[str]:
    hits = f" [{', '.join(row.hits)}]" if row.hits else ""
    surface = f" - {row.surface}" if row.surface else ""
    if len(row.places) == 1 and len(row.places[0]) <= WIDTH // 2:
        return [printable(f"  {row.places[0]}: {row.what}{hits}{surface}")]
    return _indented(f"{row.what}{hits}{surface}", ["; ".join(row.places)])


def _indented(head: str, below: Sequence[str]) -> list[str]:
    """Yield a line and wrapped text below it, with control characters escaped."""
    lines = [printable(f"  {head}:")]
    for text in below:
        lines += textwrap.wrap(
            printable(text), WIDTH, initial_indent="      ", subsequent_indent="      ", break_on_hyphens=False
        )
    return lines


def _row(row: Row) -> str:
    cells = ["; ".join(row.places), row.what, ", ".join(row.hits), row.surface]
    return f"| {' | '.join(_cell(cell) or '-' for cell in cells)} |"


def _cell(text: str) -> str:
    """Return text escaped for a cell of a Markdown table."""
    text = printable(" ".join(text.split())).replace("|", "\\|")
    # Code spans need no escapes, and would show them.
    parts = text.split("`")
    if len(parts) % 2 == 0:
        parts = ["'".join(parts)]
    return "`".join(part if n % 2 else _plain(part) for n, part in enumerate(parts))


def _plain(text: str) -> str:
    text = re.sub(r"\\(?!\|)", r"\\\\", text).replace("<", "&lt;")
    return re.sub(r"([\[*_])", r"\\\1", text).replace("@", "@\u200b")
