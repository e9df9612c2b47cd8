"""Bounds of a prepared document, checked before openapi-python-client parses it.

Its parser, and the types that are read from its nodes, write out what unions, arrays and maps stand for: without a
bound, components that refer to each other twice take exponential time, and long chains of them the whole stack.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from attrs import frozen

from codegen.document import Document, escape, ref_name
from codegen.errors import Gathering, SpecError
from codegen.types import DEEPEST_TYPE

WIDEST_TYPE: Final = 10_000
"""Alternatives of a schema, those of what it refers to included. Objects with properties are one."""

MOST_PROPERTIES: Final = 10_000
"""Properties of an object, inherited ones included. The parser compares each with each: 10,000 take 17 seconds."""

LEVELS: Final = 150
"""Schemas in each other, through references too, none of them an object with properties."""


def check_bounds(document: Document) -> None:
    """Refuse schemas that stand for too much.

    Raises:
        SpecErrors: If schemas are too deep, too wide, refer to components that do not exist, or are aliases of
            themselves. Each error has its place.
    """
    measure, gathering = _Measure(document), Gathering()
    for name, schema in document.schemas.items():
        with gathering.block():
            _check_alias(name, document)
            measure.component(name, 0)
            if measure.properties(schema) > MOST_PROPERTIES:
                raise SpecError(document.place(name), f"has more than {MOST_PROPERTIES:,} properties")
        for each, place in _properties(schema, document.place(name)):
            with gathering.block():
                measure.schema(each, place, 0)
    gathering.done()


def _properties(schema: Any, place: str) -> Iterator[tuple[Any, str]]:
    """Each property of an object, and of the parts of its `allOf`, with its place."""
    if isinstance(schema, dict):
        for wire, each in schema.get("properties", {}).items():
            yield each, f"{place}/properties/{escape(wire)}"
        for number, part in enumerate(schema.get("allOf", ())):
            yield from _properties(part, f"{place}/allOf/{number}")


def _check_alias(name: str, document: Document) -> None:
    seen, target = [name], ref_name(document.schemas[name])
    while target is not None and target in document.schemas:
        if target in seen:
            raise SpecError(document.place(name), "is defined by itself; give the recursion an object to pass")
        seen.append(target)
        target = ref_name(document.schemas[target])


@frozen
class _Extent:
    """What a schema stands for.

    Attributes:
        alternatives: Its alternatives, each of which has a number.
        size: How many there are, with those inside of arrays and maps.
        depth: How many arrays and maps are in each other.
        hops: How many components are passed on the way to an object with properties or a scalar.
    """

    alternatives: frozenset[int]
    size: int
    depth: int = 0
    hops: int = 0


class _Measure:
    """Measures schemas, each component once."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.known: dict[str, _Extent] = {}
        self.inherited: dict[str, int] = {}
        self.within: set[str] = set()
        self.numbers: dict[object, int] = {}
        self.sizes: list[int] = []

    def properties(self, schema: Any) -> int:
        """Return the number of properties of an object, those of the parts of its `allOf` included."""
        if not isinstance(schema, dict):
            return 0
        count = len(schema.get("properties", ()))
        for part in schema.get("allOf", ()):
            name = ref_name(part)
            if name is None:
                count += self.properties(part)
            elif name in self.document.schemas and name not in self.within:
                self.within.add(name)
                if name not in self.inherited:
                    self.inherited[name] = self.properties(self.document.schemas[name])
                count += self.inherited[name]
                self.within.discard(name)
        return count

    def component(self, name: str, level: int) -> _Extent:
        """Return the extent of a component.

        Raises:
            SpecError: If it is too large.
        """
        if name in self.known:
            return self.known[name]
        schema, place = self.document.schemas[name], self.document.place(name)
        if name in self.within or "properties" in schema or len(schema.get("allOf", ())) > 1:
            return self._one(("component", name))  # the parser refers to an object, and refuses a recursion without one
        self.within.add(name)
        try:
            inside = self.schema(schema, place, level)
        finally:
            self.within.discard(name)
        if inside.hops >= DEEPEST_TYPE:
            raise SpecError(place, f"is defined through more than {DEEPEST_TYPE} components that are not objects")
        self.known[name] = _Extent(inside.alternatives, inside.size, inside.depth, inside.hops + 1)
        return self.known[name]

    def schema(self, schema: Any, place: str, level: int) -> _Extent:
        """Return the extent of a schema.

        Raises:
            SpecError: If it is too large, or refers to nothing.
        """
        if level > LEVELS:
            raise SpecError(place, f"is inside of more than {LEVELS} schemas that are not objects")
        if not isinstance(schema, dict):
            return self._one("any")
        if (name := ref_name(schema)) is not None:
            if name not in self.document.schemas:
                raise SpecError(place, f"$ref {str(schema['$ref'])!a:.200} points at nothing")
            return self.component(name, level + 1)
        if "properties" in schema:
            return self._one(id(schema))
        inside: list[_Extent] = []
        for word in ("anyOf", "oneOf", "allOf"):
            for number, each in enumerate(schema.get(word, ())):
                inside.append(self.schema(each, f"{place}/{word}/{number}", level + 1))
        inside += [
            self._container(word, self.schema(schema[word], f"{place}/{word}", level + 1))
            for word in ("items", "additionalProperties")
            if isinstance(schema.get(word), dict)
        ]
        found = self._either(inside) if inside else self._one(id(schema))
        if found.depth > DEEPEST_TYPE:
            raise SpecError(place, f"has more than {DEEPEST_TYPE} arrays and maps in each other")
        if found.size > WIDEST_TYPE:
            raise SpecError(place, f"stands for more than {WIDEST_TYPE:,} alternatives, with those that it refers to")
        return found

    def _one(self, key: object, size: int = 1) -> _Extent:
        if key not in self.numbers:
            self.numbers[key] = len(self.sizes)
            self.sizes.append(size)
        return _Extent(frozenset({self.numbers[key]}), size)

    def _container(self, word: str, item: _Extent) -> _Extent:
        one = self._one((word, item.alternatives), item.size + 1)
        return _Extent(one.alternatives, one.size, item.depth + 1, item.hops)

    def _either(self, found: list[_Extent]) -> _Extent:
        alternatives = frozenset().union(*(each.alternatives for each in found))
        return _Extent(
            alternatives,
            sum(self.sizes[number] for number in alternatives),
            max(each.depth for each in found),
            max(each.hops for each in found),
        )
