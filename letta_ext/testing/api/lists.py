"""Lists: filters, orders and cursors, each with the meaning it has on the real server."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Protocol, TypeVar

from ..store.models import Json, Placed, Step, Thread
from . import errors, serializers
from .requests import Page, StepFilter


class _Named(Protocol):
    @property
    def id(self) -> str: ...


T = TypeVar("T", bound=_Named)


def check_limit(limit: int) -> None:
    """Raise what the real server's database makes of a limit that is negative or longer than 64 bits."""
    if not 0 <= limit < 2**63:
        raise errors.plain(500, "A database error occurred.")


def in_order(items: Sequence[T], key: Callable[[T], datetime | None], order: str) -> list[T]:
    """Return items in the order of a date, then of their ids; those without one are the last in either order."""
    dated = [(when, item.id, item) for item in items if (when := key(item)) is not None]
    undated = [item for item in items if key(item) is None]
    newest_first = order == "desc"
    dated.sort(key=lambda each: each[:2], reverse=newest_first)
    undated.sort(key=lambda each: each.id, reverse=newest_first)
    return [*(item for _, _, item in dated), *undated]


def run_steps(stored: Sequence[Step], run_id: str, page: Page) -> list[Step]:
    """Return a page of the steps of a run. Cursors follow the sort order, and may be steps of other runs."""
    before, after = (_known(stored, cursor, "Step") for cursor in (page.before, page.after))
    check_limit(page.limit)
    chosen = sorted((step for step in stored if step.run_id == run_id), key=_step_key)
    if page.order == "desc":
        chosen.reverse()
    return _between(chosen, before, after, page)


def run_messages(threads: Sequence[Thread], run_id: str, page: Page) -> list[Json]:
    """Return a page of the messages of a run. Cursors mean the time, whatever the order; parts are sorted too."""
    stored = [each for thread in threads for each in thread.stored]
    known = {each.message.id: each.position for each in stored}
    for cursor in (page.before, page.after):
        if cursor and cursor not in known:
            raise errors.plain(404, f"No message found with id '{cursor}' for agent 'None'.")
    check_limit(page.limit)
    chosen = sorted((each for each in stored if each.message.run_id == run_id), key=lambda each: each.position)
    if page.before:
        chosen = [each for each in chosen if each.position < known[page.before]]
    if page.after:
        chosen = [each for each in chosen if each.position > known[page.after]]
    if page.order == "desc":
        chosen.reverse()
    rendered = [serializers.render(each.message) for each in chosen[: page.limit]]
    return [part for parts in rendered for part in (reversed(parts) if page.order == "desc" else parts)]


def steps(stored: Sequence[Step], wanted: StepFilter, page: Page) -> list[Step]:
    """Return a page of steps. Cursors follow the sort order; an unknown one is an error.

    Args:
        stored: all steps.
        wanted: which of them to list.
        page: which page.
    """
    start, end = _date(wanted.start_date), _date(wanted.end_date)
    if start and end and start > end:
        raise errors.plain(400, "start_date must be earlier than or equal to end_date")
    before = _known(stored, page.before, "Step")
    after = _known(stored, page.after, "Step")
    if before and after and before.created_at < after.created_at:
        raise errors.plain(400, "'before' reference must be later than 'after' reference")
    check_limit(page.limit)
    chosen = sorted(
        (step for step in stored if _matches(step, wanted, start, end)),
        key=_step_key,
    )
    if page.order == "desc":
        chosen.reverse()
    return _between(chosen, before, after, page)


def _step_key(step: Step) -> tuple[datetime, str]:
    return step.created_at, step.id


def _between(chosen: list[Step], before: Step | None, after: Step | None, page: Page) -> list[Step]:
    if before and after:
        # With both cursors the real server takes them by time, whatever the order.
        inside = [step for step in chosen if _step_key(after) < _step_key(step) < _step_key(before)]
        return inside[: page.limit]
    newest_first = page.order == "desc"
    if after:
        chosen = [step for step in chosen if (_step_key(step) < _step_key(after)) == newest_first and step is not after]
    if before:
        chosen = [
            step for step in chosen if (_step_key(step) > _step_key(before)) == newest_first and step is not before
        ]
    return chosen[: page.limit]


def _date(spelt: str | None) -> datetime | None:
    if not spelt:
        return None
    try:
        when = datetime.fromisoformat(spelt)
    except ValueError as error:
        raise errors.plain(400, str(error)) from None
    return when if when.tzinfo else when.replace(tzinfo=UTC)


def _known(stored: Sequence[Step], cursor: str | None, kind: str) -> Step | None:
    if not cursor:
        return None
    for step in stored:
        if step.id == cursor:
            return step
    raise errors.plain(404, f"No {kind} found with id {cursor}")


def _matches(step: Step, wanted: StepFilter, start: datetime | None, end: datetime | None) -> bool:
    if start and step.created_at <= start:
        return False
    if end and step.created_at >= end:
        return False
    if wanted.model and step.model_handle.rpartition("/")[2] != wanted.model:
        return False
    if wanted.agent_id and step.agent_id != wanted.agent_id:
        return False
    if wanted.feedback and step.feedback != wanted.feedback:
        return False
    if wanted.has_feedback is not None and (step.feedback is not None) != wanted.has_feedback:
        return False
    # Traces and projects exist in Letta's cloud only.
    return not wanted.trace_ids and not wanted.project_id


def step_messages(step: Step, page: Page) -> list[Json]:
    """Return a page of a step's messages. What the model said is shown as reasoning, the last part first."""
    messages = step.messages if page.order == "asc" else step.messages[::-1]
    ids = [message.id for message in messages]
    for cursor in (page.before, page.after):
        if cursor and cursor not in ids:
            raise errors.plain(404, f"No Message found with id {cursor}")
    check_limit(page.limit)
    start = ids.index(page.after) + 1 if page.after else 0
    end = ids.index(page.before) if page.before else len(ids)
    shown = messages[start:end][: page.limit]
    return [part for message in shown for part in reversed(serializers.render(message, text_is_assistant=False))]


def thread_messages(thread: Thread, page: Page, types: Sequence[str] | None, *, order_relative: bool) -> list[Json]:
    """Return a page of a conversation.

    The limit counts stored messages, and types are chosen after it. Cursors mean the time, not the sort order, unless
    ``order_relative`` says so. An unknown cursor restarts the list, except in a default conversation, where it is an
    error.
    """
    placed = sorted(thread.stored, key=lambda each: each.position)
    before, after = page.before, page.after
    if order_relative and page.order == "desc":
        before, after = after, before
    if thread.is_default:
        _check_cursors(thread, after, before)
    check_limit(page.limit)
    upper, lower = _position(placed, before), _position(placed, after)
    if upper is not None:
        placed = [each for each in placed if each.position < upper]
    if lower is not None:
        placed = [each for each in placed if each.position > lower]
    if page.order == "desc":
        placed.reverse()
    placed = placed[: page.limit]
    if page.order == "desc" and thread.is_default:
        # The newest are chosen, and then told in the order of time.
        placed.reverse()
    rendered = [part for each in placed for part in serializers.render(each.message)]
    return rendered if types is None else [part for part in rendered if part["message_type"] in types]


def _check_cursors(thread: Thread, *cursors: str | None) -> None:
    known = {each.message.id for each in thread.stored}
    for cursor in cursors:
        if cursor and cursor not in known:
            raise errors.plain(404, f"No message found with id '{cursor}' for agent '{thread.agent_id}'.")


def _position(placed: Sequence[Placed], message_id: str | None) -> int | None:
    if not message_id:
        return None
    return next((each.position for each in placed if each.message.id == message_id), None)
