"""What the settings and arguments of a call mean for its sending: bounds, waiting, evidence. Nothing here does I/O."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import httpx
from attrs import evolve

from ..busy import read_when_busy
from ..calls.requests import Call, Streaming
from ..config import Config, check_kind, given
from ..errors import LettaError
from ..limits import ResponseLimits, StreamLimits
from ..streams.resuming import Resuming
from ..streams.state import StreamState
from .evidence import Evidence
from .otids import Plan
from .waiting import Waiting

CLOSED: Final = "This client is closed. Make a new one, or close it later."
CLOSED_BELOW: Final = "The httpx client that this client sends with is closed. Pass an open one, or close it later."


def stream_limits(config: Config, arguments: Mapping[str, Any]) -> StreamLimits:
    """The bounds of a stream.

    Raises:
        TypeError: they are of the wrong type.
    """
    limits: StreamLimits = arguments.get("stream_limits", config.stream_limits)
    check_kind("stream_limits", limits, StreamLimits)
    return limits


def response_limits(config: Config, arguments: Mapping[str, Any]) -> ResponseLimits:
    """The bounds of a response body that is read whole, of a call with these arguments that was made."""
    limits: ResponseLimits = given(arguments).get("response_limits", config.response_limits)
    return limits


def bounded(call: Call, limits: StreamLimits) -> Call:
    """The call of a stream, which waits no longer for anything than the stream may."""
    return evolve(call, timeout=limits.timeout(call.timeout))


def make_resuming(
    endpoint: Streaming, plan: Plan, arguments: Mapping[str, Any], call: Call, limits: StreamLimits
) -> Resuming:
    """The state of a stream that has just been opened, and how it goes on where it is cut."""
    facts = endpoint.OPERATION.stream
    if facts is None:
        raise TypeError(f"{endpoint.OPERATION.id} does not stream")
    after = arguments.get("starting_after") or None
    state = StreamState(endpoint.read_event, facts.end, after, limits, call.watch.observer())
    return Resuming(state, call.retry, plan.lookup, call.watch)


def make_waiting(config: Config, call: Call, ids: tuple[Any, ...], arguments: Mapping[str, Any]) -> Waiting:
    """How a call waits where another run holds the conversation."""
    policy = read_when_busy(arguments.get("when_busy", config.when_busy))
    return Waiting(policy, str(ids[0]) if ids else "", call.watch)


def check_open(http: httpx.Client | httpx.AsyncClient, *, closed: bool) -> None:
    """Refuses to send with what is closed.

    Raises:
        LettaError: the client, or the httpx client below it, is closed.
    """
    if closed or http.is_closed:
        raise LettaError(CLOSED if closed else CLOSED_BELOW)


def watched_options(request: httpx.Request, evidence: Evidence | None) -> dict[str, Any]:
    """Begins to collect evidence about a request, and returns what httpx must be told for it."""
    if evidence is None:
        return {}
    evidence.begin(request)
    return {} if evidence.auth is None else {"auth": evidence.auth}
