"""Hand-written types that `letta_ext.types` exports besides the types of the API."""

from __future__ import annotations

from typing import TYPE_CHECKING

from letta_api._lazy import lazy as _lazy
from letta_api.model import Unknown

if TYPE_CHECKING:
    from typing_extensions import TypeIs  # part of `typing` since Python 3.13

    from .hooks import AttemptReport, BusyReport, Hooks, ResumeReport
    from .retry import Attempt
    from .tools.runner import Approve, AsyncApprove
    from .tools.tool import Verdict

__all__ = [
    "Approve",
    "AsyncApprove",
    "Attempt",
    "AttemptReport",
    "BusyReport",
    "Hooks",
    "ResumeReport",
    "Unknown",
    "Verdict",
    "is_unknown",
]


def is_unknown(value: object) -> TypeIs[Unknown]:
    """Return whether a decoded value is malformed or of a type that this version does not support."""
    return isinstance(value, Unknown)


if not TYPE_CHECKING:  # `__getattr__` would make type checkers accept any name
    __getattr__, __dir__, _ = _lazy(
        "letta_ext",
        {
            **dict.fromkeys(["Approve", "AsyncApprove"], "tools.runner"),
            **dict.fromkeys(["AttemptReport", "BusyReport", "Hooks", "ResumeReport"], "hooks"),
            "Attempt": "retry",
            "Verdict": "tools.tool",
        },
    )
