"""Removes unsupported parts of a document, and reports their places and the reasons.

The smallest possible part is removed: a schema becomes any value, and an optional parameter, a content type or an
operation is dropped. The strict generator accepts the rest.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from attrs import frozen

from codegen.document import METHODS, Document, escape, find, unescape
from codegen.errors import SpecError, SpecErrors
from codegen.keywords import KNOWN, OTHER_TYPES, TYPE_KEYWORDS

_SCHEMA = re.compile(r"#/components/schemas/[^/]*|#/(paths|components)/[^/]*/[^/]*(/(?!schema/)[^/]*)*?/schema(?=/|$)")
_SHARED = re.compile(r"#/components/(?:parameters|responses|requestBodies)/[^/]*")
_INTO_SCHEMA = re.compile(r"(/(properties/[^/]*|items|additionalProperties|(anyOf|oneOf|allOf)/\d+))*")


REMOVABLE = OTHER_TYPES | {"discriminator"}
"""Keywords without which a schema describes more values."""


@frozen
class Skip:
    """A skipped part of a document.

    Attributes:
        place: The JSON pointer of the part.
        what: The effect.
        cause: The reason.
        at: The place of the reason, in the part.
    """

    place: str
    what: str
    cause: str
    at: str

    def __str__(self) -> str:
        inside = f" (at {self.at})" if self.at != self.place else ""
        return f"{self.place}: {self.what}, because it {self.cause}{inside}"


def relax(data: dict[str, Any], read: Callable[[dict[str, Any]], object]) -> tuple[dict[str, Any], list[Skip]]:
    """Return the part of a document that `read` accepts, and the skipped parts.

    Raises:
        SpecError: If an unsupported part cannot be removed.
    """
    data = Document(data).copy().data
    skips: list[Skip] = []
    while True:
        try:
            read(data)
        except SpecErrors as several:
            faults = several.faults
        except SpecError as fault:
            faults = [fault]
        else:
            return data, skips
        gone: list[Skip] = []
        for each in faults:
            # Parts in a skipped part are not skipped again.
            if not any(_within(each.place, skip.place) for skip in gone):
                gone += _give_up(data, each)
        skips += gone


def _within(place: str, other: str) -> bool:
    return place == other or place.startswith(f"{other}/")


def _give_up(data: dict[str, Any], fault: SpecError) -> list[Skip]:
    """Remove the smallest part around an error. A part of a component is removed at each use of the component."""
    if skip := _give_up_at(data, fault.place, fault):
        return [skip]
    if not (shared := _SHARED.match(fault.place)):
        raise fault
    skips: list[Skip] = []
    for place in _uses(data, shared[0]):
        skip = _give_up_at(data, place, fault)
        if skip is None:
            raise fault
        skips.append(skip)
    _, kind, name = shared[0].split("/")[1:]
    data["components"].get(kind, {}).pop(unescape(name), None)  # references to it can be dangling
    return skips or [Skip(shared[0], "the component is left out", fault.reason, fault.place)]


def _give_up_at(data: dict[str, Any], start: str, fault: SpecError) -> Skip | None:
    parts = start.split("/")
    for length in range(len(parts), 1, -1):
        place = "/".join(parts[:length])
        owner, key = find(data, parts[1 : length - 1]), unescape(parts[length - 1])
        if isinstance(owner, list) and key.isdigit() and int(key) < len(owner):
            what = _give_up_item(data, owner, int(key), place)
        elif isinstance(owner, dict) and key in owner:
            what = _give_up_entry(owner, key, place)
        else:
            what = None
        if what is not None:
            return Skip(place, what, fault.reason, fault.place)
    return None


def _uses(data: dict[str, Any], shared: str) -> list[str]:
    """Return the places of operations that refer to a component, directly or indirectly."""
    uses: list[str] = []
    refs, todo = {shared}, [shared]
    while todo:
        ref = todo.pop()
        for place in _references(data, ref):
            component = _SHARED.match(place)
            if component is None:
                uses.append(place)
            elif component[0] not in refs:
                refs.add(component[0])
                todo.append(component[0])
    return uses


def _references(data: dict[str, Any], ref: str) -> list[str]:
    found: list[str] = []
    target = unescape(ref)
    todo: list[tuple[Any, str]] = [(data.get("components"), "#/components"), (data.get("paths"), "#/paths")]
    while todo:
        node, place = todo.pop()
        if isinstance(node, dict):
            if isinstance(node.get("$ref"), str) and unescape(node["$ref"]) == target:
                found.append(place)
            todo += [(value, f"{place}/{escape(key)}") for key, value in node.items()]
        elif isinstance(node, list):
            todo += [(value, f"{place}/{n}") for n, value in enumerate(node)]
    return sorted(found)


def _give_up_item(data: dict[str, Any], owner: list[Any], index: int, place: str) -> str | None:
    # A union is skipped as a whole: with one member that is any value, it is any value.
    if not place.endswith(f"/parameters/{index}"):
        return None
    try:
        parameter = Document(data).deref(owner[index], place)
    except SpecError:
        return None
    if isinstance(parameter, dict) and not parameter.get("required"):
        owner[index] = None  # a placeholder, which keeps the indexes of the others
        return "the parameter is left out"
    return None


def _give_up_entry(owner: dict[str, Any], key: str, place: str) -> str | None:
    if is_schema(place):
        if owner[key] == {}:
            return None
        owner[key] = {}
        return "decoded as any JSON value"
    parts = place.split("/")
    if is_schema("/".join(parts[:-1])) and (
        key not in KNOWN or (key in REMOVABLE and TYPE_KEYWORDS & (owner.keys() - {key}))
    ):
        del owner[key]
        return "the keyword is left out"
    if is_schema("/".join(parts[:-1])) and key == "required":
        return _give_up_names(owner, key)
    if parts[-2] == "content" and len(owner) > 1:
        what = "the content type is left out"
    elif parts[-2] == "responses" and len(parts) == 6 and len(owner) > 1:
        what = "the response is left out"
    elif parts[1] == "paths" and len(parts) == 4 and key in METHODS:
        what = "the operation is left out"
    elif parts[1] == "paths" and len(parts) == 3:
        what = "the path is left out"
    elif parts[1] == "info" and len(parts) <= 3:
        what = "it is left out"
    else:
        return None
    del owner[key]
    return what


def _give_up_names(owner: dict[str, Any], key: str) -> str | None:
    names, properties = owner[key], owner.get("properties")
    known = properties if isinstance(properties, dict) else {}
    kept = [name for name in names if isinstance(name, str) and name in known] if isinstance(names, list) else []
    if kept == names:
        return None
    owner[key] = kept
    return "names that are not properties are left out"


def is_schema(place: str) -> bool:
    """Return whether a place is that of a schema."""
    start = _SCHEMA.match(place)
    return start is not None and _INTO_SCHEMA.fullmatch(place, start.end()) is not None
