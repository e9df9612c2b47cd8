"""The client: settings, resources, closing.

What a client is made of is loaded by the first client, and what a resource needs by the first use of it: a program that
imports the classes starts nearly as fast as one that imports httpx.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, Self

import httpx

from .._http.httpx_client import check_http_client
from .._types import NOT_GIVEN
from ..resources.client import AsyncResources
from .base_client import AsyncBaseClient

if TYPE_CHECKING:
    from typing import Unpack

    from .._types import NotGiven
    from ..busy import WhenBusy
    from ..config import ClientOptions, TimeLimit
    from ..hooks import Hooks
    from ..limits import ResponseLimits, StreamLimits
    from ..retry import RetryPolicy


class AsyncLetta(AsyncResources, AsyncBaseClient):
    """A client of a Letta server.

    Args:
        api_key: the API key; without it the environment variable `LETTA_API_KEY`, and without that none is sent.
        project: the slug of the project, sent as `X-Project`.
        project_id: the id of the project, sent as `X-Project-Id`.
        environment: `"cloud"` (https://api.letta.com, the default) or `"local"` (http://localhost:8283).
        base_url: the server's address instead; without either the environment variable `LETTA_BASE_URL`.
        timeout: seconds for each phase of a request, or an `httpx.Timeout`; 60 to read and 5 to connect by default.
        max_retries: how often a request that may be repeated is, 2 by default; shorthand for a field of `retry`.
        retry: when requests are repeated.
        hooks: functions that are told of attempts, resumed streams and waits.
        response_limits: how large a response may be, and how long reading it may take.
        stream_limits: how long a stream may be silent, and how large one event may be.
        when_busy: what a send does where another run holds the conversation: `"raise"`, the default, raises
            `ConversationBusyError`; `"wait"`, or a `BusyPolicy`, waits until that run has ended.
        default_headers: headers sent with every request.
        default_query: query parameters sent with every request.
        cookies: whether cookies of responses are kept, and sent with later requests with the same key. Defaults to
            False. An httpx client that is passed keeps cookies in any case, for each key its own.
        http_client: an async httpx client to send with. It keeps its own limits and settings, and is not closed.

    Raises:
        TypeError: an argument is of the wrong type.
        ValueError: an argument has an impossible value.
    """

    def __init__(
        self,
        *,
        api_key: str | None = None,
        project: str | None = None,
        project_id: str | None = None,
        environment: Literal["cloud", "local"] | None = None,
        base_url: str | httpx.URL | None = None,
        timeout: TimeLimit | NotGiven = NOT_GIVEN,
        max_retries: int | None = None,
        retry: RetryPolicy | None = None,
        hooks: Hooks | None = None,
        response_limits: ResponseLimits | None = None,
        stream_limits: StreamLimits | None = None,
        when_busy: WhenBusy = "raise",
        default_headers: Mapping[str, str] | None = None,
        default_query: Mapping[str, Any] | None = None,
        cookies: bool = False,
        http_client: httpx.AsyncClient | None = None,
    ) -> None:
        from .._http.default_client import make_http_client
        from ..config import Config
        from .connection_pool import AsyncPool
        from .transport import AsyncTransport

        check_http_client(http_client, httpx.AsyncClient)
        options: ClientOptions = {
            "api_key": api_key,
            "project": project,
            "project_id": project_id,
            "environment": environment,
            "base_url": base_url,
            "timeout": timeout,
            "max_retries": max_retries,
            "retry": retry,
            "hooks": hooks,
            "response_limits": response_limits,
            "stream_limits": stream_limits,
            "when_busy": when_busy,
            "default_headers": default_headers,
            "default_query": default_query,
        }
        config = Config.resolve(os.environ, options)
        self._owns_http = http_client is None
        http = http_client or make_http_client(httpx.AsyncClient, AsyncPool, cookies=cookies)
        self._transport = AsyncTransport(http, config)

    @property
    def base_url(self) -> str:
        """The server's address."""
        return self._transport.config.base_url

    def with_options(self, *, http_client: httpx.AsyncClient | None = None, **options: Unpack[ClientOptions]) -> Self:
        """A client like this one, with some settings given anew. It shares the connections of this one.

        ScheduledClose it closes no connection; they are this client's, and with it they close.

        Args:
            http_client: an async httpx client to send with instead of this one's connections.
            **options: any of the constructor's arguments. None leaves a setting as it is, except for `timeout`, where
                it means no limit. `default_headers` and `default_query` are put to those that there are, and
                `max_retries` changes the retry policy that there is. The environment is not asked again.

        Raises:
            TypeError: an argument is unknown, or of the wrong type.
            ValueError: an argument has an impossible value.
        """
        from .transport import AsyncTransport

        check_http_client(http_client, httpx.AsyncClient)
        config = self._transport.config.with_changes(options)
        changed = type(self).__new__(type(self))
        changed._owns_http = False
        changed._transport = AsyncTransport(http_client or self._transport.http, config)
        return changed

    copy = with_options
    """The name that the published client has for it, too."""

    @property
    def is_closed(self) -> bool:
        """Whether it can no longer be used: it, or the httpx client that it sends with, was closed."""
        return self._transport.closed or self._transport.http.is_closed

    async def close(self) -> None:
        """Closes the connections. No call is possible afterwards. May be called again."""
        from ..async_primitives import close_http

        self._transport.closed = True
        if self._owns_http:
            await close_http(self._transport.http)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"AsyncLetta(base_url={self.base_url!r})"
