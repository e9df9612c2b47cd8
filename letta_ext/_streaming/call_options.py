"""The objects that the transport derives from the settings and arguments of a call."""

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

CLOSED: Final = "The client has been closed. Create a new one."
HTTP_CLIENT_CLOSED: Final = "The httpx client passed as http_client is closed. Pass an open one."


def response_limits(config: Config, arguments: Mapping[str, Any]) -> ResponseLimits:
    """Return the response limits of a call."""
    limits: ResponseLimits = strip_not_given(arguments).get("response_limits", config.response_limits)
    return limits


def make_resume(endpoint: StreamEndpoint, plan: SendPlan, arguments: Mapping[str, Any], call: Call) -> Resume:
    """Return the state and the resumption of a new stream."""
    facts = endpoint.OPERATION.streaming
    if facts is None:
        raise TypeError(f"{endpoint.OPERATION.id} does not stream")
    after = arguments.get("starting_after") or None
    read, observe = endpoint.read_event, call.instrumentation.event_callback()
    state = StreamState(read, facts.terminator, facts.resume_operation, after, call.stream_limits, observe)
    return Resume(state, call.retry, plan.lookup, call.instrumentation)


def make_busy_wait(call: Call, ids: tuple[Any, ...]) -> BusyWait:
    """Return the state of a call that waits for another run of the conversation."""
    return BusyWait(parse_when_busy(call.when_busy), str(ids[0]) if ids else "", call.instrumentation)


def check_open(http: httpx.Client | httpx.AsyncClient, *, closed: bool) -> None:
    """Check that neither the client nor its httpx client is closed.

    Raises:
        LettaError: If one of them is closed.
    """
    if closed or http.is_closed:
        raise LettaError(CLOSED if closed else HTTP_CLIENT_CLOSED)


def send_arguments(request: httpx.Request, evidence: DeliveryEvidence | None) -> dict[str, Any]:
    """Start to collect delivery evidence for a request, and return the arguments that httpx needs for it."""
    if evidence is None:
        return {}
    evidence.begin(request)
    return {} if evidence.auth is None else {"auth": evidence.auth}
