"""Which httpx clients can be passed."""

from __future__ import annotations


def check_http_client(given: object, wanted: type) -> None:
    """Refuses an httpx client of the other kind, or what is none.

    Raises:
        TypeError: it is not as wanted.
    """
    if given is not None and not isinstance(given, wanted):
        raise TypeError(f"http_client must be an httpx.{wanted.__name__}, not {type(given).__name__}")
