"""Gives every inline object, enum and union of shapes a name of its own, so that what follows sees components only.

openapi-python-client names inline schemas by its own rules and drops two that end up alike; here the rule is one:
a schema inside `Parent.field` is called `ParentField`, with a number where that is taken.
"""

from __future__ import annotations

from typing import Any

from codegen.document import SCHEMAS, Document, Schema, escape, referring
from codegen.faults import SpecError
from codegen.names import RESERVED_CLASSES, RESERVED_UNIONS, class_name, like_name, module_name, usable
from codegen.types import NULL

NEEDS_NAME = ("properties", "allOf")


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

    def run(self) -> None:
        for name in list(self.schemas):
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
            if "schema" in data:
                data["schema"] = self.visit(data["schema"], name, f"{place}/content/{escape(media)}/schema")

    def inside(self, schema: Any, name: str, place: str) -> None:
        """Hoists what lies below a schema that has a name already."""
        if not isinstance(schema, dict):
            return
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
        self.inside(schema, name, place)
        return schema

    def add(self, schema: Schema, name: str, place: str) -> Schema:
        unique, count = name, 2
        while unique in self.schemas:
            unique, count = f"{name}{count}", count + 1
        self.schemas[unique] = schema
        self.document.origins[unique] = place
        self.inside(schema, unique, place)
        return {"$ref": SCHEMAS + unique}


def _plain(schema: Any) -> bool:
    """Whether a union member reads as it stands: a scalar, a free map, an array of such."""
    if not isinstance(schema, dict):
        return True
    if any(word in schema for word in ("$ref", "properties", "allOf", "anyOf", "oneOf")):
        return False
    if schema.get("format") == "date-time":
        return False
    return _plain(schema.get("items", True)) and _plain(schema.get("additionalProperties", True))


def _single_ref(schema: Schema) -> bool:
    parts = schema.get("allOf", [])
    return len(parts) == 1 and "$ref" in parts[0] and "properties" not in schema


def _rename(document: Document) -> Document:
    """The document with each component under the name of its class, which is also its title.

    Names are made unique here, and clear of the names around them: of two components that end up alike one would be
    lost, and one called `Mapping` would hide what its module imports.
    """
    taken: set[str] = set()
    names: dict[str, str] = {}
    for name, schema in document.schemas.items():
        base = class_name(name)
        if not usable(base):
            raise SpecError(document.place(name), f"has a name that makes no Python class: {base!a:.60}")
        if base in RESERVED_CLASSES:
            base += "Object"
        if base in RESERVED_UNIONS and ("anyOf" in schema or "oneOf" in schema):
            base += "Union"
        unique, count = base, 2
        while not taken.isdisjoint(own := {unique, module_name(unique), f"Unknown{unique}", like_name(unique)}):
            unique, count = f"{base}{count}", count + 1
        taken |= own
        names[name] = unique
    data = referring(document.data, names)
    data["components"]["schemas"] = {
        names[name]: {**referring(schema, names), "title": names[name]} for name, schema in document.schemas.items()
    }
    return Document(data, {names[name]: document.place(name) for name in names})
