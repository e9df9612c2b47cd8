"""Lists: filters, orders and cursors as in Letta."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from operator import attrgetter
from typing import Protocol, TypeVar

from ..store.ids import is_id
from ..store.models import Json, Message, Step, StoredMessage, Thread, model_name
from . import errors, serializers
from .request_schema import Record
from .requests import Page


class _Dated(Protocol):
    """An object with an id and a date."""

    @property
    def id(self) -> str: ...
    @property
    def created_at(self) -> datetime: ...


_position: Callable[[StoredMessage], int] = attrgetter("position")
_sequence: Callable[[StoredMessage], int] = attrgetter("sequence")

D = TypeVar("D", bound=_Dated)


def check_limit(limit: int) -> None:
    """Raise Letta's database error for a limit that is negative or exceeds 64 bits."""
    if not 0 <= limit < 2**63:
        raise errors.plain(500, "A database error occurred.")


def in_order(items: Sequence[D], key: Callable[[D], datetime | None], order: str) -> list[D]:
    """Return items ordered by date and id. Items without a date are last in both orders."""
    dated = [(date, item.id, item) for item in items if (date := key(item)) is not None]
    undated = [item for item in items if key(item) is None]
    newest_first = order == "desc"
    dated.sort(key=lambda entry: entry[:2], reverse=newest_first)
    undated.sort(key=lambda entry: entry.id, reverse=newest_first)
    return [*(item for _, _, item in dated), *undated]


def run_steps(stored: Sequence[Step], run_id: str, page: Page) -> list[Step]:
    """Return a page of the steps of a run. Cursors follow the sort order, and can be steps of other runs."""
    return _page_of_steps(stored, page, lambda step: step.run_id == run_id)


def run_messages(stored: Sequence[StoredMessage], run_id: str, page: Page) -> list[Json]:
    """Return a page of the messages of a run. Cursors refer to time in both orders, and parts are ordered as well.

    Args:
        stored: All messages, any of which can be a cursor.
        run_id: The run.
        page: The page.
    """
    selected = _newer_and_older([entry for entry in stored if entry.message.run_id == run_id], stored, page, None)
    rendered = [serializers.render(entry.message) for entry in selected]
    return [part for parts in rendered for part in (reversed(parts) if page.order == "desc" else parts)]


def steps(stored: Sequence[Step], step_filter: Record, page: Page) -> list[Step]:
    """Return a page of steps. Cursors follow the sort order, and an unknown cursor is an error.

    Args:
        stored: All steps.
        step_filter: The filters.
        page: The page.
    """
    start, end = _date(step_filter.start_date), _date(step_filter.end_date)
    if step_filter.agent_id is not None and not is_id("agent", step_filter.agent_id):
        raise errors.invalid_id("agent", step_filter.agent_id)
    if start and end and _is_local(step_filter.start_date) != _is_local(step_filter.end_date):
        # Letta fails to compare them.
        raise errors.plain(400, "start_date and end_date must both have an offset, or neither")
    if start and end and start > end:
        raise errors.plain(400, "start_date must be earlier than or equal to end_date")
    return _page_of_steps(stored, page, lambda step: _matches(step, step_filter, start, end))


def _page_of_steps(stored: Sequence[Step], page: Page, matches: Callable[[Step], bool]) -> list[Step]:
    before, after = _cursors(stored, page, "Step")
    check_limit(page.limit)
    selected = sorted(filter(matches, stored), key=_date_key, reverse=page.order == "desc")
    return _between(selected, before, after, page)


def _date_key(item: _Dated) -> tuple[datetime, str]:
    return item.created_at, item.id


def _between(selected: list[D], before: D | None, after: D | None, page: Page) -> list[D]:
    if before and after:
        # Letta applies two cursors by time, independent of the order.
        selected = [item for item in selected if _date_key(after) < _date_key(item) < _date_key(before)]
        return selected[: page.limit]
    newest_first = page.order == "desc"
    if after:
        last = _date_key(after)
        selected = [item for item in selected if (_date_key(item) < last) == newest_first and item.id != after.id]
    if before:
        first = _date_key(before)
        selected = [item for item in selected if (_date_key(item) > first) == newest_first and item.id != before.id]
    return selected[: page.limit]


def _date(text: str | None) -> datetime | None:
    if not text:
        return None
    try:
        date = datetime.fromisoformat(text)
        # A database stores dates in UTC, in which those at both ends of the calendar do not exist.
        return date.astimezone(UTC) if date.tzinfo else date.replace(tzinfo=UTC)
    except (ValueError, OverflowError) as error:
        raise errors.plain(400, str(error)) from None


def _is_local(text: str) -> bool:
    """Return whether a date has no offset."""
    return datetime.fromisoformat(text).tzinfo is None


def _cursors(stored: Sequence[D], page: Page, kind: str) -> tuple[D | None, D | None]:
    """Return the objects of both cursors."""
    before, after = (_known(stored, cursor, kind) for cursor in (page.before, page.after))
    if before and after and before.created_at < after.created_at:
        raise errors.plain(400, "'before' reference must be later than 'after' reference")
    return before, after


def _known(stored: Sequence[D], cursor: str | None, kind: str) -> D | None:
    if not cursor:
        return None
    for item in stored:
        if item.id == cursor:
            return item
    raise errors.plain(404, f"No {kind} found with id {cursor}")


def _matches(step: Step, step_filter: Record, start: datetime | None, end: datetime | None) -> bool:
    if start and step.created_at <= start:
        return False
    if end and step.created_at >= end:
        return False
    if step_filter.model and model_name(step.model_handle) != step_filter.model:
        return False
    if step_filter.agent_id and step.agent_id != step_filter.agent_id:
        return False
    if step_filter.feedback and step.feedback != step_filter.feedback:
        return False
    if step_filter.has_feedback is not None and (step.feedback is not None) != step_filter.has_feedback:
        return False
    # Traces and projects exist only in Letta Cloud.
    return not step_filter.trace_ids and not step_filter.project_id


def step_messages(messages: Sequence[Message], stored: Sequence[StoredMessage], page: Page) -> list[Json]:
    """Return a page of the messages of a step. The model's text is rendered as reasoning, in reverse order of parts.

    Args:
        messages: The messages of the step.
        stored: All messages, any of which can be a cursor.
        page: The page.
    """
    before, after = _cursors([entry.message for entry in stored], page, "Message")
    check_limit(page.limit)
    selected = _between(list(messages if page.order == "asc" else reversed(messages)), before, after, page)
    return [part for message in selected for part in reversed(serializers.render(message, text_is_assistant=False))]


def thread_messages(
    thread: Thread, stored: Sequence[StoredMessage], query: Record, page: Page, *, order_relative: bool
) -> list[Json]:
    """Return a page of the messages of a conversation.

    The limit counts stored messages, and the type filter applies after it. Cursors refer to time unless
    ``order_relative`` is set. An unknown cursor restarts the list, except in a default conversation, where it is an
    error.

    Args:
        thread: The conversation.
        stored: All messages, any of which can be a cursor of a default conversation.
        query: The filters.
        page: The page.
        order_relative: Whether cursors follow the sort order.
    """
    entries = [] if query.group_id else thread.stored  # groups of agents do not exist on this server
    if order_relative and page.order == "desc":
        page = replace(page, before=page.after, after=page.before)
    if thread.is_default:
        # Letta selects the newest messages and returns them in ascending order.
        entries = sorted(_newer_and_older(entries, stored, page, thread.agent_id), key=_sequence)
    else:
        positions = {entry.message.id: entry.position for entry in thread.stored}
        before, after = positions.get(page.before or ""), positions.get(page.after or "")
        entries = _select(entries, _position, before, after, page)
    types = query.include_return_message_types
    rendered = [part for entry in entries for part in serializers.render(entry.message)]
    return rendered if types is None else [part for part in rendered if part["message_type"] in types]


def _newer_and_older(
    entries: Sequence[StoredMessage], stored: Sequence[StoredMessage], page: Page, agent_id: str | None
) -> list[StoredMessage]:
    """Return a page of messages, whose cursors can be any stored message."""
    cursors = {cursor: None for cursor in (page.after, page.before) if cursor}
    sequences = {entry.message.id: entry.sequence for entry in stored if entry.message.id in cursors}
    for cursor in cursors:
        if cursor not in sequences:
            raise errors.plain(404, f"No message found with id '{cursor}' for agent '{agent_id}'.")
    return _select(entries, _sequence, sequences.get(page.before or ""), sequences.get(page.after or ""), page)


def _select(
    entries: Sequence[StoredMessage],
    key: Callable[[StoredMessage], int],
    before: int | None,
    after: int | None,
    page: Page,
) -> list[StoredMessage]:
    """Return the messages between two keys, in the order and with the limit of the page."""
    check_limit(page.limit)
    selected = [
        entry
        for entry in sorted(entries, key=key)
        if (before is None or key(entry) < before) and (after is None or key(entry) > after)
    ]
    return (selected if page.order == "asc" else selected[::-1])[: page.limit]
