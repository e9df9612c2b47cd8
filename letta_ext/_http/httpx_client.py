"""Validation of the `http_client` argument."""

from __future__ import annotations


def check_http_client(client: object, kind: type) -> None:
    """Check the class of an httpx client.

    Raises:
        TypeError: If the client is not an instance of `kind` or None.
    """
    if client is not None and not isinstance(client, kind):
        raise TypeError(f"http_client must be an httpx.{kind.__name__}, got {type(client).__name__}")
