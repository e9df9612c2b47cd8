"""What becomes of clients in a process that was forked off.

It shares the sockets of its parent, and two who read one connection get each other's answers. So clients that send with
connections of their own begin there without any; an httpx client that was passed is its owner's to look after.
"""

from __future__ import annotations

import os
from typing import Any, Final, TypeVar
from weakref import WeakKeyDictionary, WeakSet

import httpx

from ..calls.transport_errors import make_http
from ..config import DEFAULT_LIMITS
from ..streams.leaving import forget

H = TypeVar("H", httpx.Client, httpx.AsyncClient)

_owned: Final[WeakKeyDictionary[Any, type[Any]]] = WeakKeyDictionary()
_transports: Final[WeakSet[Any]] = WeakSet()


def own_http(kind: type[H]) -> H:
    """An httpx client of ours, by its class."""
    http = make_http(kind, os.environ, limits=DEFAULT_LIMITS)
    _owned[http] = kind
    return http


def watch_forks(transport: Any) -> None:
    """Gives a transport connections of its own in every process that is forked off."""
    _transports.add(transport)


def _begin_anew() -> None:
    forget()
    made: dict[Any, Any] = {}
    for transport in _transports:
        if (kind := _owned.get(transport.http)) is not None:
            if transport.http not in made:
                made[transport.http] = own_http(kind)
            transport.http = made[transport.http]


if hasattr(os, "register_at_fork"):  # there is no forking on Windows
    os.register_at_fork(after_in_child=_begin_anew)
