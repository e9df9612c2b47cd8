"""Connection pools for concurrent use by threads, event loops and forked processes.

httpcore creates the connections and implements HTTP. This module assigns connections to requests. It replaces the pool
of httpcore, which can deadlock in the garbage collector, binds connections to one event loop, leaks them if a task is
cancelled twice, and takes quadratic time.

A connection is either held by one request (a `Lease`) or idle. It is transferred by atomic operations. Returning it
requires no lock and no `await`, so it cannot be interrupted and is safe in the garbage collector.
"""

from __future__ import annotations

import sys
import weakref
from collections import deque
from collections.abc import Callable, Hashable, Mapping
from copy import copy
from typing import Any, Final, cast

import httpcore
import httpx
from attrs import define

from .async_sockets import AsyncNetworkBackend
from .concurrency import RequestLimiter, move
from .fork_safety import after_fork
from .sync_sockets import NetworkBackend

EVENTS: Final = b"text/event-stream"

_pools: Final[weakref.WeakSet[Any]] = weakref.WeakSet()


@define(eq=False)
class Connection:
    """A connection to a server.

    Attributes:
        http: The httpcore connection.
        network: The network backend, which owns the socket.
        key: The scheme, host, port and event loop library that requests must match.
    """

    http: Any  # an `httpcore.ConnectionInterface`, or the async one
    network: NetworkBackend | AsyncNetworkBackend
    key: Hashable

    @property
    def is_stale(self) -> bool:
        """Whether the connection exceeded the keepalive expiry or was closed by the server."""
        return bool(self.http.has_expired())


class ConnectionStore:
    """The connections of a client.

    Args:
        limits: The limits on concurrent requests and on idle connections per server.
    """

    def __init__(self, limits: httpx.Limits) -> None:
        self.limiter = RequestLimiter(limits.max_connections)
        self._closed = False
        self._kept = limits.max_keepalive_connections
        self._idle: dict[Hashable, deque[Connection]] = {}
        self._open: set[NetworkBackend | AsyncNetworkBackend] = set()
        self.body_refs: set[weakref.ref[Any]] = set()
        # Closes the sockets when the client is garbage-collected or the interpreter exits.
        weakref.finalize(self, _close_all, self._open)

    def is_closed(self) -> bool:
        """Return whether the store is closed."""
        return self._closed

    def take(self, key: Hashable, held: list[Connection]) -> Connection | None:
        """Move the most recently used idle connection to the list `held`, and return it, or None."""
        idle = self._idle.get(key)
        while idle and move(idle, held):
            if not held[-1].is_stale:
                return held[-1]
            self.close(held[-1])
            held.pop()
        return None

    def register(self, network: NetworkBackend | AsyncNetworkBackend) -> None:
        """Register a new connection, and close expired idle ones."""
        self._open.add(network)
        if self.is_closed():  # while the request waited for a slot
            network.close()
        for idle in list(self._idle.values()):
            self._trim(idle)

    def give_back(self, connection: Connection) -> None:
        """Make a connection idle, or close it if it cannot be reused."""
        if self.is_closed() or not connection.http.is_idle():
            self.close(connection)
            return
        idle = self._idle.setdefault(connection.key, deque())
        idle.append(connection)
        self._trim(idle)
        if self.is_closed():  # by another thread since the first check
            self._close_idle()

    def close(self, connection: Connection) -> None:
        """Close a connection that is not idle."""
        connection.network.close()
        self._open.discard(connection.network)

    def close_all(self) -> None:
        """Close all connections. Requests in flight fail and close theirs."""
        self._closed = True
        self._close_idle()
        for network in list(self._open):
            network.interrupt()

    def close_after_fork(self) -> None:
        """Close the sockets in a child process without affecting the parent."""
        self._closed = True
        for network in list(self._open):
            network.close_after_fork()
        self._open.clear()
        self._idle.clear()

    def _close_idle(self) -> None:
        for idle in list(self._idle.values()):
            while idle:
                try:
                    self.close(idle.pop())
                except IndexError:
                    break

    def _trim(self, idle: deque[Connection]) -> None:
        # A connection stays in the deque during the check, so that other threads count it.
        while idle:
            try:
                oldest = idle[0]
                surplus = self._kept is not None and len(idle) > self._kept
                if not surplus and not oldest.is_stale:
                    return
                idle.remove(oldest)
            except (IndexError, ValueError):  # another thread was faster
                continue
            self.close(oldest)


def _close_all(networks: set[NetworkBackend | AsyncNetworkBackend]) -> None:
    for network in list(networks):
        network.close()


class Lease:
    """The slot and the connection of one request. Only the first release has an effect.

    Attributes:
        slot: A list with the slot in the limiter, or empty.
        held: A list with the connection, or empty.
    """

    _is_finalizing = staticmethod(sys.is_finalizing)  # an attribute: the globals are None when the interpreter exits

    def __init__(self, store: ConnectionStore) -> None:
        self._store: ConnectionStore | None = store
        self._limiter = store.limiter
        self.slot: list[bool] = []
        self.held: list[Connection] = []
        self._body_ref: weakref.ref[Any] | None = None

    def bind_to(self, body: object) -> None:
        """Close the connection when the body is garbage-collected.

        Responses are always part of a reference cycle. `__del__` would run in the garbage collector for each of them,
        where exceptions of signal handlers are lost. The callback of a weak reference does not run for closed bodies.
        """
        if self._store is not None:
            reference = weakref.ref(body, lambda _: self.discard())
            self._store.body_refs.add(reference)
            self._body_ref = reference  # added first: a dead reference has a hash only if it was computed before

    def release_slot(self) -> None:
        """Release the slot but keep the connection."""
        self._limiter.release(self.slot)

    def release(self) -> None:
        """Release the slot, and return the connection to the store."""
        self._end(ConnectionStore.give_back)

    def discard(self) -> None:
        """Release the slot, and close the connection. The process exit closes it too."""
        if not self._is_finalizing():
            self._end(ConnectionStore.close)

    def close_connection(self) -> None:
        """Close the connection before another one is used."""
        if self._store is not None and (connection := _pop(self.held)):
            self._store.close(connection)

    def _end(self, finish: Callable[[ConnectionStore, Connection], None]) -> None:
        store = self._store
        if store is None:
            return
        if connection := _pop(self.held):
            try:
                finish(store, connection)
            except BaseException:  # raised by a signal handler
                store.close(connection)
                self.release_slot()
                raise
        self.release_slot()
        if self._body_ref is not None:
            store.body_refs.discard(self._body_ref)
        self._body_ref = self._store = None  # a response in a reference cycle must not keep the client alive


def _pop(holder: list[Any]) -> Any:
    try:
        return holder.pop()
    except IndexError:  # another thread was faster
        return None


def pool_timeout(request: httpcore.Request) -> float | None:
    """Return the pool timeout of a request [s]."""
    extensions = cast(Mapping[str, Any], request.extensions)  # pyright: ignore[reportUnknownMemberType]  # httpcore is untyped here
    return cast("float | None", extensions.get("timeout", {}).get("pool"))


def release_slot_of_stream(lease: Lease, response: httpcore.Response) -> None:
    """Release the slot of an event stream, whose duration must not delay short requests."""
    if any(name.lower() == b"content-type" and EVENTS in value.lower() for name, value in response.headers):
        lease.release_slot()


class BasePool:
    """A replacement for the pool of an httpx transport.

    Args:
        original: The pool of the transport, which has its proxy and TLS settings.
        limits: The limits of the pool.
    """

    def __init__(self, original: httpcore.ConnectionPool | httpcore.AsyncConnectionPool, limits: httpx.Limits) -> None:
        self._original = original
        self._limits = limits
        self.store = ConnectionStore(limits)
        _pools.add(self)

    def connect(
        self,
        network: NetworkBackend | AsyncNetworkBackend,
        key: Hashable,
        origin: httpcore.Origin,
        held: list[Connection],
    ) -> Connection:
        """Add a new connection to the list `held`, and return it. Its socket is opened at the first use.

        Args:
            network: The network backend of the connection.
            key: The scheme, host, port and event loop library that requests must match.
            origin: The server.
            held: The list for the connection.
        """
        # A copy of the original pool creates connections with this network backend.
        pool: Any = copy(self._original)
        pool._network_backend = network
        connection = Connection(pool.create_connection(origin), network, key)
        held.append(connection)
        self.store.register(network)
        return connection

    def reset(self) -> None:
        """Replace the store in a child process."""
        self.store.close_after_fork()
        self.store = ConnectionStore(self._limits)


def _reset_pools() -> None:
    for pool in list(_pools):
        pool.reset()


after_fork(_reset_pools)
