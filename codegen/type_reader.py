"""The Python types of schemas, from the parser's nodes and the schemas in the document.

A node determines scalars, constants, arrays, maps and models. The schema adds what the parser drops: references to
unions, which it flattens, the order of enum values, and `x-letta-lazy`.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
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
from codegen.keywords import LAZY, TYPE_KEYWORDS, check_keywords, types_of
from codegen.parser import Node, Parsed, is_mixed
from codegen.types import (
    ANY,
    MAX_ANNOTATION,
    MAX_TYPE_DEPTH,
    NOTHING,
    NULL,
    JsonKind,
    Type,
    array_of,
    datetime_type,
    enum_type,
    lazy_array_of,
    literal_type,
    map_of,
    model_type,
    scalar_type,
    union_of,
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
    """A member of a union component, except null.

    Attributes:
        schema: The schema.
        place: The place of the schema.
        type: The Python type.
    """

    schema: Any
    place: str
    type: Type


class TypeReader:
    """A converter of the parser's nodes to types.

    Args:
        document: The prepared document.
        parsed: The parsed document.
    """

    def __init__(self, document: Document, parsed: Parsed) -> None:
        self.document = document
        self.parsed = parsed
        self._within: list[str] = []
        self._maps: set[str] = set()
        self._asked: set[str] = set()

    def kind(self, name: str) -> Kind:
        """Return the kind of a component: a model, a union, an enum, or an alias."""
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
        """Return the referenced component. The parser copies references before their properties are parsed."""
        if isinstance(node, ModelProperty):
            return self.parsed.components.get(str(node.class_info.name), node)
        return node

    def declared(self, component: str, wire: str) -> tuple[Any, str]:
        """Return the schema of a property in a component or its `allOf`, and the place of the schema."""
        found = list(self._declared(self.document.schemas[component], wire, self.document.place(component)))
        typed = [each for each in found if isinstance(each[0], dict) and TYPE_KEYWORDS & each[0].keys()]
        return next(iter(typed or found), ({}, ""))

    def _declared(self, schema: Any, wire: str, place: str) -> Iterator[tuple[Any, str]]:
        if (name := ref_name(schema)) is not None:
            schema, place = self.document.schemas.get(name, {}), self.document.place(name)
        if not isinstance(schema, dict):
            return
        if wire in schema.get("properties", {}):
            yield schema["properties"][wire], f"{place}/properties/{escape(wire)}"
        for number, part in reversed(list(enumerate(schema.get("allOf", [])))):
            yield from self._declared(part, wire, f"{place}/allOf/{number}")

    def property(self, node: Node, schema: Any, place: str) -> Type:
        """Return the type of a property, which can be a lazy array.

        Raises:
            SpecError: As in `read`, and if `x-letta-lazy` is not on an array of models.
        """
        if not isinstance(schema, dict) or LAZY not in schema:
            return self.read(node, schema, place)
        at = f"{place}/{LAZY}"
        if schema[LAZY] is not True:
            raise SpecError(at, f"must be true, got {schema[LAZY]!r}")
        rest, nullable = without_null(node)
        item = rest[0].inner_property if len(rest) == 1 and isinstance(rest[0], ListProperty) else None
        if item is None or not self.fields(item) or ref_name(schema.get("items")) is None:
            raise SpecError(at, "must be on an array of a component with properties")
        wire = node.name.get_untrusted_value()
        return evolve(lazy_array_of(self.read(item, schema["items"], f"{place}/items"), wire), nullable=nullable)

    def read(self, node: Node, schema: Any, place: str) -> Type:
        """Return the type of a schema.

        Args:
            node: The parser's node.
            schema: The schema in the document.
            place: The place of the schema.

        Raises:
            SpecError: If a keyword or a combination of keywords is not supported.
        """
        entered = len(self._within)
        try:
            type_ = self._read(node, schema, place)
        finally:
            del self._within[entered:]
        if type_.depth > MAX_TYPE_DEPTH:
            raise SpecError(place, f"nests more than {MAX_TYPE_DEPTH} arrays and maps. Use an object with properties")
        if sum(map(len, type_.parts)) > MAX_ANNOTATION:
            raise SpecError(place, f"has an annotation of more than {MAX_ANNOTATION:,} characters. Use components")
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
            listed = schema if isinstance(schema, dict) and "type" in schema and not _alternatives(schema) else {}
            read = [self._one(each, listed if isinstance(each, ModelProperty) else {}, place) for each in rest]
            if listed and any(each.function for each in read):
                read = [self._one(each, {}, place) for each in rest]  # without a decoder of the values
            if any(each.function for each in read):
                raise SpecError(place, "is a union that needs a name. Make it a component")
            type_ = ANY if ANY in read else union_of(read)
        return evolve(type_, nullable=nullable or type_.nullable)

    def read_schema(self, schema: Any, place: str) -> Type:
        """Return the type of a schema anywhere in the document.

        Raises:
            SpecError: As in `read`, and if the parser does not support the schema.
        """
        return self.read(self.parsed.node(schema, place), schema, place)

    def members(self, name: str) -> list[Member]:
        """Return the members of a union component, except null."""
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
        """Return whether msgspec can decode a union.

        Its members are models with a discriminator, or have different JSON types, or are models with the same strings.
        """
        schema = self.document.schemas[name]
        members = [member for member in _alternatives(schema) if member != NULL]
        if "discriminator" in schema:
            return all(map(self._is_model, members))
        return self._differ_in_type(members) or bool(self.shared_strings(name))

    def _is_model(self, schema: Any) -> bool:
        target = ref_name(schema)
        return target is not None and self.kind(target) == "model"

    def _differ_in_type(self, members: list[Any]) -> bool:
        """Return whether each member is a string, an array or a model, and no two are of the same type."""
        types: list[str] = []
        for member in members:
            if self._is_model(member):
                types.append("object")
            elif _is_text(member):
                types.append("string")
            elif self._is_array_with_struct(member):
                types.append("array")
            else:
                return False
        return len(set(types)) == len(types)

    def _is_array_with_struct(self, schema: Any) -> bool:
        """Return whether a schema is an array of models, or of members of a union with a discriminator."""
        if not isinstance(schema, dict) or schema.keys() != {"type", "items"} or schema["type"] != "array":
            return False
        target = ref_name(schema["items"])
        if target is None or self._is_model(schema["items"]):
            return target is not None
        return "discriminator" in self.document.schemas[target] and self.has_struct(target)

    def shared_strings(self, name: str) -> list[Schema]:
        """Return the members of a union if they are models with the same properties, which are strings or null.

        An earlier member differs from a later one in a required property.
        """
        members = [member for member in _alternatives(self.document.schemas[name]) if member != NULL]
        if not all(map(self._is_model, members)):
            return []
        schemas = [self.document.schemas[ref_name(member) or ""] for member in members]
        keys = [[*schema.get("properties", {})] for schema in schemas]
        required = [set(schema.get("required", [])) for schema in schemas]
        differ = not any(earlier <= later for earlier, later in combinations(required, 2))
        same = all(each == keys[0] for each in keys) and all(map(_has_strings_only, schemas))
        return schemas if same and differ else []

    def _component(self, name: str) -> Type:
        """Return the type of a reference to a component."""
        node, schema = self.parsed.components[name], self.document.schemas[name]
        match self.kind(name):
            case "model":
                return model_type(name)
            case "union":
                rest, nullable = without_null(node)
                tagged: frozenset[JsonKind] = frozenset({"object"})
                kinds = tagged if "discriminator" in schema else self._kinds(node)
                strings = "discriminator" not in schema and any(isinstance(each, StringProperty) for each in rest)
                struct = self.has_struct(name)
                return union_type(
                    name, kinds, strings=strings, nullable=nullable, struct=struct, tagged="discriminator" in schema
                )
            case "enum":
                return enum_type(name, nullable=None in schema["enum"])
            case _:
                raise AssertionError(f"{name} is an alias")  # resolved by `_core`

    def _core(self, schema: Any, place: str) -> tuple[Any, str, bool]:
        """Return the schema after aliases and unions of one member, its place, and whether it is nullable."""
        nullable = False
        while isinstance(schema, dict):
            check_keywords(schema, place)
            name = ref_name(schema)
            if name is not None:
                if self.kind(name) != "alias":
                    break
                if name in self._within:
                    raise SpecError(place, f"{name} refers to itself. Put an object between")
                if len(self._within) >= MAX_TYPE_DEPTH:
                    raise SpecError(place, f"refers through more than {MAX_TYPE_DEPTH} components without properties")
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
            raise SpecError(place, "is the schema `false`, which no value matches. Remove it")
        return schema, place, nullable

    def _one(self, node: Node, schema: Any, place: str) -> Type:
        """Return the type of a node that is not null and not a union."""
        schema = schema if isinstance(schema, dict) else {}
        match node:
            case DateTimeProperty():
                return datetime_type()
            case ConstProperty():
                value = node.value.raw_value
                if not isinstance(value, str | int | bool):
                    raise SpecError(place, f"constant must be a string, an integer or a boolean, got {value!r}")
                return literal_type([value], closed=True)
            case LiteralEnumProperty():
                # The parser keeps a set, so the order is taken from the document.
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
                    raise SpecError(place, "is an object with properties and without a name. Make it a component")
                values, name = getattr(model, "additional_properties", None), str(node.class_info.name)
                if values is None:
                    return self._map_without_node(schema, place)
                if name in self._maps:
                    raise SpecError(place, "is a map of itself. Put an object with properties between")
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

    def _map_without_node(self, schema: Schema, place: str) -> Type:
        """Return the type of a map whose values the parser drops, because it is one type of several."""
        values = schema.get("additionalProperties")
        if not isinstance(values, dict) or len(types_of(schema)) < 2:
            return map_of(ANY)
        values = {word: value for word, value in values.items() if word != "title"}  # the parser has this class already
        return map_of(self.read_schema(values, f"{place}/additionalProperties"))

    def _is_decoded(self, node: UnionProperty) -> bool:
        """Return whether a union needs a decoder, because a member needs one."""
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
                    return bool(self.fields(model))  # a map of itself needs a decoder if another member does
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
        """Return the JSON types of a value, except null."""
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
        raise SpecError(place, f"constants must be strings, integers or booleans, got {values!a:.200}")
    return evolve(literal_type(some, closed=False), nullable=len(some) != len(values))


def _has_strings_only(schema: Schema) -> bool:
    """Return whether the properties of a model are strings. Those that are not required can be null."""
    properties, required = schema.get("properties", {}), schema.get("required", [])
    return not any(word in schema for word in ("allOf", "anyOf", "oneOf")) and all(
        _is_text(value, nullable=key not in required) for key, value in properties.items()
    )


def _is_text(schema: Any, *, nullable: bool = False) -> bool:
    """Return whether a schema accepts any string, and null if it is nullable, and nothing else."""
    if not isinstance(schema, dict) or not schema.keys() <= {"type", "title", "description", "deprecated"}:
        return False
    types = types_of(schema)
    return "string" in types and set(types) <= ({"string", "null"} if nullable else {"string"})


def _wraps(schema: Schema) -> bool:
    """Return whether a schema is equivalent to its only member."""
    return any(len(schema.get(word, ())) == 1 for word in ("allOf", "anyOf", "oneOf")) and "properties" not in schema


def _inside(schema: Schema, word: str, place: str) -> tuple[Any, str]:
    """Return the schema of a keyword and its place, or the union and its place if the keyword is a list."""
    return (schema[word], f"{place}/{word}") if word in schema else (True, place)


def _alternatives(schema: Any) -> list[Any]:
    return list(schema.get("anyOf") or schema.get("oneOf") or []) if isinstance(schema, dict) else []


def without_null(node: Node) -> tuple[list[Node], bool]:
    """Return the alternatives of a node except null, and whether it is nullable."""
    found = list(node.inner_properties) if isinstance(node, UnionProperty) else [node]
    rest = [each for each in found if not isinstance(each, NoneProperty)]
    return rest, len(rest) != len(found)
