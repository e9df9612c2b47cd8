"""Compares the limits of values: lengths, bounds, patterns and formats."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from codegen.diff.change import SENDER, Change, Level
from codegen.document import Document, ref_name

KINDS = {
    "string": ("minLength", "maxLength", "pattern", "format"),
    "number": ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "format"),
    "array": ("minItems", "maxItems", "uniqueItems"),
    "object": ("minProperties", "maxProperties"),
}
LOWER = frozenset({"minLength", "minimum", "exclusiveMinimum", "minItems", "minProperties"})
UPPER = frozenset({"maxLength", "maximum", "exclusiveMaximum", "maxItems", "maxProperties"})
ANYTHING = frozenset({".*", "^.*$", ".*$", "^.*", ""})
"""Patterns that every string matches."""

Limits = dict[str, dict[str, Any]]
"""The limits for each JSON type."""


def compare_limits(old: Limits, new: Limits, place: str, role: str) -> Iterator[Change]:
    """Yield the limits that differ, for JSON types on both sides.

    A tightened limit affects senders, a loosened limit affects readers.
    """
    for kind in old.keys() & new.keys():
        for word in KINDS[kind]:
            before, after = (side[kind].get(word) for side in (old, new))
            if before == after or "date-time" in (before, after):  # `variants` distinguishes date-times
                continue
            tighter, looser = _direction(word, before, after)
            hurts = tighter if role == SENDER else looser
            harmless = Level.ADDITIVE if role == SENDER else Level.COSMETIC
            what = (
                f"its {word} is now {after!r}"
                if before is None
                else f"its {word} was {before!r}, and it has none any more"
                if after is None
                else f"its {word} was {before!r} and is {after!r}"
            )
            yield Change(Level.BREAKING if hurts else harmless, place, what, (role,))


def _direction(word: str, before: Any, after: Any) -> tuple[bool, bool]:
    """Return whether values are excluded that were allowed, and whether values are allowed that were excluded."""
    if word == "pattern":
        before, after = (None if side in ANYTHING else side for side in (before, after))
    if word == "uniqueItems":
        return bool(after) > bool(before), bool(after) < bool(before)
    if before is None or after is None:
        return after is not None, before is not None
    if word in LOWER:
        return after > before, after < before
    if word in UPPER:
        return after < before, after > before
    if word == "multipleOf":
        return before % after != 0 or after > before, after % before != 0 or before > after
    return True, True


def limits(schema: Any, document: Document) -> Limits:
    """Return the limits of a schema, by JSON type. Limits of only some alternatives are omitted."""
    found: dict[str, list[dict[str, Any]]] = {}
    for kind, leaf in _leaves(schema, document, frozenset()):
        some = {word: leaf[word] for word in KINDS[kind] if _is_limit(word, leaf.get(word))}
        found.setdefault(kind, []).append(some)
    return {kind: leaves[0] for kind, leaves in found.items() if all(leaf == leaves[0] for leaf in leaves)}


def _is_limit(word: str, value: Any) -> bool:
    if word in ("pattern", "format"):
        return isinstance(value, str)
    if word == "uniqueItems":
        return value is True
    return isinstance(value, int | float) and not isinstance(value, bool) and (word != "multipleOf" or value > 0)


def _leaves(schema: Any, document: Document, seen: frozenset[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    if not isinstance(schema, dict):
        return
    name = ref_name(schema)
    if name is not None:
        target = document.schemas.get(name)
        if name not in seen and isinstance(target, dict) and not {"properties", "discriminator"} & target.keys():
            yield from _leaves(target, document, seen | {name})
        return
    for word in ("allOf", "anyOf", "oneOf"):
        for member in schema.get(word, []):
            yield from _leaves(member, document, seen)
    if "enum" in schema or "const" in schema:
        return  # constants are compared separately
    types = schema.get("type", [])
    for type_ in [types] if isinstance(types, str) else types:
        kind = "number" if type_ == "integer" else type_
        if kind in KINDS:
            yield kind, schema
