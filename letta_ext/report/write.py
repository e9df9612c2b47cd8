"""`write_report` and `render_report`: a report with the sync or the async client."""

from __future__ import annotations

from collections.abc import Awaitable
from datetime import UTC, datetime
from os import PathLike
from pathlib import Path
from secrets import token_hex
from typing import overload

import anyio.to_thread
from attrs import frozen

from .._async.client import AsyncLetta
from .._sync.client import Letta
from .build import build_view
from .collect import collect_period, collect_run
from .data import ReportData, ReportLimits
from .prices import Prices, PriceTable, resolve_prices
from .render import render
from .requests import Work, run_async, run_sync


@overload
def render_report(
    client: Letta,
    *,
    run_id: str | None = ...,
    start_date: datetime | str | None = ...,
    end_date: datetime | str | None = ...,
    agent_id: str | None = ...,
    prices: Prices | None = ...,
    limits: ReportLimits | None = ...,
    created: datetime | None = ...,
) -> str: ...
@overload
def render_report(
    client: AsyncLetta,
    *,
    run_id: str | None = ...,
    start_date: datetime | str | None = ...,
    end_date: datetime | str | None = ...,
    agent_id: str | None = ...,
    prices: Prices | None = ...,
    limits: ReportLimits | None = ...,
    created: datetime | None = ...,
) -> Awaitable[str]: ...
def render_report(
    client: Letta | AsyncLetta,
    *,
    run_id: str | None = None,
    start_date: datetime | str | None = None,
    end_date: datetime | str | None = None,
    agent_id: str | None = None,
    prices: Prices | None = None,
    limits: ReportLimits | None = None,
    created: datetime | None = None,
) -> str | Awaitable[str]:
    """Return the HTML of a report on a run or a period. The arguments and errors are those of `write_report`."""
    _check_client(client)
    plan = _plan(run_id, start_date, end_date, agent_id, prices, limits, created)
    if isinstance(client, AsyncLetta):
        return _render_async(client, plan)
    return _html(run_sync(client, plan.work()))


@overload
def write_report(
    client: Letta,
    path: str | PathLike[str],
    *,
    run_id: str | None = ...,
    start_date: datetime | str | None = ...,
    end_date: datetime | str | None = ...,
    agent_id: str | None = ...,
    prices: Prices | None = ...,
    limits: ReportLimits | None = ...,
    created: datetime | None = ...,
) -> Path: ...
@overload
def write_report(
    client: AsyncLetta,
    path: str | PathLike[str],
    *,
    run_id: str | None = ...,
    start_date: datetime | str | None = ...,
    end_date: datetime | str | None = ...,
    agent_id: str | None = ...,
    prices: Prices | None = ...,
    limits: ReportLimits | None = ...,
    created: datetime | None = ...,
) -> Awaitable[Path]: ...
def write_report(
    client: Letta | AsyncLetta,
    path: str | PathLike[str],
    *,
    run_id: str | None = None,
    start_date: datetime | str | None = None,
    end_date: datetime | str | None = None,
    agent_id: str | None = None,
    prices: Prices | None = None,
    limits: ReportLimits | None = None,
    created: datetime | None = None,
) -> Path | Awaitable[Path]:
    """Write a report on a run or a period as one HTML file, and return its path.

    The file replaces an existing one when it is complete. With an `AsyncLetta`, await the result.

    Args:
        client: The client.
        path: The path of the file, in an existing directory.
        run_id: The run of the report.
        start_date: The start of the period, in place of `run_id`: an aware datetime, its ISO 8601 text, or a date for
            its midnight in UTC.
        end_date: The end of the period, which is not part of it. Defaults to `created`.
        agent_id: The agent of the period. Defaults to all agents.
        prices: A `PriceTable`, the prices by model handle, or the path of a JSON file: see `load_prices`. Defaults to
            `default_prices()`.
        limits: The bounds of the detail. Defaults to `ReportLimits()`.
        created: The time that the report shows as its own. Defaults to now.

    Raises:
        NotFoundError: If the run does not exist.
        APIError: If a request fails: see `letta_ext.errors`.
        OSError: If the file cannot be written.
        TypeError: If an argument is of the wrong type. Nothing is sent.
        ValueError: If an argument has an invalid value. Nothing is sent.
    """
    _check_client(client)
    plan = _plan(run_id, start_date, end_date, agent_id, prices, limits, created)
    target = _target(path)
    if isinstance(client, AsyncLetta):
        return _write_async(client, plan, target)
    return _write(_html(run_sync(client, plan.work())), target)


@frozen
class _Plan:
    """The checked arguments of a report: a run, or a period with a start and an end."""

    run_id: str | None
    start: datetime
    end: datetime
    agent_id: str | None
    prices: PriceTable
    limits: ReportLimits
    created: datetime

    def work(self) -> Work[ReportData]:
        """Return the requests of the report."""
        if self.run_id is not None:
            return collect_run(self.run_id, self.prices, self.limits, self.created)
        return collect_period(self.start, self.end, self.agent_id, self.prices, self.limits, self.created)


def _plan(
    run_id: str | None,
    start_date: datetime | str | None,
    end_date: datetime | str | None,
    agent_id: str | None,
    prices: Prices | None,
    limits: ReportLimits | None,
    created: datetime | None,
) -> _Plan:
    for name, value in (("run_id", run_id), ("agent_id", agent_id)):
        if value is not None and not isinstance(value, str):
            raise TypeError(f"{name} must be a string or None, got {value!r}")
    if limits is not None and not isinstance(limits, ReportLimits):
        raise TypeError(f"limits must be ReportLimits or None, got {limits!r}")
    now = datetime.now(UTC) if created is None else _instant("created", created)
    table, bounds = resolve_prices(prices), limits or ReportLimits()
    if run_id is not None:
        if start_date is not None or end_date is not None or agent_id is not None:
            raise ValueError("run_id must be given without start_date, end_date and agent_id")
        return _Plan(run_id, now, now, None, table, bounds, now)
    if start_date is None:
        raise ValueError("run_id or start_date must be given, got neither")
    start = _instant("start_date", start_date)
    end = now if end_date is None else _instant("end_date", end_date)
    if end <= start:
        raise ValueError(f"end_date must be after start_date, got {start.isoformat()} to {end.isoformat()}")
    return _Plan(None, start, end, agent_id, table, bounds, now)


def _instant(name: str, value: datetime | str) -> datetime:
    if isinstance(value, str):
        try:
            parsed = datetime.fromisoformat(value)
        except ValueError:
            raise ValueError(f"{name} must be an ISO 8601 date or time, got {value!r}") from None
        is_date = len(value) <= len("2026-01-01") and "T" not in value
        value = parsed.replace(tzinfo=UTC) if is_date and parsed.tzinfo is None else parsed
    if not isinstance(value, datetime):
        raise TypeError(f"{name} must be a datetime or its ISO 8601 text, got {value!r}")
    if value.utcoffset() is None:
        raise ValueError(f"{name} must have a time zone, such as 2026-01-31T12:00:00+00:00, got {value.isoformat()!r}")
    try:
        moment = value.astimezone(UTC)
    except OverflowError:
        moment = datetime.max.replace(tzinfo=UTC)
    if not 2 <= moment.year <= 9998:
        raise ValueError(f"{name} must be from year 2 to 9998 in UTC, got {value.isoformat()!r}")
    return moment


def _target(path: str | PathLike[str]) -> Path:
    if not isinstance(path, (str, PathLike)):
        raise TypeError(f"path must be a path, got {path!r}")
    target = Path(path)
    if not target.parent.is_dir():
        raise ValueError(f"path must be in an existing directory, got {str(target)!r}")
    if target.is_dir():
        raise ValueError(f"path must be the path of a file, got the directory {str(target)!r}")
    return target


def _check_client(client: Letta | AsyncLetta) -> None:
    if not isinstance(client, (Letta, AsyncLetta)):
        raise TypeError(f"client must be a Letta or an AsyncLetta, got {client!r}")


def _html(data: ReportData) -> str:
    return render(build_view(data))


async def _render_async(client: AsyncLetta, plan: _Plan) -> str:
    data = await run_async(client, plan.work())
    return await anyio.to_thread.run_sync(_html, data)


async def _write_async(client: AsyncLetta, plan: _Plan, target: Path) -> Path:
    html = await _render_async(client, plan)
    return await anyio.to_thread.run_sync(_write, html, target)


def _write(html: str, target: Path) -> Path:
    """Write a file beside the target, and put it in its place. A device or a pipe is written itself."""
    if target.exists() and not target.is_file():
        target.write_text(html, encoding="utf-8", newline="\n")
        return target
    file = target.resolve()  # a symbolic link remains one
    partial = file.with_name(f".{token_hex(8)}.part")
    try:
        partial.write_text(html, encoding="utf-8", newline="\n")
        partial.replace(file)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    return target
