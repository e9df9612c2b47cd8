"""A fast loader of plain YAML: libyaml scans the text, and ruamel.yaml determines the values of scalars.

ruamel.yaml takes ten times as long for the whole text.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

import yaml
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from ruamel.yaml.nodes import ScalarNode

_MERGE: Final = "tag:yaml.org,2002:merge"

_UNUSUAL: Final = re.compile(
    r"""
    [^\n -~\xa0-\u2027\u202a-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]  # YAML 1.1 has other line breaks than YAML 1.2
    | ^ (?: % | \.\.\. | [ ]+$ )  # directives, ends of documents, and lines of spaces
    | [|>][-+0-9]*\# | \?:  # a comment beside a header of a block, and a question mark as a key
    """,
    re.MULTILINE | re.VERBOSE,
)
"""Text that libyaml and ruamel.yaml read differently."""


class _UnusualError(Exception):
    """The text is not plain YAML."""


def load_plain(text: str, loader: YAML, max_depth: int) -> Any:
    """Return the value of a text as the loader would, or None if the text is not plain YAML.

    Plain YAML is valid. It is one document without anchors, tags, directives, merge keys, keys that are objects or
    arrays, and repeated keys.

    Args:
        text: The text.
        loader: The loader that determines the values of scalars.
        max_depth: The largest nesting.
    """
    if not yaml.__with_libyaml__ or _UNUSUAL.search(text):
        return None
    try:
        return _Builder(text, loader, max_depth).document()
    except (yaml.YAMLError, YAMLError, _UnusualError, ValueError):
        return None


class _Builder:
    def __init__(self, text: str, loader: YAML, max_depth: int) -> None:
        self._next: Callable[[], Any] = yaml.CLoader(text).get_event
        self._loader = loader
        self._max_depth = max_depth
        self._scalars: dict[str, Any] = {}

    def document(self) -> Any:
        self._expect(yaml.StreamStartEvent)
        self._expect(yaml.DocumentStartEvent)
        event = self._next()
        if type(event) is not yaml.MappingStartEvent:
            raise _UnusualError
        value = self._value(event, 0)
        self._expect(yaml.DocumentEndEvent)
        self._expect(yaml.StreamEndEvent)
        return value

    def _expect(self, kind: type[yaml.Event]) -> None:
        if type(self._next()) is not kind:
            raise _UnusualError

    def _value(self, event: Any, depth: int) -> Any:
        kind = type(event)
        if kind is yaml.AliasEvent or event.anchor is not None or event.tag is not None or depth > self._max_depth:
            raise _UnusualError
        if kind is yaml.ScalarEvent:
            return self._scalar(event.value) if event.implicit[0] else event.value
        if kind is yaml.SequenceStartEvent:
            items: list[Any] = []
            while type(event := self._next()) is not yaml.SequenceEndEvent:
                items.append(self._value(event, depth + 1))
            return items
        mapping: dict[Any, Any] = {}
        while type(event := self._next()) is not yaml.MappingEndEvent:
            if type(event) is not yaml.ScalarEvent:
                raise _UnusualError
            key = self._value(event, depth + 1)
            if key in mapping:
                raise _UnusualError
            mapping[key] = self._value(self._next(), depth + 1)
        return mapping

    def _scalar(self, text: str) -> Any:
        """Return the value of an unquoted scalar."""
        if text not in self._scalars:
            tag = self._loader.resolver.resolve(ScalarNode, text, (True, False))
            if str(tag) == _MERGE:
                raise _UnusualError
            self._scalars[text] = self._loader.constructor.construct_object(ScalarNode(tag, text))
        return self._scalars[text]
