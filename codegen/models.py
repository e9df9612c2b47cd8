"""The models, unions and enums that the document's components become."""

from __future__ import annotations

from typing import Any

from attrs import field, frozen

from codegen.docs import noted
from codegen.document import Document, Schema, escape, ref_name
from codegen.faults import Gathering, SpecError
from codegen.names import MODEL_NAMES, identifiers, module_name
from codegen.types import NULL, Import, JsonKind, Type, TypeReader
from codegen.words import LAZY, check_words


@frozen
class Field:
    """One property of a model.

    Attributes:
        wire: its name in JSON.
        name: its name in Python, the same wherever possible.
        tag: the literal that it always is, where it is a `const` string; else None.
        earlier: other spellings of that literal, which the API used before.
        lazy: whether it is an array whose items are decoded when they are asked for.
    """

    wire: str
    name: str
    type: Type
    required: bool
    description: str
    deprecated: bool
    tag: str | None = None
    earlier: tuple[str, ...] = ()
    lazy: bool = False


@frozen
class Model:
    """A component with properties: an attrs class."""

    component: str
    name: str
    module: str
    description: str
    fields: list[Field]

    @property
    def tag(self) -> Field | None:
        """The first literal field, which decides what a mapping is; or None."""
        return next((f for f in self.fields if f.tag is not None), None)

    @property
    def imports(self) -> set[Import]:
        """What the fields need."""
        return {i for f in self.fields for i in f.type.runtime()}


@frozen
class Member:
    """One alternative of a union.

    Attributes:
        tags: the values of the union's tag that mean this member; empty where the union has none.
        test: a condition over `value` that holds for this member only; "" where nothing needs to be asked.
    """

    type: Type
    tags: tuple[str, ...] = ()
    test: str = ""


@frozen
class Union:
    """A component that is one of several things: an alias and a function that decodes it."""

    component: str
    name: str
    module: str
    description: str
    members: list[Member]
    tag: str | None
    has_parts: bool = False

    @property
    def imports(self) -> set[Import]:
        """What the members need."""
        return {i for m in self.members for i in m.type.imports}


@frozen
class Enum:
    """A component of string literals: an alias."""

    name: str
    values: list[str]
    description: str


@frozen
class Library:
    """Everything that the components become, by component name."""

    models: dict[str, Model] = field(factory=dict)
    unions: dict[str, Union] = field(factory=dict)
    enums: dict[str, Enum] = field(factory=dict)


def read_library(document: Document, reader: TypeReader) -> Library:
    """Reads all components of a document that `hoist` has prepared.

    Raises:
        SpecErrors: components are not understood.
    """
    library = Library()
    earlier = _earlier_tags(document)
    gathering = Gathering()
    for name, schema in document.schemas.items():
        with gathering.block():
            _read(name, schema, library, reader, earlier.get(name, {}))
    gathering.done()
    return library


def _described(schema: Schema) -> str:
    return noted(schema.get("description", ""), deprecated=schema.get("deprecated") is True)


def _read(name: str, schema: Schema, library: Library, reader: TypeReader, earlier: dict[str, set[str]]) -> None:
    place = reader.document.place(name)
    kind = reader.kind(name, place)
    # What an object must not be decides which member of a union it is valid as, and nothing about how it is read.
    check_words({word: value for word, value in schema.items() if kind != "model" or word != "not"}, place)
    if kind == "model":
        library.models[name] = _model(name, schema, reader, earlier, place)
    elif kind == "union":
        library.unions[name] = _union(name, schema, reader, place)
    elif kind == "enum" and reader.is_alias_enum(name):
        values = list(dict.fromkeys(v for v in schema["enum"] if v is not None))
        library.enums[name] = Enum(name, values, _described(schema))
    else:
        reader.read(schema, place)


def _earlier_tags(document: Document) -> dict[str, dict[str, set[str]]]:
    """For each component, the tag values besides its own that a mapping sends to it: property → values."""
    found: dict[str, dict[str, set[str]]] = {}
    for schema in document.schemas.values():
        discriminator = schema.get("discriminator", {})
        for value, ref in discriminator.get("mapping", {}).items():
            name = ref_name({"$ref": ref})
            if name is not None:
                found.setdefault(name, {}).setdefault(discriminator.get("propertyName"), set()).add(value)
    return found


def _model(name: str, schema: Schema, reader: TypeReader, tags: dict[str, set[str]], place: str) -> Model:
    if schema.get("type", "object") not in ("object", ["object"]):
        raise SpecError(place, f"has properties but the type {schema['type']!r}")
    required = set(schema.get("required", []))
    if missing := required - set(schema["properties"]):
        raise SpecError(f"{place}/required", f"names {sorted(missing)!r}, which is no property")
    read = {
        wire: reader.property(wire, data, f"{place}/properties/{escape(wire)}")
        for wire, data in schema["properties"].items()
    }
    # A field that is called like the class of another would hide it.
    classes = {i.name for t in read.values() for i in t.imports if i.kind in ("models", "unions", "enums")}
    names = identifiers(read, MODEL_NAMES | classes)
    fields = []
    for wire, data in schema["properties"].items():
        literal = data.get("const") if isinstance(data, dict) else None
        tag = literal if isinstance(literal, str) else None
        description = data.get("description", "") if isinstance(data, dict) else ""
        fields.append(
            Field(
                wire=wire,
                name=names[wire],
                type=read[wire],
                required=wire in required,
                description=description,
                deprecated=bool(isinstance(data, dict) and data.get("deprecated")),
                tag=tag,
                earlier=tuple(sorted(tags.get(wire, set()) - {tag})) if tag is not None else (),
                lazy=bool(isinstance(data, dict) and data.get(LAZY)),
            )
        )
    fields.sort(key=lambda f: not f.required)
    return Model(name, name, module_name(name), _described(schema), fields)


def _union(name: str, schema: Schema, reader: TypeReader, place: str) -> Union:
    word = "anyOf" if "anyOf" in schema else "oneOf"
    if "discriminator" in schema:
        members = _tagged(schema, word, reader, place)
        tag = str(schema["discriminator"]["propertyName"])
    else:
        members = _shaped(schema[word], reader, f"{place}/{word}")
        tag = None
    parts = reader.has_parts(name, place)
    return Union(name, name, module_name(name), _described(schema), members, tag, parts)


def _tagged(schema: Schema, word: str, reader: TypeReader, place: str) -> list[Member]:
    discriminator = schema["discriminator"]
    property_name, mapping = discriminator.get("propertyName"), discriminator.get("mapping")
    if not isinstance(property_name, str) or not isinstance(mapping, dict):
        raise SpecError(f"{place}/discriminator", "needs a propertyName and an explicit mapping")
    by_member: dict[str, list[str]] = {}
    for value, ref in mapping.items():
        target = ref_name({"$ref": ref}) or str(ref)
        by_member.setdefault(target, []).append(value)
    members = []
    for n, member in enumerate(schema[word]):
        if member == NULL:
            continue
        at = f"{place}/{word}/{n}"
        target = ref_name(member) or ""
        if target not in by_member:
            raise SpecError(at, "is not in the discriminator's mapping")
        tags = tuple(by_member.pop(target))
        members.append(Member(reader.read(member, at), tags))
        _check_tag(reader.document.schemas[target], property_name, tags, at)
    if by_member:
        raise SpecError(f"{place}/discriminator/mapping", f"names {sorted(by_member)!r}, which is no member")
    return members


def _check_tag(member: Schema, tag: str, tags: tuple[str, ...], place: str) -> None:
    if member.get("discriminator", {}).get("propertyName") == tag:
        return  # a union within the union, which looks at the same tag again
    if tag not in member.get("properties", {}):
        raise SpecError(place, f"has no property {tag!r}, which the discriminator asks for")
    data = member["properties"][tag]
    literal = data.get("const", tags[0]) if isinstance(data, dict) else tags[0]
    if literal not in tags:
        raise SpecError(place, f"has the {tag} {literal!r}, which the discriminator's mapping sends elsewhere")


_IS: dict[JsonKind, str] = {
    "string": "isinstance(value, str)",
    "integer": "isinstance(value, int)",
    "number": "isinstance(value, (int, float))",
    "boolean": "isinstance(value, bool)",
    "array": "is_array(value)",
    "object": "is_object(value)",
}


def _shaped(members: list[Any], reader: TypeReader, place: str) -> list[Member]:
    """Members told apart by shape: by JSON kind, and objects by the required properties that they hold."""
    read = [
        (reader.read(member, f"{place}/{n}"), member, f"{place}/{n}")
        for n, member in enumerate(members)
        if member != NULL  # where null is allowed, it does not come this far
    ]
    tags = _literals_apart([ref_name(member) for type_, member, _ in read if type_.kinds == {"object"}], reader)
    found: list[Member] = []
    for n, (type_, member, at) in enumerate(read):
        if len(type_.kinds) != 1 or not type_.kinds <= _IS.keys():
            raise SpecError(at, "has no single JSON kind to be told apart by")
        (kind,) = type_.kinds
        if test := tags.get(ref_name(member) or ""):
            found.append(Member(type_, test=f"{_IS[kind]} and {test}"))
            continue
        tests = [_IS[kind]]
        for rival, other, _ in read[n + 1 :]:
            if kind not in rival.kinds:
                continue
            tests = [_IS[kind], *_shape(ref_name(member), reader)]
            if kind != "object" or set(tests) <= {_IS[kind], *_shape(ref_name(other), reader)}:
                raise SpecError(at, "cannot be told from a later member, which has all that it requires")
        found.append(Member(type_, test=" and ".join(tests)))
    return found


def _literals_apart(members: list[str | None], reader: TypeReader) -> dict[str, str]:
    """A test for each object of a union that has no discriminator, where one literal tells all of them apart."""
    if len(members) < 2 or None in members:
        return {}
    names = [name for name in members if name is not None]
    literals = [_literals(name, reader) for name in names]
    for wire, literal in literals[0].items():
        values = [found.get(wire) for found in literals]
        if literal is not None and None not in values and len(set(values)) == len(values):
            return {name: f"value.get({wire!r}) == {value!r}" for name, value in zip(names, values, strict=True)}
    return {}


def _literals(component: str, reader: TypeReader) -> dict[str, str]:
    properties = reader.document.schemas[component].get("properties", {})
    found = {wire: data.get("const") for wire, data in properties.items() if isinstance(data, dict)}
    return {wire: literal for wire, literal in found.items() if isinstance(literal, str)}


_FIELD_IS = {
    "string": "isinstance(value.get({0!r}), str)",
    "array": "isinstance(value.get({0!r}), list)",
    "object": "isinstance(value.get({0!r}), dict)",
    "boolean": "isinstance(value.get({0!r}), bool)",
}


def _shape(component: str | None, reader: TypeReader) -> list[str]:
    """What holds of the object whatever its values: a test for each required property of a component."""
    schema = reader.document.schemas.get(component or "", {})
    tests = []
    for wire in sorted(schema.get("required", [])):
        data = schema.get("properties", {}).get(wire, {})
        type_ = reader.read(data, f"{reader.document.place(component or '')}/properties/{escape(wire)}")
        kinds = sorted(type_.kinds)
        if isinstance(data, dict) and isinstance(data.get("const"), str):
            tests.append(f"value.get({wire!r}) == {data['const']!r}")
        elif len(kinds) == 1 and kinds[0] in _FIELD_IS and not type_.nullable:
            tests.append(_FIELD_IS[kinds[0]].format(wire))
        else:
            tests.append(f"{wire!r} in value")
    return tests
