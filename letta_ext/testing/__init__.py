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

from .agent import Call, ToolAnswer, Turn, Usage
from .clock import Clock, SystemClock, TickingClock
from .ids import IdSource
from .runs import Keepalive
from .script import Rule, Script

try:
    from .app import create_app
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
    from .scenes import DOCUMENTED_STEP, Scene, Stage, build
    from .server import EmbeddedServer
    from .state import State
    from .traffic import Received, SpecificationError
except ModuleNotFoundError as error:
    missing = (error.name or "").partition(".")[0]
    if missing not in ("starlette", "uvicorn", "jsonschema_rs", "yaml"):
        raise
    message = f'letta_ext.testing needs {missing}, which is not installed: pip install "letta-ext[testing]"'
    raise ModuleNotFoundError(message, name=missing) from error

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
