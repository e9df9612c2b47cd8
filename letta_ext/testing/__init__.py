"""A Letta server for tests: in memory, deterministic, with the behaviour of the real one.

::

    from letta_ext.testing import Cut, EmbeddedServer, Turn

    with EmbeddedServer() as server:
        server.script.when("weather", Turn(text="It is sunny.", reasoning="hmm"))
        server.faults.add(Cut(events=3), on="conversations.messages.create")
        ...  # any client, at server.base_url

:class:`EmbeddedServer` listens on loopback; :func:`create_app` is the same as an ASGI application. What the agent
answers is decided by ``server.script``, and where that is empty by the user's message (see
:mod:`letta_ext.testing.script`); what goes wrong on the way by ``server.faults`` (see :mod:`letta_ext.testing.faults`).
"""

from __future__ import annotations

from importlib.util import find_spec as _find_spec
from typing import TYPE_CHECKING

from letta_api._lazy import lazy as _lazy

if TYPE_CHECKING:
    from .agent import Call, ToolAnswer, Turn, Usage
    from .app import create_app
    from .clock import Clock, SystemClock, TickingClock
    from .faults import (
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
    from .ids import IdSource
    from .runs import Keepalive
    from .scenes import DOCUMENTED_STEP, Scene, Stage, build
    from .script import Rule, Script
    from .server import EmbeddedServer
    from .state import State
    from .traffic import Received, SpecificationError

__all__ = [
    "DOCUMENTED_STEP",
    "Answer",
    "BadChunk",
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
    "Scene",
    "Script",
    "Slow",
    "SpecificationError",
    "Stage",
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
    "agent": "Call ToolAnswer Turn Usage",
    "app": "create_app",
    "clock": "Clock SystemClock TickingClock",
    "faults": (
        "Answer BadChunk Cut ExtraFields Fault Faults LostAnswer LostRequest Malformed Redirect Refuse Slow Stall Trim "
        "UnknownMessage UnusedFaultError WrongType"
    ),
    "ids": "IdSource",
    "runs": "Keepalive",
    "scenes": "DOCUMENTED_STEP Scene Stage build",
    "script": "Rule Script",
    "server": "EmbeddedServer",
    "state": "State",
    "traffic": "Received SpecificationError",
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
