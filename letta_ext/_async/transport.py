"""What every call goes through: sending, waiting between attempts, reading of the response.

Decisions are made elsewhere: `_http/requests.py` makes requests, `retry.py` says which are repeated,
`_http/idempotency.py`
what a send needs, `_http/busy_wait.py` how long to wait for one's turn. Resources hold a transport rather than a
client, so that no client is part of a reference cycle.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

import httpx
from attrs import define, evolve

from letta_api.operations import RUNS_RETRIEVE, Operation

from .._http.attempts import RetryState, response_of_status_error
from .._http.body_limits import BOUNDS
from .._http.busy_wait import BusyWait, has_ended, is_run_id
from .._http.delivery_evidence import DeliveryEvidence
from .._http.idempotency import check_one_input, make_send_plan, resume_arguments
from .._http.internal_calls import make_internal_call
from .._http.requests import (
    EVENTS,
    JSON,
    MAX_REDIRECTS,
    Call,
    Endpoint,
    JsonEndpoint,
    StreamEndpoint,
    build_httpx_request,
    decode,
    decode_body,
    instrumented,
    is_event_stream,
    not_event_stream_error,
    prepare,
    redirect_request,
    resume_endpoint,
)
from .._instrumentation.redaction import make_redactor
from .._pagination.pages import items_of, make_list_iterator
from .._streaming.call_options import make_busy_wait, make_resume, send_arguments
from ..async_paginator import AsyncPaginator, open_list
from ..async_primitives import check_usable, sleep
from ..config import Config, strip_not_given
from ..errors import APIStatusError, ConflictError, ConversationBusyError, NotFoundError
from .body_reader import read_error, read_whole
from .fork_guard import guard
from .stream import AsyncStream

T = TypeVar("T")
R = TypeVar("R")


@define(eq=False)
class AsyncTransport:
    """Sends the calls of a client."""

    http: httpx.AsyncClient
    config: Config
    closed: bool = False

    async def call(self, endpoint: JsonEndpoint[T], ids: tuple[Any, ...], arguments: Mapping[str, Any]) -> T:
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
        arguments = strip_not_given(arguments)
        check_one_input(arguments)
        call = instrumented(prepare(self.config, endpoint, ids, arguments, JSON))
        with call.instrumentation:
            return finish(call, await self.send_when_not_busy(call, ids, arguments, stream=unread))

    def page(
        self, endpoint: JsonEndpoint[Any], ids: tuple[Any, ...], arguments: Mapping[str, Any]
    ) -> AsyncPaginator[Any]:
        """Sends one call of a list and returns its pages."""

        async def fetch(arguments: Mapping[str, Any]) -> list[Any]:
            return items_of(endpoint, await self.call(endpoint, ids, arguments))

        return open_list(lambda: make_list_iterator(endpoint, ids, arguments), fetch)

    async def stream(self, endpoint: StreamEndpoint, ids: tuple[Any, ...], arguments: Mapping[str, Any]) -> AsyncStream:
        """Sends one call and returns the stream that answers it."""
        arguments = strip_not_given(arguments)
        plan = make_send_plan(endpoint.OPERATION, arguments)
        call = instrumented(prepare(self.config, endpoint, ids, plan.arguments, EVENTS, plan.idempotency))

        async def reconnect(found: Mapping[str, Any]) -> httpx.Response:
            again = prepare(
                self.config, resume_endpoint(endpoint), ids, {**resume_arguments(arguments), **found}, EVENTS
            )
            response = await self.send(evolve(again, instrumentation=call.instrumentation), stream=True)
            await self._check_events(again, response)
            return response

        async def find_existing_run() -> httpx.Response:
            return await reconnect({"otid": plan.otid})

        with call.instrumentation:
            response = await self.send_when_not_busy(
                call, ids, arguments, stream=True, find_existing_run=find_existing_run if plan.otid else None
            )
            await self._check_events(call, response)
            call.instrumentation.on_stream_open()
            resume = make_resume(endpoint, plan, arguments, call)
            resume.state.redact = make_redactor(response.request)
            return AsyncStream(response, resume, reconnect, call.instrumentation, self.http)

    async def _check_events(self, call: Call, response: httpx.Response) -> None:
        if not is_event_stream(response):
            await read_error(response, call.limits)
            raise not_event_stream_error(response)

    async def send_when_not_busy(
        self,
        call: Call,
        ids: tuple[Any, ...],
        arguments: Mapping[str, Any],
        *,
        stream: bool,
        find_existing_run: Callable[[], Awaitable[httpx.Response]] | None = None,
    ) -> httpx.Response:
        """Sends a request; where a run holds the conversation, and it is so wished, waits until that has ended."""
        busy_wait: BusyWait | None = None
        while True:
            try:
                return await self.send(call, stream=stream, find_existing_run=find_existing_run)
            except ConversationBusyError as busy:
                busy_wait = busy_wait or make_busy_wait(call, ids)
                await sleep(busy_wait.delay(busy))
                # The run is on the server: there is no event to wait for, only the server to ask.
                while is_run_id(busy.run_id) and not await self._has_ended(busy.run_id, arguments):
                    await sleep(busy_wait.delay(busy))

    async def _has_ended(self, run_id: str, arguments: Mapping[str, Any]) -> bool:
        try:
            return has_ended(await self.ask(RUNS_RETRIEVE, arguments, run_id=run_id))
        except APIStatusError:
            return True  # a server that does not tell: the send itself shows whether it is its turn

    async def ask(self, operation: Operation, arguments: Mapping[str, Any], **ids: str) -> Any:
        """Ask for one thing by its id, and return its JSON.

        Args:
            operation: The operation, which no method of the client stands for.
            arguments: Arguments of another call, whose options it shares.
            **ids: The ids in the path of the operation.

        Raises:
            APIConnectionError: If no response came.
            APIStatusError: If the server refused.
        """
        call = instrumented(make_internal_call(self.config, operation, arguments, **ids))
        with call.instrumentation:
            return decode_body(await self.send(call))

    async def send(
        self,
        call: Call,
        *,
        stream: bool = False,
        find_existing_run: Callable[[], Awaitable[httpx.Response]] | None = None,
    ) -> httpx.Response:
        """Sends a request, as often as may be, and returns the successful answer.

        Args:
            call: the call.
            stream: whether to leave the body unread.
            find_existing_run: Finds the response to an earlier attempt that the server is still working on.

        Raises:
            APIConnectionError: no answer came.
            APIStatusError: the server refused.
        """
        request = build_httpx_request(self.http, self.config, call)
        retry_state = RetryState(call, DeliveryEvidence(self.http, request) if call.idempotency == "none" else None)
        while True:
            check_usable(self.http, closed=self.closed)
            retry_state.begin_attempt(request)
            response = await self._attempt(retry_state, request, stream=stream)
            if isinstance(response, Exception):
                await sleep(retry_state.delay_after_error(response))
                continue
            try:
                delay = retry_state.delay_after_response(response)
            except BaseException:  # a hook's
                await response.aclose()
                raise
            if response.is_success:
                return guard(response)
            if delay is None:
                refusal = retry_state.response_error(response)
                if find_existing_run is None or retry_state.attempts == 1 or not isinstance(refusal, ConflictError):
                    raise refusal
                try:
                    return await find_existing_run()
                except NotFoundError:
                    raise refusal from None
            await sleep(delay)

    async def _attempt(
        self, retry_state: RetryState, request: httpx.Request, *, stream: bool
    ) -> httpx.Response | Exception:
        """Sends a request once, and returns the response, read as far as it shall be, or what came in place of it."""
        limits = retry_state.call.limits
        try:
            response = await self._exchange(retry_state.call, request, retry_state.evidence)
            if not response.is_success:
                await read_error(response, limits)
            elif not stream:
                try:
                    await read_whole(response, limits)
                except BOUNDS as bound:
                    raise retry_state.body_limit_error(response, bound) from None
            return response
        except Exception as error:  # noqa: BLE001  # any class; the caller's own are raised again
            return retry_state.classify_error(error)

    async def _exchange(self, call: Call, request: httpx.Request, evidence: DeliveryEvidence | None) -> httpx.Response:
        response = await self._send_once(request, evidence)
        for _ in range(MAX_REDIRECTS):
            target = redirect_request(self.http, request, response)
            if target is None:
                break
            await read_error(response, call.limits)
            request = target
            response = await self._send_once(request, evidence)
        return response

    async def _send_once(self, request: httpx.Request, evidence: DeliveryEvidence | None) -> httpx.Response:
        options = send_arguments(request, evidence)
        try:
            return await self.http.send(request, stream=True, follow_redirects=False, **options)
        except httpx.HTTPStatusError as fault:
            return response_of_status_error(fault, request)
