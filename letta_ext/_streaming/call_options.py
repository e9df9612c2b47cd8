"""What the settings and arguments of a call mean for its sending: bounds, waiting, evidence. Nothing here does I/O."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import httpx

from .._http.busy_wait import BusyWait
from .._http.delivery_evidence import DeliveryEvidence
from .._http.idempotency import SendPlan
from .._http.requests import Call, StreamEndpoint
from ..busy import parse_when_busy
from ..config import Config, strip_not_given
from ..errors import LettaError
from ..limits import ResponseLimits
from .resume import Resume
from .sequence import StreamState

CLOSED: Final = "This client is closed. Make a new one, or close it later."
CLOSED_BELOW: Final = "The httpx client that this client sends with is closed. Pass an open one, or close it later."


def response_limits(config: Config, arguments: Mapping[str, Any]) -> ResponseLimits:
    """The bounds of a response body that is read whole, of a call with these arguments that was made."""
    limits: ResponseLimits = strip_not_given(arguments).get("response_limits", config.response_limits)
    return limits


def make_resume(endpoint: StreamEndpoint, plan: SendPlan, arguments: Mapping[str, Any], call: Call) -> Resume:
    """The state of a stream that has just been opened, and how it goes on where it is cut."""
    facts = endpoint.OPERATION.streaming
    if facts is None:
        raise TypeError(f"{endpoint.OPERATION.id} does not stream")
    after = arguments.get("starting_after") or None
    read, observe = endpoint.read_event, call.instrumentation.event_callback()
    state = StreamState(read, facts.terminator, facts.resume_operation, after, call.stream_limits, observe)
    return Resume(state, call.retry, plan.lookup, call.instrumentation)


def make_busy_wait(call: Call, ids: tuple[Any, ...]) -> BusyWait:
    """How a call waits where another run holds the conversation."""
    return BusyWait(parse_when_busy(call.when_busy), str(ids[0]) if ids else "", call.instrumentation)


def check_open(http: httpx.Client | httpx.AsyncClient, *, closed: bool) -> None:
    """Refuses to send with what is closed.

    Raises:
        LettaError: the client, or the httpx client below it, is closed.
    """
    if closed or http.is_closed:
        raise LettaError(CLOSED if closed else CLOSED_BELOW)


def watched_options(request: httpx.Request, evidence: DeliveryEvidence | None) -> dict[str, Any]:
    """Begins to collect evidence about a request, and returns what httpx must be told for it."""
    if evidence is None:
        return {}
    evidence.begin(request)
    return {} if evidence.auth is None else {"auth": evidence.auth}
