"""Client-side tools and the turns that call them. Each name is imported on first access."""

from __future__ import annotations

from typing import TYPE_CHECKING

from letta_api._lazy import lazy as _lazy

if TYPE_CHECKING:
    from .._async.runner import AsyncToolTurn
    from .._sync.runner import ToolTurn
    from .pending import PendingRequest
    from .runner import Approve, AsyncApprove
    from .state_machine import ToolResult
    from .tool import (
        Decision,
        Tool,
        ToolRegistry,
        ToolRun,
        Verdict,
        decision_from_verdict,
        failed_run,
        make_tool_registry,
        parse_docstring,
        run_tool,
        run_tool_async,
        sanitize,
        to_jsonable,
        to_tool_return,
    )

__all__ = [
    "Approve",
    "AsyncApprove",
    "AsyncToolTurn",
    "Decision",
    "PendingRequest",
    "Tool",
    "ToolRegistry",
    "ToolResult",
    "ToolRun",
    "ToolTurn",
    "Verdict",
    "decision_from_verdict",
    "failed_run",
    "make_tool_registry",
    "parse_docstring",
    "run_tool",
    "run_tool_async",
    "sanitize",
    "to_jsonable",
    "to_tool_return",
]

_TURN = {
    "ToolResult": "state_machine",
    "PendingRequest": "pending",
    "Approve": "runner",
    "AsyncApprove": "runner",
    "AsyncToolTurn": "._async.runner",
    "ToolTurn": "._sync.runner",
}
if not TYPE_CHECKING:  # a type checker would accept any name
    __getattr__, __dir__, _ = _lazy(
        __name__,
        {**dict.fromkeys(__all__, "tool"), **_TURN},
    )
