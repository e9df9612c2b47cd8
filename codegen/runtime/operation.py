"""The description of an operation: its request, pagination, streaming and idempotency."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, TypeAlias

from attrs import field, frozen

Bounds: TypeAlias = tuple[float | None, float | None]
"""The minimum and maximum of a number, both inclusive."""


@frozen
class Pagination:
    """The pagination of a list operation.

    Attributes:
        cursor: The item field whose value is passed as a cursor.
        item_key: The fields that identify an item.
        after: The query parameter for the cursor after which the page starts.
        before: The query parameter for the cursor before which the page ends, or None.
        limit: The query parameter for the page size.
        order: The query parameter for the sort order, `asc` or `desc`.
        default_order: The server's default for the sort order.
        cursor_order: Whether cursors follow the sort order, the time, or the reverse of the sort order.
        limit_unit: The unit of the limit: `items`, or `stored` messages, each of which can be any number of items.
        post_filters: The query parameters of filters that the server applies after the limit.
        sort: The query parameter for the field to sort by, or None.
        cursor_sorts: The values of `sort` by which cursors reach every item, among them its default.
        moved_by: The operation that moves records to earlier positions, or None if records do not move.
        max_limit: The largest documented limit, or None.
        items: The response field that holds the items, or None if the response is the array itself.
    """

    cursor: str
    item_key: tuple[str, ...]
    after: str
    before: str | None
    limit: str
    order: str
    default_order: Literal["asc", "desc"]
    cursor_order: Literal["order", "chronological", "reverse"]
    limit_unit: str
    post_filters: tuple[str, ...]
    sort: str | None = None
    cursor_sorts: tuple[str, ...] = ()
    moved_by: Literal["compaction"] | None = None
    max_limit: int | None = None
    items: str | None = None


@frozen
class Streaming:
    """The streaming of an operation that can return events.

    Attributes:
        stream_condition: The argument that selects events or JSON, or None if the operation returns only events.
        default: Whether the operation returns events if that argument is omitted.
        terminator: The data of the event that ends a stream, or "" if the end of the response does.
        resume_operation: The id of the operation that resumes a stream, or "" if streams cannot be resumed.
    """

    stream_condition: str | None
    default: bool
    terminator: str
    resume_operation: str


@frozen
class Operation:
    """An operation of the API.

    Attributes:
        id: The dotted name, such as `steps.list`.
        method: The HTTP method.
        path: The path template.
        path_parameters: The path arguments, in order.
        parameters: The other arguments: query parameters, headers and body fields.
        idempotency: When a client may retry a request: `idempotent`, always; `idempotency-key`, if it runs in the
            background and every message has an `otid`; `none`, only if it cannot have reached the server.
        pagination: The pagination, or None if the operation is not a list.
        streaming: The streaming, or None if the operation returns only JSON.
        required: The required arguments among `parameters`.
        bounds: The bounds of the numeric arguments that have bounds.
        module: The endpoint module relative to the package `api`, or "" if the operation has no module.
        accept: The content type of the response, except events.
    """

    id: str
    method: str
    path: str
    path_parameters: tuple[str, ...]
    parameters: frozenset[str]
    idempotency: Literal["idempotent", "idempotency-key", "none"]
    pagination: Pagination | None = None
    streaming: Streaming | None = None
    required: frozenset[str] = frozenset()
    bounds: Mapping[str, Bounds] = field(factory=dict[str, Bounds])
    module: str = ""
    accept: str = "application/json"

    @property
    def stream_condition(self) -> str | None:
        """The argument that selects events or JSON, or None if the operation has only one of them."""
        return self.streaming.stream_condition if self.streaming else None

    def returns_events(self, arguments: Mapping[str, Any]) -> bool:
        """Return whether the response to a call with these arguments is an event stream."""
        if self.streaming is None:
            return False
        condition = self.streaming.stream_condition
        requested = arguments.get(condition) if condition else None
        return requested if isinstance(requested, bool) else self.streaming.default
