"""YAML as JSON has it: of plain words only ``true``, ``false`` and ``null`` are no texts, and dates are.

:func:`load` reads a file that is trusted. :func:`load_checked` reads one that a person wrote: it knows the line of each
value, and refuses a key that is given twice, tags of other types, and aliases that expand without end.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

from ..api.validation import is_object, is_sequence
from .dataclass_reader import Misfit

DEEPEST = 50
"""How deep a file may be nested."""

MOST_VALUES = 100_000
"""How many values a file may have, those of its aliases included."""

_PREFIX = "tag:yaml.org,2002:"
_BOOLEAN = f"{_PREFIX}bool"
_TIMESTAMP = f"{_PREFIX}timestamp"
_MERGE = f"{_PREFIX}merge"
_SCALARS = tuple(_PREFIX + name for name in ("str", "int", "float", "bool", "null"))
_COLLECTIONS = (f"{_PREFIX}map", f"{_PREFIX}seq")
_PAIR = re.compile(r"(?<!\\)((?:\\\\)*)\\u(d[89ab][0-9a-f]{2})\\u(d[c-f][0-9a-f]{2})", re.IGNORECASE)


# Ten times faster where libyaml is.
_Base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_Loader: Any = type("_Loader", (_Base,), {})
_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag not in (_BOOLEAN, _TIMESTAMP)]
    for first, resolvers in _Base.yaml_implicit_resolvers.items()
}
# Otherwise `on` would be true.
_Loader.add_implicit_resolver(_BOOLEAN, re.compile("^(?:true|false)$"), ["t", "f"])


def load(text: str) -> Any:
    """Return what a YAML text says.

    Raises:
        yaml.YAMLError: it is no YAML.
    """
    return yaml.load(text, _Loader)  # noqa: S506 - it is a safe loader


def load_checked(text: str) -> tuple[Any, dict[str, int]]:
    """Return what a YAML text says, and the line of each value by its place, such as ``.when[0].message``.

    Raises:
        yaml.YAMLError: it is no YAML.
        Misfit: it is YAML that JSON cannot express, or that is too large.
    """
    loader = _Loader(text)
    try:
        return _Builder(loader).build()
    finally:
        loader.dispose()


def with_joined_pairs(text: str) -> str:
    """Return JSON text without escaped pairs of surrogates, which YAML does not know, but with their characters."""

    def joined(found: re.Match[str]) -> str:
        units = bytes.fromhex(found[2] + found[3])
        return found[1] + units.decode("utf-16-be")

    return _PAIR.sub(joined, text)


@dataclass(slots=True)
class _Open:
    """A collection that has begun."""

    value: dict[str, Any] | list[Any]
    place: str
    anchor: str | None
    begun: int
    key: str | None = None
    key_is_merge: bool = False
    lines: dict[str, int] = field(default_factory=dict[str, int])
    merged: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])


class _Builder:
    """Builds a value from the events of a parser, without recursion."""

    def __init__(self, loader: Any) -> None:
        self._loader = loader
        self._open: list[_Open] = []
        self._anchors: dict[str, tuple[Any, int]] = {}
        self._count = 0
        self._result: Any = None
        self._lines: dict[str, int] = {}

    def build(self) -> tuple[Any, dict[str, int]]:
        documents = 0
        for event in self._events():
            line = event.start_mark.line + 1
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    raise Misfit("", "a file has one document", line)
            elif isinstance(event, yaml.AliasEvent):
                self._alias(str(event.anchor), line)
            elif isinstance(event, yaml.ScalarEvent):
                self._scalar(event, line)
            elif isinstance(event, (yaml.MappingStartEvent, yaml.SequenceStartEvent)):
                self._begin(event, line)
            elif isinstance(event, (yaml.MappingEndEvent, yaml.SequenceEndEvent)):
                self._end(line)
        return self._result, self._lines

    def _events(self) -> Iterator[Any]:
        while self._loader.check_event():
            yield self._loader.get_event()

    def _place(self) -> str:
        if not self._open:
            return ""
        inside = self._open[-1]
        if isinstance(inside.value, list):
            return f"{inside.place}[{len(inside.value)}]"
        return inside.place if inside.key is None else f"{inside.place}.{inside.key}"

    def _begin(self, event: Any, line: int) -> None:
        place = self._place()
        if self._wants_key():
            raise Misfit(place, "a key is a text, not a list or a mapping", line)
        if event.tag is not None and event.tag not in (*_COLLECTIONS, "!"):
            raise Misfit(place, f"no type {event.tag!r}", line)
        if len(self._open) >= DEEPEST:
            raise Misfit(place, f"nested more than {DEEPEST} levels deep", line)
        self._add(1, place, line)
        value: dict[str, Any] | list[Any] = {} if isinstance(event, yaml.MappingStartEvent) else []
        self._open.append(_Open(value, place, event.anchor, self._count))
        if event.anchor is not None:
            self._anchors.pop(event.anchor, None)

    def _end(self, line: int) -> None:
        ended = self._open.pop()
        value = ended.value
        if isinstance(value, dict):
            for mapping in ended.merged:
                for key, each in mapping.items():
                    value.setdefault(key, each)
        if ended.anchor is not None:
            self._anchors[ended.anchor] = (ended.value, self._count - ended.begun + 1)
        self._put(ended.value, line)

    def _alias(self, anchor: str, line: int) -> None:
        place = self._place()
        if anchor not in self._anchors:
            raise Misfit(place, f"the alias *{anchor} stands for nothing, or for what it is part of", line)
        value, size = self._anchors[anchor]
        if self._wants_key():
            raise Misfit(place, "a key is a text, not an alias", line)
        self._add(size, place, line)
        self._put(value, line)

    def _scalar(self, event: Any, line: int) -> None:
        place = self._place()
        tag = event.tag
        if tag is None or tag == "!":
            tag = self._loader.resolve(yaml.ScalarNode, event.value, event.implicit)
        if self._wants_key():
            self._key(event.value, tag == _MERGE, line)
            return
        if tag not in _SCALARS:
            raise Misfit(place, f"no type {tag!r}", line)
        try:
            value: Any = self._loader.construct_object(yaml.ScalarNode(tag, event.value))
        except (ValueError, KeyError, yaml.YAMLError):
            raise Misfit(
                place, f"{event.value[:50]!r} is not a value of the type {tag.removeprefix(_PREFIX)}", line
            ) from None
        self._add(1, place, line)
        if event.anchor is not None:
            self._anchors[event.anchor] = (value, 1)
        self._put(value, line)

    def _wants_key(self) -> bool:
        return bool(self._open) and isinstance(self._open[-1].value, dict) and self._open[-1].key is None

    def _key(self, key: str, is_merge: bool, line: int) -> None:
        inside = self._open[-1]
        if key in inside.lines and not is_merge:
            raise Misfit(
                inside.place, f"the key {key!r} is given twice, in the lines {inside.lines[key]} and {line}", line
            )
        inside.lines[key] = line
        inside.key, inside.key_is_merge = key, is_merge
        self._lines[f"{inside.place}.{key}"] = line

    def _add(self, values: int, place: str, line: int) -> None:
        self._lines.setdefault(place, line)
        self._count += values
        if self._count > MOST_VALUES:
            raise Misfit(place, f"more than {MOST_VALUES} values, those of aliases included", line)

    def _put(self, value: Any, line: int) -> None:
        if not self._open:
            self._result = value
            return
        inside = self._open[-1]
        if isinstance(inside.value, list):
            inside.value.append(value)
            return
        key, inside.key = str(inside.key), None
        if not inside.key_is_merge:
            inside.value[key] = value
            return
        mappings = value if is_sequence(value) else [value]
        if not all(is_object(each) for each in mappings):
            raise Misfit(inside.place, "<< is followed by a mapping, or a list of them", line)
        inside.merged += [dict(each) for each in mappings if is_object(each)]
