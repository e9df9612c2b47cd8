"""The arguments of an export, and the shards that they make."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from typing import Any, Final, TypeAlias

from attrs import field, frozen

from letta_api.api.conversations_messages import conversations_messages_list
from letta_api.api.steps import steps_list

from .._http.validation import check_arguments, check_bounds, check_id
from .._pagination.pages import make_list_iterator
from .._sync.client import Letta
from .._types import is_mapping, is_sequence
from .arrow import check_installed
from .shards import Format, Kind

Time: TypeAlias = datetime | date | str

INSTANT: Final = timedelta(microseconds=1)
"""The precision of dates in Letta's database. Both bounds of a period are exclusive."""

CONVERSATION: Final = "conversation_id"
"""The column of messages that Letta does not send."""


@frozen
class ShardSpec:
    """The part of a shard that is stored, so that a continued export has the same shards.

    Attributes:
        list_ids: The ids in the path of the list.
        arguments: The arguments of the list, as JSON.
        labels: Columns with a constant value.
    """

    list_ids: tuple[str, ...]
    arguments: Mapping[str, Any]
    labels: Mapping[str, str] = field(factory=dict[str, str])


@frozen
class Plan:
    """A validated export.

    Attributes:
        kind: The kind of rows.
        format: The format of the files.
        rows_per_part: The number of rows after which a part of Parquet is complete.
        parameters: The arguments that determine the content of the directory, as JSON.
        list_shards: Returns the shards. It can send requests.
    """

    kind: Kind
    format: Format
    rows_per_part: int
    parameters: Mapping[str, Any]
    list_shards: Callable[[Letta], Sequence[ShardSpec]]


def plan_steps(
    *,
    start_date: Time | None,
    end_date: Time | None,
    agent_id: str | Sequence[str] | None,
    filters: Mapping[str, Any] | None,
    format: Format,
    shards: int,
    page_size: int,
    rows_per_part: int,
) -> Plan:
    """Return the plan of an export of steps.

    Raises:
        TypeError: If an argument is of the wrong type.
        ValueError: If an argument has an invalid value, or a period is required and missing.
    """
    agents = [None] if agent_id is None else _ids("agent_id", agent_id)
    check_count("shards", shards)
    found_filters = _checked_filters(filters, steps_list.OPERATION.parameters)
    start = None if start_date is None else _to_utc("start_date", start_date)
    end = None if end_date is None else _to_utc("end_date", end_date)
    if start is not None and end is not None and start >= end:
        raise ValueError(f"start_date must be before end_date, got {start.isoformat()} and {end.isoformat()}")
    periods: Iterable[Mapping[str, Time | None]] = [{"start_date": start, "end_date": end}]
    if shards > 1:
        if start is None or end is None:
            raise ValueError("shards must be 1 without start_date and end_date, which are divided among the shards")
        periods = divide_period(start, end, shards)
    specs: list[ShardSpec] = []
    for agent in agents:
        for period in periods:
            arguments = {**found_filters, **period, "agent_id": agent, "limit": page_size}
            specs.append(ShardSpec((), _checked_arguments(steps_list, (), arguments)))
    selection = {
        "start_date": start and start.isoformat(),
        "end_date": end and end.isoformat(),
        "agent_id": None if agent_id is None else agents,
        "filters": found_filters,
        "shards": shards,
    }
    return _plan("steps", format, page_size, rows_per_part, selection, specs)


def plan_messages(
    *,
    conversations: str | Sequence[str] | None,
    agent_id: str | None,
    filters: Mapping[str, Any] | None,
    format: Format,
    page_size: int,
    rows_per_part: int,
) -> Plan:
    """Return the plan of an export of messages.

    Raises:
        TypeError: If an argument is of the wrong type.
        ValueError: If an argument has an invalid value, or not exactly one of both selections is given.
    """
    if (conversations is None) == (agent_id is None):
        raise ValueError("conversations and agent_id are mutually exclusive, and one of them is required")
    found_filters = _checked_filters(filters, conversations_messages_list.OPERATION.parameters)

    def spec(conversation_id: str) -> ShardSpec:
        arguments = {**found_filters, "limit": page_size}
        found = _checked_arguments(conversations_messages_list, (conversation_id,), arguments)
        return ShardSpec((conversation_id,), found, {CONVERSATION: conversation_id})

    if agent_id is None:
        ids = _ids("conversations", conversations)
        selection = {"conversations": ids, "filters": found_filters}
        return _plan("messages", format, page_size, rows_per_part, selection, [*map(spec, ids)])
    check_id("agent_id", agent_id)
    spec(agent_id)

    def list_shards(client: Letta) -> list[ShardSpec]:
        # The id of the agent selects its default conversation, which no list contains.
        listed = client.conversations.list(agent_id=agent_id, order="asc", order_by="created_at", archive_status="all")
        return [*map(spec, dict.fromkeys([agent_id, *(each.id for each in listed)]))]

    selection = {"agent_id": agent_id, "filters": found_filters}
    return _plan("messages", format, page_size, rows_per_part, selection, list_shards)


def _plan(
    kind: Kind,
    format: Format,
    page_size: int,
    rows_per_part: int,
    selection: Mapping[str, Any],
    specs: Sequence[ShardSpec] | Callable[[Letta], Sequence[ShardSpec]],
) -> Plan:
    check_count("page_size", page_size)
    check_count("rows_per_part", rows_per_part)
    if format not in ("parquet", "jsonl"):
        raise ValueError(f"format must be 'parquet' or 'jsonl', got {format!r}")
    if format == "parquet":
        check_installed()
    parameters = {
        "kind": kind,
        "format": format,
        **selection,
        "page_size": page_size,
        "rows_per_part": rows_per_part,
    }
    return Plan(kind, format, rows_per_part, parameters, specs if callable(specs) else lambda _: specs)


def divide_period(start: datetime, end: datetime, number: int) -> list[dict[str, Time | None]]:
    """Return consecutive periods, which together have all instants between two dates, each once.

    The list excludes both bounds of a period. Each period but the first therefore begins an instant earlier.
    """
    bounds = [start + (end - start) * index / number for index in range(number)] + [end]
    starts = [max(start, bound - INSTANT) for bound in bounds[:-1]]
    return [{"start_date": first, "end_date": last} for first, (_, last) in zip(starts, pairwise(bounds), strict=True)]


def _to_utc(name: str, value: Time) -> datetime:
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            raise ValueError(f"{name} must be an ISO date, got {value!r}") from None
    elif isinstance(value, date) and not isinstance(value, datetime):
        value = datetime.combine(value, time())
    if not isinstance(value, datetime):
        raise TypeError(f"{name} must be a datetime, a date, a string or None, got {type(value).__name__}")
    try:
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)  # as Letta reads it
    except OverflowError:
        raise ValueError(f"{name} must be a date that exists in UTC, got {value!r}") from None


def check_count(name: str, value: object) -> None:
    """Check a positive integer.

    Raises:
        TypeError: If it is not an integer.
        ValueError: If it is not positive.
    """
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{name} must be an integer, got {type(value).__name__}")
    if value < 1:
        raise ValueError(f"{name} must be 1 or more, got {value}")


def _ids(name: str, value: object) -> list[str]:
    """Return distinct ids, in order."""
    ids = [value] if isinstance(value, str) else value
    if not is_sequence(ids):
        raise TypeError(f"{name} must be an id or a list of ids, got {type(value).__name__}")
    if not ids:
        raise ValueError(f"{name} must not be empty")
    for each in ids:
        check_id(name, each)
    return [*dict.fromkeys(ids)]


_OWN_ARGUMENTS: Final = {"after", "agent_id", "before", "end_date", "limit", "order", "order_by", "start_date"}


def _checked_filters(filters: Mapping[str, Any] | None, parameters: frozenset[str]) -> Mapping[str, Any]:
    """Return the filters that are not None.

    Raises:
        TypeError: If it is not a mapping.
        ValueError: If a filter is not one of the list.
    """
    if filters is None:
        return {}
    if not is_mapping(filters):
        raise TypeError(f"filters must be a mapping or None, got {type(filters).__name__}")
    allowed = sorted(parameters - _OWN_ARGUMENTS)
    if unknown := [name for name in filters if name not in allowed]:
        raise ValueError(f"filters must have keys among {', '.join(allowed)}, got {unknown[0]!r}")
    return {name: value for name, value in filters.items() if value is not None}


def _checked_arguments(endpoint: Any, ids: tuple[str, ...], arguments: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the arguments of a list as JSON.

    Raises:
        TypeError: If an argument is of the wrong type.
        ValueError: If an argument has an invalid value.
    """
    given = {name: value for name, value in arguments.items() if value is not None}
    iterator = make_list_iterator(endpoint, ids, given)
    found = {**iterator.arguments, **iterator.filters}
    check_arguments(endpoint.build_request, (), found)
    check_bounds(endpoint.OPERATION.bounds, found)
    return found
