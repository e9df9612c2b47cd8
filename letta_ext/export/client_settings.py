"""The client of a shard, which can run in another process."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import httpx
from attrs import field, frozen

from .._http.connection_pool import BasePool
from .._sync.client import Letta
from ..config import ClientOptions

ClientFactory: TypeAlias = Callable[[], Letta]
"""Returns a new client. To run in another process it must be picklable, as a function of a module is."""


@frozen
class ClientSettings:
    """The settings of a client. They contain secrets, which are not part of the repr.

    Attributes:
        options: The arguments of the constructor.
    """

    options: ClientOptions = field(repr=False)

    def __call__(self) -> Letta:
        """Return a client with these settings. Environment variables have no effect."""
        options: dict[str, Any] = {**self.options}  # resolved: `when_busy` is never None
        client = Letta(**options)
        client.api_key = self.options.get("api_key")
        return client


def factory_of(client: Letta) -> ClientFactory:
    """Return a factory of clients like this one.

    Raises:
        TypeError: If the client has an httpx client of the caller, which another process cannot have.
    """
    if not _has_default_pool(client._transport.http):  # pyright: ignore[reportPrivateUsage]  # internal to the library
        raise TypeError(
            "client must not have an http_client if an executor is given. Pass a function that returns the client"
        )
    return ClientSettings(client._transport.config.options)  # pyright: ignore[reportPrivateUsage]  # likewise


def _has_default_pool(http: httpx.Client) -> bool:
    return isinstance(vars(http._transport).get("_pool"), BasePool)  # pyright: ignore[reportPrivateUsage]  # httpx has no public name
