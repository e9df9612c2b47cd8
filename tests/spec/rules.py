"""Rules of the specification. Each is a function that returns the violations in a document."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any, TypeAlias

from jsonschema import Draft202012Validator
from jsonschema.protocols import Validator

from .document import Node, inline_schemas, lookup, name_of, operations, parameters, resolve, schemas, walk

Rule: TypeAlias = Callable[[Node], list[str]]

EARLIER_NAMES = {"summary": "SummaryMessage", "event": "EventMessage"}
"""Earlier tag values and their components: the only mapping keys that differ from the `const` of the member."""

REQUIRED_TAGS = {
    "EventMessage.event_type",
    "InternalToolCall.type",
    "LettaErrorMessage.message_type",
}
"""The `const` fields that the documentation requires. All others are optional there."""

REQUIRED_QUERIES = {"conversations.create agent_id"}
"""The query parameters without which the server responds with 422."""

UNTAGGED_UNIONS = {"ErrorDetailOrModelError", "InternalApproval", "ToolCallOrDelta"}
"""Unions of objects without a tag. Readers decode them by shape, so each is listed here."""


def titles(document: Node) -> list[str]:
    """Return components whose title differs from their name, because generators name classes by title."""
    found = []
    for name, schema in schemas(document).items():
        if schema.get("title") != name:
            found.append(f"{name}: its title is {schema.get('title')!r}")
    counts = Counter(schema.get("title") for schema in schemas(document).values())
    return found + [f"{title}: {count} components have this title" for title, count in counts.items() if count > 1]


def references(document: Node) -> list[str]:
    """Return references without a target."""
    found = []
    for place, node in walk(document):
        targets = [node["$ref"]] if isinstance(node.get("$ref"), str) else []
        if place.endswith("/discriminator"):
            targets += node.get("mapping", {}).values()
        for target in targets:
            try:
                lookup(document, target)
            except (KeyError, TypeError):
                found.append(f"{place}: {target} does not exist")
    return found


def reachable(document: Node) -> list[str]:
    """Return components that no operation refers to."""
    seen: set[str] = set()
    todo = [node["$ref"] for _, node in walk(document["paths"]) if "$ref" in node]
    while todo:
        ref = todo.pop()
        if ref not in seen:
            seen.add(ref)
            todo += [node["$ref"] for _, node in walk(lookup(document, ref)) if "$ref" in node]
    return [
        f"{section}/{name}: no operation reaches it"
        for section in ("parameters", "responses", "schemas")
        for name in document["components"][section]
        if f"#/components/{section}/{name}" not in seen
    ]


def tagged_unions(document: Node) -> list[str]:
    """Return unions whose mapping, members and tags differ."""
    found = []
    for name, schema in schemas(document).items():
        if "discriminator" in schema:
            found += [f"{name}: {fault}" for fault in _tagged_union(document, schema)]
        elif "oneOf" in schema:
            found.append(f"{name}: oneOf without a discriminator")
        elif "anyOf" in schema and name not in UNTAGGED_UNIONS:
            found.append(f"{name}: a union without a tag that UNTAGGED_UNIONS does not name")
    return found


def _tagged_union(document: Node, schema: Node) -> list[str]:
    tag = schema["discriminator"].get("propertyName")
    mapping = schema["discriminator"].get("mapping", {})
    members = [name_of(each.get("$ref", "")) for each in schema.get("oneOf", [])]
    found = []
    for member in members:
        properties = schemas(document).get(member, {}).get("properties", {})
        const = properties.get(tag, {}).get("const")
        if tag not in properties:
            found.append(f"member {member} has no {tag}")
        elif name_of(mapping.get(const, "")) != member:
            found.append(f"{const} does not lead to {member}, whose tag it is")
    for value, ref in mapping.items():
        member = name_of(ref)
        if member not in members:
            found.append(f"{value} leads to {member}, which is not a member")
        elif value in EARLIER_NAMES:
            found += [] if member == EARLIER_NAMES[value] else [f"{value} leads to {member}"]
        elif schemas(document)[member].get("properties", {}).get(tag, {}).get("const") != value:
            found.append(f"{value} leads to {member}, whose tag is another")
    for value, member in EARLIER_NAMES.items():
        if member in members and value not in mapping:
            found.append(f"the earlier name {value} is not mapped")
    return found


def untagged_unions(document: Node) -> list[str]:
    """Return members that a more general one precedes, since members are tried in order."""
    found = []
    for name in UNTAGGED_UNIONS & schemas(document).keys():
        members = [name_of(each["$ref"]) for each in schemas(document)[name]["anyOf"]]
        needs = [set(schemas(document)[member].get("required", [])) for member in members]
        for index, later in enumerate(needs):
            if any(earlier < later for earlier in needs[:index]):
                found.append(f"{name}: {members[index]} is more specific than one before it")
    return found


def stream_holds_messages(document: Node) -> list[str]:
    """Return message types that can be listed but not streamed under the same tag."""
    listed, streamed = (schemas(document)[name]["discriminator"]["mapping"] for name in ("Message", "StreamEvent"))
    return [f"StreamEvent: {tag} is not mapped as in Message" for tag in listed if streamed.get(tag) != listed[tag]]


def message_types(document: Node) -> list[str]:
    """Return differences between the tags of `Message` and the literals of `MessageType`."""
    tags = [tag for tag in schemas(document)["Message"]["discriminator"]["mapping"] if tag not in EARLIER_NAMES]
    literals = schemas(document)["MessageType"]["enum"]
    return [
        *(f"MessageType: {tag} is a tag of Message and is not listed" for tag in tags if tag not in literals),
        *(f"MessageType: {literal} is not a tag of Message" for literal in literals if literal not in tags),
    ]


def inline(document: Node) -> list[str]:
    """Return objects and unions of objects without a name."""
    found = []
    for place, schema in inline_schemas(document):
        if "properties" in schema:
            found.append(f"{place}: an object without a name")
        if "oneOf" in schema or "allOf" in schema or "discriminator" in schema:
            found.append(f"{place}: a union without a name")
        kinds = Counter(kind for each in schema.get("anyOf", []) for kind in _kinds(document, each))
        for kind, count in kinds.items():
            if count > 1:
                found.append(f"{place}: {count} alternatives are of the JSON type {kind}; such a union needs a name")
    return found


def _kinds(document: Node, schema: Node) -> set[str]:
    schema = resolve(document, schema)
    members = schema.get("oneOf", []) + schema.get("anyOf", [])
    if members:
        return set().union(*(_kinds(document, each) for each in members))
    declared = schema.get("type", "any")
    return set(declared) if isinstance(declared, list) else {declared}


def open_objects(document: Node) -> list[str]:
    """Return closed objects, and free maps that are not declared. Servers add fields."""
    found = []
    for place, node in walk(document["paths"] | document["components"]):
        if node.get("additionalProperties") is False or node.get("unevaluatedProperties") is False:
            found.append(f"{place}: closed")
        declared = node.get("type")
        is_object = declared == "object" or (isinstance(declared, list) and "object" in declared)
        if is_object and "properties" not in node and not node.get("additionalProperties"):
            found.append(f"{place}: an object of unknown fields without additionalProperties")
    return found


def optional_tags(document: Node) -> list[str]:
    """Return tags that are required and not in `REQUIRED_TAGS`, or the reverse."""
    required = {
        f"{name}.{key}"
        for name, schema in schemas(document).items()
        for key, value in schema.get("properties", {}).items()
        if "const" in value and key in schema.get("required", [])
    }
    return [f"{tag}: required, or REQUIRED_TAGS names it, but not both" for tag in sorted(required ^ REQUIRED_TAGS)]


def defaults(document: Node) -> list[str]:
    """Return defaults that are invalid by their schema."""
    validate = validator(document)
    found = []
    for place, schema in inline_schemas(document):
        if "default" in schema:
            found += [f"{place}: {error.message}" for error in validate(schema).iter_errors(schema["default"])]
    return found


def query_parameters(document: Node) -> list[str]:
    """Return query parameters that are required, nullable although they are a choice, or not sent as repeated keys."""
    found = []
    for operation in operations(document):
        for name, parameter in parameters(document, operation).items():
            if parameter["in"] != "query":
                continue
            if parameter.get("required") and f"{operation.id} {name}" not in REQUIRED_QUERIES:
                found.append(f"{operation.id} {name}: required")
            choice = {"enum", "const"} & parameter["schema"].keys() and "default" in parameter["schema"]
            if choice and "null" in _kinds(document, parameter["schema"]):
                found.append(f"{operation.id} {name}: nullable")
            if parameter.get("style", "form") != "form" or not parameter.get("explode", True):
                found.append(f"{operation.id} {name}: not sent as repeated keys")
    return found


def validator(document: Node) -> Callable[[Any], Validator]:
    """Return a factory of validators for schemas of the document."""
    # Built from the whole document, so that evolved validators resolve references in it.
    whole = Draft202012Validator(document, format_checker=Draft202012Validator.FORMAT_CHECKER)

    def for_schema(schema: Any) -> Validator:
        return whole.evolve(schema=schema)

    return for_schema
