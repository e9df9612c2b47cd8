"""`letta-ext doctor`: what works between this machine and the server, and what does not."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Iterator
from importlib.metadata import version
from statistics import median
from typing import Final

import typer
from attrs import asdict, frozen
from rich.table import Table
from rich.text import Text

from .._version import LETTA_VERSION, __version__
from ..config import ENVIRONMENTS
from ..errors import (
    APIConnectionError,
    APIResponseValidationError,
    AuthenticationError,
    InternalServerError,
    LettaError,
    NotFoundError,
    PermissionDeniedError,
)
from .exit_codes import ExitCode, UsageError
from .help import Command
from .session import Session, command
from .terminal_text import clean_line

PROBES: Final = 5
"""Requests that are timed."""


@frozen
class Check:
    """A result.

    Attributes:
        check: Its name.
        ok: Whether it works. None for a remark.
        detail: The facts.
        remedy: How to solve a problem.
    """

    check: str
    ok: bool | None
    detail: str
    remedy: str = ""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("doctor", cls=Command)(command(doctor))


def doctor(session: Session) -> int:
    """Check the address, the API key, the server and its latency, and print what does not work and why.

    Each line is a check. A problem has its remedy below. The exit code is 1 if a check has failed.
    """
    failed = False
    for check in checks(session):
        failed = failed or check.ok is False
        if session.output.as_json:
            session.output.json_line(asdict(check))
        else:
            _print(session, check)
    return ExitCode.ERROR if failed else ExitCode.OK


def _print(session: Session, check: Check) -> None:
    mark, style = {True: ("ok", "green"), False: ("FAIL", "bold red"), None: ("note", "yellow")}[check.ok]
    lines = Table.grid(padding=(0, 2, 0, 0))
    lines.add_column(width=4)
    lines.add_column(width=8)
    lines.add_column(overflow="fold")
    lines.add_row(Text(mark, style), Text(check.check, "bold"), Text(clean_line(check.detail)))
    if check.remedy:
        lines.add_row("", "", Text(clean_line(check.remedy), "dim"))
    session.output.layout(lines)


def checks(session: Session) -> Iterator[Check]:
    """Yield the result of each check."""
    python = f"{platform.python_implementation()} {platform.python_version()}"
    yield Check("client", True, f"letta_ext {__version__}, {python}, httpx {version('httpx')}")
    given = session.connection
    source = _source(given.base_url, "--base-url", "LETTA_BASE_URL", "the default")
    try:
        client = session.client.with_options(max_retries=given.max_retries or 0, timeout=given.timeout or 10)
    except UsageError as error:
        name = "key" if str(error).startswith("api_key") else "address"
        yield Check(name, False, str(error), "Correct the option or the environment variable.")
        return
    yield Check("address", True, f"{client.base_url} ({source})")
    key = _source(given.api_key, "--api-key", "LETTA_API_KEY", "")
    is_cloud = client.base_url == ENVIRONMENTS["cloud"]
    if key:
        yield Check("key", True, f"set by {key}")
    elif is_cloud:
        yield Check("key", False, "not set", "Letta Cloud requires a key: set LETTA_API_KEY.")
    else:
        yield Check("key", None, "not set, which most local servers accept")

    try:
        health = client.health()
    except LettaError as error:
        yield Check("server", False, str(error), _server_remedy(error, is_cloud=is_cloud))
        return
    tested = health.version == LETTA_VERSION
    yield Check("server", True if tested else None, f"Letta {health.version}, status {health.status}")
    if not tested:
        yield Check("version", None, f"the client is tested with Letta {LETTA_VERSION}")
    yield Check("latency", True, f"{_milliseconds(client.health):.1f} ms, the median of {PROBES} requests")
    try:
        agents = client.agents.list(limit=1).items
    except LettaError as error:
        yield Check("access", False, str(error), _access_remedy(error))
        return
    yield Check("access", True, "agents can be listed" if agents else "agents can be listed; there are none")
    try:
        models = client.get("/v1/models/")
    except NotFoundError:
        return  # the embedded server accepts every model
    except LettaError as error:
        yield Check("models", None, f"the models cannot be listed: {error}")
        return
    if models:
        yield Check("models", True, f"{len(models)} models")
    else:
        yield Check("models", False, "the server has no model", "Configure a model provider on the server.")


def _source(option: str | None, name: str, variable: str, default: str) -> str:
    if option is not None:
        return name
    return variable if os.environ.get(variable, "").strip() else default


def _server_remedy(error: LettaError, *, is_cloud: bool) -> str:
    if isinstance(error, APIConnectionError):
        start = (
            "'letta-ext serve' starts an embedded server." if not is_cloud else "Set LETTA_BASE_URL for another server."
        )
        return f"Check the proxies and firewalls between, too. {start}"
    if isinstance(error, (NotFoundError, APIResponseValidationError)):
        return "The address belongs to another program. Check LETTA_BASE_URL."
    return _access_remedy(error)


def _access_remedy(error: LettaError) -> str:
    if isinstance(error, (AuthenticationError, PermissionDeniedError)):
        return "Set LETTA_API_KEY to a key of this server."
    return "Look at the log of the server." if isinstance(error, InternalServerError) else ""


def _milliseconds(call: Callable[[], object]) -> float:
    durations: list[float] = []
    for _ in range(PROBES):
        start = time.perf_counter()
        call()
        durations.append(time.perf_counter() - start)
    return median(durations) * 1000
