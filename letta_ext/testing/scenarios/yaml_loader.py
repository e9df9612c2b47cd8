"""YAML with the types of JSON: only ``true`` and ``false`` are booleans, and dates are strings.

`load` reads trusted files. `load_checked` reads files of users: it records the line of each value, and
rejects duplicate keys, tags of other types, and aliases that expand without limit.
"""

from __future__ import annotations

import re
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
_SCALARS = tuple(_PREFIX + name for name in ("str", "int", "float", "bool", "null"))
_COLLECTIONS = (f"{_PREFIX}map", f"{_PREFIX}seq", "!")
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
        reader = _Reader(loader)
        return reader.read(), reader.lines
    finally:
        loader.dispose()


def join_surrogate_pairs(text: str) -> str:
    """Replace escaped surrogate pairs in a JSON text by their characters. YAML does not support them."""

    def joined(found: re.Match[str]) -> str:
        units = bytes.fromhex(found[2] + found[3])
        return found[1] + units.decode("utf-16-be")

    return _PAIR.sub(joined, text)


class _Reader:
    """Builds the value of a document from the events of the parser.

    Attributes:
        lines: The line of each value by location.
    """

    def __init__(self, loader: Any) -> None:
        self._loader = loader
        self._next = loader.get_event
        self._anchors: dict[str, tuple[Any, int]] = {}
        self._count = 0
        self.lines: dict[str, int] = {}

    def read(self) -> Any:
        """Return the value. An empty text has the value None."""
        self._next()  # the start of the stream
        if not isinstance(self._next(), yaml.DocumentStartEvent):
            return None
        value = self._value(self._next(), "", 0)
        self._next()  # the end of the document
        following = self._next()
        if isinstance(following, yaml.DocumentStartEvent):
            raise InvalidValueError("", "expected a single document", _line(following))
        return value

    def _value(self, event: Any, location: str, depth: int) -> Any:
        line, first = _line(event), self._count
        if isinstance(event, yaml.AliasEvent):
            if event.anchor not in self._anchors:
                raise InvalidValueError(location, f"alias *{event.anchor} is undefined or recursive", line)
            value, size = self._anchors[event.anchor]
            self._add(size, location, line)
            return value
        is_scalar, tag = isinstance(event, yaml.ScalarEvent), self._tag(event)
        if tag not in (_SCALARS if is_scalar else _COLLECTIONS):
            raise InvalidValueError(location, f"unsupported type {tag!r}", line)
        if depth >= MAX_DEPTH and not is_scalar:
            raise InvalidValueError(location, f"nested more than {MAX_DEPTH} levels deep", line)
        self._anchors.pop(event.anchor, None)
        self._add(1, location, line)
        if is_scalar:
            value = self._scalar(event.value, tag, location, line)
        elif isinstance(event, yaml.SequenceStartEvent):
            value = self._list(location, depth + 1)
        else:
            value = self._mapping(location, depth + 1)
        if event.anchor is not None:
            self._anchors[event.anchor] = (value, self._count - first)
        return value

    def _tag(self, event: Any) -> str:
        """Return the tag of a value. A scalar without one has that of its text."""
        tag: str | None = event.tag
        if isinstance(event, yaml.ScalarEvent) and tag in (None, "!"):
            tag = self._loader.resolve(yaml.ScalarNode, event.value, event.implicit)
        return tag or "!"

    def _scalar(self, text: str, tag: str, location: str, line: int) -> Any:
        try:
            return self._loader.construct_object(yaml.ScalarNode(tag, text))
        except (ValueError, LookupError, yaml.YAMLError):
            problem = f"expected a value of type {tag.removeprefix(_PREFIX)}, got {text[:50]!r}"
            raise InvalidValueError(location, problem, line) from None

    def _list(self, location: str, depth: int) -> list[Any]:
        values: list[Any] = []
        while not isinstance(event := self._next(), yaml.SequenceEndEvent):
            values.append(self._value(event, f"{location}[{len(values)}]", depth))
        return values

    def _mapping(self, location: str, depth: int) -> dict[str, Any]:
        values: dict[str, Any] = {}
        merged: list[Any] = []
        lines: dict[str, int] = {}
        while not isinstance(event := self._next(), yaml.MappingEndEvent):
            line = _line(event)
            if not isinstance(event, yaml.ScalarEvent):
                kind = "an alias" if isinstance(event, yaml.AliasEvent) else "a list or a mapping"
                raise InvalidValueError(location, f"a key must be a string, got {kind}", line)
            key, is_merge = event.value, self._tag(event) == f"{_PREFIX}merge"
            if key in lines and not is_merge:
                raise InvalidValueError(location, f"duplicate key {key!r} in lines {lines[key]} and {line}", line)
            lines[key] = self.lines[f"{location}.{key}"] = line
            value = self._value(self._next(), f"{location}.{key}", depth)
            if not is_merge:
                values[key] = value
                continue
            mappings = value if is_sequence(value) else [value]
            if not all(map(is_object, mappings)):
                raise InvalidValueError(location, "<< must be followed by a mapping or a list of mappings", line)
            merged += mappings
        for name, each in [item for mapping in merged for item in mapping.items()]:
            values.setdefault(name, each)
        return values

    def _add(self, values: int, location: str, line: int) -> None:
        """Count values, and record the line of a location."""
        self.lines.setdefault(location, line)
        self._count += values
        if self._count > MAX_VALUES:
            raise InvalidValueError(location, f"more than {MAX_VALUES} values, including aliases", line)


def _line(event: Any) -> int:
    return int(event.start_mark.line) + 1
