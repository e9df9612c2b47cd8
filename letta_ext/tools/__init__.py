"""Tools that run here, and the turns that call them: `loop.py` decides what is next in a turn, `_async/turn.py` asks.

What can be imported from here is for programs that make tools, or write down the types of a turn; each name is loaded
when it is asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from letta_api._lazy import lazy as _lazy

if TYPE_CHECKING:
    from .._async.turn import AsyncToolTurn
    from .._sync.turn import ToolTurn
    from .loop import ToolResult
    from .tool import (
        Decision,
        Tool,
        Toolbox,
        ToolRun,
        Verdict,
        failed,
        make_toolbox,
        plain,
        read_docstring,
        read_verdict,
        render,
        run_tool,
        run_tool_async,
        sendable,
    )
    from .turn import Approve, AsyncApprove

__all__ = [
    "Approve",
    "AsyncApprove",
    "AsyncToolTurn",
    "Decision",
    "Tool",
    "ToolResult",
    "ToolRun",
    "ToolTurn",
    "Toolbox",
    "Verdict",
    "failed",
    "make_toolbox",
    "plain",
    "read_docstring",
    "read_verdict",
    "render",
    "run_tool",
    "run_tool_async",
    "sendable",
]

_TURN = {"Approve": "turn", "AsyncApprove": "turn", "AsyncToolTurn": "._async.turn", "ToolTurn": "._sync.turn"}
if not TYPE_CHECKING:  # a type checker would take any name for one that is here
    __getattr__, __dir__, _ = _lazy(__name__, {**dict.fromkeys(__all__, "tool"), "ToolResult": "loop", **_TURN})
