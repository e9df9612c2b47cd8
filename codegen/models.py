"""Models, unions and enums of the document's components."""

from __future__ import annotations

from typing import Any

from attrs import evolve, field, frozen
from openapi_python_client.parser.properties.const import ConstProperty

from codegen.docstrings import with_deprecation
from codegen.document import Document, Schema, ref_name
from codegen.errors import ErrorCollector, SpecError
from codegen.joined_texts import JoinedText, read_texts
from codegen.keywords import ALIAS, LAZY, check_keywords
from codegen.names import MODEL_NAMES, check_new_name, identifiers, module_name
from codegen.parser import Node
from codegen.type_reader import Member as Read
from codegen.type_reader import TypeReader
from codegen.types import Import, JsonKind, Type, matching, member_of


@frozen
class Field:
    """A property of a model.

    Attributes:
        wire: The JSON key.
        name: The Python name, equal to the key if possible.
        tag: The constant of a `const` string, or None.
        earlier: Earlier spellings of that constant.
        schema: The schema of the property in the document.
        lazy: Whether the items of the array are decoded on first access.
        alias: A second name of the attribute, or "".
        read_only: Whether requests can omit it even if it is required.
    """

    wire: str
    name: str
    type: Type
    required: bool
    description: str
    deprecated: bool
    schema: Any
    tag: str | None = None
    earlier: tuple[str, ...] = ()
    lazy: bool = False
    alias: str = ""
    read_only: bool = False


@frozen
class Model:
    """A component with properties, which becomes an attrs class."""

    name: str
    module: str
    description: str
    fields: list[Field]
    texts: list[JoinedText]

    @property
    def tag(self) -> Field | None:
        """The first constant field, or None."""
        return next((f for f in self.fields if f.tag is not None), None)

    @property
    def imports(self) -> set[Import]:
        """The imports of the fields."""
        return {i for f in self.fields for i in f.type.runtime()}


@frozen
class Member:
    """A member of a union.

    Attributes:
        tags: The discriminator values of this member, or () without a discriminator.
        test: The source of a condition on `value` that selects this member, or "".
    """

    type: Type
    tags: tuple[str, ...] = ()
    test: str = ""


@frozen
class Union:
    """A union component, which becomes a type alias and its decoders.

    Attributes:
        has_struct: Whether msgspec can decode it.
        string_keys: If a struct is shared by the members, the required properties of each.
    """

    name: str
    module: str
    description: str
    members: list[Member]
    tag: str | None
    has_struct: bool = False
    string_keys: tuple[tuple[str, ...], ...] = ()

    @property
    def imports(self) -> set[Import]:
        """The imports of the members, which can be the union itself."""
        return {i for m in self.members for i in m.type.imports if (i.kind, i.module) != ("unions", self.module)}


@frozen
class Enum:
    """A string enum, which becomes a type alias."""

    name: str
    values: list[str]
    description: str


@frozen
class Library:
    """The components of a document, by name."""

    models: dict[str, Model] = field(factory=dict)
    unions: dict[str, Union] = field(factory=dict)
    enums: dict[str, Enum] = field(factory=dict)


def read_library(document: Document, reader: TypeReader) -> Library:
    """Return the components of a prepared document.

    Raises:
        SpecErrors: If components are not supported.
    """
    library = Library()
    earlier = _earlier_tags(document)
    errors = ErrorCollector()
    for name, schema in document.schemas.items():
        with errors.block():
            _read(name, schema, library, reader, earlier.get(name, {}))
    errors.raise_all()
    return library


def documented(schema: Schema) -> str:
    """Return the documentation of a component."""
    return with_deprecation(schema.get("description", ""), deprecated=schema.get("deprecated") is True)


def _read(name: str, schema: Schema, library: Library, reader: TypeReader, earlier: dict[str, set[str]]) -> None:
    place = reader.document.place(name)
    kind = reader.kind(name)
    # `not` in an object affects validation only.
    check_keywords({word: value for word, value in schema.items() if kind != "model" or word != "not"}, place)
    if kind == "model":
        library.models[name] = _model(name, schema, reader, earlier, place)
    elif kind == "union":
        library.unions[name] = _union(name, schema, reader, place)
    elif kind == "enum":
        values = list(dict.fromkeys(v for v in schema["enum"] if v is not None))
        library.enums[name] = Enum(name, values, documented(schema))
    else:
        reader.read(reader.parsed.components[name], schema, place)


def _earlier_tags(document: Document) -> dict[str, dict[str, set[str]]]:
    """Return additional discriminator values of components: {component: {property: values}}."""
    found: dict[str, dict[str, set[str]]] = {}
    for schema in document.schemas.values():
        discriminator = schema.get("discriminator", {})
        for value, ref in discriminator.get("mapping", {}).items():
            name = ref_name({"$ref": ref})
            if name is not None:
                found.setdefault(name, {}).setdefault(discriminator.get("propertyName"), set()).add(value)
    return found


def _model(name: str, schema: Schema, reader: TypeReader, tags: dict[str, set[str]], place: str) -> Model:
    nodes = reader.properties(name)
    if missing := set(schema.get("required", [])) - nodes.keys():
        raise SpecError(f"{place}/required", f"names {sorted(missing)!r}, which are not properties. Add or remove them")
    _check_values(name, schema, reader, place)
    written = {wire: reader.declared(name, wire) for wire in nodes}
    types = {wire: reader.property(node, *written[wire]) for wire, node in nodes.items()}
    # In a class body, a field hides a class or a decoder of the same name.
    classes = {i.name for t in types.values() for i in t.imports if i.kind in ("models", "unions", "enums")}
    # In document order, so that names do not depend on which properties are required.
    order = [*(wire for wire in schema.get("properties", {}) if wire in nodes), *nodes]
    names = identifiers(order, MODEL_NAMES | classes)
    named = MODEL_NAMES | classes | {*names.values()}
    fields = []
    for wire, node in nodes.items():
        data = written[wire][0] if isinstance(written[wire][0], dict) else {}
        tag = literal(node)
        fields.append(
            Field(
                wire=wire,
                name=names[wire],
                type=types[wire],
                required=node.required and data.get("writeOnly") is not True,
                description=data.get("description", ""),
                deprecated=data.get("deprecated") is True,
                schema=written[wire][0],
                tag=tag,
                earlier=tuple(sorted(tags.get(wire, set()) - {tag})) if tag is not None else (),
                lazy=bool(data.get(LAZY)),
                alias=_alias(data, named, f"{written[wire][1]}/{ALIAS}"),
                read_only=data.get("readOnly") is True,
            )
        )
    taken = named | {field.alias for field in fields}
    arrays = {wire: names[wire] for wire, type_ in types.items() if type_.kinds == {"array"}}
    texts = read_texts(schema, taken, arrays, place)
    return Model(name, module_name(name), documented(schema), fields, texts)


def _alias(schema: Schema, taken: frozenset[str], place: str) -> str:
    name = schema.get(ALIAS, "")
    if ALIAS in schema:
        check_new_name(name, taken, place)
    return str(name)


def _check_values(name: str, schema: Schema, reader: TypeReader, place: str) -> None:
    """Check that unknown fields, which models keep as JSON, have no other type."""
    values = getattr(reader.resolve(reader.parsed.components[name]), "additional_properties", None)
    if isinstance(schema.get("additionalProperties"), dict) and values is not None:
        at = f"{place}/additionalProperties"
        if reader.read(values, schema["additionalProperties"], at).function is not None:
            raise SpecError(at, "describes unknown fields, which are kept as JSON. Set it to true")


def literal(node: Node) -> str | None:
    """Return the constant of a string property, or None."""
    value = node.value.raw_value if isinstance(node, ConstProperty) else None
    return value if isinstance(value, str) else None


def _union(name: str, schema: Schema, reader: TypeReader, place: str) -> Union:
    if "discriminator" in schema:
        members = _tagged(name, schema, reader, place)
        tag = str(schema["discriminator"]["propertyName"])
    else:
        read = reader.members(name)
        try:
            members = _untagged(read, reader)
        except SpecError:
            members = _matched(read)
        members = [evolve(each, type=member_of(each.type)) for each in members]
        tag = None
    has_struct = reader.has_struct(name)
    return Union(name, module_name(name), documented(schema), members, tag, has_struct, _string_keys(name, reader))


def _string_keys(name: str, reader: TypeReader) -> tuple[tuple[str, ...], ...]:
    schemas = [] if "discriminator" in reader.document.schemas[name] else reader.shared_strings(name)
    return tuple(tuple(sorted(schema.get("required", []))) for schema in schemas)


def _tagged(name: str, schema: Schema, reader: TypeReader, place: str) -> list[Member]:
    discriminator = schema["discriminator"]
    property_name, mapping = discriminator.get("propertyName"), discriminator.get("mapping")
    if not isinstance(property_name, str) or not isinstance(mapping, dict):
        raise SpecError(f"{place}/discriminator", "must have a propertyName and a mapping")
    by_member: dict[str, list[str]] = {}
    for value, ref in mapping.items():
        target = ref_name({"$ref": ref}) or str(ref)
        by_member.setdefault(target, []).append(value)
    members = []
    for member in reader.members(name):
        target = ref_name(member.schema) or ""
        if target not in by_member:
            raise SpecError(f"{place}/discriminator", f"does not map a value to {target or 'a member'}. Add it")
        tags = tuple(by_member.pop(target))
        members.append(Member(member.type, tags))
        _check_tag(target, property_name, tags, reader, f"{place}/discriminator")
    if by_member:
        raise SpecError(f"{place}/discriminator", f"maps to {sorted(by_member)!r}, which are not members")
    return members


def _check_tag(component: str, tag: str, tags: tuple[str, ...], reader: TypeReader, place: str) -> None:
    if reader.document.schemas[component].get("discriminator", {}).get("propertyName") == tag:
        return  # a nested union, which dispatches on the same property
    nodes = reader.properties(component)
    if tag not in nodes:
        raise SpecError(place, f"is the property {tag!r}, which {component} does not have. Add it")
    found = literal(nodes[tag]) or tags[0]
    if found not in tags:
        raise SpecError(place, f"does not map {found!r}, which is the {tag} of {component}, to it")


MAX_CONDITIONS = 100
"""The largest number of conditions in a function. pyright does not check the types of a function with too many."""

_IS: dict[JsonKind, str] = {
    "string": "isinstance(value, str)",
    "integer": "isinstance(value, int)",
    "number": "isinstance(value, (int, float))",
    "boolean": "isinstance(value, bool)",
    "array": "is_array(value)",
    "object": "is_object(value)",
}


def _untagged(members: list[Read], reader: TypeReader) -> list[Member]:
    """Return members without a discriminator, selected by JSON type or by required properties.

    Raises:
        SpecError: If that does not distinguish them.
    """
    tags = _distinguishing_literals([ref_name(m.schema) for m in members if m.type.kinds == {"object"}], reader)
    found: list[tuple[Type, list[str]]] = []
    for number, member in enumerate(members):
        if len(member.type.kinds) != 1 or not member.type.kinds <= _IS.keys():
            raise SpecError(member.place, "has several JSON types. Add a discriminator to the union")
        (kind,) = member.type.kinds
        if test := tags.get(ref_name(member.schema) or ""):
            found.append((member.type, [_IS[kind], test]))
            continue
        tests = [_IS[kind]]
        for rival in members[number + 1 :]:
            if kind not in rival.type.kinds:
                continue
            tests = [_IS[kind], *_shape(ref_name(member.schema), reader)]
            if kind != "object" or set(tests) <= {_IS[kind], *_shape(ref_name(rival.schema), reader)}:
                raise SpecError(member.place, "cannot be distinguished from a later member. Add a discriminator")
        found.append((member.type, tests))
    is_long = sum(len(tests) for _, tests in found) > MAX_CONDITIONS
    return [Member(type_, test=(_one_condition if is_long else " and ".join)(tests)) for type_, tests in found]


def _one_condition(tests: list[str]) -> str:
    """Return tests, of which the first decides whether the others can run, with as few branches as possible."""
    first, *others = tests
    return f"{first} and all(({', '.join(others)},))" if len(others) > 1 else " and ".join(tests)


def _matched(members: list[Read]) -> list[Member]:
    """Return one member for each JSON type. Those with the same JSON type are tried in turn."""
    kinds = dict.fromkeys(kind for member in members for kind in sorted(member.type.kinds))
    first = ("boolean", "integer")  # in Python, a boolean is an integer, and an integer is a number here
    order = sorted(kinds, key=lambda kind: (kind == "any", first.index(kind) if kind in first else len(first)))
    return [
        Member(matching([m.type for m in members if kind in m.type.kinds]), test=_IS.get(kind, "value is not None"))
        for kind in order
    ]


def _distinguishing_literals(members: list[str | None], reader: TypeReader) -> dict[str, str]:
    """Return a test for each object of a union, if one constant property distinguishes all of them."""
    if len(members) < 2 or None in members:
        return {}
    names = [name for name in members if name is not None]
    literals = [_literals(name, reader) for name in names]
    for wire in literals[0]:
        values = [found.get(wire) for found in literals]
        if None not in values and len(set(values)) == len(values):
            return {name: f"value.get({wire!r}) == {value!r}" for name, value in zip(names, values, strict=True)}
    return {}


def _literals(component: str, reader: TypeReader) -> dict[str, str]:
    found = {wire: literal(node) for wire, node in reader.properties(component).items()}
    return {wire: value for wire, value in found.items() if value is not None}


_FIELD_IS = {
    "string": "isinstance(value.get({0!r}), str)",
    "array": "isinstance(value.get({0!r}), list)",
    "object": "isinstance(value.get({0!r}), dict)",
    "boolean": "isinstance(value.get({0!r}), bool)",
}


def _shape(component: str | None, reader: TypeReader) -> list[str]:
    """Return tests of the required properties of a component."""
    if component is None:
        return []
    tests = []
    for wire, node in sorted(reader.properties(component).items(), key=lambda each: each[0]):
        if not node.required:
            continue
        type_ = reader.read(node, *reader.declared(component, wire))
        kinds = sorted(type_.kinds)
        if (value := literal(node)) is not None:
            tests.append(f"value.get({wire!r}) == {value!r}")
        elif len(kinds) == 1 and kinds[0] in _FIELD_IS and not type_.nullable:
            tests.append(_FIELD_IS[kinds[0]].format(wire))
        else:
            tests.append(f"{wire!r} in value")
    return tests
