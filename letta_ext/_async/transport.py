"""The transport of a client: sending, retries, waiting and reading of responses.

`_http/requests.py` builds requests, `retry.py` decides about retries, `_http/idempotency.py` makes messages idempotent,
and `_http/busy_wait.py` computes how long to wait for another run. Resources hold a transport instead of a client, so
that a client is not part of a reference cycle.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

import httpx
from attrs import define, evolve

from letta_api.operations import RUNS_RETRIEVE, Operation

from .._http.attempts import RETRIES, RetryState, response_of_status_error
from .._http.body_limits import BOUNDS
from .._http.busy_wait import BusyWait, has_ended, is_run_id
from .._http.delivery_evidence import DeliveryEvidence
from .._http.idempotency import make_send_plan, resume_arguments
from .._http.internal_calls import make_internal_call
from .._http.list_calls import ListCalls
from .._http.plain_arguments import plain_arguments
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
from .._http.send_checks import CONVERSATION, check_one_input, check_send
from .._instrumentation.redaction import make_redactor
from .._pagination.pages import items_of, make_list_iterator
from .._streaming.call_options import make_busy_wait, make_resume, send_arguments
from .._streaming.resume import REQUEST_POLICY
from ..async_paginator import AsyncPaginator, open_list
from ..async_primitives import check_usable, sleep
from ..config import Config
from ..errors import APIStatusError, ConflictError, ConversationBusyError, NotFoundError, PendingApprovalError
from ..retry import RetryPolicy
from .body_reader import read_error, read_whole
from .direct_send import send_request
from .fork_guard import guard
from .stream import AsyncStream

T = TypeVar("T")
R = TypeVar("R")


@define(eq=False)
class AsyncTransport:
    """Sends the requests of a client."""

    http: httpx.AsyncClient
    config: Config
    closed: bool = False

    async def call(self, endpoint: JsonEndpoint[T], ids: tuple[Any, ...], arguments: Mapping[str, Any]) -> T:
        """Send a request, and return the decoded JSON response."""
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
        """Send a request, and return the result of `finish` for its response.

        Args:
            endpoint: The endpoint module.
            ids: The ids in the path.
            arguments: The keyword arguments of the call.
            finish: Converts the response.
            unread: Whether to leave the body unread. Defaults to False.
        """
        arguments = plain_arguments(endpoint, arguments)
        check_one_input(arguments)
        call = instrumented(prepare(self.config, endpoint, ids, arguments, JSON))
        check_send(endpoint.OPERATION, ids, arguments)
        with call.instrumentation:
            return finish(call, await self.send_when_not_busy(call, ids, arguments, stream=unread))

    def page(
        self, endpoint: JsonEndpoint[Any], ids: tuple[Any, ...], arguments: Mapping[str, Any]
    ) -> AsyncPaginator[Any]:
        """Return the list of an operation."""
        calls = ListCalls(endpoint, ids)

        async def fetch(arguments: Mapping[str, Any]) -> list[Any]:
            call = instrumented(calls.prepare(self.config, arguments))
            with call.instrumentation:
                response = await self.send_when_not_busy(call, ids, arguments, stream=False)
                return items_of(endpoint, decode(endpoint, call, response))

        return open_list(lambda: make_list_iterator(endpoint, ids, arguments), fetch)

    async def stream(self, endpoint: StreamEndpoint, ids: tuple[Any, ...], arguments: Mapping[str, Any]) -> AsyncStream:
        """Send a request, and return the stream of its response."""
        arguments = plain_arguments(endpoint, arguments)
        plan = make_send_plan(endpoint.OPERATION, arguments)
        call = instrumented(prepare(self.config, endpoint, ids, plan.arguments, EVENTS, plan.idempotency))
        check_send(endpoint.OPERATION, ids, arguments)

        async def reconnect(found: Mapping[str, Any], retry: RetryPolicy = REQUEST_POLICY) -> httpx.Response:
            again = prepare(
                self.config, resume_endpoint(endpoint), ids, {**resume_arguments(arguments), **found}, EVENTS
            )
            again = evolve(again, instrumentation=call.instrumentation, retry=retry)
            response = await self.send(again, stream=True)
            await self._check_events(again, response)
            return response

        async def find_existing_run() -> httpx.Response:
            return await reconnect({"otid": plan.otid}, call.retry)

        async def describe_pending(error: PendingApprovalError) -> None:
            await self._describe_pending(error, endpoint.OPERATION, ids, arguments)

        with call.instrumentation:
            response = await self.send_when_not_busy(
                call, ids, arguments, stream=True, find_existing_run=find_existing_run if plan.otid else None
            )
            await self._check_events(call, response)
            call.instrumentation.on_stream_open()
            resume = make_resume(endpoint, plan, arguments, call)
            resume.state.redact, resume.state.request = make_redactor(response.request), response.request
            return AsyncStream(response, resume, reconnect, call.instrumentation, self.http, describe_pending)

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
        """Send a request. If another run holds the conversation, wait for its end as `when_busy` defines."""
        busy_wait: BusyWait | None = None
        while True:
            try:
                return await self.send(call, stream=stream, find_existing_run=find_existing_run)
            except PendingApprovalError as pending:
                await self._describe_pending(pending, call.operation, ids, arguments)
                raise
            except ConversationBusyError as busy:
                busy_wait = busy_wait or make_busy_wait(call, ids)
                await sleep(busy_wait.delay(busy))
                # The run is on the server, so its end can only be polled.
                while is_run_id(busy.run_id) and not await self._has_ended(busy.run_id, arguments):
                    await sleep(busy_wait.delay(busy))

    async def _describe_pending(
        self, error: PendingApprovalError, operation: Operation, ids: tuple[Any, ...], arguments: Mapping[str, Any]
    ) -> None:
        if operation.method == "POST" and operation.path_parameters == CONVERSATION:
            from .pending import describe_pending  # rare

            await describe_pending(self, error, ids[0], arguments)

    async def _has_ended(self, run_id: str, arguments: Mapping[str, Any]) -> bool:
        try:
            return has_ended(await self.call_internal(RUNS_RETRIEVE, arguments, run_id=run_id))
        except APIStatusError:
            return True  # unknown to this server; the request itself shows whether the conversation is free

    async def call_internal(self, operation: Operation, arguments: Mapping[str, Any], **ids: str) -> Any:
        """Call an operation for internal use, and return its JSON.

        Args:
            operation: The operation.
            arguments: The arguments of the call that needs it. Its request options apply here too.
            **ids: The ids in the path of the operation.

        Raises:
            APIConnectionError: If no response arrives.
            APIStatusError: If the server responds with an error.
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
        """Send a request, with retries, and return the successful response.

        Args:
            call: The call.
            stream: Whether to leave the body unread. Defaults to False.
            find_existing_run: Returns the response to an earlier attempt that is still being processed.

        Raises:
            APIConnectionError: If no response arrives.
            APIStatusError: If the server responds with an error.
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
            except BaseException:  # raised by a hook
                await response.aclose()
                raise
            if response.is_success:
                if retry_state.attempts > 1:
                    response.extensions[RETRIES] = retry_state.attempts - 1
                return guard(response)
            if delay is None:
                error = retry_state.response_error(response)
                if find_existing_run is None or retry_state.attempts == 1 or not isinstance(error, ConflictError):
                    raise error
                try:
                    return await find_existing_run()
                except NotFoundError:
                    raise error from None
            await sleep(delay)

    async def _attempt(
        self, retry_state: RetryState, request: httpx.Request, *, stream: bool
    ) -> httpx.Response | Exception:
        """Send a request once, and return the response or the transport error. Leave a stream unread."""
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
        except Exception as error:  # noqa: BLE001  # any class; exceptions of the caller are raised again
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
            return await send_request(self.http, request, **options)
        except httpx.HTTPStatusError as status_error:
            return response_of_status_error(status_error, request)
