"""Small list servers with the pagination behavior that was measured on real ones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import field, frozen

from letta_api.operations import Pagination

MESSAGES = Pagination(
    cursor="id",
    item_key=("id", "message_type", "otid"),
    after="after",
    before="before",
    limit="limit",
    order="order",
    default_order="desc",
    cursor_order="chronological",
    limit_unit="stored",
    post_filters=("include_return_message_types",),
)
STEPS = Pagination(
    cursor="id",
    item_key=("id",),
    after="after",
    before="before",
    limit="limit",
    order="order",
    default_order="desc",
    cursor_order="order",
    limit_unit="items",
    post_filters=(),
)


@frozen
class Item:
    """An item of a stored record."""

    id: str
    message_type: str = "user_message"
    otid: str | None = None
    date: int = 0


@frozen
class Record:
    """A stored record: its position and its items, which may be hidden altogether."""

    id: str
    position: int
    items: tuple[Item, ...]


@frozen
class Server:
    """Responds to list requests. An unknown cursor restarts the list.

    Attributes:
        stored: The records. Those at one position are sent in this order.
        order_relative: Whether cursors follow the sort order rather than the time.
        ascending_pages: Whether newest-first pages arrive in ascending order.
        default_limit: The page size of a request without a limit.
        max_page: The most records in a response.
        requests: The arguments of each request.
    """

    stored: tuple[Record, ...]
    order_relative: bool = False
    ascending_pages: bool = False
    default_limit: int = 100
    max_page: int = 1_000_000
    requests: list[Mapping[str, Any]] = field(factory=list[Mapping[str, Any]])

    def __call__(self, arguments: Mapping[str, Any]) -> list[Any]:
        """Return one page."""
        self.requests.append(dict(arguments))
        descending = arguments.get("order", "desc") == "desc"
        rows = sorted(self.stored, key=lambda row: row.position)
        if descending:
            rows = sorted(self.stored, key=lambda row: -row.position)
        for name, wants_later in (("after", True), ("before", False)):
            cursor = arguments.get(name)
            at = next((row.position for row in self.stored if row.id == cursor), None)
            if cursor is None or at is None:
                continue
            if self.order_relative and descending:
                wants_later = not wants_later
            rows = [row for row in rows if (row.position > at if wants_later else row.position < at)]
        rows = rows[: min(arguments.get("limit") or self.default_limit, self.max_page)]
        if self.ascending_pages and descending:
            rows.reverse()
        wanted = arguments.get("include_return_message_types")
        return [item for row in rows for item in row.items if wanted is None or item.message_type in wanted]

    def all_items(self, order: str) -> list[Item]:
        """Return the whole list in the given order."""
        rows = sorted(self.stored, key=lambda row: -row.position if order == "desc" else row.position)
        return [item for row in rows for item in row.items]
