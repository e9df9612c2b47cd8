"""From a call to a request, and from an answer to a value. Nothing here does I/O."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final, Protocol, TypedDict, TypeVar

import httpx
from attrs import evolve, field, frozen

from letta_api import api
from letta_api.errors import DecodeError
from letta_api.model import to_json_value
from letta_api.operations import OPERATIONS, Operation
from letta_api.types import QueryPair, Request

from .._instrumentation.dispatch import NOOP, Instrumentation, make_instrumentation
from .._instrumentation.redaction import merge_headers
from .._types import is_mapping, is_sequence
from ..busy import WhenBusy, parse_when_busy
from ..config import Config, TimeLimit, check_headers, check_query, ensure_instance, ensure_mapping, parse_timeout
from ..errors import APIError, LettaError
from ..hooks import Hooks
from ..limits import ResponseLimits, StreamLimits
from ..retry import Idempotency, RetryPolicy
from . import json_codec
from .charsets import text_of
from .cookies import separate_cookies
from .encodable import body_error, check_json, nesting_error, url_error
from .errors_from_response import invalid_response_error
from .validation import check_arguments, check_bounds

if TYPE_CHECKING:
    from letta_api.unions import StreamEvent

T_co = TypeVar("T_co", covariant=True)
T = TypeVar("T")

JSON: Final = "application/json"
EVENTS: Final = "text/event-stream"
MAX_REDIRECTS: Final = 5
WITH_LENGTH: Final = "GET"
"""A method for which httpx adds no `Content-Length` of its own: with a body it is another one each time."""
BUILDERS: Final = (httpx.Client.build_request, httpx.AsyncClient.build_request)
"""What makes the requests of clients that do it as httpx does."""


UNSENDABLE: Final = (
    "The request cannot be made: the HTTP client holds a cookie or a parameter that cannot be sent. Clear its cookies."
)


class RequestOptions(TypedDict, total=False):
    """What every call takes besides its own arguments.

    Attributes:
        extra_headers: sent besides, or instead of, the client's own.
        extra_query: query parameters besides the call's own.
        extra_body: fields of the JSON body besides the call's own, for what the API has and this library does not know.
        timeout: limits for this call: seconds for each phase, an `httpx.Timeout`, or None for none.
        retry: the policy for this call.
        hooks: who is told of attempts, resumed streams and waits.
        response_limits: the bounds of the response body, where it is read whole.
        stream_limits: the bounds of the stream, where the call answers with one.
        when_busy: what to do where another run holds the conversation.
    """

    extra_headers: Mapping[str, str]
    extra_query: Mapping[str, Any]
    extra_body: Mapping[str, Any]
    timeout: TimeLimit
    retry: RetryPolicy
    hooks: Hooks
    response_limits: ResponseLimits
    stream_limits: StreamLimits
    when_busy: WhenBusy


OPTIONS: Final = frozenset(RequestOptions.__annotations__)


_KINDS: Final[Mapping[str, type]] = {
    "retry": RetryPolicy,
    "hooks": Hooks,
    "response_limits": ResponseLimits,
    "stream_limits": StreamLimits,
}
"""The classes of options whose values are checked by their class alone."""


def separate_options(arguments: Mapping[str, Any]) -> tuple[RequestOptions, dict[str, Any]]:
    """Return the arguments that every call takes, and the others."""
    options: Any = {}
    others: dict[str, Any] = {}
    for name, value in arguments.items():
        (options if name in OPTIONS else others)[name] = value
    return options, others


class Endpoint(Protocol):
    """What the modules of `letta_api.api` have in common."""

    @property
    def OPERATION(self) -> Operation: ...  # noqa: N802  (named as in the modules)

    @property
    def build_request(self) -> Callable[..., Request]: ...


class JsonEndpoint(Endpoint, Protocol[T_co]):
    """An endpoint that answers JSON."""

    @property
    def read_response(self) -> Callable[[str | bytes], T_co]: ...


class StreamEndpoint(Endpoint, Protocol):
    """An endpoint that answers events."""

    @property
    def read_event(self) -> Callable[[str | bytes], StreamEvent]: ...


def resume_endpoint(endpoint: StreamEndpoint) -> StreamEndpoint:
    """Return the endpoint that continues a stream of this one."""
    facts = endpoint.OPERATION.streaming
    if facts is None:
        raise TypeError(f"{endpoint.OPERATION.id} does not stream")
    found: StreamEndpoint = attrgetter(OPERATIONS[facts.resume_operation].module)(api)
    return found


@frozen
class Call:
    """One call of an operation: what goes out, and how it may be repeated.

    Attributes:
        operation: what is called.
        request: the request without the client's settings.
        accept: the content type asked for.
        headers: headers of this call besides the client's.
        timeout: the limits for this call.
        retry: the policy for this call.
        idempotency: whether it may be sent again.
        hooks: who is told of attempts.
        limits: the bounds of the response body, where it is read whole.
        stream_limits: the bounds of the stream, where the call answers with one.
        when_busy: what to do where another run holds the conversation.
        instrumentation: Dispatches the events of the call to logging, tracing and hooks.
    """

    operation: Operation
    request: Request = field(repr=False)
    accept: str
    headers: Mapping[str, str] = field(repr=False)
    timeout: httpx.Timeout
    retry: RetryPolicy
    idempotency: Idempotency
    hooks: Hooks
    limits: ResponseLimits
    stream_limits: StreamLimits
    when_busy: WhenBusy
    instrumentation: Instrumentation = NOOP


def prepare(
    config: Config,
    endpoint: Endpoint,
    ids: tuple[Any, ...],
    arguments: Mapping[str, Any],
    accept: str = JSON,
    idempotency: Idempotency | None = None,
) -> Call:
    """Checks the arguments of a call and makes its request.

    Raises:
        TypeError: an argument is unknown, or of the wrong type.
        ValueError: an argument has an impossible value.
    """
    operation = endpoint.OPERATION
    options, given = separate_options(arguments)
    if unknown := sorted(given.keys() - operation.parameters):
        known = ", ".join(sorted(operation.parameters)) or "none besides its ids"
        raise TypeError(f"{operation.id}() has no argument {unknown[0]!r}; it takes {known}")
    if operation.required and (missing := sorted(operation.required - given.keys())):
        noun = "argument" if len(missing) == 1 else "arguments"
        raise TypeError(f"{operation.id}() needs the {noun} {', '.join(missing)}")
    try:
        check_arguments(endpoint.build_request, ids, given)
        check_bounds(operation.bounds, given)
        request = endpoint.build_request(*ids, **given)
    except RecursionError:
        raise nesting_error(given) from None
    return make_call(config, operation, request, options, accept, idempotency)


def make_call(
    config: Config,
    operation: Operation,
    request: Request,
    options: RequestOptions,
    accept: str = JSON,
    idempotency: Idempotency | None = None,
) -> Call:
    """A call of a request with the settings of the client, and those of this call before them.

    Raises:
        TypeError: an option is of the wrong type.
        ValueError: an option has an impossible value.
    """
    headers = config.headers
    if request.headers:
        check_headers(request.headers)
        headers = merge_headers(headers, request.headers)
    if options:
        _check_options(options)
    if query := {**config.query, **(options.get("extra_query") or {})}:
        pairs = [pair for name, value in query.items() for pair in query_pairs(name, value)]
        request = evolve(request, query=[*request.query, *pairs])
    if extra_body := options.get("extra_body"):
        if request.body is not None and not is_mapping(request.body):
            raise TypeError(f"extra_body must be absent: the body of {operation.id} is not an object")
        request = evolve(request, body={**(request.body or {}), **to_json_value(extra_body)})
    if extra_headers := options.get("extra_headers"):
        headers = merge_headers(headers, extra_headers)
    timeout = parse_timeout(options["timeout"]) if "timeout" in options else config.timeout
    stream_limits = options.get("stream_limits", config.stream_limits)
    return Call(
        operation,
        request,
        accept,
        headers,
        stream_limits.timeout(timeout) if accept == EVENTS else timeout,
        options.get("retry", config.retry),
        idempotency or ("idempotent" if operation.idempotency == "idempotent" else "none"),
        options.get("hooks", config.hooks),
        options.get("response_limits", config.response_limits),
        stream_limits,
        options.get("when_busy", config.when_busy),
    )


def _check_options(options: RequestOptions) -> None:
    """Checks the options of a call; those of the client were checked when it was made."""
    check_query("extra_query", ensure_mapping("extra_query", options.get("extra_query")))
    if extra_body := ensure_mapping("extra_body", options.get("extra_body")):
        check_json("extra_body", extra_body)
    check_headers(ensure_mapping("extra_headers", options.get("extra_headers")))
    if "when_busy" in options:
        parse_when_busy(options["when_busy"])
    for name, value in options.items():
        if kind := _KINDS.get(name):
            ensure_instance(name, value, kind)


def instrumented(call: Call) -> Call:
    """Return the call with its instrumentation, if an observer is configured."""
    instrumentation = make_instrumentation(call)
    return call if instrumentation is NOOP else evolve(call, instrumentation=instrumentation)


def query_pairs(name: str, value: Any) -> list[QueryPair]:
    """A query parameter; a list is a repeated one."""
    items = value if is_sequence(value) else [value]
    return [(name, each) for each in items]


def build_httpx_request(http: httpx.Client | httpx.AsyncClient, config: Config, call: Call) -> httpx.Request:
    """The request as httpx sends it.

    Raises:
        TypeError: the body holds something that JSON has no form for.
        ValueError: the body holds a number that JSON has no form for, or the query is too long for a URL.
        LettaError: the httpx client holds a cookie or a parameter that cannot be sent.
    """
    try:
        return _to_httpx(http, config, call)
    except (httpx.InvalidURL, UnicodeError):
        if type(http).build_request not in BUILDERS:
            raise  # the caller's own
    raise url_error(call.operation.id, call.request.path, call.request.query) or LettaError(UNSENDABLE)


def _to_httpx(http: httpx.Client | httpx.AsyncClient, config: Config, call: Call) -> httpx.Request:
    request, own, content = call.request, {"Accept": call.accept}, None
    if request.body is not None:
        try:
            content = json_codec.dumps(request.body)
        except (TypeError, ValueError, RecursionError) as fault:
            raise body_error(call.operation.id, request.body, fault) from None
        own["Content-Type"] = JSON
    url, query = config.url(request.path), request.query or None
    if http.params or http.cookies or type(http).build_request not in BUILDERS:
        together = merge_headers(own, call.headers)
        built = http.build_request(
            request.method, url, params=query, content=content, headers=together, timeout=call.timeout
        )
        return separate_cookies(http, built, together)
    # What httpx would make, in half the time: it merges and checks the same headers anew for each request.
    method = request.method if content is None else WITH_LENGTH
    headers = _constant_headers(
        method, config.base_url, tuple(http.headers.raw), tuple(own.items()), tuple(call.headers.items())
    )
    built = httpx.Request(
        request.method,
        httpx.URL(url, params=query) if query else _parsed(url),
        headers=headers,
        stream=httpx.ByteStream(content or b""),
        extensions={"timeout": call.timeout.as_dict()},
    )
    if content is not None:
        built.headers.setdefault("Content-Length", str(len(content)))
    built.read()  # the content of a request that has been read can be looked at
    return separate_cookies(http, built, headers)


@lru_cache(maxsize=128)
def _parsed(url: str) -> httpx.URL:
    """The address of a resource: messages are sent to few conversations, and a run is asked for many times."""
    return httpx.URL(url)


@lru_cache(maxsize=32)
def _constant_headers(
    method: str,
    base_url: str,
    defaults: tuple[tuple[bytes, bytes], ...],
    own: tuple[tuple[str, str], ...],
    given: tuple[tuple[str, str], ...],
) -> httpx.Headers:
    """The headers of requests, as httpx completes them; each request takes a copy of them."""
    headers = httpx.Headers(defaults)
    headers.update(merge_headers(dict(own), dict(given)))
    return httpx.Request(method, base_url, headers=headers).headers


def decode_body(response: httpx.Response) -> Any:
    """The decoded JSON of an answer that has been read, or its text where it is none."""
    try:
        return json_codec.loads(response.content)
    except ValueError:
        return text_of(response, response.content)


def decode(endpoint: JsonEndpoint[T], call: Call, response: httpx.Response) -> T:
    """The value of a successful answer that has been read.

    Raises:
        APIResponseValidationError: the answer is not what the API document says.
    """
    try:
        return endpoint.read_response(response.content)
    except (DecodeError, TypeError, ValueError) as fault:
        reason = str(fault) if isinstance(fault, DecodeError) else f"not JSON of the documented shape: {fault}"
    raise invalid_response_error(response, decode_body(response), reason)


def is_event_stream(response: httpx.Response) -> bool:
    """Whether an answer is a stream of events, or does not say what it is. Proxies repeat or empty the header."""
    kinds = {each.partition(";")[0].strip().lower() for each in response.headers.get("content-type", "").split(",")}
    return EVENTS in kinds or kinds == {""}


def not_event_stream_error(response: httpx.Response) -> APIError:
    """The error for a successful answer that is no stream of events, and has been read as far as it is shown."""
    body = decode_body(response)
    reason = f"events were asked for, and {response.headers['content-type']} came: {body!r}"
    return invalid_response_error(response, body, reason)


def redirect_request(
    http: httpx.Client | httpx.AsyncClient, request: httpx.Request, response: httpx.Response
) -> httpx.Request | None:
    """The request that a redirect asks for, where method, body and origin stay as they are; None for anything else.

    A POST that came back as a GET would never have been sent, and another origin must not see the key.
    """
    if response.is_success:  # nearly always
        return None
    keeps = response.status_code in (307, 308) or (response.status_code in (301, 302, 303) and request.method == "GET")
    location = response.headers.get("location")
    if not keeps or not location:
        return None
    try:
        target = request.url.join(location)
        if (target.scheme, target.host, target.port) != (request.url.scheme, request.url.host, request.url.port):
            return None
    except (httpx.InvalidURL, ValueError):  # a host that IDNA cannot decode is a UnicodeError
        return None
    headers = {name: value for name, value in request.headers.items() if name not in ("host", "content-length")}
    built = http.build_request(
        request.method, target, content=request.content or None, headers=headers, extensions=dict(request.extensions)
    )
    return separate_cookies(http, built, headers)
