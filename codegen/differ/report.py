"""Prints changes: as text for a terminal, as Markdown for a pull request."""

from __future__ import annotations

from collections.abc import Sequence

from codegen.differ.change import Change, Level

TITLES = {Level.BREAKING: "Breaking", Level.ADDITIVE: "Additive", Level.COSMETIC: "Cosmetic"}


def bump(changes: Sequence[Change]) -> str:
    """The version bump that all of them together call for."""
    return max((c.level for c in changes), default=Level.COSMETIC).bump if changes else "none"


def as_text(changes: Sequence[Change]) -> str:
    """One line for each change, below the name of its level."""
    lines: list[str] = []
    for level, title in TITLES.items():
        some = [c for c in changes if c.level is level]
        if some:
            lines += [f"{title} ({len(some)})", *(f"  {_line(c)}" for c in some), ""]
    return "\n".join([*lines, _conclusion(changes)])


def as_markdown(changes: Sequence[Change]) -> str:
    """A table for each level; what is cosmetic is folded away."""
    lines = [f"**{_conclusion(changes)}**", ""]
    for level, title in TITLES.items():
        some = [c for c in changes if c.level is level]
        if not some:
            continue
        rows = [
            f"| {_cell(c.place)} | {_cell(c.what)} | {', '.join(c.hits) or '-'} | {_cell(c.surface) or '-'} |"
            for c in some
        ]
        table = ["| where | what | hits | generated package |", "|---|---|---|---|", *rows]
        head = f"{title} ({len(some)})"
        if level is Level.COSMETIC:
            lines += ["<details>", f"<summary>{head}</summary>", "", *table, "", "</details>", ""]
        else:
            lines += [f"### {head}", "", *table, ""]
    return "\n".join(lines).rstrip() + "\n"


def _conclusion(changes: Sequence[Change]) -> str:
    if not changes:
        return "No difference: no new version is called for."
    counts = ", ".join(f"{sum(c.level is level for c in changes)} {title.lower()}" for level, title in TITLES.items())
    return f"{counts}: calls for a {bump(changes)} version."


def _line(change: Change) -> str:
    hits = f" [{', '.join(change.hits)}]" if change.hits else ""
    surface = f" - {change.surface}" if change.surface else ""
    return f"{change.place}: {change.what}{hits}{surface}"


def _row(change: Change) -> str:
    cells = (change.place, change.what, ", ".join(change.hits), change.surface)
    return f"| {' | '.join(_cell(cell) or '-' for cell in cells)} |"


def _cell(text: str) -> str:
    """Text of a document in a table's cell: it ends neither the cell nor the row, and is no markup."""
    text = " ".join(text.split()).replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;")
    return text.replace("[", "\\[").replace("@", "@\u200b")
