"""The common state of sync and async pages, and the list iterator that a call creates."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from datetime import date
from types import NoneType
from typing import Any, Generic, TypeVar

from .._http.plain_arguments import plain_arguments
from .._http.requests import OPTIONS, Endpoint
from .._http.validation import check_arguments, check_bounds, check_id
from .._types import is_mapping
from .iterator import Checkpoint, ListIterator

T = TypeVar("T")


class BasePage(Generic[T]):
    """The common part of sync and async pages.

    Attributes:
        items: The items of this page, in list order.
    """

    items: list[T]

    def __init__(self, items: list[T], iterator: ListIterator) -> None:
        self.items = items
        self._iterator = iterator
        # The pages share the iterator, which moves on. Each page keeps its own position.
        iterator.pages_fetched += 1
        iterator.has_undelivered = False
        self._number = iterator.pages_fetched
        self._position = iterator.position()
        self._ended = iterator.ended
        self._remaining = iterator.remaining

    @property
    def is_prefetched(self) -> bool:
        """Whether the next page is fetched while this one is used."""
        return self._iterator.prefetch and self.has_next_page()

    def has_next_page(self) -> bool:
        """Return whether there may be another page. The last page is followed by an empty one."""
        return bool(self.items) and not self._ended

    def next_page_info(self) -> dict[str, Any] | None:
        """Return the cursor of the next page by the name of its parameter. None after the last page."""
        cursor = self._position.cursor if self.has_next_page() else None
        return None if cursor is None else {self._position.forward: cursor}

    def checkpoint(self) -> Checkpoint:
        """Return the position after this page: a JSON value of a few kilobytes, with the arguments of the list.

        `list(..., checkpoint=…)` with the same ids continues there, also in another process. It raises
        `ListChangedError` if it cannot prove that no item is lost.
        """
        return self._position.checkpoint()

    @contextmanager
    def _iterator_after_this_page(self) -> Generator[ListIterator, None, None]:
        """Yield the iterator of this page, or a new one if it has moved on or is in use."""
        iterator = self._iterator
        acquired = iterator.lock.acquire(blocking=False)
        try:
            if acquired and iterator.pages_fetched == self._number and not iterator.has_undelivered:
                yield iterator
            else:
                other = ListIterator.resumed(iterator.facts, self._position.checkpoint(), iterator.list_id)
                other.arguments |= iterator.arguments
                other.prefetch = iterator.prefetch
                other.remaining = self._remaining
                yield other
        finally:
            if acquired:
                iterator.lock.release()

    def __len__(self) -> int:
        return len(self.items)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(items={self.items!r})"

    def _repr_html_(self) -> str:
        """Return a table for notebooks, with a row per item of this page."""
        from .display import to_html  # needed in notebooks only

        return to_html(type(self).__name__, self.items)

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        """Print a line per item of this page in IPython."""
        from .display import to_lines  # needed in IPython only

        printer.text(to_lines(type(self).__name__, self.items))

    def __rich__(self) -> Any:
        """Return a table for rich, with a row per item of this page."""
        from .display import to_rich  # needed by rich only

        return to_rich(type(self).__name__, self.items)


def items_of(endpoint: Endpoint, value: Any) -> list[Any]:
    """Return the items in the response of a list, which is an array or an object with an array in one field."""
    facts = endpoint.OPERATION.pagination
    items: list[Any] = value if facts is None or facts.items is None else getattr(value, facts.items)
    return items


def make_list_iterator(endpoint: Endpoint, ids: tuple[Any, ...], arguments: Mapping[str, Any]) -> ListIterator:
    """Return the iterator that a call of a list starts or continues.

    Raises:
        TypeError: If `checkpoint` is combined with arguments of the list, or an argument is of the wrong type.
        ValueError: If `checkpoint` or a filter is invalid, or `extra_query` has an argument of the list.
    """
    arguments, facts = plain_arguments(endpoint, arguments), endpoint.OPERATION.pagination
    if facts is None:
        raise TypeError(f"{endpoint.OPERATION.id} is not a list")
    for name in [*arguments]:
        value = arguments[name]
        if isinstance(value, (date, NoneType)) and name in endpoint.OPERATION.parameters:
            check_arguments(endpoint.build_request, (), {name: value})
            if value is None:
                del arguments[name]  # a query parameter, which is not sent
            else:
                arguments[name] = value.isoformat()  # a checkpoint contains it as JSON
    list_id = (endpoint.OPERATION.id, *map(str, ids))
    # Filters that are applied here are not sent, so the check of the request does not cover them.
    filters = {name: arguments[name] for name in facts.post_filters if name in arguments}
    check_arguments(endpoint.build_request, (), filters)
    extra = arguments.get("extra_query")
    cursors = list(filter(None, (facts.after, facts.before)))
    own = {facts.limit, *cursors, facts.order, *facts.post_filters}
    if clash := sorted(own & extra.keys()) if is_mapping(extra) else []:
        raise ValueError(f"extra_query must not hold {clash[0]!r}, which the list sends itself: pass it as an argument")
    prefetch = arguments.pop("prefetch", False)
    if not isinstance(prefetch, bool):
        raise TypeError(f"prefetch must be True or False, got {prefetch!r}")
    max_items = arguments.pop("max_items", None)
    if max_items is not None and (not isinstance(max_items, int) or isinstance(max_items, bool)):
        raise TypeError(f"max_items must be an integer or None, got {max_items!r:.80}")
    if max_items is not None and max_items < 1:
        raise ValueError(f"max_items must be 1 or more, got {max_items}. Pass None for all items.")
    if "checkpoint" in arguments:
        if also := sorted(arguments.keys() - OPTIONS - {"checkpoint"}):
            raise TypeError(f"{also[0]} must not be passed with checkpoint, which holds the arguments of its list")
        iterator = ListIterator.resumed(facts, arguments.pop("checkpoint"), list_id)
        check_checkpoint(endpoint, iterator)
        iterator.arguments |= arguments
    else:
        # Letta 0.16.8 sends the messages of an agent's default conversation in ascending order for either `order`.
        direct = bool(ids) and (ids[0] == "default" or str(ids[0]).startswith("agent-"))
        for name in cursors:
            if isinstance(cursor := arguments.get(name), str):
                check_id(name, cursor)  # servers ignore an invalid cursor and start from the top
        iterator = ListIterator(facts, arguments, reversible=direct, list_id=list_id)
    iterator.prefetch, iterator.remaining = prefetch, max_items
    return iterator


def check_checkpoint(endpoint: Endpoint, iterator: ListIterator) -> None:
    """Check the arguments of a checkpoint.

    Raises:
        ValueError: If the list does not accept one of them.
    """
    held = {**iterator.arguments, **iterator.filters}
    if unknown := sorted(held.keys() - endpoint.OPERATION.parameters):
        raise ValueError(f"checkpoint must hold arguments of the list, got {unknown[0]!r:.80}")
    try:
        check_arguments(endpoint.build_request, (), held)
        check_bounds(endpoint.OPERATION.bounds, held)
    except (TypeError, ValueError) as error:
        raise ValueError(f"checkpoint must hold arguments of the list: {error}") from error
