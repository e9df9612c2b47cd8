"""An embedded Letta server for tests: in memory and deterministic.

::

    from letta_ext.testing import Cut, EmbeddedServer, Turn

    with EmbeddedServer() as server:
        server.script.when("weather", Turn(text="It is sunny.", reasoning="hmm"))
        server.faults.add(Cut(events=3), on="conversations.messages.create")
        ...  # any client, at server.base_url

`EmbeddedServer` listens on loopback. `create_app` returns the same server as an ASGI application. The
responses come from ``server.script`` or from commands in the user's message
(`letta_ext.testing.engine.script`). Faults come from ``server.faults`` (`letta_ext.testing.network.faults`).
"""

from __future__ import annotations

from importlib.util import find_spec as _find_spec
from typing import TYPE_CHECKING

from letta_api._lazy import lazy as _lazy

if TYPE_CHECKING:
    from .api.app import create_app
    from .engine.agent import Call, ToolResult, Turn, Usage
    from .engine.runs import Keepalive
    from .engine.script import Rule, Script, echo
    from .network.faults import (
        BadChunk,
        Cut,
        ExtraFields,
        Fault,
        Faults,
        LostRequest,
        LostResponse,
        Malformed,
        Redirect,
        Refuse,
        Respond,
        Slow,
        Stall,
        Trim,
        UnknownMessage,
        UnusedFaultError,
        WrongType,
    )
    from .network.request_log import Received, SpecificationError
    from .network.server import EmbeddedServer
    from .scenarios.builtin import DOCUMENTED_STEP, BuiltinScenario, Scenario, build
    from .store.clock import Clock, SystemClock, TickingClock
    from .store.ids import IdSource
    from .store.state import State

__all__ = [
    "DOCUMENTED_STEP",
    "BadChunk",
    "BuiltinScenario",
    "Call",
    "Clock",
    "Cut",
    "EmbeddedServer",
    "ExtraFields",
    "Fault",
    "Faults",
    "IdSource",
    "Keepalive",
    "LostRequest",
    "LostResponse",
    "Malformed",
    "Received",
    "Redirect",
    "Refuse",
    "Respond",
    "Rule",
    "Scenario",
    "Script",
    "Slow",
    "SpecificationError",
    "Stall",
    "State",
    "SystemClock",
    "TickingClock",
    "ToolResult",
    "Trim",
    "Turn",
    "UnknownMessage",
    "UnusedFaultError",
    "Usage",
    "WrongType",
    "build",
    "create_app",
    "echo",
]

# The module of each name. A module is imported when one of its names is first used.
_NAMES = {
    "engine.agent": "Call ToolResult Turn Usage",
    "api.app": "create_app",
    "store.clock": "Clock SystemClock TickingClock",
    "network.faults": (
        "BadChunk Cut ExtraFields Fault Faults LostResponse LostRequest Malformed Redirect Refuse Respond Slow Stall "
        "Trim UnknownMessage UnusedFaultError WrongType"
    ),
    "store.ids": "IdSource",
    "engine.runs": "Keepalive",
    "scenarios.builtin": "DOCUMENTED_STEP BuiltinScenario Scenario build",
    "engine.script": "Rule Script echo",
    "network.server": "EmbeddedServer",
    "store.state": "State",
    "network.request_log": "Received SpecificationError",
}
if not TYPE_CHECKING:  # type checkers would accept any name
    __getattr__, __dir__, _ = _lazy(
        __name__,
        {**dict.fromkeys(_NAMES), **{name: module for module, names in _NAMES.items() for name in names.split()}},
    )

for _package in ("starlette", "uvicorn", "jsonschema_rs", "pydantic_core", "yaml"):
    if _find_spec(_package) is None:
        _message = f'letta_ext.testing needs {_package}, which is not installed: pip install "letta-ext[testing]"'
        raise ModuleNotFoundError(_message, name=_package)
