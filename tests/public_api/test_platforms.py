"""Platforms: no module needs what only some of them have."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import builtins, importlib, os, pkgutil, signal, sys, types

PACKAGES = ("letta_ext", "letta_api", "letta_ext_pytest")
ABSENT = {"fcntl", "grp", "posix", "pty", "pwd", "readline", "resource", "syslog", "termios", "tty"}
OS = ("fork", "forkpty", "getuid", "geteuid", "getpgid", "killpg", "register_at_fork", "setsid", "uname", "wait4",
      "O_DIRECTORY", "O_NOFOLLOW", "O_CLOEXEC", "fchmod", "fchown", "chown", "mkfifo", "sched_getaffinity")
SIGNALS = ("SIGALRM", "SIGCHLD", "SIGHUP", "SIGKILL", "SIGPIPE", "SIGQUIT", "SIGUSR1", "SIGUSR2", "SIGWINCH",
           "alarm", "pthread_kill", "pthread_sigmask", "setitimer", "sigwait")

def import_all():
    names = list(PACKAGES)
    for name in names:
        if not name.endswith("__main__"):
            try:
                module = importlib.import_module(name)
            except ModuleNotFoundError as error:
                if error.name in ABSENT or str(error.name).startswith(PACKAGES):
                    raise
                continue  # an optional dependency
            names += [found.name for found in pkgutil.iter_modules(getattr(module, "__path__", ()), f"{name}.")]
    return len(names)

found = import_all()  # with the modules of all dependencies, which stay
for name in [name for name in sys.modules if name.split(".")[0] in PACKAGES]:
    del sys.modules[name]
for module, names in ((os, OS), (signal, SIGNALS)):
    for name in names:
        vars(module).pop(name, None)
real = builtins.__import__

def import_without(name, globals=None, *arguments, **options):
    if name in ABSENT and (globals or {}).get("__name__", "").startswith(PACKAGES):
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)
    return real(name, globals, *arguments, **options)

sys.modules["msvcrt"] = types.ModuleType("msvcrt")
system, sys.platform, builtins.__import__ = sys.platform, "win32", import_without
assert import_all() == found > 100, found
sys.platform = system  # the event loop is that of this system

import asyncio
from letta_ext import AsyncLetta, Letta
from letta_ext.testing import Cut, EmbeddedServer

def send(server):
    server.faults.add(Cut(events=1))
    return {"conversation_id": server.conversation_id, "input": "Hello", "background": True}

async def main(server):
    async with AsyncLetta(base_url=server.base_url) as client:
        stream = await client.conversations.messages.create(**send(server))
        return (await stream.result()).stop_reason.stop_reason

with EmbeddedServer() as server:
    with Letta(base_url=server.base_url) as client:
        print(client.conversations.messages.create(**send(server)).result().stop_reason.stop_reason)
    print(asyncio.run(main(server)))
"""


def test_every_module_works_without_modules_and_signals_that_windows_lacks() -> None:
    """All modules can be imported without POSIX modules, functions and signals, and messages can be sent."""
    command = [sys.executable, "-W", "ignore", "-c", PROGRAM]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert (done.stdout.split(), done.returncode) == (["end_turn", "end_turn"], 0), done.stderr
