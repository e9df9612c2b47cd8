"""What a schema becomes in Python, from the parser's node for it and the schema as it is written.

The node decides: scalars, literals, arrays, maps, models. The schema adds what the parser drops: which union component
it refers to (the parser flattens unions), the order of an enum's values, `x-letta-lazy`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal, TypeAlias

from attrs import evolve, frozen
from openapi_python_client.parser.properties.any import AnyProperty
from openapi_python_client.parser.properties.boolean import BooleanProperty
from openapi_python_client.parser.properties.const import ConstProperty
from openapi_python_client.parser.properties.date import DateProperty
from openapi_python_client.parser.properties.datetime import DateTimeProperty
from openapi_python_client.parser.properties.file import FileProperty
from openapi_python_client.parser.properties.float import FloatProperty
from openapi_python_client.parser.properties.int import IntProperty
from openapi_python_client.parser.properties.list_property import ListProperty
from openapi_python_client.parser.properties.literal_enum_property import LiteralEnumProperty
from openapi_python_client.parser.properties.model_property import ModelProperty
from openapi_python_client.parser.properties.none import NoneProperty
from openapi_python_client.parser.properties.string import StringProperty
from openapi_python_client.parser.properties.union import UnionProperty
from openapi_python_client.parser.properties.uuid import UuidProperty

from codegen.document import Document, Schema, escape, ref_name
from codegen.errors import SpecError
from codegen.keywords import LAZY, check_words
from codegen.parser import Node, Parsed, is_mixed
from codegen.types import (
    ANY,
    DEEPEST_TYPE,
    LONGEST_TYPE,
    NOTHING,
    NULL,
    JsonKind,
    Type,
    array_of,
    either,
    enum_type,
    instant_type,
    lazy_array_of,
    literal_type,
    map_of,
    model_type,
    scalar_type,
    union_type,
)

Kind: TypeAlias = Literal["model", "union", "enum", "alias"]

_SCALARS: dict[type[Node], JsonKind] = {
    StringProperty: "string",
    DateProperty: "string",
    UuidProperty: "string",
    FileProperty: "string",
    IntProperty: "integer",
    FloatProperty: "number",
    BooleanProperty: "boolean",
}


@frozen
class Member:
    """One member of a union component, null apart.

    Attributes:
        schema: its schema.
        place: where that is written.
        type: what it becomes.
    """

    schema: Any
    place: str
    type: Type


class TypeReader:
    """Turns the parser's nodes into types.

    Args:
        document: The prepared document.
        parsed: The parser's view of it.
    """

    def __init__(self, document: Document, parsed: Parsed) -> None:
        self.document = document
        self.parsed = parsed
        self._within: list[str] = []
        self._maps: set[str] = set()
        self._asked: set[str] = set()

    def kind(self, name: str) -> Kind:
        """Return what a component becomes: a model class, a union with a decoder, an enum alias, or an alias."""
        node = self.parsed.components[name]
        schema = self.document.schemas[name]
        if "discriminator" in schema or (isinstance(node, UnionProperty) and self._is_decoded(node)):
            return "union"
        if isinstance(node, LiteralEnumProperty) and node.value_type is str and "enum" in schema:
            return "enum"
        if isinstance(node, UnionProperty) and "enum" in schema and self._is_string_enum(node):
            return "enum"
        return "model" if self.fields(node) and "$ref" not in schema and not _wraps(schema) else "alias"

    def fields(self, node: Node) -> list[Node]:
        """Return the properties of an object, the required ones first."""
        model = self.resolve(node)
        if not isinstance(model, ModelProperty):
            return []
        return [*(model.required_properties or ()), *(model.optional_properties or ())]

    def properties(self, component: str) -> dict[str, Node]:
        """Return the properties of a component, by their names in JSON, the required ones first."""
        return {node.name.get_untrusted_value(): node for node in self.fields(self.parsed.components[component])}

    def resolve(self, node: Node) -> Node:
        """Return the component behind a reference: the parser copies it before its properties are known."""
        if isinstance(node, ModelProperty):
            return self.parsed.components.get(str(node.class_info.name), node)
        return node

    def declared(self, component: str, wire: str) -> tuple[Any, str]:
        """Return the schema of a property as it is written, in a component or a part of its `allOf`, and its place."""
        return next(self._declared(self.document.schemas[component], wire, self.document.place(component)), ({}, ""))

    def _declared(self, schema: Any, wire: str, place: str) -> Iterator[tuple[Any, str]]:
        if (name := ref_name(schema)) is not None:
            schema, place = self.document.schemas.get(name, {}), self.document.place(name)
        if not isinstance(schema, dict):
            return
        if wire in schema.get("properties", {}):
            yield schema["properties"][wire], f"{place}/properties/{escape(wire)}"
        for number, part in enumerate(schema.get("allOf", [])):
            yield from self._declared(part, wire, f"{place}/allOf/{number}")

    def property(self, node: Node, schema: Any, place: str) -> Type:
        """Return the type of a property, which can be an array whose items are decoded lazily.

        Raises:
            SpecError: As `read`; also if `x-letta-lazy` is not at an array of models.
        """
        if not isinstance(schema, dict) or LAZY not in schema:
            return self.read(node, schema, place)
        at = f"{place}/{LAZY}"
        if schema[LAZY] is not True:
            raise SpecError(at, f"is {schema[LAZY]!r}; it is true, or not there")
        rest, nullable = without_null(node)
        item = rest[0].inner_property if len(rest) == 1 and isinstance(rest[0], ListProperty) else None
        if item is None or not self.fields(item) or ref_name(schema.get("items")) is None:
            raise SpecError(at, "stands at what is no array of a component with properties")
        wire = node.name.get_untrusted_value()
        return evolve(lazy_array_of(self.read(item, schema["items"], f"{place}/items"), wire), nullable=nullable)

    def read(self, node: Node, schema: Any, place: str) -> Type:
        """Return the type of a schema.

        Args:
            node: The parser's node for it.
            schema: The schema as it is written.
            place: Where that is.

        Raises:
            SpecError: If it uses a keyword or a combination that is not understood.
        """
        entered = len(self._within)
        try:
            type_ = self._read(node, schema, place)
        finally:
            del self._within[entered:]
        if type_.depth > DEEPEST_TYPE:
            raise SpecError(place, f"has more than {DEEPEST_TYPE} arrays and maps in each other")
        if sum(map(len, type_.parts)) > LONGEST_TYPE:
            raise SpecError(place, f"has an annotation of more than {LONGEST_TYPE:,} characters")
        return type_

    def _read(self, node: Node, schema: Any, place: str) -> Type:
        schema, place, nullable = self._core(schema, place)
        rest, is_nullable = without_null(node)
        nullable = nullable or is_nullable
        name = ref_name(schema)
        if name is not None:
            type_ = self._component(name)
            return evolve(type_, nullable=nullable or type_.nullable)
        if not rest:
            return NOTHING
        if len(rest) == 1:
            type_ = self._one(rest[0], schema, place)
        else:
            for number, member in enumerate(_alternatives(schema)):
                self._core(member, f"{place}/{'anyOf' if 'anyOf' in schema else 'oneOf'}/{number}")
            read = [self._one(each, {}, place) for each in rest]
            if any(each.function for each in read):
                raise SpecError(place, "is a union that needs a name of its own")
            type_ = ANY if ANY in read else either(read)
        return evolve(type_, nullable=nullable or type_.nullable)

    def read_schema(self, schema: Any, place: str) -> Type:
        """Return the type of a schema that stands anywhere in the document.

        Raises:
            SpecError: As `read`; also if the parser does not understand it.
        """
        return self.read(self.parsed.node(schema, place), schema, place)

    def members(self, name: str) -> list[Member]:
        """Return the members of a union component, null apart."""
        schema = self.document.schemas[name]
        word = "anyOf" if "anyOf" in schema else "oneOf"
        found = []
        for number, member in enumerate(schema.get(word, [])):
            if member != NULL:
                place = f"{self.document.place(name)}/{word}/{number}"
                target = ref_name(member)
                node = self.parsed.components[target] if target else self.parsed.member(name, word, number)
                found.append(Member(member, place, self.read(node, member, place)))
        return found

    def has_struct(self, name: str) -> bool:
        """Return whether msgspec can tell the members of a union: by a tag, and each is a model."""
        schema = self.document.schemas[name]
        targets = [ref_name(member) for member in _alternatives(schema) if member != NULL]
        return "discriminator" in schema and all(target and self.kind(target) == "model" for target in targets)

    def _component(self, name: str) -> Type:
        """The type of a reference to a component that has a name in Python."""
        node, schema = self.parsed.components[name], self.document.schemas[name]
        match self.kind(name):
            case "model":
                return model_type(name)
            case "union":
                rest, nullable = without_null(node)
                tagged: frozenset[JsonKind] = frozenset({"object"})
                kinds = tagged if "discriminator" in schema else self._kinds(node)
                strings = "discriminator" not in schema and any(isinstance(each, StringProperty) for each in rest)
                return union_type(name, kinds, strings=strings, nullable=nullable, struct=self.has_struct(name))
            case "enum":
                return enum_type(name, nullable=None in schema["enum"])
            case _:
                raise AssertionError(f"{name} is an alias")  # `_core` has followed it

    def _core(self, schema: Any, place: str) -> tuple[Any, str, bool]:
        """The schema behind aliases and wrappers of one member, where that is written, and whether null is allowed."""
        nullable = False
        while isinstance(schema, dict):
            check_words(schema, place)
            name = ref_name(schema)
            if name is not None:
                if self.kind(name) != "alias":
                    break
                if name in self._within:
                    raise SpecError(place, f"{name} is defined by itself; give the recursion an object to go through")
                if len(self._within) >= DEEPEST_TYPE:
                    raise SpecError(
                        place, f"is defined through more than {DEEPEST_TYPE} components that are not objects"
                    )
                self._within.append(name)
                schema, place = self.document.schemas[name], self.document.place(name)
                continue
            word = next((each for each in ("allOf", "anyOf", "oneOf") if each in schema), None)
            others = [(n, m) for n, m in enumerate(schema[word]) if m != NULL] if word else []
            if len(others) != 1 or "discriminator" in schema or "properties" in schema:
                break
            nullable = nullable or len(others) != len(schema[word])
            number, schema = others[0]
            place = f"{place}/{word}/{number}"
        if schema is False:
            raise SpecError(place, "is the schema `false`, which no value is valid by")
        return schema, place, nullable

    def _one(self, node: Node, schema: Any, place: str) -> Type:
        """The type of a node that is neither null nor one of several."""
        schema = schema if isinstance(schema, dict) else {}
        match node:
            case DateTimeProperty():
                return instant_type()
            case ConstProperty():
                value = node.value.raw_value
                if not isinstance(value, str | int | bool):
                    raise SpecError(
                        place, f"has the literal value {value!r}; only strings, integers and booleans are understood"
                    )
                return literal_type([value], closed=True)
            case LiteralEnumProperty():
                # The parser keeps a set: the order is the document's.
                written = [value for value in schema.get("enum", ()) if value in node.values]
                return literal_type(written or sorted(node.values, key=str), closed=False)
            case ListProperty():
                return array_of(self.read(node.inner_property, *_inside(schema, "items", place)))
            case ModelProperty():
                model = self.resolve(node)
                if self.fields(model):
                    name = str(node.class_info.name)
                    if name in self.parsed.components:
                        return self._component(name)
                    raise SpecError(place, "is an object with properties that has no name")
                values, name = getattr(model, "additional_properties", None), str(node.class_info.name)
                if values is None:
                    return map_of(ANY)
                if name in self._maps:
                    raise SpecError(place, "is a map of itself; give the recursion an object to go through")
                self._maps.add(name)
                try:
                    item = self.read(values, *_inside(schema, "additionalProperties", place))
                finally:
                    self._maps.discard(name)
                return map_of(item)
            case AnyProperty() | NoneProperty():
                return _mixed_literals(schema["enum"], place) if is_mixed(schema.get("enum")) else ANY
            case _:
                return scalar_type(_SCALARS[type(node)])

    def _is_decoded(self, node: UnionProperty) -> bool:
        """Whether a function has to tell the members apart, because one of them is decoded in a way of its own."""
        rest, _ = without_null(node)
        return len(rest) > 1 and any(map(self._needs_decoding, rest))

    def _needs_decoding(self, node: Node) -> bool:
        match node:
            case DateTimeProperty():
                return True
            case ListProperty():
                return self._needs_decoding(node.inner_property)
            case UnionProperty():
                return any(map(self._needs_decoding, node.inner_properties))
            case ModelProperty():
                model, name = self.resolve(node), str(node.class_info.name)
                values = getattr(model, "additional_properties", None)
                if self.fields(model) or values is None or name in self._asked:
                    return bool(self.fields(model))  # a map of itself is decoded if anything else in it is
                self._asked.add(name)
                try:
                    return self._needs_decoding(values)
                finally:
                    self._asked.discard(name)
            case _:
                return False

    def _is_string_enum(self, node: UnionProperty) -> bool:
        rest, _ = without_null(node)
        return len(rest) == 1 and isinstance(rest[0], LiteralEnumProperty) and rest[0].value_type is str

    def _kinds(self, node: Node) -> frozenset[JsonKind]:
        """The JSON kinds that a value can have, null apart."""
        match node:
            case UnionProperty():
                rest, _ = without_null(node)
                return frozenset().union(*map(self._kinds, rest))
            case ModelProperty():
                return frozenset({"object"})
            case ListProperty():
                return frozenset({"array"})
            case _:
                return self._one(node, {}, "").kinds


def _mixed_literals(values: list[Any], place: str) -> Type:
    some = [value for value in values if value is not None]
    if not all(isinstance(value, str | int | bool) for value in some):
        raise SpecError(place, f"has the literals {values!a:.200}; only strings, integers and booleans are understood")
    return evolve(literal_type(some, closed=False), nullable=len(some) != len(values))


def _wraps(schema: Schema) -> bool:
    """Whether a schema stands for its only member."""
    return any(len(schema.get(word, ())) == 1 for word in ("allOf", "anyOf", "oneOf")) and "properties" not in schema


def _inside(schema: Schema, word: str, place: str) -> tuple[Any, str]:
    """The schema under a word and its place, which is that of a union where only the parser tells its members."""
    return (schema[word], f"{place}/{word}") if word in schema else (True, place)


def _alternatives(schema: Any) -> list[Any]:
    return list(schema.get("anyOf") or schema.get("oneOf") or []) if isinstance(schema, dict) else []


def without_null(node: Node) -> tuple[list[Node], bool]:
    """Return what a node can be besides null, and whether it can be null."""
    found = list(node.inner_properties) if isinstance(node, UnionProperty) else [node]
    rest = [each for each in found if not isinstance(each, NoneProperty)]
    return rest, len(rest) != len(found)
