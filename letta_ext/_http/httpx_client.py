"""The `http_client` argument: its validation, and its timeout."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import httpx

HTTPX_DEFAULT_TIMEOUT: Final = 5.0
"""The timeout of an httpx client without a `timeout` argument [s]."""


def check_http_client(client: object, kind: type) -> None:
    """Check the class of an httpx client.

    Raises:
        TypeError: If the client is not an instance of `kind` or None.
    """
    if client is not None and not isinstance(client, kind):
        raise TypeError(f"http_client must be an httpx.{kind.__name__}, got {type(client).__name__}")


def timeout_of(client: httpx.Client | httpx.AsyncClient | None) -> httpx.Timeout:
    """Return the timeout of calls without one: that of the httpx client, or else `DEFAULT_TIMEOUT`.

    The default of httpx counts as none, as in letta-client: an agent needs more than 5 seconds for most messages.

    Raises:
        ValueError: If the timeout of the httpx client is longer than `MAX_WAIT`.
    """
    from httpx import Timeout

    from ..config import DEFAULT_TIMEOUT, parse_timeout

    if client is None or client.timeout == Timeout(HTTPX_DEFAULT_TIMEOUT):
        return DEFAULT_TIMEOUT
    return parse_timeout(client.timeout, "the timeout of http_client")
