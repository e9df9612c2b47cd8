"""Import cycles between modules."""

from __future__ import annotations

from collections.abc import Mapping


def cyclic_imports(needs: Mapping[str, set[str]]) -> dict[str, frozenset[str]]:
    """Return for each module the modules that it imports and that import it in turn."""
    found: dict[str, frozenset[str]] = {}
    for group in _groups(needs):
        if len(group) > 1 or group[0] in needs.get(group[0], set()):
            found |= dict.fromkeys(group, frozenset(group))
    return found


def _groups(needs: Mapping[str, set[str]]) -> list[list[str]]:
    """Return the strongly connected components of a graph, by Tarjan's algorithm without recursion."""
    groups: list[list[str]] = []
    number: dict[str, int] = {}
    lowest: dict[str, int] = {}
    stack: list[str] = []
    waiting: set[str] = set()
    for start in needs:
        work = [] if start in number else [(start, iter(sorted(needs[start])))]
        while work:
            name, rest = work[-1]
            if name not in number:
                number[name] = lowest[name] = len(number)
                stack.append(name)
                waiting.add(name)
            for other in rest:
                if other not in number:
                    work.append((other, iter(sorted(needs.get(other, set())))))
                    break
                if other in waiting:
                    lowest[name] = min(lowest[name], number[other])
            else:
                work.pop()
                if work:
                    above = work[-1][0]
                    lowest[above] = min(lowest[above], lowest[name])
                if lowest[name] == number[name]:
                    group: list[str] = []
                    while not group or group[-1] != name:
                        group.append(stack.pop())
                    waiting.difference_update(group)
                    groups.append(group)
    return groups
