"""Makes two partially supported documents comparable, by removing the unsupported parts of one from the other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from codegen.diff.align import route
from codegen.document import METHODS, escape, find, unescape
from codegen.errors import SpecError, SpecErrors
from codegen.prune import Skip, relax

Data = dict[str, Any]


def understood(
    names: Sequence[str], sides: Sequence[Data], read: Callable[[Data], object], left: list[tuple[str, Skip]]
) -> list[Data]:
    """Return the parts of two documents that are supported in both.

    A part that is removed from one document only would count as added or removed.

    Args:
        names: The names of the documents.
        sides: The documents.
        read: A function that raises `SpecError` for an unsupported part.
        left: Receives the skipped parts, with the name of the document that has them.
    """
    out = list(sides)
    lost: list[list[Skip]] = [[], []]
    for side in (0, 1):
        out[side], lost[side] = relax(sides[side], read)
        left += [(names[side], skip) for skip in lost[side]]
    pending = [lost[1], lost[0]]
    while any(pending):
        # A removed part can make others unsupported. Each round shrinks a document, so the loop ends.
        found: list[list[Skip]] = [[], []]
        for side in (0, 1):
            out[side], found[side] = _without(out[side], sides[1 - side], pending[side], read)
        pending = [_new(found[1], pending[1]), _new(found[0], pending[0])]
    return out


def _new(found: Sequence[Skip], asked: Sequence[Skip]) -> list[Skip]:
    known = {(skip.place, skip.what) for skip in asked}
    return [skip for skip in found if (skip.place, skip.what) not in known]


def _without(data: Data, other: Data, skips: Sequence[Skip], read: Callable[[Data], object]) -> tuple[Data, list[Skip]]:
    """Return a document without the parts that the other one lost, and the parts that it lost for that."""
    waiting = {place: skip for skip in skips if (place := _counterpart(skip.place, other, data)) is not None}

    def understood_without(data: Data) -> None:
        while waiting:
            place, skip = waiting.popitem()
            if _at(data, place):
                raise SpecErrors([SpecError(place, skip.cause)])
        read(data)

    return relax(data, understood_without)


def _counterpart(place: str, theirs: Data, ours: Data) -> str | None:
    """Return the place in our document that corresponds to a place in theirs, or None."""
    parts = place.split("/")
    if parts[1] == "paths":
        path = _path(parts, theirs, ours)
        if path is None:
            return None
        parts[2:4] = path[: len(parts[2:4])]
    if "parameters" in parts[3:-1]:
        at = parts.index("parameters", 3)
        number = _parameter("/".join(parts[:at]), _at(theirs, "/".join(place.split("/")[: at + 2])), ours)
        if number is None:
            return None
        parts[at + 1] = number
    while not _at(ours, "/".join(parts)):
        # The index of a union member can differ between the documents, so the whole union is removed. Another missing
        # place was added or removed, which is a difference.
        if parts[-2] not in ("anyOf", "oneOf", "allOf"):
            return None
        del parts[-2:]
    return "/".join(parts)


def _path(parts: list[str], theirs: Data, ours: Data) -> list[str] | None:
    """Return the path and method of an operation in our document, matched by path or by operationId."""
    wanted, method = unescape(parts[2]), parts[3] if len(parts) > 3 else ""
    paths = ours.get("paths", {})
    for path in sorted(paths, key=lambda path: bool(path != wanted)):
        if route(method, path) == route(method, wanted) and (not method or method in paths[path]):
            return [escape(path), method]
    name = (_at(theirs, "/".join(parts[:4])) or {}).get("operationId") if method in METHODS else None
    for path, item in paths.items():
        for other in METHODS:
            if name is not None and other in item and item[other].get("operationId") == name:
                return [escape(path), other]
    return None


def _parameter(owner: str, parameter: Any, ours: Data) -> str | None:
    """Return the index of a parameter in our list, matched by name and location, or by name."""

    def key(node: Any, *words: str) -> Any:
        return [node.get(word) for word in words] if isinstance(node, dict) else None

    found = _at(ours, f"{owner}/parameters") or []
    for words in (("$ref", "name", "in"), ("$ref", "name")):
        for number, node in enumerate(found):
            if node is not None and key(node, *words) == key(parameter, *words):
                return str(number)
    return None


def _at(data: Data, place: str) -> Any:
    """Return the value at a place, or None."""
    return find(data, place.split("/")[1:])
