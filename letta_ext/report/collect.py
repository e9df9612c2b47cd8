"""The collection of data: which requests a report needs. `requests.py` sends them.

Totals cover every step of a period. Details, which need requests for each run and each step, are bounded.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Final, TypeVar

from attrs import define, field

from letta_api.models import AgentState, Run, Step, StepMetrics
from letta_api.unions.message import Message

from .data import Period, ReportData, ReportLimits, RunRecord, Slice, StepRecord, Tally, Totals
from .prices import PriceTable
from .requests import Request, Unavailable, Work, fetch, fetch_one, first_page, if_available, next_page

if TYPE_CHECKING:
    from .._async.pagination import AsyncPage
    from .._sync.pagination import SyncPage

T = TypeVar("T")

PAGE: Final = 200
"""Items of a page of steps or runs."""

LATER_STEPS: Final = 10
"""Steps after a period among which a later run is looked up."""

MESSAGE_PAGE: Final = 100
BATCH: Final = 16
"""Runs of which the first pages are fetched together."""

MAX_SLICES: Final = 36  # 31 days, or 24 hours
EPOCH: Final = datetime(2001, 1, 1, tzinfo=UTC)  # a Monday
WIDTHS: Final = [
    *(timedelta(minutes=minutes) for minutes in (1, 5, 15, 30)),
    *(timedelta(hours=hours) for hours in (1, 3, 6, 12)),
    *(timedelta(days=days) for days in (1, 7, 28, 91, 364, 3640, 36400, 364000)),
]
INSTANT: Final = timedelta(microseconds=1)
"""The resolution of the dates of steps."""


def collect_run(run_id: str, prices: PriceTable, limits: ReportLimits, created: datetime) -> Work[ReportData]:
    """Collect the data of one run."""
    run = yield from fetch_one(_run(run_id))
    totals = Totals()
    records = yield from _details([run], prices, limits, totals)
    agents = yield from _agent_names([run.agent_id])
    return ReportData(records, totals, agents, prices, limits, created)


def collect_period(
    start: datetime, end: datetime, agent_id: str | None, prices: PriceTable, limits: ReportLimits, created: datetime
) -> Work[ReportData]:
    """Collect the data of a period, from its start and up to its end."""
    totals = Totals()
    bounds = slice_bounds(start, end)
    slices = [Slice(first, last, Tally()) for first, last in pairwise(bounds)]
    yield from _add_steps(slices, agent_id, prices, totals)
    later = (yield from _later_run(end, agent_id)) if end < created else None
    count, statuses, newest = yield from _runs(start, end, agent_id, limits.runs, later)
    records = yield from _details(newest, prices, limits, None)
    agents = yield from _agent_names([run.agent_id for run in newest] + ([agent_id] if agent_id else []))
    period = Period(start, end, agent_id, slices, count, statuses)
    return ReportData(records, totals, agents, prices, limits, created, period)


def slice_bounds(start: datetime, end: datetime) -> list[datetime]:
    """Return the bounds of at most `MAX_SLICES` parts of a period.

    Inner bounds are full minutes, hours, days or weeks in UTC.
    """
    width = next(width for width in WIDTHS if (end - start) / width <= MAX_SLICES - 2)
    bounds = [start]
    step = width - (start - EPOCH) % width
    while end - bounds[-1] > step:  # the sum of a later bound and the width can be after the year 9999
        bounds.append(bounds[-1] + step)
        step = width
    return [*bounds, end]


def _add_steps(slices: Sequence[Slice], agent_id: str | None, prices: PriceTable, totals: Totals) -> Work[None]:
    """Add every step of the slices to their sums and to the totals."""
    pages = yield from fetch([_steps_between(each.start, each.end, agent_id) for each in slices])
    open_pages = list(zip(pages, slices, strict=True))
    while open_pages:
        for page, each in open_pages:
            for step in page.items:
                each.tally.add(step, prices)
                totals.add(step, prices)
        open_pages = [(page, each) for page, each in open_pages if page.has_next_page()]
        pages = yield from fetch([next_page(page) for page, _ in open_pages])
        open_pages = list(zip(pages, (each for _, each in open_pages), strict=True))


def _steps_between(start: datetime, end: datetime, agent_id: str | None) -> Request[SyncPage[Step] | AsyncPage[Step]]:
    # Letta 0.16.8 excludes both dates.
    after, before = (start - INSTANT).isoformat(), end.isoformat()
    return first_page(
        lambda client: client.steps.list(start_date=after, end_date=before, order="asc", limit=PAGE, agent_id=agent_id)
    )


def _later_run(end: datetime, agent_id: str | None) -> Work[Run | None]:
    """Return a run that was created after a period, or None if none of the next steps has one.

    The list of runs has no filter for dates. It is read from this run, so that newer ones need not be read.
    """
    after = (end - INSTANT).isoformat()
    page = yield from fetch_one(
        first_page(
            lambda client: client.steps.list(start_date=after, order="asc", limit=LATER_STEPS, agent_id=agent_id)
        )
    )
    ids = dict.fromkeys(step.run_id for step in page.items if step.run_id is not None)
    runs = yield from fetch([if_available(_run(run_id)) for run_id in ids])
    for run in runs:
        if not isinstance(run, Unavailable) and run.created_at is not None and run.created_at >= end:
            return run
    return None


def _runs_before(run_id: str | None, agent_id: str | None) -> Request[SyncPage[Run] | AsyncPage[Run]]:
    # In Letta 0.16.8, the runs before a cursor are the older ones in each order.
    return first_page(lambda client: client.runs.list(order="desc", limit=PAGE, agent_id=agent_id, before=run_id))


def _is_older(run: Run, other: Run) -> bool:
    return run.created_at is not None and other.created_at is not None and run.created_at < other.created_at


def _run(run_id: str) -> Request[Run]:
    return Request(lambda client: client.runs.retrieve(run_id))


def _runs(
    start: datetime, end: datetime, agent_id: str | None, limit: int, later: Run | None
) -> Work[tuple[int, Counter[str], list[Run]]]:
    """Return the number of runs of a period, their statuses and the newest ones.

    Args:
        start: The start of the period.
        end: The end of the period.
        agent_id: The agent, or None for all.
        limit: The maximum number of runs to return.
        later: A run after the period, or None to begin with the newest one.
    """
    count = 0
    statuses: Counter[str] = Counter()
    newest: list[Run] = []
    page = yield from fetch_one(_runs_before(later.id if later else None, agent_id))
    if later is not None and not (page.items and _is_older(page.items[0], later)):
        page = yield from fetch_one(_runs_before(None, agent_id))  # another server can read the cursor in another way
    while True:
        for run in page.items:
            if run.created_at is None or run.created_at >= end:
                continue
            if run.created_at < start:
                return count, statuses, newest
            count += 1
            statuses[run.status or "unknown"] += 1
            if len(newest) < limit:
                newest.append(run)
        if not page.has_next_page():
            return count, statuses, newest
        page = yield from fetch_one(next_page(page))


@define
class _Detail:
    """A run of which steps and messages are being collected."""

    run: Run
    tally: Tally = field(factory=Tally)
    steps: list[Step] = field(factory=list[Step])
    omitted_steps: int = 0
    messages: list[Message] = field(factory=list[Message])
    has_more_messages: bool = False
    problem: str = ""


def _details(
    runs: Sequence[Run], prices: PriceTable, limits: ReportLimits, totals: Totals | None
) -> Work[list[RunRecord]]:
    """Return the runs with their steps, metrics and messages, as far as the limits allow.

    Args:
        runs: The runs.
        prices: The prices.
        limits: The limits.
        totals: The sums to which the steps are added, or None.
    """
    records: list[RunRecord] = []
    steps_left, messages_left = limits.steps, limits.messages
    for offset in range(0, len(runs), BATCH):
        details = [_Detail(run) for run in runs[offset : offset + BATCH]]
        step_pages = yield from fetch([if_available(_steps_of(each.run.id)) for each in details])
        for each, page in zip(details, step_pages, strict=True):
            yield from _read_steps(each, page, steps_left, prices, totals)
            steps_left -= len(each.steps)
        size = min(MESSAGE_PAGE, messages_left + 1)
        message_pages = yield from fetch([if_available(_messages_of(each.run.id, size)) for each in details])
        for each, messages in zip(details, message_pages, strict=True):
            yield from _read_messages(each, messages, messages_left)
            messages_left -= len(each.messages)
        records += yield from _with_metrics(details)
    return records


def _steps_of(run_id: str) -> Request[SyncPage[Step] | AsyncPage[Step]]:
    return first_page(lambda client: client.runs.steps.list(run_id, order="asc", limit=PAGE))


def _messages_of(run_id: str, size: int) -> Request[SyncPage[Message] | AsyncPage[Message]]:
    return first_page(lambda client: client.runs.messages.list(run_id, order="asc", limit=size))


def _read_steps(
    detail: _Detail,
    page: SyncPage[Step] | AsyncPage[Step] | Unavailable,
    limit: int,
    prices: PriceTable,
    totals: Totals | None,
) -> Work[None]:
    """Add every step to the sums, and keep the first ones."""
    while not isinstance(page, Unavailable):
        for step in page.items:
            detail.tally.add(step, prices)
            if totals is not None:
                totals.add(step, prices)
            if len(detail.steps) < limit:
                detail.steps.append(step)
            else:
                detail.omitted_steps += 1
        if not page.has_next_page():
            return
        page = yield from fetch_one(if_available(next_page(page)))
    detail.problem = _problem("steps", page)


def _read_messages(
    detail: _Detail, page: SyncPage[Message] | AsyncPage[Message] | Unavailable, limit: int
) -> Work[None]:
    """Keep the first messages."""
    while not isinstance(page, Unavailable):
        detail.messages += page.items
        if len(detail.messages) > limit:
            del detail.messages[limit:]
            detail.has_more_messages = True
        if detail.has_more_messages or not page.has_next_page():
            return
        page = yield from fetch_one(if_available(next_page(page)))
    detail.problem = _problem("messages", page)


def _problem(name: str, result: Unavailable) -> str:
    if result.is_missing:
        return "The run was deleted while the report was made."
    return f"The server cannot list the {name} of the run: {result.error}"


def _with_metrics(details: Sequence[_Detail]) -> Work[list[RunRecord]]:
    steps = [step for each in details for step in each.steps]
    metrics = yield from fetch([_metrics_of(step.id) for step in steps])
    records = iter([StepRecord(step, _available(found)) for step, found in zip(steps, metrics, strict=True)])
    return [
        RunRecord(
            each.run,
            each.tally,
            [next(records) for _ in each.steps],
            each.messages,
            each.omitted_steps,
            each.has_more_messages,
            each.problem,
        )
        for each in details
    ]


def _available(result: T | Unavailable) -> T | None:
    return None if isinstance(result, Unavailable) else result


def _metrics_of(step_id: str) -> Request[StepMetrics | Unavailable]:
    return if_available(Request(lambda client: client.steps.metrics.retrieve(step_id)))


def _agent_names(agent_ids: Iterable[str]) -> Work[dict[str, str]]:
    """Return the names of agents. Those that no longer exist are absent."""
    distinct = list(dict.fromkeys(agent_ids))
    agents = yield from fetch([_agent(agent_id) for agent_id in distinct])
    return {agent.id: agent.name for agent in agents if not isinstance(agent, Unavailable)}


def _agent(agent_id: str) -> Request[AgentState | Unavailable]:
    return if_available(Request(lambda client: client.agents.retrieve(agent_id)))
