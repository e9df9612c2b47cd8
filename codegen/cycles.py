"""Modules that need each other."""

from __future__ import annotations

from collections.abc import Mapping
from graphlib import CycleError, TopologicalSorter


def mutual(needs: Mapping[str, set[str]]) -> dict[str, frozenset[str]]:
    """For each module, those that it needs and that need it in turn, itself included where it does so directly."""
    try:
        TopologicalSorter(needs).prepare()
    except CycleError:
        return {name: frozenset(n for n in _reach(name, needs) if name in _reach(n, needs)) for name in needs}
    return {}


def _reach(start: str, needs: Mapping[str, set[str]]) -> set[str]:
    seen: set[str] = set()
    todo = [start]
    while todo:
        for name in needs.get(todo.pop(), set()) - seen:
            seen.add(name)
            todo.append(name)
    return seen
