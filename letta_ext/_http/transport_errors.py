"""Conversion of errors of the transport, TLS, URL and codec layers.

Code that sends a request or reads a body catches `Exception` and calls `sanitize_transport_error`. That function
reraises errors of the caller's own code and returns all others without secrets. `errors_from_response.py` converts
those to a `LettaError`.
"""

from __future__ import annotations

import contextlib
import signal
import sys
from collections.abc import Iterator, Mapping
from types import CodeType, FrameType, TracebackType
from typing import Any, Final, TypeVar, cast

import httpx

from .._instrumentation.redaction import redact, secrets_of_request, secrets_of_url
from ..errors import LettaError

H = TypeVar("H", httpx.Client, httpx.AsyncClient)

TRANSPORT: Final = frozenset({"handle_request", "handle_async_request", "_send_single_request"})
"""Functions whose callees belong to the transport: the API of httpx's transports, and its only caller."""
HOOKS: Final = frozenset({"_send_handling_redirects"})
"""Functions of httpx that call event hooks; everything else that they call belongs to httpx."""
AUTH: Final = frozenset({"_send_handling_auth", "auth_flow", "sync_auth_flow", "async_auth_flow"})
"""Functions of httpx that call the auth flow of the caller."""
OWN_SEND: Final = "send"
"""The method of httpx clients that a caller may override."""

CERTIFICATES: Final = ("SSL_CERT_FILE", "SSL_CERT_DIR")
PROXIES: Final = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")


def sanitize_transport_error(error: Exception, request: httpx.Request) -> Exception:
    """Return an exception that sending a request or reading its response raised, without the secrets of the request.

    An exception whose text, or that of its causes, quotes a secret is replaced by one without causes. Raise the error
    of the caller outside of the `except` clause: as its `__context__`, Python would keep the original.

    Args:
        error: The exception, caught from httpx.
        request: The request.

    Raises:
        Exception: If `error` is the caller's own: raised by an event hook, an auth flow, an overridden `send` or a
            signal handler. Also if it is a `LettaError`.
    """
    own = error if isinstance(error, LettaError) else _callers_own(error, request)
    if own is error:
        raise error
    if own is not None:
        raise own from own.__cause__
    secrets = secrets_of_request(request, all_values=True)
    if all(redact(text, secrets) == text for text in _texts(error)):
        return error
    return _substitute(error, redact(_text(error), secrets))


class suppress_transport_errors:  # noqa: N801  # it is used as a function, as `contextlib.suppress` is
    """Ignore what a transport raises where its outcome no longer matters; the caller's own exceptions pass.

    Args:
        request: The request whose response is read or closed.
    """

    def __init__(self, request: httpx.Request) -> None:
        self._request = request

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> bool:
        if not isinstance(error, Exception):
            return False
        sanitize_transport_error(error, self._request)  # raises the caller's own
        return True


def is_timeout(fault: Exception) -> bool:
    """Return whether a fault is a limit of time that was exceeded, whatever layer raised it."""
    httpcore = sys.modules.get("httpcore")
    kinds = (httpx.TimeoutException, TimeoutError, *((httpcore.TimeoutException,) if httpcore else ()))
    return isinstance(fault, kinds)


def describe_cause(fault: BaseException) -> str:
    """Return the text of a fault, with the name of its class if the text alone may not explain it."""
    while inner := _members(fault):
        fault = inner[0]
    name, text = type(fault).__name__, " ".join(_text(fault).split()).rstrip(".")
    if not text:
        return name
    return text if isinstance(fault, (httpx.HTTPError, httpx.InvalidURL)) else f"{name}: {text}"


def describe_request(request: httpx.Request) -> str:
    """Return the method, scheme, host, port and path of a request: neither credentials nor query."""
    return f"{request.method} {url_without_query(request.url)}"


def url_without_query(url: httpx.URL) -> str:
    """Return the scheme, host, port and path of a URL."""
    path = url.raw_path.decode("ascii", "replace").partition("?")[0]
    return f"{url.scheme}://{url.netloc.decode('ascii', 'replace')}{path}"


def build_httpx_client(kind: type[H], environ: Mapping[str, str], **settings: Any) -> H:
    """Return an httpx client of this class.

    Raises:
        ValueError: If a variable of the environment that httpx reads has a value that it cannot use; the message names
            the variable.
    """
    try:
        return kind(**settings)
    except Exception as fault:  # noqa: BLE001  # OpenSSL, the file system and httpx raise a dozen classes
        message = _environment_message(fault, environ)
    raise ValueError(message)


def _environment_message(fault: Exception, environ: Mapping[str, str]) -> str:
    tls = isinstance(fault, OSError) or _passes(fault, "create_ssl_context")
    names = CERTIFICATES if tls else PROXIES
    found = [name for name in names if environ.get(name) or environ.get(name.lower())]
    secrets: set[str] = set()
    for name in (*PROXIES, *map(str.lower, PROXIES)):
        secrets |= secrets_of_url(environ.get(name, ""))
    reason = redact(describe_cause(fault), frozenset(secrets))
    if tls:
        expected = "must name readable certificates in PEM format"
    else:
        expected = "must hold addresses of proxies, and NO_PROXY host names"
    if isinstance(fault, httpx.InvalidURL) and "NO_PROXY" in found:
        expected += ", IPv6 addresses without brackets or masks"
    return f"{' or '.join(found) or 'the environment'} {expected}: {reason}. Correct or unset it."


def _passes(fault: BaseException, function: str) -> bool:
    return any(frame.f_code.co_name == function for frame in _frames(fault.__traceback__))


def _frames(traceback: TracebackType | None) -> Iterator[FrameType]:
    while traceback is not None:
        yield traceback.tb_frame
        traceback = traceback.tb_next


def _callers_own(error: Exception, request: httpx.Request) -> BaseException | None:
    """Return the exception of the caller's own code that `error` is, or was made of."""
    handlers = _signal_handlers()
    each: BaseException | None = error
    seen: set[int] = set()
    while handlers and each is not None and id(each) not in seen:
        seen.add(id(each))
        if any(frame.f_code in handlers for frame in _frames(each.__traceback__)):
            return each  # httpcore takes a TimeoutError of a signal handler for a timeout of the socket
        each = each.__cause__
    return error if _from_callback(error) and not _is_about(error, request) else None


def _signal_handlers() -> frozenset[CodeType]:
    """Return the code of the installed signal handlers."""
    found: set[CodeType] = set()
    for number in signal.valid_signals():
        handler: Any = signal.getsignal(number)
        if not callable(handler):  # a default, or None for one that Python did not install
            continue
        handler = getattr(handler, "func", handler)
        handler = getattr(handler, "__func__", handler)
        code = getattr(handler, "__code__", None) or getattr(type(handler).__call__, "__code__", None)
        if code is not None:
            found.add(code)
    return frozenset(found)


def _is_about(error: Exception, request: httpx.Request) -> bool:
    """Return whether httpx itself says that the transport failed this request: a hook may read its response."""
    try:
        return isinstance(error, httpx.RequestError) and error.request is request
    except RuntimeError:  # none is set
        return False


def _from_callback(error: Exception) -> bool:
    """Return whether an event hook, an auth flow or an overridden `send` raised an exception, judged by its traceback.

    Each of them is the first function outside of httpx that a known function of httpx calls.
    """
    calling: str | None = None
    outermost: str | None = None
    entered = False
    for frame in _frames(error.__traceback__):
        name, module = frame.f_code.co_name, str(frame.f_globals.get("__name__", "")).partition(".")[0]
        if module == "letta_ext":
            continue
        if name in TRANSPORT:
            return False
        if module == "httpx":
            calling, entered = name, True
            continue
        if calling in HOOKS or (calling in AUTH and module not in sys.stdlib_module_names):
            return True
        outermost, calling = outermost or name, None
    return outermost == OWN_SEND and not entered


def _members(fault: BaseException) -> tuple[BaseException, ...]:
    """Return the exceptions of a group; none for an exception that is not a group."""
    if not isinstance(fault, BaseExceptionGroup):
        return ()
    return cast("BaseExceptionGroup[BaseException]", fault).exceptions


def _text(fault: BaseException) -> str:
    try:
        return str(fault)
    except Exception:  # noqa: BLE001  # an exception class can have any `__str__`
        return ""


def _texts(fault: BaseException) -> Iterator[str]:
    """Yield all texts that a traceback of an exception shows."""
    pending: list[BaseException | None] = [fault]
    seen: set[int] = set()
    while pending:
        each = pending.pop()
        if each is None or id(each) in seen:
            continue
        seen.add(id(each))
        yield _text(each)
        with contextlib.suppress(Exception):
            yield repr(each)
        yield from map(str, getattr(each, "__notes__", ()))
        pending += [each.__cause__, each.__context__]
        pending += _members(each)


def _substitute(fault: Exception, text: str) -> Exception:
    if isinstance(fault, (httpx.RequestError, httpx.StreamError, httpx.InvalidURL)):
        with contextlib.suppress(TypeError):
            return type(fault)(text)
    kind = httpx.ReadTimeout if is_timeout(fault) else httpx.TransportError
    return kind(f"{type(fault).__name__}: {text}")
