"""Connection pools of our own httpx clients, for many threads, event loops and processes at once.

httpcore makes the connections and speaks HTTP on them. Which connection a request gets is decided here, because
httpcore's pool takes a lock that the garbage collector may need in the same thread, binds connections to one event
loop, loses them when a task is cancelled twice, and takes quadratic time.

A connection is either held by one request (a `Lease`) or idle. It changes hands by atomic operations, and giving one
back takes no lock and no `await`: it cannot be interrupted, and may happen wherever the garbage collector runs.
"""

from __future__ import annotations

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
        http: What speaks HTTP on it.
        network: What opened its socket.
        key: Which requests it can be used for.
    """

    http: Any  # an `httpcore.ConnectionInterface`, or the async one
    network: NetworkBackend | AsyncNetworkBackend
    key: Hashable

    @property
    def is_stale(self) -> bool:
        """Whether it was idle for too long, or the server closed it."""
        return bool(self.http.has_expired())


class ConnectionStore:
    """The connections of a client.

    Args:
        limits: How many requests may be in flight, and how many connections to a server are kept, and how long.
    """

    def __init__(self, limits: httpx.Limits) -> None:
        self.limiter = RequestLimiter(limits.max_connections)
        self._closed = False
        self._kept = limits.max_keepalive_connections
        self._idle: dict[Hashable, deque[Connection]] = {}
        self._open: set[NetworkBackend | AsyncNetworkBackend] = set()
        self.body_refs: set[weakref.ref[Any]] = set()
        # Closes the sockets of a client that was dropped, and of all clients when the interpreter exits.
        weakref.finalize(self, _close_all, self._open)

    def is_closed(self) -> bool:
        """Return whether no connection is kept any more."""
        return self._closed

    def take(self, key: Hashable, held: list[Connection]) -> Connection | None:
        """Put the idle connection that was used last into a list, and return it, if there is one."""
        idle = self._idle.get(key)
        while idle and move(idle, held):
            if not held[-1].is_stale:
                return held[-1]
            self.close(held[-1])
            held.pop()
        return None

    def register(self, network: NetworkBackend | AsyncNetworkBackend) -> None:
        """Remember that a connection is opened, and close those that have been idle for too long."""
        self._open.add(network)
        if self.is_closed():  # while the request waited for its turn
            network.close()
        for idle in list(self._idle.values()):
            self._trim(idle)

    def give_back(self, connection: Connection) -> None:
        """Keep a connection for the next request, or close it if it cannot be used again."""
        if self.is_closed() or not connection.http.is_idle():
            self.close(connection)
            return
        idle = self._idle.setdefault(connection.key, deque())
        idle.append(connection)
        self._trim(idle)
        if self.is_closed():  # meanwhile
            self._close_idle()

    def close(self, connection: Connection) -> None:
        """Close a connection that is not idle."""
        connection.network.close()
        self._open.discard(connection.network)

    def close_all(self) -> None:
        """Close all connections; those in use are closed by their requests, which fail."""
        self._closed = True
        self._close_idle()
        for network in list(self._open):
            network.interrupt()

    def close_after_fork(self) -> None:
        """Close the sockets in a child process: the parent goes on with its own."""
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
        # A connection stays in the deque while it is judged: one that was out of it would not be counted by the others.
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
    """What one request holds: a slot in the limiter, and a connection. It is given back once, by whoever is first.

    Attributes:
        slot: The slot in the limiter, once there is one.
        held: The connection, once there is one.
    """

    def __init__(self, store: ConnectionStore) -> None:
        self._store: ConnectionStore | None = store
        self._limiter = store.limiter
        self.slot: list[bool] = []
        self.held: list[Connection] = []
        self._watch: weakref.ref[Any] | None = None

    def bind_to(self, body: object) -> None:
        """Close the connection if a body is dropped, maybe inside a reference cycle.

        A response is always part of one. So `__del__` would run in the garbage collector for each response, where an
        exception of a signal handler is lost. Of this reference nothing runs once the body was closed.
        """
        if self._store is not None:
            watch = weakref.ref(body, lambda _: self.discard())
            self._store.body_refs.add(watch)
            self._watch = watch  # added first: the hash of a dead reference is that of the living one, if it was asked

    def release_slot(self) -> None:
        """Make room for another request. The connection is still used."""
        self._limiter.release(self.slot)

    def release(self) -> None:
        """Give back the connection, for the next request if this one is complete."""
        self._end(ConnectionStore.give_back)

    def discard(self) -> None:
        """Close the connection."""
        self._end(ConnectionStore.close)

    def close_connection(self) -> None:
        """Close the connection, to use another one."""
        if self._store is not None and (connection := _pop(self.held)):
            self._store.close(connection)

    def _end(self, finish: Callable[[ConnectionStore, Connection], None]) -> None:
        store = self._store
        if store is None:
            return
        if connection := _pop(self.held):
            try:
                finish(store, connection)
            except BaseException:  # of a signal handler
                store.close(connection)
                self.release_slot()
                raise
        self.release_slot()
        if self._watch is not None:
            store.body_refs.discard(self._watch)
        self._watch = self._store = None  # a response, which is part of a reference cycle, must not keep a client


def _pop(holder: list[Any]) -> Any:
    try:
        return holder.pop()
    except IndexError:  # another thread was faster
        return None


def pool_timeout(request: httpcore.Request) -> float | None:
    """Return for how many seconds a request may wait for its turn."""
    extensions = cast(Mapping[str, Any], request.extensions)  # pyright: ignore[reportUnknownMemberType]  # httpcore's
    return cast("float | None", extensions.get("timeout", {}).get("pool"))


def release_slot_of_stream(lease: Lease, response: httpcore.Response) -> None:
    """Do not count an open stream: it stays as long as its run, and must not hold up short requests."""
    if any(name.lower() == b"content-type" and EVENTS in value.lower() for name, value in response.headers):
        lease.release_slot()


class BasePool:
    """In place of the pool of an httpx transport.

    Args:
        made: The pool that the transport made, which knows proxies and certificates.
        limits: The limits of the pool.
    """

    def __init__(self, made: httpcore.ConnectionPool | httpcore.AsyncConnectionPool, limits: httpx.Limits) -> None:
        self._made = made
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
        """Put a new connection into a list, and return it. Its socket is opened when it is used.

        Args:
            network: What opens its socket.
            key: Which requests it can be used for.
            origin: The server.
            held: The list.
        """
        # A pool like the one of the transport, whose connections open their sockets through a network of their own.
        changed: Any = copy(self._made)
        changed._network_backend = network
        connection = Connection(changed.create_connection(origin), network, key)
        held.append(connection)
        self.store.register(network)
        return connection

    def reset(self) -> None:
        """Begin anew in a child process."""
        self.store.close_after_fork()
        self.store = ConnectionStore(self._limits)


def _begin_anew() -> None:
    for pool in list(_pools):
        pool.reset()


after_fork(_begin_anew)
