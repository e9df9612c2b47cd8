"""A Letta server for tests: in memory, deterministic, with the behaviour of the real one.

::

    from letta_ext.testing import Cut, EmbeddedServer, Turn

    with EmbeddedServer() as server:
        server.script.when("weather", Turn(text="It is sunny.", reasoning="hmm"))
        server.faults.add(Cut(events=3), on="conversations.messages.create")
        ...  # any client, at server.base_url

:class:`EmbeddedServer` listens on loopback; :func:`create_app` is the same as an ASGI application. What the agent
answers is decided by ``server.script``, and where that is empty by the user's message (see
:mod:`letta_ext.testing.engine.script`); what goes wrong on the way by ``server.faults`` (see
:mod:`letta_ext.testing.network.faults`).
"""

from __future__ import annotations

from importlib.util import find_spec as _find_spec
from typing import TYPE_CHECKING

from letta_api._lazy import lazy as _lazy

if TYPE_CHECKING:
    from .api.app import create_app
    from .engine.agent import Call, ToolAnswer, Turn, Usage
    from .engine.runs import Keepalive
    from .engine.script import Rule, Script
    from .network.faults import (
        Answer,
        BadChunk,
        Cut,
        ExtraFields,
        Fault,
        Faults,
        LostAnswer,
        LostRequest,
        Malformed,
        Redirect,
        Refuse,
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
    "Answer",
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
    "LostAnswer",
    "LostRequest",
    "Malformed",
    "Received",
    "Redirect",
    "Refuse",
    "Rule",
    "Scenario",
    "Script",
    "Slow",
    "SpecificationError",
    "Stall",
    "State",
    "SystemClock",
    "TickingClock",
    "ToolAnswer",
    "Trim",
    "Turn",
    "UnknownMessage",
    "UnusedFaultError",
    "Usage",
    "WrongType",
    "build",
    "create_app",
]

# Where the names are. Each module is loaded when a name of its is first asked for.
_NAMES = {
    "engine.agent": "Call ToolAnswer Turn Usage",
    "api.app": "create_app",
    "store.clock": "Clock SystemClock TickingClock",
    "network.faults": (
        "Answer BadChunk Cut ExtraFields Fault Faults LostAnswer LostRequest Malformed Redirect Refuse Slow Stall Trim "
        "UnknownMessage UnusedFaultError WrongType"
    ),
    "store.ids": "IdSource",
    "engine.runs": "Keepalive",
    "scenarios.builtin": "DOCUMENTED_STEP BuiltinScenario Scenario build",
    "engine.script": "Rule Script",
    "network.server": "EmbeddedServer",
    "store.state": "State",
    "network.request_log": "Received SpecificationError",
}
if not TYPE_CHECKING:  # a type checker would take any name for one that is here
    __getattr__, __dir__, _ = _lazy(
        __name__,
        {**dict.fromkeys(_NAMES), **{name: module for module, names in _NAMES.items() for name in names.split()}},
    )

for _package in ("starlette", "uvicorn", "jsonschema_rs", "yaml"):
    if _find_spec(_package) is None:
        _message = f'letta_ext.testing needs {_package}, which is not installed: pip install "letta-ext[testing]"'
        raise ModuleNotFoundError(_message, name=_package)
