"""Makes do with a document that is not understood in full, and says what was left out, where and why.

Each fault costs the smallest piece that can go: a schema becomes any JSON, an optional parameter or one of several
content types is dropped, an operation is. What remains is a document that the strict generator takes.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from attrs import frozen

from codegen.document import METHODS, Document, escape, find, unescape
from codegen.errors import SpecError, SpecErrors
from codegen.keywords import KNOWN

_SCHEMA = re.compile(r"#/components/schemas/[^/]*|#/(paths|components)/[^/]*/[^/]*(/(?!schema/)[^/]*)*?/schema(?=/|$)")
_SHARED = re.compile(r"#/components/(?:parameters|responses|requestBodies)/[^/]*")
_INTO_SCHEMA = re.compile(r"(/(properties/[^/]*|items|additionalProperties|(anyOf|oneOf|allOf)/\d+))*")


@frozen
class Skip:
    """Something that was given up.

    Attributes:
        place: where it stands, as a JSON pointer.
        what: what became of it.
        cause: what is not understood.
        at: where that is, at the place or inside of it.
    """

    place: str
    what: str
    cause: str
    at: str

    def __str__(self) -> str:
        inside = f" (at {self.at})" if self.at != self.place else ""
        return f"{self.place}: {self.what}, because it {self.cause}{inside}"


def relax(data: dict[str, Any], read: Callable[[dict[str, Any]], object]) -> tuple[dict[str, Any], list[Skip]]:
    """The part of a document that `read` takes, and what had to go for that.

    Raises:
        SpecError: something is at fault that cannot go.
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
            # What went with something around it is not given up again.
            if not any(_within(each.place, skip.place) for skip in gone):
                gone += _give_up(data, each)
        skips += gone


def _within(place: str, other: str) -> bool:
    return place == other or place.startswith(f"{other}/")


def _give_up(data: dict[str, Any], fault: SpecError) -> list[Skip]:
    """Takes the smallest piece around a fault out of the document; of what is shared, wherever it is used."""
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
    data["components"].get(kind, {}).pop(unescape(name), None)  # one that does not exist is referred to all the same
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
    """The operations' places that refer to something shared, through others too."""
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
    # A member of a union is not given up alone: with one that is any JSON, so is the whole.
    if not place.endswith(f"/parameters/{index}"):
        return None
    try:
        parameter = Document(data).deref(owner[index], place)
    except SpecError:
        return None
    if isinstance(parameter, dict) and not parameter.get("required"):
        owner[index] = None  # it keeps its place, so that the others keep theirs; `Document` passes over it
        return "the parameter is left out"
    return None


def _give_up_entry(owner: dict[str, Any], key: str, place: str) -> str | None:
    if is_schema(place):
        if owner[key] == {}:
            return None
        owner[key] = {}
        return "read as any JSON"
    parts = place.split("/")
    if is_schema("/".join(parts[:-1])) and key not in KNOWN:
        del owner[key]
        return "the word is left out"
    if parts[-2] == "content" and len(owner) > 1:
        what = "the content type is left out"
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


def is_schema(place: str) -> bool:
    """Whether a schema stands at a place."""
    start = _SCHEMA.match(place)
    return start is not None and _INTO_SCHEMA.fullmatch(place, start.end()) is not None
