"""Moves inline objects, enums and unions into components, so that later steps see components only.

openapi-python-client names inline schemas by several rules and drops one of two equal names. Here, a schema inside
`Parent.field` is named `ParentField`, with a number if that name is taken.
"""

from __future__ import annotations

import re
from typing import Any

from codegen.document import (
    METHODS,
    SCHEMAS,
    VALUES,
    Document,
    Operation,
    Schema,
    escape,
    ref_name,
    referring,
    successful,
)
from codegen.errors import ErrorCollector, SpecError
from codegen.keywords import TYPE_KEYWORDS, is_datetime, types_of
from codegen.media import find_format, used_in_body, used_in_response
from codegen.names import RESERVED_CLASSES, Numbers, class_name, like_name, module_name, usable
from codegen.normalize import Normalizer
from codegen.nullable_components import unwrap_objects, with_null_references
from codegen.types import JSON, NULL

NEEDS_NAME = ("properties", "allOf")


def extract_inline_schemas(document: Document) -> Document:
    """Return a copy of the document in which every model and every decoded union is a component."""
    out = document.copy()
    out.data.setdefault("components", {}).setdefault("schemas", {})
    _name_operations(out.data)
    _select_content(out)
    _normalize(out)
    _Extractor(out).run()
    return _rename(out)


def _name_operations(data: dict[str, Any]) -> None:
    """Give each operation without an `operationId` the name of its method and path."""
    found = [
        (path, method, item[method])
        for path, item in data.get("paths", {}).items()
        for method in METHODS
        if method in item
    ]
    taken = {module_name(operation["operationId"]) for *_, operation in found if operation.get("operationId")}
    numbers = Numbers("_")
    for path, method, operation in found:
        if not operation.get("operationId"):
            words = module_name(re.sub(r"\W+", "_", f"{method}_{path}").strip("_"))
            name = numbers.unique(words, lambda each: each not in taken)
            operation["operationId"] = name
            taken.add(name)


def _select_content(document: Document) -> None:
    """Keep the content types of bodies and responses that are used."""
    components = document.data["components"]
    bodies, responses = (list(components.get(kind, {}).values()) for kind in ("requestBodies", "responses"))
    for operation in document.operations():
        for parameter in operation.parameters:
            _select_schema(parameter.data)
        bodies.append(operation.data.get("requestBody"))
        responses += operation.data.get("responses", {}).values()
    for holders, used in ((bodies, _body_media), (responses, used_in_response)):
        for holder in holders:
            if isinstance(holder, dict) and isinstance(holder.get("content"), dict):
                holder["content"] = {media: holder["content"][media] for media in used(holder["content"])}


def _select_schema(parameter: dict[str, Any]) -> None:
    """Replace the JSON content of a parameter by its schema and a style."""
    media = find_format(parameter.get("content") or {}, "json")
    if media is not None and "schema" not in parameter:
        parameter["schema"] = parameter.pop("content")[media].get("schema", {})
        parameter["style"] = JSON


def _body_media(content: dict[str, Any]) -> list[str]:
    media = used_in_body(content)
    return [] if media is None else [media]


def _normalize(document: Document) -> None:
    """Rewrite every schema into the supported form."""
    normalizer = Normalizer(document.schemas)
    components = document.data["components"]
    holders: list[Any] = [
        document.data.get("paths"),
        *(value for kind, value in components.items() if kind != "schemas"),
    ]
    schemas = {name: normalizer.schema(schema) for name, schema in document.schemas.items()}
    while holders:
        node = holders.pop()
        if isinstance(node, dict):
            for word, value in node.items():
                if word == "schema":
                    node[word] = normalizer.schema(value)
                elif word not in VALUES:
                    holders.append(value)
        elif isinstance(node, list):
            holders += node
    nullable = unwrap_objects(schemas)
    document.schemas.clear()
    document.schemas.update(schemas)
    if nullable:
        for key in ("paths", "components"):
            document.data[key] = with_null_references(document.data.get(key, {}), nullable)


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
                if parameter.data["in"] == "path" and isinstance(parameter.data.get("schema"), dict):
                    parameter.data["schema"] = _without_null(parameter.data["schema"])
                if "schema" in parameter.data:
                    name = stem + class_name(parameter.data["name"])
                    parameter.data["schema"] = self.visit(parameter.data["schema"], name, f"{parameter.place}/schema")
            self.content(operation.data.get("requestBody"), stem + "Body", f"{operation.place}/requestBody")
            for code, response in operation.data.get("responses", {}).items():
                suffix = "Response" if code.startswith("2") else f"Error{code}"
                self.content(response, stem + suffix, f"{operation.place}/responses/{escape(code)}")
            self.merge_responses(operation, stem)

    def content(self, node: Any, name: str, place: str) -> None:
        node, place = self.document.locate(node, place)
        for media, data in (node or {}).get("content", {}).items():
            if "schema" in data:
                data["schema"] = self.visit(data["schema"], name, f"{place}/content/{escape(media)}/schema")

    def merge_responses(self, operation: Operation, stem: str) -> None:
        """Give the successful JSON responses of an operation one schema, which is a union if they differ."""
        responses = operation.data.get("responses", {})
        found: dict[str, tuple[Schema, str]] = {}
        for code in successful(responses):
            response = self.document.deref(responses[code], operation.place)
            if (media := find_format(response.get("content", {}), "json")) is not None:
                found[code] = (response, media)
        schemas = [response["content"][media].setdefault("schema", {}) for response, media in found.values()]
        distinct = [schema for number, schema in enumerate(schemas) if schema not in schemas[:number]]
        if len(distinct) < 2:
            return
        place = f"{operation.place}/responses"
        union = {} if {} in distinct else self.visit({"anyOf": distinct}, f"{stem}Result", place)
        for code, (response, media) in found.items():
            content = {**response["content"], media: {**response["content"][media], "schema": union}}
            responses[code] = {**response, "content": content}

    def inside(self, schema: Any, name: str, place: str) -> None:
        """Move the inline schemas of a named schema."""
        if not isinstance(schema, dict):
            return
        for key, value in schema.get("properties", {}).items():
            schema["properties"][key] = self.visit(value, name + class_name(key), f"{place}/properties/{escape(key)}")
        for word, suffix in (("items", "Item"), ("additionalProperties", "Value")):
            if isinstance(schema.get(word), dict):
                schema[word] = self.visit(schema[word], name + suffix, f"{place}/{word}")
        for n, part in enumerate(schema.get("allOf", [])):
            self.inside(part, name, f"{place}/allOf/{n}")
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


def _without_null(schema: Schema) -> Schema:
    """Return the schema of a parameter that cannot be null, because it is a part of the path."""
    out = dict(schema)
    if isinstance(out.get("type"), list):
        out["type"] = [each for each in out["type"] if each != "null"]
    for word in ("anyOf", "oneOf"):
        if word in out:
            out[word] = [each for each in out[word] if each != NULL] or out[word]
    return out


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
    for schema in document.schemas.values():
        if isinstance(schema, dict):
            _complete_mapping(schema, document)
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


def _complete_mapping(schema: Schema, document: Document) -> None:
    """Map the constants, or else the names, of members that the mapping of a discriminator does not have."""
    discriminator = schema.get("discriminator", {})
    if "propertyName" not in discriminator:
        return
    mapping = dict(discriminator.get("mapping", {}))
    targets = {value: ref_name({"$ref": target}) or target for value, target in mapping.items()}
    members = [*schema.get("anyOf", ()), *schema.get("oneOf", ())]
    for member in members:
        if (name := ref_name(member)) is None or name in targets.values():
            continue
        written = _written_name(name, document)
        if written in targets.values() and written not in map(ref_name, members):
            mapping |= {value: member["$ref"] for value, target in targets.items() if target == written}
        else:
            values = _constants(name, discriminator["propertyName"], document, set())
            mapping |= dict.fromkeys((each for each in values or [written] if each not in mapping), member["$ref"])
    schema["discriminator"] = {**discriminator, "mapping": mapping}


def _written_name(component: str, document: Document) -> str:
    """Return the name that the document has for a member of a union, which can have keywords beside the union too."""
    if document.place(component) == SCHEMAS + escape(component):
        return component
    parts = document.schemas[component].get("allOf", ())
    return next((name for part in parts if (name := ref_name(part)) is not None), component)


def _constants(component: str, wire: str, document: Document, seen: set[str]) -> list[str]:
    """Return the constants of a property of a component, or of what it inherits or is a union of."""
    schema = document.schemas.get(component)
    if not isinstance(schema, dict) or component in seen:
        return []
    seen.add(component)
    written = document.schemas.get(ref_name(schema.get("properties", {}).get(wire)) or "") or schema.get(
        "properties", {}
    ).get(wire)
    if isinstance(written, dict):
        values = [written["const"]] if "const" in written else written.get("enum", [])
        return [value for value in values if isinstance(value, str)]
    found: list[str] = []
    for part in (*schema.get("allOf", ()), *schema.get("anyOf", ()), *schema.get("oneOf", ())):
        if (name := ref_name(part)) is not None:
            found += _constants(name, wire, document, seen)
        elif isinstance(part, dict) and wire in part.get("properties", {}):
            own = part["properties"][wire]
            found += [own["const"]] if "const" in own else [v for v in own.get("enum", []) if isinstance(v, str)]
    return found


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
            elif word not in VALUES:
                _retitle(value, taken, numbers)
