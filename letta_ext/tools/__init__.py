"""Tools that run here, and the turns that call them: `loop.py` decides what is next in a turn, `_async/runner.py` asks.

What can be imported from here is for programs that make tools, or write down the types of a turn; each name is loaded
when it is asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from letta_api._lazy import lazy as _lazy

if TYPE_CHECKING:
    from .._async.runner import AsyncToolTurn
    from .._sync.runner import ToolTurn
    from .runner import Approve, AsyncApprove
    from .state_machine import ToolResult
    from .tool import (
        Decision,
        Tool,
        ToolRegistry,
        ToolRun,
        Verdict,
        failed,
        make_tool_registry,
        plain,
        read_docstring,
        read_verdict,
        render,
        run_tool,
        run_tool_async,
        sendable,
    )

__all__ = [
    "Approve",
    "AsyncApprove",
    "AsyncToolTurn",
    "Decision",
    "Tool",
    "ToolRegistry",
    "ToolResult",
    "ToolRun",
    "ToolTurn",
    "Verdict",
    "failed",
    "make_tool_registry",
    "plain",
    "read_docstring",
    "read_verdict",
    "render",
    "run_tool",
    "run_tool_async",
    "sendable",
]

_TURN = {"Approve": "runner", "AsyncApprove": "runner", "AsyncToolTurn": "._async.runner", "ToolTurn": "._sync.runner"}
if not TYPE_CHECKING:  # a type checker would take any name for one that is here
    __getattr__, __dir__, _ = _lazy(
        __name__, {**dict.fromkeys(__all__, "tool"), "ToolResult": "state_machine", **_TURN}
    )
