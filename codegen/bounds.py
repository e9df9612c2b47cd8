"""Size limits of a prepared document, checked before openapi-python-client parses it.

The parser and the type reader expand unions, arrays and maps. Without limits, components that refer to each other twice
take exponential time, and long chains of components overflow the stack.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from attrs import frozen

from codegen.document import Document, escape, ref_name
from codegen.errors import ErrorCollector, SpecError
from codegen.types import MAX_TYPE_DEPTH

MAX_ALTERNATIVES: Final = 10_000
"""The largest number of alternatives of a schema, including those of referenced schemas."""

MAX_PROPERTIES: Final = 10_000
"""The largest number of properties, including inherited ones. The parser compares all pairs: 10,000 take 17 seconds."""

MAX_SCHEMA_DEPTH: Final = 150
"""The largest nesting of schemas without properties, including references."""


def check_bounds(document: Document) -> None:
    """Check that schemas are small enough to be expanded.

    Raises:
        SpecErrors: If schemas are too deep or too wide, refer to missing components, or to themselves.
    """
    measure, errors = _Measure(document), ErrorCollector()
    for name, schema in document.schemas.items():
        with errors.block():
            _check_alias(name, document)
            measure.component(name, 0)
            if measure.properties(schema) > MAX_PROPERTIES:
                raise SpecError(document.place(name), f"has more than {MAX_PROPERTIES:,} properties. Split it")
        for each, place in _properties(schema, document.place(name)):
            with errors.block():
                measure.schema(each, place, 0)
    errors.raise_all()


def _properties(schema: Any, place: str) -> Iterator[tuple[Any, str]]:
    """Yield each property of an object and its `allOf`, with its place."""
    if isinstance(schema, dict):
        for wire, each in schema.get("properties", {}).items():
            yield each, f"{place}/properties/{escape(wire)}"
        for number, part in enumerate(schema.get("allOf", ())):
            yield from _properties(part, f"{place}/allOf/{number}")


def _check_alias(name: str, document: Document) -> None:
    seen, target = [name], ref_name(document.schemas[name])
    while target is not None and target in document.schemas:
        if target in seen:
            raise SpecError(document.place(name), "refers to itself. Put an object between")
        seen.append(target)
        target = ref_name(document.schemas[target])


@frozen
class _Extent:
    """The extent of an expanded schema.

    Attributes:
        alternatives: The numbers of its alternatives.
        size: The number of alternatives, including those in arrays and maps.
        depth: The nesting of arrays and maps.
        hops: The number of components before an object with properties or a scalar.
    """

    alternatives: frozenset[int]
    size: int
    depth: int = 0
    hops: int = 0


class _Measure:
    """A cache of the extents of components."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.known: dict[str, _Extent] = {}
        self.inherited: dict[str, int] = {}
        self.within: set[str] = set()
        self.numbers: dict[object, int] = {}
        self.sizes: list[int] = []

    def properties(self, schema: Any) -> int:
        """Return the number of properties of an object, including its `allOf`."""
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
            return self._one(("component", name))  # the parser refers to objects and reports other recursions
        self.within.add(name)
        try:
            inside = self.schema(schema, place, level)
        finally:
            self.within.discard(name)
        if inside.hops >= MAX_TYPE_DEPTH:
            raise SpecError(place, f"refers through more than {MAX_TYPE_DEPTH} components without properties")
        self.known[name] = _Extent(inside.alternatives, inside.size, inside.depth, inside.hops + 1)
        return self.known[name]

    def schema(self, schema: Any, place: str, level: int) -> _Extent:
        """Return the extent of a schema.

        Raises:
            SpecError: If it is too large, or refers to a missing component.
        """
        if level > MAX_SCHEMA_DEPTH:
            raise SpecError(
                place, f"is nested in more than {MAX_SCHEMA_DEPTH} schemas without properties. Use components"
            )
        if not isinstance(schema, dict):
            return self._one("any")
        if (name := ref_name(schema)) is not None:
            if name not in self.document.schemas:
                raise SpecError(place, f"$ref {str(schema['$ref'])!a:.200} does not exist. Add it to the components")
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
        if found.depth > MAX_TYPE_DEPTH:
            raise SpecError(place, f"nests more than {MAX_TYPE_DEPTH} arrays and maps. Use an object with properties")
        if found.size > MAX_ALTERNATIVES:
            raise SpecError(
                place, f"has more than {MAX_ALTERNATIVES:,} alternatives, including referenced ones. Split it"
            )
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
