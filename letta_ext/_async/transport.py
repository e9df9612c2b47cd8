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

from .._http.attempts import Sending, answered_by
from .._http.body_limits import BOUNDS
from .._http.busy_wait import Waiting, can_ask, has_ended
from .._http.delivery_evidence import Evidence
from .._http.idempotency import carried, check_one_input, make_plan
from .._http.internal_calls import question
from .._http.requests import (
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
    resumed_by,
    to_httpx,
    watched,
)
from .._instrumentation.redaction import redactor
from .._pagination.pages import items_of, make_list_iterator
from .._streaming.call_options import make_busy_wait, make_resume, watched_options
from ..async_paginator import AsyncPaginator, open_list
from ..async_primitives import check_usable, sleep
from ..config import Config, given
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
            return finish(call, await self.send_when_not_busy(call, ids, arguments, stream=unread))

    def page(self, endpoint: Answering[Any], ids: tuple[Any, ...], arguments: Mapping[str, Any]) -> AsyncPaginator[Any]:
        """Sends one call of a list and returns its pages."""

        async def fetch(arguments: Mapping[str, Any]) -> list[Any]:
            return items_of(endpoint, await self.call(endpoint, ids, arguments))

        return open_list(lambda: make_list_iterator(endpoint, ids, arguments), fetch)

    async def stream(self, endpoint: Streaming, ids: tuple[Any, ...], arguments: Mapping[str, Any]) -> AsyncStream:
        """Sends one call and returns the stream that answers it."""
        arguments = given(arguments)
        plan = make_plan(endpoint.OPERATION, arguments)
        call = watched(prepare(self.config, endpoint, ids, plan.arguments, EVENTS, plan.repeat))

        async def reconnect(found: Mapping[str, Any]) -> httpx.Response:
            again = prepare(self.config, resumed_by(endpoint), ids, {**carried(arguments), **found}, EVENTS)
            response = await self.send(evolve(again, watch=call.watch), stream=True)
            await self._check_events(again, response)
            return response

        async def find_existing_run() -> httpx.Response:
            return await reconnect({"otid": plan.otid})

        with call.watch:
            response = await self.send_when_not_busy(
                call, ids, arguments, stream=True, find_existing_run=find_existing_run if plan.otid else None
            )
            await self._check_events(call, response)
            call.watch.stays_open()
            resuming = make_resume(endpoint, plan, arguments, call)
            resuming.state.redact = redactor(response.request)
            return AsyncStream(response, resuming, reconnect, call.watch, self.http)

    async def _check_events(self, call: Call, response: httpx.Response) -> None:
        if not brings_events(response):
            await read_error(response, call.limits)
            raise no_events(response)

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
        waiting: Waiting | None = None
        while True:
            try:
                return await self.send(call, stream=stream, find_existing_run=find_existing_run)
            except ConversationBusyError as busy:
                waiting = waiting or make_busy_wait(call, ids)
                await sleep(waiting.delay(busy))
                # The run is on the server: there is no event to wait for, only the server to ask.
                while can_ask(busy.run_id) and not await self._has_ended(busy.run_id, arguments):
                    await sleep(waiting.delay(busy))

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
        call = watched(question(self.config, operation, arguments, **ids))
        with call.watch:
            return read_body(await self.send(call))

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
        request = to_httpx(self.http, self.config, call)
        sending = Sending(call, Evidence(self.http, request) if call.repeat == "unsent" else None)
        while True:
            check_usable(self.http, closed=self.closed)
            sending.begin(request)
            response = await self._attempt(sending, request, stream=stream)
            if isinstance(response, Exception):
                await sleep(sending.failed(response))
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
                if find_existing_run is None or sending.attempts == 1 or not isinstance(refusal, ConflictError):
                    raise refusal
                try:
                    return await find_existing_run()
                except NotFoundError:
                    raise refusal from None
            await sleep(delay)

    async def _attempt(self, sending: Sending, request: httpx.Request, *, stream: bool) -> httpx.Response | Exception:
        """Sends a request once, and returns the response, read as far as it shall be, or what came in place of it."""
        limits = sending.call.limits
        try:
            response = await self._exchange(sending.call, request, sending.evidence)
            if not response.is_success:
                await read_error(response, limits)
            elif not stream:
                try:
                    await read_whole(response, limits)
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
            await read_error(response, call.limits)
            request = target
            response = await self._send_once(request, evidence)
        return response

    async def _send_once(self, request: httpx.Request, evidence: Evidence | None) -> httpx.Response:
        options = watched_options(request, evidence)
        try:
            return await self.http.send(request, stream=True, follow_redirects=False, **options)
        except httpx.HTTPStatusError as fault:
            return answered_by(fault, request)
