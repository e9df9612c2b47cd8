"""The pages of a list without I/O, and the walk that the call of a list begins."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import Any, Generic, TypeVar

from .._http.requests import OPTIONS, Endpoint
from .._http.validation import check_arguments, check_bounds, check_id
from .._types import is_mapping
from ..config import strip_not_given
from .iterator import Checkpoint, Walk

T = TypeVar("T")


class BasePage(Generic[T]):
    """What the pages of sync and async code have in common.

    Attributes:
        items: the items of this page, in the order of the walk.
    """

    items: list[T]

    def __init__(self, items: list[T], walk: Walk) -> None:
        self.items = items
        self._walk = walk
        # The walk moves on with the pages; this one can still say where it stood.
        walk.place += 1
        walk.taken = False
        self._place = walk.place
        self._mark = walk.mark()
        self._ended = walk.ended

    @property
    def is_prefetched(self) -> bool:
        """Whether the next page is fetched while this one is used."""
        return self._walk.prefetch and self.has_next_page()

    def has_next_page(self) -> bool:
        """Whether there may be another page. The server does not say, so the one behind the last is empty."""
        return bool(self.items) and not self._ended

    def next_page_info(self) -> dict[str, Any] | None:
        """The cursor that the next page lies behind, by the name of its parameter; None behind the last page."""
        if not self.has_next_page() or not self._mark.cursors:
            return None
        return {self._mark.leading: self._mark.cursors[-1]}

    def checkpoint(self) -> Checkpoint:
        """Where the walk stands behind this page: a JSON value of a few kilobytes.

        `list(..., checkpoint=…)`, with the same ids, goes on from it, in another process too. It holds the other
        arguments of the list. Going on raises `ListChangedError` where it cannot be proven that nothing is lost.
        """
        return self._mark.checkpoint()

    @contextmanager
    def _onward(self) -> Generator[Walk, None, None]:
        """The walk behind this page: the one that brought it, or where that has gone on, another like it."""
        walk = self._walk
        mine = walk.moving.acquire(blocking=False)
        try:
            if mine and walk.place == self._place and not walk.taken:
                yield walk
            else:
                other = Walk.resumed(walk.facts, self._mark.checkpoint(), walk.of)
                other.arguments |= walk.arguments
                other.prefetch = walk.prefetch
                yield other
        finally:
            if mine:
                walk.moving.release()

    def __len__(self) -> int:
        return len(self.items)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(items={self.items!r})"


def items_of(endpoint: Endpoint, answer: Any) -> list[Any]:
    """The items in the response of a list, which is the array itself, or an object with a field for it."""
    facts = endpoint.OPERATION.pagination
    found: list[Any] = answer if facts is None or facts.items is None else getattr(answer, facts.items)
    return found


def make_list_iterator(endpoint: Endpoint, ids: tuple[Any, ...], arguments: Mapping[str, Any]) -> Walk:
    """The walk through a list that a call begins, or goes on with.

    Raises:
        TypeError: `checkpoint` came with arguments of its own, or an argument is of the wrong type.
        ValueError: `checkpoint` is none, or a filter has an impossible value.
    """
    arguments, facts = dict(strip_not_given(arguments)), endpoint.OPERATION.pagination
    if facts is None:
        raise TypeError(f"{endpoint.OPERATION.id} does not page")
    of = (endpoint.OPERATION.id, *map(str, ids))
    # They are not sent, and would not be checked else.
    filters = {name: arguments[name] for name in facts.post_filters if name in arguments}
    check_arguments(endpoint.build_request, (), filters)
    extra = arguments.get("extra_query")
    cursors = list(filter(None, (facts.after, facts.before)))
    own = {facts.limit, *cursors, facts.order, *facts.post_filters}
    if clash := sorted(own & extra.keys()) if is_mapping(extra) else []:
        raise ValueError(f"extra_query must not hold {clash[0]!r}, which the list sends itself: pass it as an argument")
    prefetch = arguments.pop("prefetch", False)
    if not isinstance(prefetch, bool):
        raise TypeError(f"prefetch must be True or False, not {prefetch!r}")
    if "checkpoint" in arguments:
        if also := sorted(arguments.keys() - OPTIONS - {"checkpoint"}):
            raise TypeError(f"checkpoint holds the arguments of its list; {also[0]!r} cannot be given besides")
        walk = Walk.resumed(facts, arguments.pop("checkpoint"), of)
        check_checkpoint(endpoint, walk)
        walk.arguments |= arguments
    else:
        # The messages of an agent's own conversation come in ascending order, whatever order a page is of.
        direct = bool(ids) and (ids[0] == "default" or str(ids[0]).startswith("agent-"))
        for name in cursors:
            if isinstance(cursor := arguments.get(name), str):
                check_id(name, cursor)  # servers take what is none for no cursor, and begin at the top
        walk = Walk(facts, arguments, reversible=direct, of=of)
    walk.prefetch = prefetch
    return walk


def check_checkpoint(endpoint: Endpoint, walk: Walk) -> None:
    """Checks the arguments that a checkpoint holds.

    Raises:
        ValueError: If the list does not take one of them.
    """
    held = {**walk.arguments, **walk.filters}
    if unknown := sorted(held.keys() - endpoint.OPERATION.parameters):
        raise ValueError(f"checkpoint must hold arguments of the list, got {unknown[0]!r:.80}")
    try:
        check_arguments(endpoint.build_request, (), held)
        check_bounds(endpoint.OPERATION.bounds, held)
    except (TypeError, ValueError) as fault:
        raise ValueError(f"checkpoint must hold arguments of the list: {fault}") from fault
