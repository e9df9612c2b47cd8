"""Gives every inline object, enum and union of shapes a name of its own, so that what follows sees components only.

openapi-python-client names inline schemas by its own rules and drops two that end up alike; here the rule is one:
a schema inside `Parent.field` is called `ParentField`, with a number where that is taken.
"""

from __future__ import annotations

from typing import Any

from codegen.document import SCHEMAS, Document, Schema, escape, ref_name, referring
from codegen.errors import Gathering, SpecError
from codegen.keywords import ANNOTATIONS, TYPE_WORDS, is_instant, types_of
from codegen.names import RESERVED_CLASSES, Numbers, class_name, like_name, module_name, usable
from codegen.types import NULL, READ

NEEDS_NAME = ("properties", "allOf")

APART = ANNOTATIONS | {"type", "format", "enum", "const"}
"""What a scalar is made of, which can stand in an `allOf` beside the rest of it."""


def hoist(document: Document) -> Document:
    """A copy of the document in which every model, and every union that has to be decoded, is a component."""
    out = document.copy()
    out.data.setdefault("components", {}).setdefault("schemas", {})
    _Hoister(out).run()
    return _rename(out)


class _Hoister:
    def __init__(self, document: Document) -> None:
        self.document = document
        self.schemas = document.schemas
        self.numbers = Numbers()

    def run(self) -> None:
        for name in list(self.schemas):
            if isinstance(self.schemas[name], bool) and self.schemas[name]:
                self.schemas[name] = {}  # any JSON
            self.inside(self.schemas[name], name, self.document.place(name))
        for operation in self.document.operations():
            stem = class_name(operation.id)
            for parameter in operation.parameters:
                if "schema" in parameter.data:
                    name = stem + class_name(parameter.data["name"])
                    parameter.data["schema"] = self.visit(parameter.data["schema"], name, f"{parameter.place}/schema")
            self.content(operation.data.get("requestBody"), stem + "Body", f"{operation.place}/requestBody")
            for code, response in operation.data.get("responses", {}).items():
                suffix = "Response" if code.startswith("2") else f"Error{code}"
                self.content(response, stem + suffix, f"{operation.place}/responses/{escape(code)}")

    def content(self, node: Any, name: str, place: str) -> None:
        node, place = self.document.locate(node, place)
        for media, data in (node or {}).get("content", {}).items():
            if "schema" in data and media in READ:
                data["schema"] = self.visit(data["schema"], name, f"{place}/content/{escape(media)}/schema")

    def inside(self, schema: Any, name: str, place: str) -> None:
        """Hoists what lies below a schema that has a name already."""
        if not isinstance(schema, dict):
            return
        _simplify(schema)
        for key, value in schema.get("properties", {}).items():
            schema["properties"][key] = self.visit(value, name + class_name(key), f"{place}/properties/{escape(key)}")
        for word, suffix in (("items", "Item"), ("additionalProperties", "Value")):
            if isinstance(schema.get(word), dict):
                schema[word] = self.visit(schema[word], name + suffix, f"{place}/{word}")
        for word in ("anyOf", "oneOf"):
            members = schema.get(word, [])
            for n, member in enumerate(members):
                # A union of its own name: an array member stays in it, since the union's decoder reads it.
                if isinstance(member, dict) and member.get("type") == "array":
                    self.inside(member, name, f"{place}/{word}/{n}")
                else:
                    members[n] = self.visit(member, f"{name}Option{n}", f"{place}/{word}/{n}")

    def visit(self, schema: Any, name: str, place: str) -> Any:
        """The schema, or a reference to the component that it became."""
        if not isinstance(schema, dict) or "$ref" in schema:
            return schema
        _simplify(schema)
        word = "anyOf" if "anyOf" in schema else "oneOf"
        members = schema.get(word, [])
        others = [m for m in members if m != NULL]
        if len(others) == 1 and "discriminator" not in schema:
            # Only nullability: the one member is what may need a name.
            schema[word] = [
                m if m == NULL else self.visit(m, name, f"{place}/{word}/{n}") for n, m in enumerate(members)
            ]
            return schema
        if members:
            if all(_plain(m) for m in others):
                return schema
            kept = {k: schema.pop(k) for k in ("description", "deprecated", "default") if k in schema}
            ref = self.add(schema, name, place)
            return {"allOf": [ref], **kept} if kept else ref
        if any(word in schema for word in NEEDS_NAME) and not _single_ref(schema):
            return self.add(schema, name, place)
        if "enum" in schema or "object" in types_of(schema) or "additionalProperties" in schema:
            schema["title"] = name
        else:
            schema.pop("title", None)
        self.inside(schema, name, place)
        return schema

    def add(self, schema: Schema, name: str, place: str) -> Schema:
        unique = self.numbers.unique(name, lambda each: each not in self.schemas)
        self.schemas[unique] = schema
        self.document.origins[unique] = place
        self.inside(schema, unique, place)
        return {"$ref": SCHEMAS + escape(unique)}


def _simplify(schema: Schema) -> None:
    """Takes out of a schema what changes nothing of how its values are read, and takes in a type that stands apart."""
    if schema.get("additionalProperties") is False:
        del schema["additionalProperties"]  # a newer server adds fields, which are kept
    if "properties" in schema:
        for word in ("anyOf", "oneOf", "allOf"):
            if word in schema and all(_only_constrains(member) for member in schema[word]):
                del schema[word]
    if len(schema.get("allOf", [])) == 1 and isinstance(schema["allOf"][0], dict):
        (member,) = schema["allOf"]
        if member.keys() <= APART and (member.keys() & schema.keys()) <= ANNOTATIONS:
            del schema["allOf"]
            schema.update(member | schema)


def _only_constrains(schema: Any) -> bool:
    return isinstance(schema, dict) and schema.keys() <= ANNOTATIONS | {"required", "not"}


def _plain(schema: Any) -> bool:
    """Whether a union member reads as it stands: a scalar, a free map, an array of such."""
    if not isinstance(schema, dict):
        return True
    if any(word in schema for word in ("$ref", "properties", "allOf", "anyOf", "oneOf")):
        return False
    if is_instant(schema):
        return False
    return _plain(schema.get("items", True)) and _plain(schema.get("additionalProperties", True))


def _single_ref(schema: Schema) -> bool:
    parts = schema.get("allOf", [])
    return len(parts) == 1 and isinstance(parts[0], dict) and "$ref" in parts[0] and "properties" not in schema


def _rename(document: Document) -> Document:
    """The document with each component under the name of its class, which is also its title.

    Names are made unique here, and clear of the names around them: of two components that end up alike one would be
    lost, and one called `Mapping` would hide what its module imports.
    """
    taken: set[str] = set()
    names: dict[str, str] = {}
    numbers = Numbers()
    gathering = Gathering()

    def unique(base: str, *, is_union: bool) -> str:
        name = numbers.unique(base, lambda each: taken.isdisjoint(_own_names(each, is_union=is_union)))
        taken.update(_own_names(name, is_union=is_union))
        return name

    aliases = _aliases(document)
    schemas = {name: schema for name, schema in document.schemas.items() if name not in aliases}
    for name, schema in schemas.items():
        base = class_name(name)
        with gathering.block():
            if not isinstance(schema, dict):
                raise SpecError(document.place(name), "is the schema `false`, which no value is valid by")
            if not usable(base):
                raise SpecError(document.place(name), f"has a name that makes no Python class: {base!a:.60}")
            if base in RESERVED_CLASSES:
                base += "Object"
            is_union = "anyOf" in schema or "oneOf" in schema
            names[name] = unique(base, is_union=is_union)
    gathering.done()
    origins = {unique: document.place(name) for name, unique in names.items()}
    names |= {name: names[target] for name, target in aliases.items()}
    data = referring(document.data, names)
    data["components"]["schemas"] = {
        names[name]: {**referring(schema, names), "title": names[name]} for name, schema in schemas.items()
    }
    for schema in data["components"]["schemas"].values():
        _retitle(schema, taken, numbers, named=True)
    for part in (data.get("paths"), *(v for k, v in data["components"].items() if k != "schemas")):
        _retitle(part, taken, numbers)
    return Document(data, origins)


def _aliases(document: Document) -> dict[str, str]:
    """The components that are others by another name, with those that they are in the end.

    What leads nowhere, or back to itself, is none: it is read as a component, which says what is wrong.
    """
    targets = {
        name: ref_name(schema) or ""
        for name, schema in document.schemas.items()
        if ref_name(schema) and schema.keys() & TYPE_WORDS == {"$ref"}
    }
    ends: dict[str, str] = {}
    for name in targets:
        chain: dict[str, None] = {}
        at = name
        while at in targets and at not in ends and at not in chain:
            chain[at] = None
            at = targets[at]
        end = ends.get(at, "" if at in chain or at not in document.schemas else at)
        ends |= dict.fromkeys(chain, end)
    return {name: end for name, end in ends.items() if end}


def _own_names(name: str, *, is_union: bool) -> set[str]:
    """Return the names that a component occupies in the package."""
    module = module_name(name)
    # The decoders of a union are attributes of the package that has its module.
    functions = {f"{module}_from_dict", f"{module}_from_json"} if is_union else set[str]()
    return {name, module, f"Unknown{name}", like_name(name), *functions}


def _retitle(node: Any, taken: set[str], numbers: Numbers, *, named: bool = False) -> None:
    """Give each inline schema a title of its own.

    The parser makes classes of inline objects and enums and names these by title: two of one name, which FastAPI makes
    of every `args` and `metadata`, are an error.
    """
    if isinstance(node, list):
        for item in node:
            _retitle(item, taken, numbers)
    elif isinstance(node, dict):
        if isinstance(node.get("title"), str) and not named:
            node["title"] = numbers.unique(class_name(node["title"]) or "Inline", lambda each: each not in taken)
            taken.add(node["title"])
        for word, value in node.items():
            if word == "properties" and isinstance(value, dict):
                for each in value.values():
                    _retitle(each, taken, numbers)
            elif word not in _VALUES:
                _retitle(value, taken, numbers)


_VALUES = frozenset({"default", "example", "examples", "enum", "const"})
"""Keywords whose values are no schemas."""
