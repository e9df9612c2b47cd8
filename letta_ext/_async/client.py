"""The client: settings, resources and closing.

The first client loads the transport, and the first use of a resource loads that resource. Importing the client classes
takes little longer than importing httpx.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, Self

import httpx

from .._http.httpx_client import check_http_client, timeout_of
from .._types import NOT_GIVEN, NotGiven
from ..resources.client import AsyncResources
from .base_client import AsyncBaseClient

if TYPE_CHECKING:
    from typing import Unpack

    from ..busy import WhenBusy
    from ..config import ClientOptions, CopyOptions, TimeLimit
    from ..hooks import Hooks
    from ..limits import ResponseLimits, StreamLimits
    from ..retry import RetryPolicy


class AsyncLetta(AsyncResources, AsyncBaseClient):
    """A client of a Letta server.

    Args:
        api_key: The API key. Defaults to the environment variable `LETTA_API_KEY`, or else to no authentication.
        project: The slug of the project, sent as `X-Project`.
        project_id: The id of the project, sent as `X-Project-Id`.
        environment: `"cloud"` (https://api.letta.com) or `"local"` (http://localhost:8283). Defaults to `"cloud"`.
        base_url: The base URL of the server, instead of `environment`. If both are missing, the environment variable
            `LETTA_BASE_URL` is used.
        timeout: The timeout of each phase of a request [seconds], or an `httpx.Timeout`. Defaults to that of the passed
            `http_client`, or else to 60 for reading and 5 for connecting.
        max_retries: The maximum number of retries of an idempotent request, as in `retry`. Defaults to 2.
        retry: The retry policy.
        hooks: Callbacks for attempts, resumed streams and waits.
        response_limits: The maximum size and duration of a response.
        stream_limits: The maximum idle time and duration of a stream, and the maximum size of an event.
        when_busy: The behavior if another run holds the conversation: `"raise"` raises `ConversationBusyError`;
            `"wait"`, or a `BusyPolicy`, waits until that run has ended. Defaults to `"raise"`.
        default_headers: Headers of every request. `omit` removes a header that the library or httpx adds.
        default_query: Query parameters of every request.
        cookies: Whether to store cookies and send them with later requests of the same API key. Defaults to False. A
            passed `http_client` always stores cookies, separately for each API key.
        http_client: An async httpx client to send requests with. It keeps its own settings, and is not closed. Its
            timeout applies unless it is the default of httpx.

    Raises:
        TypeError: If an argument is of the wrong type.
        ValueError: If an argument has an invalid value.
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
        default_headers: Mapping[str, str | NotGiven] | None = None,
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
        config = Config.resolve(os.environ, options, default_timeout=timeout_of(http_client))
        self._owns_http = http_client is None
        http = http_client or make_http_client(httpx.AsyncClient, AsyncPool, cookies=cookies)
        self._transport = AsyncTransport(http, config)

    def _assign(self, name: str, value: object) -> None:
        self._transport.config = self._transport.config.assigned(name, value)

    @property
    def base_url(self) -> str:
        """The base URL of the server. An assigned value applies to all later requests."""
        return self._transport.config.base_url

    @base_url.setter
    def base_url(self, value: str | httpx.URL) -> None:
        self._assign("base_url", value)

    @property
    def api_key(self) -> str | None:
        """The API key, or None. An assigned value applies to all later requests, also of open lists and streams."""
        return self._transport.config.api_key

    @api_key.setter
    def api_key(self, value: str | None) -> None:
        self._assign("api_key", value)

    @property
    def project(self) -> str | None:
        """The slug of the project, or None. An assigned value applies to all later requests."""
        return self._transport.config.options.get("project")

    @project.setter
    def project(self, value: str | None) -> None:
        self._assign("project", value)

    @property
    def project_id(self) -> str | None:
        """The id of the project, or None. An assigned value applies to all later requests."""
        return self._transport.config.options.get("project_id")

    @project_id.setter
    def project_id(self, value: str | None) -> None:
        self._assign("project_id", value)

    @property
    def timeout(self) -> TimeLimit:
        """The timeout of each phase of a request [seconds]. An assigned value applies to all later requests."""
        given = self._transport.config.options.get("timeout", NOT_GIVEN)
        return self._transport.config.timeout if isinstance(given, NotGiven) else given

    @timeout.setter
    def timeout(self, value: TimeLimit | NotGiven) -> None:
        self._assign("timeout", value)

    @property
    def max_retries(self) -> int:
        """The maximum number of retries of an idempotent request. An assigned value applies to all later requests."""
        return self._transport.config.retry.max_retries

    @max_retries.setter
    def max_retries(self, value: int) -> None:
        self._assign("max_retries", value)

    def with_options(self, *, http_client: httpx.AsyncClient | None = None, **options: Unpack[CopyOptions]) -> Self:
        """Return a copy of this client with changed settings. Both share the connections of this client.

        Closing the copy closes no connection. Closing this client closes the connections of both.

        Args:
            http_client: An async httpx client to send requests with, instead of the connections of this client.
            **options: Arguments of the constructor. None keeps a setting, but means no limit for `timeout`.
                `default_headers` and `default_query` are merged with the current ones, `set_default_headers` and
                `set_default_query` replace them, and `max_retries` changes the current retry policy. Environment
                variables are not read again.

        Raises:
            TypeError: If an argument is unknown or of the wrong type.
            ValueError: If an argument has an invalid value.
        """
        from .transport import AsyncTransport

        check_http_client(http_client, httpx.AsyncClient)
        config = self._transport.config.with_changes(options, None if http_client is None else timeout_of(http_client))
        changed = type(self).__new__(type(self))
        # The attributes of subclasses and programs are copied, resources use the new transport.
        resources = {name for name in vars(self) if isinstance(getattr(type(self), name, None), cached_property)}
        vars(changed).update({name: value for name, value in vars(self).items() if name not in resources})
        changed._owns_http = False
        changed._transport = AsyncTransport(http_client or self._transport.http, config)
        return changed

    copy = with_options
    """The other name of `with_options` in letta-client."""

    def is_closed(self) -> bool:
        """Return whether the client, or its httpx client, was closed."""
        return self._transport.closed or self._transport.http.is_closed

    async def close(self) -> None:
        """Close the client and its connections. Calls fail afterwards. Closing a closed client has no effect."""
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
