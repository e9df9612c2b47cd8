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
"""Functions whose callees belong to the transport: the transport API of httpx and its caller."""
HOOKS: Final = frozenset({"_send_handling_redirects"})
"""Functions of httpx that call event hooks. Their other callees belong to httpx."""
AUTH: Final = frozenset({"_send_handling_auth", "auth_flow", "sync_auth_flow", "async_auth_flow"})
"""Functions of httpx that call the `auth=` flow of the caller."""
OWN_SEND: Final = "send"
"""The method of httpx clients that callers may override."""

CERTIFICATES: Final = ("SSL_CERT_FILE", "SSL_CERT_DIR")
PROXIES: Final = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")


def sanitize_transport_error(error: Exception, request: httpx.Request) -> Exception:
    """Return a transport error without the secrets of the request.

    An exception is replaced by one without causes if its text or that of its causes contains a secret. Raise the
    resulting error outside of the `except` clause, because `__context__` would keep the original.

    Args:
        error: The exception, caught from httpx.
        request: The request.

    Raises:
        Exception: If the caller's own code raised `error`: an event hook, an auth flow, an overridden `send` or a
            signal handler. Also if `error` is a `LettaError`.
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


class suppress_transport_errors:  # noqa: N801  # used like `contextlib.suppress`
    """A context manager that suppresses transport errors, but not exceptions of the caller's own code.

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
        sanitize_transport_error(error, self._request)  # raises errors of the caller's code
        return True


def is_timeout(fault: Exception) -> bool:
    """Return whether an error of any layer is a timeout."""
    httpcore = sys.modules.get("httpcore")
    kinds = (httpx.TimeoutException, TimeoutError, *((httpcore.TimeoutException,) if httpcore else ()))
    return isinstance(fault, kinds)


def describe_cause(fault: BaseException) -> str:
    """Return the text of an error, with the name of its class unless it is an error of httpx."""
    while inner := _members(fault):
        fault = inner[0]
    name, text = type(fault).__name__, " ".join(_text(fault).split()).rstrip(".")
    if not text:
        return name
    return text if isinstance(fault, (httpx.HTTPError, httpx.InvalidURL)) else f"{name}: {text}"


def describe_request(request: httpx.Request) -> str:
    """Return the method and the URL of a request without credentials and query."""
    return f"{request.method} {url_without_query(request.url)}"


def url_without_query(url: httpx.URL) -> str:
    """Return the scheme, host, port and path of a URL."""
    path = url.raw_path.decode("ascii", "replace").partition("?")[0]
    return f"{url.scheme}://{url.netloc.decode('ascii', 'replace')}{path}"


def build_httpx_client(kind: type[H], environ: Mapping[str, str], **settings: Any) -> H:
    """Return an httpx client of this class.

    Raises:
        ValueError: If an environment variable that httpx reads has an invalid value. The message names it.
    """
    try:
        return kind(**settings)
    except Exception as fault:  # noqa: BLE001  # OpenSSL, the file system and httpx raise many classes
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
        expected = "must be the path of readable certificates in PEM format"
    else:
        expected = "must contain proxy URLs, and NO_PROXY host names"
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
    """Return the exception of the caller's own code that `error` is or was caused by, or None."""
    handlers = _signal_handlers()
    each: BaseException | None = error
    seen: set[int] = set()
    while handlers and each is not None and id(each) not in seen:
        seen.add(id(each))
        if any(frame.f_code in handlers for frame in _frames(each.__traceback__)):
            return each  # httpcore converts a TimeoutError of a signal handler to a socket timeout
        each = each.__cause__
    return error if _from_callback(error) and not _is_about(error, request) else None


def _signal_handlers() -> frozenset[CodeType]:
    """Return the code of the installed signal handlers."""
    found: set[CodeType] = set()
    for number in signal.valid_signals():
        handler: Any = signal.getsignal(number)
        if not callable(handler):  # a default action, or None for a handler that Python did not install
            continue
        handler = getattr(handler, "func", handler)
        handler = getattr(handler, "__func__", handler)
        code = getattr(handler, "__code__", None) or getattr(type(handler).__call__, "__code__", None)
        if code is not None:
            found.add(code)
    return frozenset(found)


def _is_about(error: Exception, request: httpx.Request) -> bool:
    """Return whether httpx attributes the error to this request, as when a hook reads its response."""
    try:
        return isinstance(error, httpx.RequestError) and error.request is request
    except RuntimeError:  # no request is set
        return False


def _from_callback(error: Exception) -> bool:
    """Return whether an event hook, an auth flow or an overridden `send` raised an exception.

    In the traceback, each of them is the first function outside of httpx after a known function of httpx.
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
    """Return the exceptions of a group, or an empty tuple for other exceptions."""
    if not isinstance(fault, BaseExceptionGroup):
        return ()
    return cast("BaseExceptionGroup[BaseException]", fault).exceptions


def _text(fault: BaseException) -> str:
    try:
        return str(fault)
    except Exception:  # noqa: BLE001  # `__str__` of custom exceptions can raise any class
        return ""


def _texts(fault: BaseException) -> Iterator[str]:
    """Yield all texts in the traceback of an exception."""
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
