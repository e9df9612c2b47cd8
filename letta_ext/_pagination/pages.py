"""The common state of sync and async pages, and the list iterator that a call creates."""

from __future__ import annotations

import json
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from datetime import date
from types import NoneType
from typing import TYPE_CHECKING, Any, ClassVar, Generic, NoReturn, SupportsIndex, TypeVar, overload

from letta_api.pydantic_methods import PydanticSerializer, checked_mode, dump_options

from .._http.plain_arguments import plain_arguments
from .._http.requests import OPTIONS, Endpoint
from .._http.validation import check_arguments, check_bounds, check_id
from .._types import is_mapping
from .checkpoints import Checkpoint
from .iterator import ListIterator

T = TypeVar("T")


class BasePage(Generic[T]):
    """The common part of sync and async pages.

    `len(page)`, `page[0]` and slices refer to the items of this page, as `items` does.

    Attributes:
        items: The items of this page, in list order.
    """

    # `vars(page)` has the items only, as FastAPI encodes it.
    __slots__ = ("__dict__", "__weakref__", "_ended", "_fetch", "_iterator", "_number", "_position", "_remaining")

    __pydantic_serializer__: ClassVar[Any] = PydanticSerializer()
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
                checkpoint, reversible = self._position.checkpoint(), iterator.reversible
                other = ListIterator.resumed(iterator.facts, checkpoint, iterator.list_id, reversible=reversible)
                other.arguments |= iterator.arguments
                other.prefetch = iterator.prefetch
                other.remaining = self._remaining
                yield other
        finally:
            if acquired:
                iterator.lock.release()

    def model_dump(
        self,
        *,
        mode: str = "python",
        include: Any = None,
        exclude: Any = None,
        by_alias: bool | None = None,
        exclude_unset: bool = False,
        exclude_defaults: bool = False,
        exclude_none: bool = False,
    ) -> dict[str, Any]:
        """Return `{"items": […]}` with the items of this page as dictionaries. Models have the same options.

        Args:
            mode: Whether date-times are objects (`python`) or strings (`json`). Defaults to `python`.
            include: The items and fields to include, such as `{"items": {"__all__": {"id"}}}`. Defaults to all.
            exclude: The items and fields to omit, in the same form. Defaults to none.
            by_alias: Whether the keys are those of the JSON. Defaults to False.
            exclude_unset: Whether to omit absent fields. Defaults to False.
            exclude_defaults: Whether to omit absent fields and fields that are None. Defaults to False.
            exclude_none: Whether to omit fields that are None. Defaults to False.
        """
        options = dump_options(checked_mode(mode), bool(by_alias), exclude_unset, exclude_defaults, exclude_none)
        found: dict[str, Any] = options.value({"items": self.items}, include, exclude)
        return found

    def model_dump_json(self, *, indent: int | None = None, ensure_ascii: bool = False, **options: Any) -> str:
        """Return the JSON text of `model_dump(mode="json")`, whose options it accepts.

        Args:
            indent: The number of spaces per level, or None for compact text. Defaults to None.
            ensure_ascii: Whether to escape other characters than those of ASCII. Defaults to False.
            **options: The options of `model_dump` other than `mode`.
        """
        from letta_api.dump import dumps  # needed by callers of this method only

        return dumps(self.model_dump(mode="json", **options), indent, ensure_ascii=ensure_ascii)

    def to_dict(self, **options: Any) -> dict[str, Any]:
        """Return `{"items": […]}` with the JSON of the items of this page. The options are those of `Model.to_dict`."""
        return {"items": [item.to_dict(**options) for item in self.items]}  # type: ignore[attr-defined]  # models

    def to_json(self, *, indent: int | None = None, **options: Any) -> str:
        """Return the JSON text of `to_dict`, whose options it accepts.

        Args:
            indent: The number of spaces per level, or None for one line. Defaults to None.
            **options: The options of `to_dict`.
        """
        return json.dumps(self.to_dict(**options), ensure_ascii=False, indent=indent)

    def __len__(self) -> int:
        return len(self.items)

    @overload
    def __getitem__(self, index: SupportsIndex) -> T: ...

    @overload
    def __getitem__(self, index: slice) -> list[T]: ...

    def __getitem__(self, index: SupportsIndex | slice) -> T | list[T]:
        return self.items[index]

    if not TYPE_CHECKING:  # type checkers report a loop over an async page

        def __iter__(self) -> NoReturn:
            # Without this method, `for` would use `__getitem__` and end after this page.
            raise TypeError(f"{type(self).__name__!r} object must be iterated with `async for`, or by its `items`")

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
    # Letta 0.16.8 sends the messages of an agent's default conversation in ascending order for either `order`.
    direct = bool(ids) and (ids[0] == "default" or str(ids[0]).startswith("agent-"))
    if "checkpoint" in arguments:
        if also := sorted(arguments.keys() - OPTIONS - {"checkpoint"}):
            raise TypeError(f"{also[0]} must not be passed with checkpoint, which holds the arguments of its list")
        iterator = ListIterator.resumed(facts, arguments.pop("checkpoint"), list_id, reversible=direct)
        check_checkpoint(endpoint, iterator)
        iterator.arguments |= arguments
    else:
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
