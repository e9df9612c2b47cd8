"""The extensions of operations: `x-letta-notes`, `-idempotency`, `-pagination` and `-streaming`."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from attrs import frozen

from codegen.document import Operation as Source
from codegen.document import escape, ref_name
from codegen.errors import SpecError
from codegen.media import find_events, find_format
from codegen.type_reader import TypeReader
from codegen.types import EVENTS, TEXT, Type

IDEMPOTENCIES = ("idempotent", "idempotency-key", "none")
PAGINATION_LIST_KEYS = {"item-key", "post-filters"}
PAGINATION_KEYS = PAGINATION_LIST_KEYS | {
    "cursor",
    "after",
    "limit",
    "order",
    "default-order",
    "cursor-order",
    "limit-unit",
}
PAGINATION_OPTIONAL_KEYS = {"before", "items", "sort", "cursor-sorts", "moved-by"}
"""Keys that not every list has."""

CURSOR_ORDERS = ("order", "chronological", "reverse")
MOVES = ("compaction",)


@frozen
class Pagination:
    """The extension `x-letta-pagination`."""

    cursor: str
    item_key: tuple[str, ...]
    after: str
    before: str | None
    limit: str
    order: str
    default_order: str
    cursor_order: str
    limit_unit: str
    post_filters: tuple[str, ...]
    sort: str | None
    cursor_sorts: tuple[str, ...]
    moved_by: str | None
    max_limit: int | None
    items: str | None


@frozen
class Streaming:
    """The extension `x-letta-streaming`, or the facts that follow from the response without it.

    Attributes:
        event: The type of an event.
        schema: The schema of an event.
        stream_condition: The field of the body that selects events or JSON, or None.
        default: Whether the response is events without that field.
        terminator: The data of the last event, or "" if the stream ends with the response.
        resume_operation: The id of the operation that resumes a stream, or "".
    """

    event: Type
    schema: Any
    stream_condition: str | None
    default: bool
    terminator: str
    resume_operation: str


def read_notes(data: Any, place: str) -> str:
    """Return the notes of an operation, a parameter or a property."""
    notes = data.get("x-letta-notes", "") if isinstance(data, dict) else ""
    if not isinstance(notes, str):
        raise SpecError(f"{place}/x-letta-notes", "must be text")
    return notes


def read_idempotency(data: dict[str, Any], place: str) -> str:
    """Return the idempotency of an operation, `none` by default."""
    idempotency = data.get("x-letta-idempotency", "none")
    if idempotency not in IDEMPOTENCIES:
        allowed = ", ".join(IDEMPOTENCIES)
        raise SpecError(f"{place}/x-letta-idempotency", f"must be one of {allowed}, got {idempotency!r}")
    return str(idempotency)


def read_pagination(data: Any, queries: Mapping[str, Any], place: str) -> Pagination | None:
    """Return the pagination of an operation, given the schemas of its query parameters by name."""
    if data is None:
        return None
    if not isinstance(data, dict) or set(data) - PAGINATION_OPTIONAL_KEYS != PAGINATION_KEYS:
        words, options = ", ".join(sorted(PAGINATION_KEYS)), ", ".join(sorted(PAGINATION_OPTIONAL_KEYS))
        raise SpecError(place, f"must have the keys {words}, and can have {options}")
    if not all(isinstance(data[word], str) for word in data.keys() - PAGINATION_LIST_KEYS - {"cursor-sorts"}):
        raise SpecError(place, "values must be strings, except for item-key, post-filters and cursor-sorts")
    lists = data.keys() & {*PAGINATION_LIST_KEYS, "cursor-sorts"}
    if not all(isinstance(data[w], list) and all(isinstance(v, str) for v in data[w]) for w in lists):
        raise SpecError(place, "item-key, post-filters and cursor-sorts must be lists of strings")
    if ("sort" in data) != ("cursor-sorts" in data):
        raise SpecError(place, "must have both sort and cursor-sorts, or neither")
    for word in ("after", "before", "limit", "order", "sort"):
        if word in data and data[word] not in queries:
            raise SpecError(f"{place}/{word}", f"must be the name of a query parameter, got {data[word]!r}")
    if data["default-order"] not in ("asc", "desc") or data["cursor-order"] not in CURSOR_ORDERS:
        orders = ", ".join(CURSOR_ORDERS)
        raise SpecError(place, f"default-order must be asc or desc, and cursor-order one of {orders}")
    if "before" not in data and data["cursor-order"] != "order":
        raise SpecError(place, f"has no before, which the cursor-order {data['cursor-order']!r} needs. Add it")
    if "moved-by" in data and (data["moved-by"] not in MOVES or "before" not in data):
        raise SpecError(f"{place}/moved-by", f"must be one of {', '.join(MOVES)}, in a list that has before")
    return Pagination(
        cursor=data["cursor"],
        item_key=tuple(data["item-key"]),
        after=data["after"],
        before=data.get("before"),
        limit=data["limit"],
        order=data["order"],
        default_order=data["default-order"],
        cursor_order=data["cursor-order"],
        limit_unit=data["limit-unit"],
        post_filters=tuple(data["post-filters"]),
        sort=data.get("sort"),
        cursor_sorts=tuple(data.get("cursor-sorts", ())),
        moved_by=data.get("moved-by"),
        max_limit=queries[data["limit"]].get("maximum"),
        items=data.get("items"),
    )


def paginated_items(
    pagination: Pagination, result: Type | None, response_schema: Any, reader: TypeReader, place: str
) -> Type:
    """Return the type of the array of items: the response, or its field `items`."""
    if pagination.items is None:
        found = result
    else:
        component = ref_name(response_schema) or ""
        nodes = {n.name.get_untrusted_value(): n for n in reader.fields(reader.parsed.components[component])}
        if pagination.items not in nodes:
            raise SpecError(place, f"must be a field of the response, got {pagination.items!r}")
        found = reader.property(nodes[pagination.items], *reader.declared(component, pagination.items))
    if found is None or not found.written.startswith("list["):
        raise SpecError(place, "must be a required array")
    return found


def read_streaming(
    source: Source, content: dict[str, Any], at: str, reader: TypeReader, fields: Collection[str], ids: set[str]
) -> Streaming | None:
    """Return the streaming of an operation.

    Args:
        source: The operation in the document.
        content: The content of its successful response.
        at: The place of that content.
        reader: Reads the type of the events.
        fields: The names of the fields of the body.
        ids: The ids of all operations.
    """
    data = source.data.get("x-letta-streaming")
    place = f"{source.place}/x-letta-streaming"
    media = find_events(content)
    if data is None:
        if media is None:
            return None
        schema = content[media].get("schema", {})
        event = reader.read_schema(schema, f"{at}/{escape(media)}/schema") if schema else TEXT
        return Streaming(event, schema, None, find_format(content, "json") is None, "", "")
    if not isinstance(data, dict) or not all(
        isinstance(data.get(word), str) for word in ("event", "terminator", "resume-operation")
    ):
        raise SpecError(place, "must have event, terminator and resume-operation, which are strings")
    if media is None or content[media].get("schema") != {"$ref": data["event"]}:
        raise SpecError(place, f"event must be the schema of the {EVENTS} response, got {data['event']!r}")
    condition = data.get("stream-condition")
    if condition is not None and condition not in fields:
        raise SpecError(place, f"stream-condition must be a field of the body, got {condition!a:.60}")
    if data["resume-operation"] not in ids:
        raise SpecError(place, f"resume-operation must be an operationId, got {data['resume-operation']!r}")
    name = ref_name({"$ref": data["event"]})
    if name is None or name not in reader.parsed.components:
        raise SpecError(place, f"event must refer to a component, got {data['event']!r}")
    event = reader.read(reader.parsed.components[name], {"$ref": data["event"]}, place)
    streams = data.get("default", True) is True
    return Streaming(event, {"$ref": data["event"]}, condition, streams, data["terminator"], data["resume-operation"])
