"""What every call goes through: sending, waiting between attempts, reading the answer; sync and async.

What decides is elsewhere: `requests.py` makes and reads, `retry.py` says what is repeated, `otids.py` what a send
needs, `busy.py` how long to wait for one's turn. Resources hold a transport rather than a client, so that no client is
part of a reference cycle.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, TypeVar

import anyio
import httpx
from attrs import define, evolve

from letta_api.operations import RUNS_RETRIEVE

from ..busy import Waiting, can_ask, has_ended, read_when_busy, run_request
from ..calls.requests import (
    EVENTS,
    JSON,
    MAX_REDIRECTS,
    Answering,
    Call,
    Endpoint,
    Streaming,
    brings_events,
    decode,
    no_events,
    prepare,
    read_body,
    redirected,
    to_httpx,
)
from ..config import Config, check_kind, given
from ..errors import APIStatusError, ConflictError, ConversationBusyError, LettaError, NotFoundError
from ..limits import ResponseLimits, StreamLimits
from ..lists.pages import AsyncPaginator, SyncPage, first_page, make_walk
from ..streams.resuming import Resuming
from ..streams.state import StreamState
from ..streams.stream import AsyncStream, Stream
from ..watching.redaction import redactor
from ..watching.watch import watched
from .attempts import Sending, answered_by
from .evidence import Evidence
from .guarded import guard
from .loops import check_event_loop
from .otids import Plan, check_one_input, make_plan
from .reading import BOUNDS, read_error, read_error_async, read_whole, read_whole_async

T = TypeVar("T")
R = TypeVar("R")
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
    return Resuming(state, call.retry, plan.lookup, call.watch.hooks(call.hooks))


def make_waiting(config: Config, call: Call, ids: tuple[Any, ...], arguments: Mapping[str, Any]) -> Waiting:
    """How a call waits where another run holds the conversation."""
    policy = read_when_busy(arguments.get("when_busy", config.when_busy))
    return Waiting(policy, str(ids[0]) if ids else "", call.hooks)


def run_call(call: Call, run_id: str) -> Call:
    """The call that asks for a run, with the settings of another call."""
    return evolve(call, operation=RUNS_RETRIEVE, request=run_request(run_id), accept=JSON, repeat="always")


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


@define(eq=False)
class Transport:
    """Sends the calls of a sync client."""

    http: httpx.Client
    config: Config
    closed: bool = False

    def call(self, endpoint: Answering[T], ids: tuple[Any, ...], arguments: Mapping[str, Any]) -> T:
        """Sends one call and decodes its JSON answer."""
        return self.fetch(endpoint, ids, arguments, lambda call, response: decode(endpoint, call, response))

    def fetch(
        self,
        endpoint: Endpoint,
        ids: tuple[Any, ...],
        arguments: Mapping[str, Any],
        finish: Callable[[Call, httpx.Response], R],
        *,
        unread: bool = False,
    ) -> R:
        """Sends one call, and returns what is made of its answer, whose body is left unread if so wished."""
        arguments = given(arguments)
        check_one_input(arguments)
        call = watched(prepare(self.config, endpoint, ids, arguments, JSON))
        with call.watch:
            return finish(call, self.in_turn(call, ids, arguments, stream=unread))

    def page(self, endpoint: Answering[list[T]], ids: tuple[Any, ...], arguments: Mapping[str, Any]) -> SyncPage[T]:
        """Sends one call of a list and returns its page, which walks on."""

        def fetch(arguments: Mapping[str, Any]) -> list[T]:
            return self.call(endpoint, ids, arguments)

        return first_page(make_walk(endpoint, ids, arguments), fetch)

    def stream(
        self, endpoint: Streaming, resume: Streaming, ids: tuple[Any, ...], arguments: Mapping[str, Any]
    ) -> Stream:
        """Sends one call and returns the stream that answers it. `resume` is the endpoint that continues one."""
        arguments = given(arguments)
        plan = make_plan(endpoint.OPERATION, arguments)
        limits = stream_limits(self.config, arguments)
        call = watched(bounded(prepare(self.config, endpoint, ids, plan.arguments, EVENTS, plan.repeat), limits))

        def reopen(found: Mapping[str, Any]) -> httpx.Response:
            again = prepare(self.config, resume, ids, {**plan.carried, **found}, EVENTS)
            response = self.send(evolve(again, watch=call.watch, timeout=call.timeout), stream=True)
            self._check_events(again, response)
            return response

        def recover() -> httpx.Response:
            return reopen({"otid": plan.otid})

        with call.watch:
            response = self.in_turn(call, ids, arguments, stream=True, recover=recover if plan.otid else None)
            self._check_events(call, response)
            call.watch.stays_open()
            resuming = make_resuming(endpoint, plan, arguments, call, limits)
            resuming.state.redact = redactor(response.request)
            return Stream(response, resuming, reopen, call.watch, self.http)

    def _check_events(self, call: Call, response: httpx.Response) -> None:
        if not brings_events(response):
            read_error(response, call.limits)
            raise no_events(response)

    def in_turn(
        self,
        call: Call,
        ids: tuple[Any, ...],
        arguments: Mapping[str, Any],
        *,
        stream: bool,
        recover: Callable[[], httpx.Response] | None = None,
    ) -> httpx.Response:
        """Sends a request; where a run holds the conversation, and it is so wished, waits until that has ended."""
        waiting = make_waiting(self.config, call, ids, arguments)
        while True:
            try:
                return self.send(call, stream=stream, recover=recover)
            except ConversationBusyError as busy:
                time.sleep(waiting.delay(busy))
                while can_ask(busy.run_id) and not self._has_ended(call, busy.run_id):
                    time.sleep(waiting.delay(busy))

    def _has_ended(self, call: Call, run_id: str) -> bool:
        try:
            return has_ended(read_body(self.send(run_call(call, run_id))))
        except APIStatusError:
            return True  # a server that does not tell: the send itself shows whether it is its turn

    def send(
        self, call: Call, *, stream: bool = False, recover: Callable[[], httpx.Response] | None = None
    ) -> httpx.Response:
        """Sends a request, as often as may be, and returns the successful answer.

        Args:
            call: the call.
            stream: whether to leave the body unread.
            recover: what finds the answer to an earlier attempt, where the server says that one is being worked on.

        Raises:
            APIConnectionError: no answer came.
            APIStatusError: the server refused.
        """
        request = to_httpx(self.http, self.config, call)
        sending = Sending(call, Evidence(self.http, request) if call.repeat == "unsent" else None)
        while True:
            check_open(self.http, closed=self.closed)
            sending.begin(request)
            response = self._attempt(sending, request, stream=stream)
            if isinstance(response, Exception):
                time.sleep(sending.failed(response))
                continue
            try:
                delay = sending.answered(response)
            except BaseException:  # a hook's
                response.close()
                raise
            if response.is_success:
                return guard(response)
            if delay is None:
                refusal = sending.refusal(response)
                if recover is None or sending.attempts == 1 or not isinstance(refusal, ConflictError):
                    raise refusal
                try:
                    return recover()
                except NotFoundError:
                    raise refusal from None
            time.sleep(delay)

    def _attempt(self, sending: Sending, request: httpx.Request, *, stream: bool) -> httpx.Response | Exception:
        """Sends a request once, and returns the response, read as far as it shall be, or what came in place of it."""
        limits = sending.call.limits
        try:
            response = self._exchange(sending.call, request, sending.evidence)
            if not response.is_success:
                read_error(response, limits)
            elif not stream:
                try:
                    read_whole(response, limits)
                except BOUNDS as bound:
                    raise sending.unbounded(response, bound) from None
            return response
        except Exception as error:  # noqa: BLE001  # any class; the caller's own are raised again
            return sending.fault_of(error)

    def _exchange(self, call: Call, request: httpx.Request, evidence: Evidence | None) -> httpx.Response:
        response = self._send_once(request, evidence)
        for _ in range(MAX_REDIRECTS):
            target = redirected(self.http, request, response)
            if target is None:
                break
            read_error(response, call.limits)
            request = target
            response = self._send_once(request, evidence)
        return response

    def _send_once(self, request: httpx.Request, evidence: Evidence | None) -> httpx.Response:
        options = watched_options(request, evidence)
        try:
            return self.http.send(request, stream=True, follow_redirects=False, **options)
        except httpx.HTTPStatusError as fault:
            return answered_by(fault, request)


@define(eq=False)
class AsyncTransport:
    """Sends the calls of an async client."""

    http: httpx.AsyncClient
    config: Config
    closed: bool = False

    async def call(self, endpoint: Answering[T], ids: tuple[Any, ...], arguments: Mapping[str, Any]) -> T:
        """Sends one call and decodes its JSON answer."""
        return await self.fetch(endpoint, ids, arguments, lambda call, response: decode(endpoint, call, response))

    async def fetch(
        self,
        endpoint: Endpoint,
        ids: tuple[Any, ...],
        arguments: Mapping[str, Any],
        finish: Callable[[Call, httpx.Response], R],
        *,
        unread: bool = False,
    ) -> R:
        """Sends one call, and returns what is made of its answer, whose body is left unread if so wished."""
        arguments = given(arguments)
        check_one_input(arguments)
        call = watched(prepare(self.config, endpoint, ids, arguments, JSON))
        with call.watch:
            return finish(call, await self.in_turn(call, ids, arguments, stream=unread))

    def page(
        self, endpoint: Answering[list[T]], ids: tuple[Any, ...], arguments: Mapping[str, Any]
    ) -> AsyncPaginator[T]:
        """A list that is fetched when it is awaited or iterated."""

        async def fetch(arguments: Mapping[str, Any]) -> list[T]:
            return await self.call(endpoint, ids, arguments)

        return AsyncPaginator(lambda: make_walk(endpoint, ids, arguments), fetch)

    async def stream(
        self, endpoint: Streaming, resume: Streaming, ids: tuple[Any, ...], arguments: Mapping[str, Any]
    ) -> AsyncStream:
        """Sends one call and returns the stream that answers it. `resume` is the endpoint that continues one."""
        arguments = given(arguments)
        plan = make_plan(endpoint.OPERATION, arguments)
        limits = stream_limits(self.config, arguments)
        call = watched(bounded(prepare(self.config, endpoint, ids, plan.arguments, EVENTS, plan.repeat), limits))

        async def reopen(found: Mapping[str, Any]) -> httpx.Response:
            again = prepare(self.config, resume, ids, {**plan.carried, **found}, EVENTS)
            response = await self.send(evolve(again, watch=call.watch, timeout=call.timeout), stream=True)
            await self._check_events(again, response)
            return response

        async def recover() -> httpx.Response:
            return await reopen({"otid": plan.otid})

        with call.watch:
            response = await self.in_turn(call, ids, arguments, stream=True, recover=recover if plan.otid else None)
            await self._check_events(call, response)
            call.watch.stays_open()
            resuming = make_resuming(endpoint, plan, arguments, call, limits)
            resuming.state.redact = redactor(response.request)
            return AsyncStream(response, resuming, reopen, call.watch, self.http)

    async def _check_events(self, call: Call, response: httpx.Response) -> None:
        if not brings_events(response):
            await read_error_async(response, call.limits)
            raise no_events(response)

    async def in_turn(
        self,
        call: Call,
        ids: tuple[Any, ...],
        arguments: Mapping[str, Any],
        *,
        stream: bool,
        recover: Callable[[], Awaitable[httpx.Response]] | None = None,
    ) -> httpx.Response:
        """Sends a request; where a run holds the conversation, and it is so wished, waits until that has ended."""
        waiting = make_waiting(self.config, call, ids, arguments)
        while True:
            try:
                return await self.send(call, stream=stream, recover=recover)
            except ConversationBusyError as busy:
                await anyio.sleep(waiting.delay(busy))
                # The run is on the server: there is no event to wait for, only the server to ask.
                while can_ask(busy.run_id) and not await self._has_ended(call, busy.run_id):  # noqa: ASYNC110  (as above)
                    await anyio.sleep(waiting.delay(busy))

    async def _has_ended(self, call: Call, run_id: str) -> bool:
        try:
            return has_ended(read_body(await self.send(run_call(call, run_id))))
        except APIStatusError:
            return True  # a server that does not tell: the send itself shows whether it is its turn

    async def send(
        self, call: Call, *, stream: bool = False, recover: Callable[[], Awaitable[httpx.Response]] | None = None
    ) -> httpx.Response:
        """Sends a request, as often as may be, and returns the successful answer.

        Args:
            call: the call.
            stream: whether to leave the body unread.
            recover: what finds the answer to an earlier attempt, where the server says that one is being worked on.

        Raises:
            APIConnectionError: no answer came.
            APIStatusError: the server refused.
        """
        request = to_httpx(self.http, self.config, call)
        sending = Sending(call, Evidence(self.http, request) if call.repeat == "unsent" else None)
        while True:
            check_open(self.http, closed=self.closed)
            check_event_loop(self.http)
            sending.begin(request)
            response = await self._attempt(sending, request, stream=stream)
            if isinstance(response, Exception):
                await anyio.sleep(sending.failed(response))
                continue
            try:
                delay = sending.answered(response)
            except BaseException:  # a hook's
                await response.aclose()
                raise
            if response.is_success:
                return guard(response)
            if delay is None:
                refusal = sending.refusal(response)
                if recover is None or sending.attempts == 1 or not isinstance(refusal, ConflictError):
                    raise refusal
                try:
                    return await recover()
                except NotFoundError:
                    raise refusal from None
            await anyio.sleep(delay)

    async def _attempt(self, sending: Sending, request: httpx.Request, *, stream: bool) -> httpx.Response | Exception:
        """Sends a request once, and returns the response, read as far as it shall be, or what came in place of it."""
        limits = sending.call.limits
        try:
            response = await self._exchange(sending.call, request, sending.evidence)
            if not response.is_success:
                await read_error_async(response, limits)
            elif not stream:
                try:
                    await read_whole_async(response, limits)
                except BOUNDS as bound:
                    raise sending.unbounded(response, bound) from None
            return response
        except Exception as error:  # noqa: BLE001  # any class; the caller's own are raised again
            return sending.fault_of(error)

    async def _exchange(self, call: Call, request: httpx.Request, evidence: Evidence | None) -> httpx.Response:
        response = await self._send_once(request, evidence)
        for _ in range(MAX_REDIRECTS):
            target = redirected(self.http, request, response)
            if target is None:
                break
            await read_error_async(response, call.limits)
            request = target
            response = await self._send_once(request, evidence)
        return response

    async def _send_once(self, request: httpx.Request, evidence: Evidence | None) -> httpx.Response:
        options = watched_options(request, evidence)
        try:
            return await self.http.send(request, stream=True, follow_redirects=False, **options)
        except httpx.HTTPStatusError as fault:
            return answered_by(fault, request)
