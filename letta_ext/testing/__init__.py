"""A Letta server for tests: in memory, deterministic, with the behaviour of the real one.

::

    from letta_ext.testing import EmbeddedServer, Turn

    with EmbeddedServer() as server:
        server.state.script.say("hi there", Turn(text="and again", reasoning="hmm"))
        ...  # any client, at server.base_url

:class:`EmbeddedServer` listens on loopback; :func:`create_app` is the same as an ASGI application. What the agent
answers is decided by ``server.state.script``, and where that is empty by the user's message (see
:mod:`letta_ext.testing.agent`).
"""

from __future__ import annotations

from .agent import Call, ToolAnswer, Turn, Usage
from .clock import Clock, SystemClock, TickingClock
from .ids import IdSource
from .runs import Keepalive
from .scenes import DOCUMENTED_STEP, Scene, Stage, build
from .script import Script
from .state import State

try:
    from .app import create_app
    from .server import EmbeddedServer
except ModuleNotFoundError as error:
    missing = (error.name or "").partition(".")[0]
    if missing not in ("starlette", "uvicorn"):
        raise
    message = f'letta_ext.testing needs {missing}, which is not installed: pip install "letta-ext[testing]"'
    raise ModuleNotFoundError(message, name=missing) from error

__all__ = [
    "DOCUMENTED_STEP",
    "Call",
    "Clock",
    "EmbeddedServer",
    "IdSource",
    "Keepalive",
    "Scene",
    "Script",
    "Stage",
    "State",
    "SystemClock",
    "TickingClock",
    "ToolAnswer",
    "Turn",
    "Usage",
    "build",
    "create_app",
]
