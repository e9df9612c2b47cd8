"""What an operation is: how it is called, how it pages and streams, and when it may be repeated."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, TypeAlias

from attrs import field, frozen

Bounds: TypeAlias = tuple[float | None, float | None]
"""The least and the greatest value of a number."""


@frozen
class Page:
    """How a list operation pages.

    Attributes:
        cursor: the field of an item that the cursors take.
        identity: the fields that make two items the same.
        after: the query parameter for the cursor that the page starts behind.
        before: the query parameter for the cursor that the page ends ahead of, or None where there is none.
        limit: the query parameter for the page size.
        order: the query parameter for the sort order, `asc` or `desc`.
        default_order: the order where none is asked for.
        meaning: whether the cursors follow the sort order, always the time, or run against the sort order.
        counts: what the limit counts, `items` or `stored` things, of which each may show as several items or none.
        filters_after_limit: the query parameters that thin out a page after the limit was applied.
        largest: the greatest limit that the server takes, or None where the document names none.
        items: the field of the response that holds the items, or None where the response is the array itself.
    """

    cursor: str
    identity: tuple[str, ...]
    after: str
    before: str | None
    limit: str
    order: str
    default_order: Literal["asc", "desc"]
    meaning: Literal["order", "chronological", "reverse"]
    counts: str
    filters_after_limit: tuple[str, ...]
    largest: int | None = None
    items: str | None = None


@frozen
class Stream:
    """That an operation answers with events.

    Attributes:
        switch: the argument that chooses between events and JSON, or None where there are only events.
        default: whether events are what comes where the switch is not given.
        end: the data of the event that ends a stream.
        resume: the id of the operation that continues one.
    """

    switch: str | None
    default: bool
    end: str
    resume: str


@frozen
class Operation:
    """One operation.

    Attributes:
        id: its dotted name, such as `steps.list`.
        method: the HTTP method.
        path: the path template.
        path_parameters: the arguments that stand in the path, in order.
        parameters: the other arguments, query parameters and body fields.
        repeat: when a client may send it again by itself: `always`; with `otid` only as a background request whose
            messages all bear one; `unsent` only where the request cannot have reached the server.
        page: how it pages, or None.
        stream: how it streams, or None.
        required: the arguments among `parameters` that every call needs.
        bounds: the least and the greatest value of numeric arguments that have one.
        module: the module of its endpoint, below the package `api`; empty where there is none.
    """

    id: str
    method: str
    path: str
    path_parameters: tuple[str, ...]
    parameters: frozenset[str]
    repeat: Literal["always", "otid", "unsent"]
    page: Page | None = None
    stream: Stream | None = None
    required: frozenset[str] = frozenset()
    bounds: Mapping[str, Bounds] = field(factory=dict[str, Bounds])
    module: str = ""

    @property
    def switch(self) -> str | None:
        """The argument that chooses between events and JSON, or None where there is no choice."""
        return self.stream.switch if self.stream else None

    def answers_with_events(self, arguments: Mapping[str, Any]) -> bool:
        """Return whether the response to a call with these arguments is a stream of events."""
        if self.stream is None:
            return False
        chosen = arguments.get(self.stream.switch) if self.stream.switch else None
        return chosen if isinstance(chosen, bool) else self.stream.default
