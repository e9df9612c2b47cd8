"""Makes do with a document that is not understood in full, and says what was left out, where and why.

Each fault costs the smallest piece that can go: a schema becomes any JSON, an optional parameter or one of several
content types is dropped, an operation is. What remains is a document that the strict generator takes.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from attrs import frozen

from codegen.document import METHODS, Document
from codegen.faults import SpecError, SpecErrors

_SCHEMA = re.compile(r"#/components/schemas/[^/]*|#/(paths|components)/[^/]*/[^/]*(/(?!schema/)[^/]*)*?/schema(?=/|$)")
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
            # What went with something around it is not given up again.
            skips += [_give_up(data, f) for f in several.faults if _find(data, f.place.split("/")[1:]) is not None]
        except SpecError as fault:
            skips.append(_give_up(data, fault))
        else:
            return data, skips


def _give_up(data: dict[str, Any], fault: SpecError) -> Skip:
    """Takes the smallest piece around a fault out of the document."""
    parts = fault.place.split("/")
    for length in range(len(parts), 1, -1):
        place = "/".join(parts[:length])
        owner, key = _find(data, parts[1 : length - 1]), _word(parts[length - 1])
        if isinstance(owner, list) and key.isdigit() and int(key) < len(owner):
            what = _give_up_item(owner, int(key), place)
        elif isinstance(owner, dict) and key in owner:
            what = _give_up_entry(owner, key, place)
        else:
            what = None
        if what is not None:
            return Skip(place, what, fault.reason, fault.place)
    raise fault


def _give_up_item(owner: list[Any], index: int, place: str) -> str | None:
    # A member of a union is not given up alone: with one that is any JSON, so is the whole.
    if place.endswith(f"/parameters/{index}") and isinstance(owner[index], dict) and not owner[index].get("required"):
        owner[index] = None  # it keeps its place, so that the others keep theirs; `Document` passes over it
        return "the parameter is left out"
    return None


def _give_up_entry(owner: dict[str, Any], key: str, place: str) -> str | None:
    if key == "additionalProperties" and owner[key] is False:
        del owner[key]
        return "read as an open object"
    if is_schema(place):
        if owner[key] == {}:
            return None
        owner[key] = {}
        return "read as any JSON"
    parts = place.split("/")
    if parts[-2] == "content" and len(owner) > 1:
        what = "the content type is left out"
    elif parts[1] == "paths" and len(parts) == 4 and key in METHODS:
        what = "the operation is left out"
    elif parts[1] == "paths" and len(parts) == 3:
        what = "the path is left out"
    else:
        return None
    del owner[key]
    return what


def is_schema(place: str) -> bool:
    """Whether a schema stands at a place."""
    start = _SCHEMA.match(place)
    return start is not None and _INTO_SCHEMA.fullmatch(place, start.end()) is not None


def _find(node: Any, parts: list[str]) -> Any:
    for part in parts:
        key = _word(part)
        if isinstance(node, list) and key.isdigit() and int(key) < len(node):
            node = node[int(key)]
        elif isinstance(node, dict) and key in node:
            node = node[key]
        else:
            return None
    return node


def _word(part: str) -> str:
    return part.replace("~1", "/").replace("~0", "~")
