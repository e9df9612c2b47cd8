"""List servers in a few lines, with everything that was measured on real ones: what a walk has to get through."""

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
    """One part of one stored thing."""

    id: str
    message_type: str = "user_message"
    otid: str | None = None
    date: int = 0


@frozen
class Stored:
    """One stored thing: where it stands, and the parts it shows as, which may be none."""

    id: str
    position: int
    parts: tuple[Item, ...]


@frozen
class Server:
    """Answers list requests.

    Attributes:
        stored: the things, in the order in which those of one position are handed out.
        order_relative: whether cursors follow the sort order rather than the time.
        ascending_pages: whether newest-first pages arrive in ascending order.
        restarts: whether an unknown cursor begins the list again rather than being refused.
        default_limit: the page size where none is asked for.
        most: how many things it sends at most, whatever the limit.
    """

    stored: tuple[Stored, ...]
    order_relative: bool = False
    ascending_pages: bool = False
    restarts: bool = True
    default_limit: int = 100
    most: int = 1_000_000
    requests: list[Mapping[str, Any]] = field(factory=list[Mapping[str, Any]])

    def __call__(self, arguments: Mapping[str, Any]) -> list[Any]:
        """One page."""
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
        rows = rows[: min(arguments.get("limit") or self.default_limit, self.most)]
        if self.ascending_pages and descending:
            rows.reverse()
        wanted = arguments.get("include_return_message_types")
        return [part for row in rows for part in row.parts if wanted is None or part.message_type in wanted]

    def everything(self, order: str) -> list[Item]:
        """The whole list, as one page that is large enough shows it, in the order asked for."""
        rows = sorted(self.stored, key=lambda row: -row.position if order == "desc" else row.position)
        return [part for row in rows for part in row.parts]
