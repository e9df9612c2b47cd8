"""Compares the tags, status codes, headers and credentials of operations."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from codegen.diff.change import BOTH, READER, SENDER, Change, Level
from codegen.document import Document, Operation
from codegen.names import module_name

Alternative = frozenset[str]


def compare_facts(
    old: Operation, new: Operation, documents: tuple[Document, Document], place: str, *, shared: bool
) -> Iterator[Change]:
    """Yield the differences of two operations, except those of arguments, responses and events.

    Args:
        old: The old operation.
        new: The new operation.
        documents: The documents of the operations.
        place: The name of the operation.
        shared: Whether the documents have different origins, so that tags, credentials and status codes are ignored.
    """
    yield from _deprecation(old.data, new.data, place)
    if shared:
        return
    yield from _tags(old, new, place)
    yield from _credentials(old, new, documents, place)
    bodies = [side.deref(o.data.get("requestBody"), o.place) for side, o in _pairs(documents, old, new)]
    yield from _body(bodies[0], bodies[1], place)
    yield from _statuses(old.data, new.data, place)
    headers = [_success(side, o) for side, o in _pairs(documents, old, new)]
    yield from _headers(headers[0], headers[1], place)


def _pairs(documents: tuple[Document, Document], *operations: Operation) -> Iterator[tuple[Document, Operation]]:
    yield from zip(documents, operations, strict=True)


def _deprecation(old: dict[str, Any], new: dict[str, Any], place: str) -> Iterator[Change]:
    if bool(old.get("deprecated")) != bool(new.get("deprecated")):
        if new.get("deprecated"):
            yield Change(Level.ADDITIVE, place, "is deprecated")
        else:
            yield Change(Level.COSMETIC, place, "is not deprecated any more")


def _tags(old: Operation, new: Operation, place: str) -> Iterator[Change]:
    before, after = ((side.data.get("tags") or ["default"])[0] for side in (old, new))
    folders = [module_name(tag) for tag in (before, after)]
    if folders[0] != folders[1]:
        surface = " is ".join(
            f"`api.{folder}.{module_name(o.id)}`" for folder, o in zip(folders, (old, new), strict=True)
        )
        yield Change(Level.BREAKING, place, f"its first tag was {before!r} and is {after!r}", BOTH, surface)


def _credentials(old: Operation, new: Operation, documents: tuple[Document, Document], place: str) -> Iterator[Change]:
    before, after = (_alternatives(o, side) for side, o in _pairs(documents, old, new))
    if before == after:
        return
    # A sender of one set of credentials must not need others.
    suffices = all(any(needed <= had for needed in after) for had in before)
    level = Level.ADDITIVE if suffices else Level.BREAKING
    yield Change(level, place, f"takes {_told(after)}, and took {_told(before)}", (SENDER,))


def _alternatives(operation: Operation, document: Document) -> set[Alternative]:
    """Return the alternative sets of credentials."""
    found = operation.data.get("security", document.data.get("security"))
    if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
        return {frozenset()}
    return {
        frozenset(
            part
            for name, scopes in each.items()
            for part in (name, *(f"{name}:{scope}" for scope in (scopes if isinstance(scopes, list) else ())))
        )
        for each in found
    } or {frozenset()}


def _told(some: set[Alternative]) -> str:
    return " or ".join(sorted(" and ".join(sorted(each)) or "no credentials" for each in some))


def _body(old: Any, new: Any, place: str) -> Iterator[Change]:
    before, after = (side.get("required") is True if isinstance(side, dict) else None for side in (old, new))
    if before is after:
        return
    at = f"{place} body"
    if after is None:
        yield Change(Level.BREAKING, at, "is not taken any more", (SENDER,))
    elif after:
        yield Change(Level.BREAKING, at, "is now required", (SENDER,))
    elif before is None:
        yield Change(Level.ADDITIVE, at, "is now taken", (SENDER,))
    else:
        yield Change(Level.ADDITIVE, at, "is now optional", (SENDER,))


def _statuses(old: dict[str, Any], new: dict[str, Any], place: str) -> Iterator[Change]:
    olds, news = (side.get("responses", {}) for side in (old, new))
    for code in [*(c for c in olds if c not in news), *(c for c in news if c not in olds)]:
        gone, success = code in olds, code.startswith("2")
        what = f"no longer returns {code}" if gone else f"also returns {code}"
        level = Level.COSMETIC if not success else Level.BREAKING if gone else Level.ADDITIVE
        yield Change(level, place, what, (READER,) if success else ())


def _success(document: Document, operation: Operation) -> dict[str, Any]:
    """Return the headers of the successful response."""
    for code, response in operation.data.get("responses", {}).items():
        if code.startswith("2"):
            found = document.deref(response, operation.place).get("headers", {})
            return {k.lower(): document.deref(v, operation.place) for k, v in found.items()}
    return {}


def _headers(old: dict[str, Any], new: dict[str, Any], place: str) -> Iterator[Change]:
    for name in old.keys() | new.keys():
        before, after = (_is_promised(side.get(name)) for side in (old, new))
        at = f"{place} response header {name}"
        if name not in new:
            yield Change(Level.BREAKING, at, "is gone", (READER,))
        elif name not in old:
            yield Change(Level.ADDITIVE, at, "is new", (READER,))
        elif before != after:
            level, word = (Level.BREAKING, "optional") if before else (Level.ADDITIVE, "required")
            yield Change(level, at, f"is now {word}", (READER,))


def _is_promised(header: Any) -> bool:
    return isinstance(header, dict) and header.get("required") is True
