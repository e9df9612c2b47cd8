"""YAML with the types of JSON: only ``true`` and ``false`` are booleans, and dates are strings.

`load` reads trusted files. `load_checked` reads files of users: it records the line of each value, and
rejects duplicate keys, tags of other types, and aliases that expand without limit.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

from ..api.validation import is_object, is_sequence
from .dataclass_reader import InvalidValueError

MAX_DEPTH = 50
"""Maximum nesting depth of a file."""

MAX_VALUES = 100_000
"""Maximum number of values in a file, with expanded aliases."""

_PREFIX = "tag:yaml.org,2002:"
_BOOLEAN = f"{_PREFIX}bool"
_TIMESTAMP = f"{_PREFIX}timestamp"
_MERGE = f"{_PREFIX}merge"
_SCALARS = tuple(_PREFIX + name for name in ("str", "int", "float", "bool", "null"))
_COLLECTIONS = (f"{_PREFIX}map", f"{_PREFIX}seq")
_PAIR = re.compile(r"(?<!\\)((?:\\\\)*)\\u(d[89ab][0-9a-f]{2})\\u(d[c-f][0-9a-f]{2})", re.IGNORECASE)


# libyaml is ten times faster.
_Base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_Loader: Any = type("_Loader", (_Base,), {})
_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag not in (_BOOLEAN, _TIMESTAMP)]
    for first, resolvers in _Base.yaml_implicit_resolvers.items()
}
# In YAML 1.1 the key `on` is true.
_Loader.add_implicit_resolver(_BOOLEAN, re.compile("^(?:true|false)$"), ["t", "f"])


def load(text: str) -> Any:
    """Return the value of a YAML text.

    Raises:
        yaml.YAMLError: If the text is not YAML.
    """
    return yaml.load(text, _Loader)  # noqa: S506  # a subclass of a safe loader


def load_checked(text: str) -> tuple[Any, dict[str, int]]:
    """Return the value of a YAML text, and the line of each value by location, such as ``.when[0].message``.

    Raises:
        yaml.YAMLError: If the text is not YAML.
        InvalidValueError: If JSON cannot express the value, or it is too large.
    """
    loader = _Loader(text)
    try:
        return _Builder(loader).build()
    finally:
        loader.dispose()


def join_surrogate_pairs(text: str) -> str:
    """Replace escaped surrogate pairs in a JSON text by their characters. YAML does not support them."""

    def joined(found: re.Match[str]) -> str:
        units = bytes.fromhex(found[2] + found[3])
        return found[1] + units.decode("utf-16-be")

    return _PAIR.sub(joined, text)


@dataclass(slots=True)
class _OpenCollection:
    """A collection that is being read."""

    value: dict[str, Any] | list[Any]
    location: str
    anchor: str | None
    first_value: int
    key: str | None = None
    key_is_merge: bool = False
    lines: dict[str, int] = field(default_factory=dict[str, int])
    merged: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])


class _Builder:
    """Builds a value from parser events, without recursion."""

    def __init__(self, loader: Any) -> None:
        self._loader = loader
        self._stack: list[_OpenCollection] = []
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
                    raise InvalidValueError("", "expected a single document", line)
            elif isinstance(event, yaml.AliasEvent):
                self._alias(str(event.anchor), line)
            elif isinstance(event, yaml.ScalarEvent):
                self._scalar(event, line)
            elif isinstance(event, (yaml.MappingStartEvent, yaml.SequenceStartEvent)):
                self._open_collection(event, line)
            elif isinstance(event, (yaml.MappingEndEvent, yaml.SequenceEndEvent)):
                self._close_collection(line)
        return self._result, self._lines

    def _events(self) -> Iterator[Any]:
        while self._loader.check_event():
            yield self._loader.get_event()

    def _location(self) -> str:
        if not self._stack:
            return ""
        parent = self._stack[-1]
        if isinstance(parent.value, list):
            return f"{parent.location}[{len(parent.value)}]"
        return parent.location if parent.key is None else f"{parent.location}.{parent.key}"

    def _open_collection(self, event: Any, line: int) -> None:
        location = self._location()
        if self._expects_key():
            raise InvalidValueError(location, "a key must be a string, got a list or a mapping", line)
        if event.tag is not None and event.tag not in (*_COLLECTIONS, "!"):
            raise InvalidValueError(location, f"unsupported type {event.tag!r}", line)
        if len(self._stack) >= MAX_DEPTH:
            raise InvalidValueError(location, f"nested more than {MAX_DEPTH} levels deep", line)
        self._add(1, location, line)
        value: dict[str, Any] | list[Any] = {} if isinstance(event, yaml.MappingStartEvent) else []
        self._stack.append(_OpenCollection(value, location, event.anchor, self._count))
        if event.anchor is not None:
            self._anchors.pop(event.anchor, None)

    def _close_collection(self, line: int) -> None:
        collection = self._stack.pop()
        value = collection.value
        if isinstance(value, dict):
            for mapping in collection.merged:
                for key, each in mapping.items():
                    value.setdefault(key, each)
        if collection.anchor is not None:
            self._anchors[collection.anchor] = (collection.value, self._count - collection.first_value + 1)
        self._store(collection.value, line)

    def _alias(self, anchor: str, line: int) -> None:
        location = self._location()
        if anchor not in self._anchors:
            raise InvalidValueError(location, f"alias *{anchor} is undefined or recursive", line)
        value, size = self._anchors[anchor]
        if self._expects_key():
            raise InvalidValueError(location, "a key must be a string, got an alias", line)
        self._add(size, location, line)
        self._store(value, line)

    def _scalar(self, event: Any, line: int) -> None:
        location = self._location()
        tag = event.tag
        if tag is None or tag == "!":
            tag = self._loader.resolve(yaml.ScalarNode, event.value, event.implicit)
        if self._expects_key():
            self._key(event.value, tag == _MERGE, line)
            return
        if tag not in _SCALARS:
            raise InvalidValueError(location, f"unsupported type {tag!r}", line)
        try:
            value: Any = self._loader.construct_object(yaml.ScalarNode(tag, event.value))
        except (ValueError, KeyError, yaml.YAMLError):
            raise InvalidValueError(
                location, f"expected a value of type {tag.removeprefix(_PREFIX)}, got {event.value[:50]!r}", line
            ) from None
        self._add(1, location, line)
        if event.anchor is not None:
            self._anchors[event.anchor] = (value, 1)
        self._store(value, line)

    def _expects_key(self) -> bool:
        return bool(self._stack) and isinstance(self._stack[-1].value, dict) and self._stack[-1].key is None

    def _key(self, key: str, is_merge: bool, line: int) -> None:
        parent = self._stack[-1]
        if key in parent.lines and not is_merge:
            raise InvalidValueError(
                parent.location, f"duplicate key {key!r} in lines {parent.lines[key]} and {line}", line
            )
        parent.lines[key] = line
        parent.key, parent.key_is_merge = key, is_merge
        self._lines[f"{parent.location}.{key}"] = line

    def _add(self, values: int, location: str, line: int) -> None:
        self._lines.setdefault(location, line)
        self._count += values
        if self._count > MAX_VALUES:
            raise InvalidValueError(location, f"more than {MAX_VALUES} values, including aliases", line)

    def _store(self, value: Any, line: int) -> None:
        if not self._stack:
            self._result = value
            return
        parent = self._stack[-1]
        if isinstance(parent.value, list):
            parent.value.append(value)
            return
        key, parent.key = str(parent.key), None
        if not parent.key_is_merge:
            parent.value[key] = value
            return
        mappings = value if is_sequence(value) else [value]
        if not all(is_object(each) for each in mappings):
            raise InvalidValueError(parent.location, "<< must be followed by a mapping or a list of mappings", line)
        parent.merged += [dict(each) for each in mappings if is_object(each)]
