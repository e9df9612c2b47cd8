"""The chart of a period: its parts as columns."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

from .data import Period, Slice
from .text import DASH, column_decimals, count, moment, moments, money
from .view import HEIGHT, LENGTH, Chart, Column

GAP = 1.0
LOWEST = 1.5
"""The height of a column that is too low to be seen."""


def chart_of(period: Period, currency: str) -> Chart | None:
    """Return the chart of a period. None if it has no steps.

    The columns show the cost. If a cost is missing, they show the tokens.
    """
    slices = period.slices
    if not any(each.tally.steps for each in slices):
        return None
    by_cost = not any(each.tally.unpriced for each in slices) and any(each.tally.cost for each in slices)
    values = [_cost(each) if by_cost else _tokens(each) for each in slices]
    highest = max(values)
    if not highest:
        values = [Decimal(each.tally.steps) for each in slices]
        highest = max(values)
        measure, maximum = "Steps", f"{count(int(highest))} steps"
    elif by_cost:
        measure, maximum = f"Cost [{currency}]", f"{money(highest)} {currency}"
    else:
        measure, maximum = "Tokens", f"{count(int(highest))} tokens"
    whole = max(period.end - period.start, timedelta(microseconds=1))
    decimals = column_decimals(max(map(_cost, slices)))
    columns = [
        _column(each, (each.start - period.start) / whole, (each.end - each.start) / whole, value / highest, decimals)
        for each, value in zip(slices, values, strict=True)
    ]
    return Chart(columns, measure, maximum, *moments(period.start, period.end))


def _cost(each: Slice) -> Decimal:
    return each.tally.cost or Decimal(0)


def _tokens(each: Slice) -> Decimal:
    return Decimal(each.tally.usage.input + each.tally.usage.output)


def _column(each: Slice, start: float, width: float, share: Decimal, decimals: int) -> Column:
    tally = each.tally
    is_known = tally.unreported < tally.steps
    height = max(LOWEST, float(share) * HEIGHT) if tally.steps else 0.0
    return Column(
        start=moment(each.start),
        steps=count(tally.steps),
        failed=count(tally.failed),
        input=count(tally.usage.input) if is_known else DASH,
        output=count(tally.usage.output) if is_known else DASH,
        cost=money(tally.cost, decimals),
        x=round(start * LENGTH, 2),
        width=round(max(0.5, width * LENGTH - GAP), 2),
        height=round(height, 2),
        failed_height=round(max(LOWEST, height * tally.failed / tally.steps), 2) if tally.failed else 0.0,
    )
