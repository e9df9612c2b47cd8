"""Moves inline objects, enums and unions into components, so that later steps see components only.

openapi-python-client names inline schemas by several rules and drops one of two equal names. Here, a schema inside
`Parent.field` is named `ParentField`, with a number if that name is taken.
"""

from __future__ import annotations

from typing import Any

from codegen.document import SCHEMAS, Document, Schema, escape, ref_name, referring
from codegen.errors import ErrorCollector, SpecError
from codegen.keywords import ANNOTATIONS, TYPE_KEYWORDS, is_datetime, types_of
from codegen.names import RESERVED_CLASSES, Numbers, class_name, like_name, module_name, usable
from codegen.types import NULL, READ

NEEDS_NAME = ("properties", "allOf")

APART = ANNOTATIONS | {"type", "format", "enum", "const"}
"""Keywords of scalars, which can be next to `allOf`."""


def extract_inline_schemas(document: Document) -> Document:
    """Return a copy of the document in which every model and every decoded union is a component."""
    out = document.copy()
    out.data.setdefault("components", {}).setdefault("schemas", {})
    _Extractor(out).run()
    return _rename(out)


class _Extractor:
    def __init__(self, document: Document) -> None:
        self.document = document
        self.schemas = document.schemas
        self.numbers = Numbers()

    def run(self) -> None:
        for name in list(self.schemas):
            if isinstance(self.schemas[name], bool) and self.schemas[name]:
                self.schemas[name] = {}  # any value
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
        """Move the inline schemas of a named schema."""
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
                # The decoder of a union decodes its array members, so they stay inline.
                if isinstance(member, dict) and member.get("type") == "array":
                    self.inside(member, name, f"{place}/{word}/{n}")
                else:
                    members[n] = self.visit(member, f"{name}Option{n}", f"{place}/{word}/{n}")

    def visit(self, schema: Any, name: str, place: str) -> Any:
        """Return the schema, or a reference to the component that replaces it."""
        if not isinstance(schema, dict) or "$ref" in schema:
            return schema
        _simplify(schema)
        word = "anyOf" if "anyOf" in schema else "oneOf"
        members = schema.get(word, [])
        others = [m for m in members if m != NULL]
        if len(others) == 1 and "discriminator" not in schema:
            # A nullable schema: its only other member can need a name.
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
    """Remove keywords that do not affect decoding, and merge a separate type."""
    if schema.get("additionalProperties") is False:
        del schema["additionalProperties"]  # models keep unknown fields
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
    """Return whether a union member needs no decoder: scalars, maps and arrays of scalars."""
    if not isinstance(schema, dict):
        return True
    if any(word in schema for word in ("$ref", "properties", "allOf", "anyOf", "oneOf")):
        return False
    if is_datetime(schema):
        return False
    return _plain(schema.get("items", True)) and _plain(schema.get("additionalProperties", True))


def _single_ref(schema: Schema) -> bool:
    parts = schema.get("allOf", [])
    return len(parts) == 1 and isinstance(parts[0], dict) and "$ref" in parts[0] and "properties" not in schema


def _rename(document: Document) -> Document:
    """Return the document with components renamed to unique class names, which are also their titles.

    The parser drops one of two components with equal names, and a component called `Mapping` would hide an import.
    """
    taken: set[str] = set()
    names: dict[str, str] = {}
    numbers = Numbers()
    errors = ErrorCollector()

    def unique(base: str, *, is_union: bool) -> str:
        name = numbers.unique(base, lambda each: taken.isdisjoint(_own_names(each, is_union=is_union)))
        taken.update(_own_names(name, is_union=is_union))
        return name

    aliases = _aliases(document)
    schemas = {name: schema for name, schema in document.schemas.items() if name not in aliases}
    for name, schema in schemas.items():
        base = class_name(name)
        with errors.block():
            if not isinstance(schema, dict):
                raise SpecError(document.place(name), "is the schema `false`, which no value matches. Remove it")
            if not usable(base):
                raise SpecError(document.place(name), f"name must make a Python class name, got {base!a:.60}")
            if base in RESERVED_CLASSES:
                base += "Object"
            is_union = "anyOf" in schema or "oneOf" in schema
            names[name] = unique(base, is_union=is_union)
    errors.raise_all()
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
    """Return the components that are aliases, with the components that they refer to in the end.

    References to missing components and circular references are left to the type reader, which reports them.
    """
    targets = {
        name: ref_name(schema) or ""
        for name, schema in document.schemas.items()
        if ref_name(schema) and schema.keys() & TYPE_KEYWORDS == {"$ref"}
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
    # The decoders of a union are attributes of the package that contains its module.
    functions = {f"{module}_from_dict", f"{module}_from_json"} if is_union else set[str]()
    return {name, module, f"Unknown{name}", like_name(name), *functions}


def _retitle(node: Any, taken: set[str], numbers: Numbers, *, named: bool = False) -> None:
    """Give each inline schema a unique title.

    The parser names the classes of inline schemas by title and rejects duplicates, such as FastAPI's `Args`.
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
"""Keywords whose values are not schemas."""
