"""The columns of each kind of rows."""

from __future__ import annotations

from letta_api.models.step import Step
from letta_api.unions.message import MEMBERS

from .._pagination.rows import Columns, columns_of


def columns_of_kind(kind: str) -> Columns:
    """Return the columns of steps or messages, without the column `extra`."""
    return columns_of([Step] if kind == "steps" else MEMBERS.values())
