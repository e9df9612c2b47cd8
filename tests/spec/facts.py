"""Rules of the `x-letta-*` extensions, from which the generator emits the operation table."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from .document import Node, Operation, body, lookup, operations, parameters, resolve, response_schema

IDEMPOTENCIES = {"idempotent", "idempotency-key", "none"}
PAGE_KEYS = {
    "cursor",
    "item-key",
    "after",
    "limit",
    "order",
    "default-order",
    "cursor-order",
    "limit-unit",
    "post-filters",
}
PAGE_OPTIONS = {"before", "sort", "cursor-sorts", "moved-by"}
"""Keys that a list may omit."""
PAGE_VALUES: dict[str, set[str | None]] = {
    "default-order": {"asc", "desc"},
    "cursor-order": {"order", "chronological", "reverse"},
    "limit-unit": {"items", "stored"},
    "moved-by": {"compaction", None},
}
STREAM_KEYS = {"event", "terminator", "resume-operation"}
STREAM_CONDITION_KEYS = {"stream-condition", "default"}


def facts(document: Node) -> list[str]:
    """Return operations with missing, unknown or wrong `x-letta-*` extensions."""
    found = [f"{key} is not known" for key in document if key.startswith("x-") and key != "x-letta-types"]
    for operation in operations(document):
        found += [f"{operation.id}: {fault}" for fault in _operation_faults(document, operation)]
    return found


def _operation_faults(document: Node, operation: Operation) -> Iterator[str]:
    known = {"x-letta-notes", "x-letta-idempotency", "x-letta-pagination", "x-letta-streaming"}
    yield from (f"{key} is not known" for key in operation.node if key.startswith("x-") and key not in known)
    yield from _idempotency(document, operation)
    is_list = (response_schema(document, operation, "200", "application/json") or {}).get("type") == "array"
    if is_list != ("x-letta-pagination" in operation.node):
        yield "x-letta-pagination must be on operations that return a list, and only there"
    elif is_list:
        yield from _page(document, operation)
    has_events = response_schema(document, operation, "200", "text/event-stream") is not None
    if has_events != ("x-letta-streaming" in operation.node):
        yield "x-letta-streaming must be on operations that return events, and only there"
    elif has_events:
        yield from _stream(document, operation)


def _idempotency(document: Node, operation: Operation) -> Iterator[str]:
    idempotency = operation.node.get("x-letta-idempotency")
    if idempotency not in IDEMPOTENCIES:
        yield f"x-letta-idempotency is {idempotency!r}"
    if operation.method == "get" and idempotency != "idempotent":
        yield "a GET is idempotent"
    if idempotency == "idempotency-key" and "messages" not in body(document, operation).get("properties", {}):
        yield "no messages that could bear an otid"


def _page(document: Node, operation: Operation) -> Iterator[str]:
    page = operation.node["x-letta-pagination"]
    if page.keys() - PAGE_OPTIONS != PAGE_KEYS:
        yield f"x-letta-pagination has {sorted((page.keys() - PAGE_OPTIONS) ^ PAGE_KEYS)} too many or too few"
        return
    yield from (f"{key} is {page.get(key)!r}" for key, allowed in PAGE_VALUES.items() if page.get(key) not in allowed)
    query = {name: each for name, each in parameters(document, operation).items() if each["in"] == "query"}
    names = [page[key] for key in ("after", "before", "limit", "order") if key in page] + page["post-filters"]
    yield from (f"{name} is not a query parameter" for name in names if name not in query)
    if query.get(page["order"], {}).get("schema", {}).get("default") != page["default-order"]:
        yield "default-order is not the default of the order"
    for item in _items(document, operation):
        missing = {page["cursor"], *page["item-key"]} - item["properties"].keys()
        yield from (f"{item['title']} has no {name}" for name in sorted(missing))


def _items(document: Node, operation: Operation) -> list[Node]:
    """Return the schema of the items, or the members of their union."""
    schema = response_schema(document, operation, "200", "application/json") or {}
    item = resolve(document, schema["items"])
    return [resolve(document, each) for each in item.get("oneOf", [])] or [item]


def _stream(document: Node, operation: Operation) -> Iterator[str]:
    stream = operation.node["x-letta-streaming"]
    has_json = response_schema(document, operation, "200", "application/json") is not None
    keys = STREAM_KEYS | STREAM_CONDITION_KEYS if has_json else STREAM_KEYS
    if stream.keys() != keys:
        yield f"x-letta-streaming has {sorted(stream.keys() ^ keys)} too many or too few"
        return
    if response_schema(document, operation, "200", "text/event-stream") != {"$ref": stream["event"]}:
        yield f"{stream['event']} is not the schema of text/event-stream"
    if has_json:
        yield from _stream_condition(stream, body(document, operation).get("properties", {}))
    yield from _resume(document, stream["resume-operation"])


def _stream_condition(stream: Node, fields: Node) -> Iterator[str]:
    field: Any = fields.get(stream["stream-condition"])
    if field is None:
        yield f"{stream['stream-condition']} is not a field of the body"
    elif field.get("default") is not stream["default"]:
        yield f"{stream['stream-condition']} has another default"


def _resume(document: Node, name: str) -> Iterator[str]:
    target = {each.id: each for each in operations(document)}.get(name)
    if target is None:
        yield f"resume-operation: operation {name} does not exist"
    elif "stream-condition" in target.node.get("x-letta-streaming", {"stream-condition": None}):
        yield f"resume-operation: {name} does not only stream"


def operation_ids(document: Node) -> list[str]:
    """Return operation ids that are not unique or do not match their place on the client."""
    found, seen = [], set()
    for operation in operations(document):
        if operation.id in seen:
            found.append(f"{operation.id}: there are two")
        seen.add(operation.id)
        if not all(part.isidentifier() for part in operation.id.split(".")):
            found.append(f"{operation.id}: not a dotted name")
        if operation.node.get("tags") != [operation.id.rpartition(".")[0] or operation.id]:
            found.append(f"{operation.id}: its tag is not the part before the last dot")
    return found


def path_parameters(document: Node) -> list[str]:
    """Return path parameters that are inline, unbounded or inconsistent with the path."""
    found = []
    for operation in operations(document):
        written_out = [each for each in operation.node.get("parameters", []) if each.get("in") == "path"]
        found += [f"{operation.id} {each['name']}: not a component" for each in written_out]
        wanted = {part[1:-1] for part in operation.path.split("/") if part.startswith("{")}
        given = {name for name, each in parameters(document, operation).items() if each["in"] == "path"}
        if wanted != given:
            found.append(f"{operation.id}: the path names {sorted(wanted)}, the parameters are {sorted(given)}")
    for name in document["components"]["parameters"]:
        schema = lookup(document, f"#/components/parameters/{name}")["schema"]
        if not {"minLength", "maxLength", "pattern"} <= schema.keys():
            found.append(f"{name}: not bounded")
    return found
