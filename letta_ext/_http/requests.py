"""Construction of requests from calls, and decoding of responses."""

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
from .._instrumentation.redaction import FORMER_KEYS, merge_headers, separate_omitted
from .._types import NotGiven, is_mapping, is_sequence
from ..busy import WhenBusy, parse_when_busy
from ..config import (
    Config,
    TimeLimit,
    check_headers,
    check_query,
    ensure_instance,
    ensure_mapping,
    parse_timeout,
    retry_policy,
)
from ..errors import APIError, LettaError
from ..hooks import Hooks
from ..limits import ResponseLimits, StreamLimits
from ..retry import Idempotency, RetryPolicy
from . import json_codec
from .charsets import text_of
from .content import encode_content
from .cookies import add_cookies, separate_cookies
from .encodable import body_error, check_json, nesting_error, url_error
from .errors_from_response import invalid_response_error
from .urls import make_url
from .validation import check_arguments, check_bounds

if TYPE_CHECKING:
    from letta_api.unions import StreamEvent

T_co = TypeVar("T_co", covariant=True)
T = TypeVar("T")

JSON: Final = "application/json"
EVENTS: Final = "text/event-stream"
MAX_REDIRECTS: Final = 5
WITH_LENGTH: Final = "GET"
"""A method for which httpx adds no `Content-Length`. Requests with a body set their own, outside the cache."""
BUILDERS: Final = (httpx.Client.build_request, httpx.AsyncClient.build_request)
"""The unmodified `build_request` methods of httpx."""

UNSENDABLE: Final = (
    "The request cannot be built: http_client contains an invalid cookie or query parameter. Clear its cookies and "
    "params."
)


class RequestOptions(TypedDict, total=False):
    """Options of every call. They override the settings of the client. None keeps a setting, except for `timeout`.

    Attributes:
        extra_headers: Additional headers. They replace headers of the client with the same name. `omit` removes a
            header of the client, of its httpx client or of the library.
        extra_query: Additional query parameters.
        extra_body: Additional fields of the JSON body, such as fields that the library does not support yet.
        timeout: Seconds for each phase of the request, an `httpx.Timeout`, or None to disable timeouts.
        retry: The retry policy.
        max_retries: The number of retries, instead of that of the retry policy.
        hooks: Callbacks for attempts, resumed streams and busy conversations.
        response_limits: The bounds of the response body, unless it is streamed.
        stream_limits: The bounds of the stream.
        when_busy: The behavior if another run is active in the conversation.
    """

    extra_headers: Mapping[str, str | NotGiven] | None
    extra_query: Mapping[str, Any] | None
    extra_body: Mapping[str, Any] | None
    timeout: TimeLimit
    retry: RetryPolicy | None
    max_retries: int | None
    hooks: Hooks | None
    response_limits: ResponseLimits | None
    stream_limits: StreamLimits | None
    when_busy: WhenBusy | None


OPTIONS: Final = frozenset(RequestOptions.__annotations__)


_OPTION_CLASSES: Final[Mapping[str, type]] = {
    "retry": RetryPolicy,
    "hooks": Hooks,
    "response_limits": ResponseLimits,
    "stream_limits": StreamLimits,
}
"""The classes of options that are validated by their own constructors."""


def separate_options(arguments: Mapping[str, Any]) -> tuple[RequestOptions, dict[str, Any]]:
    """Split arguments into the options of every call and the arguments of the operation."""
    options: Any = {}
    others: dict[str, Any] = {}
    for name, value in arguments.items():
        (options if name in OPTIONS else others)[name] = value
    return options, others


class Endpoint(Protocol):
    """A module of `letta_api.api`."""

    @property
    def OPERATION(self) -> Operation: ...  # noqa: N802  # the name in the generated modules

    @property
    def build_request(self) -> Callable[..., Request]: ...


class ResponseReader(Protocol[T_co]):
    """The part of an endpoint that decodes JSON."""

    @property
    def read_response(self) -> Callable[[str | bytes], T_co]: ...


class JsonEndpoint(Endpoint, ResponseReader[T_co], Protocol[T_co]):
    """An endpoint with a JSON response."""


class StreamEndpoint(Endpoint, Protocol):
    """An endpoint with an event stream as response."""

    @property
    def read_event(self) -> Callable[[str | bytes], StreamEvent]: ...


def resume_endpoint(endpoint: StreamEndpoint) -> StreamEndpoint:
    """Return the endpoint that resumes streams of this endpoint."""
    facts = endpoint.OPERATION.streaming
    if facts is None:
        raise TypeError(f"{endpoint.OPERATION.id} does not stream")
    found: StreamEndpoint = attrgetter(OPERATIONS[facts.resume_operation].module)(api)
    return found


@frozen
class Call:
    """One call of an operation with all of its settings.

    Attributes:
        operation: The operation.
        request: The request without the settings of the client.
        accept: The expected content type.
        headers: The headers of client and call.
        omitted_headers: The names of headers that are not sent, in lower case.
        former_keys: Earlier API keys of the client, which are redacted too.
        timeout: The timeout of each phase of the request.
        retry: The retry policy.
        idempotency: Whether the request may be retried after it may have been processed.
        hooks: Callbacks for attempts, resumed streams and busy conversations.
        limits: The bounds of the response body, unless it is streamed.
        stream_limits: The bounds of the stream.
        when_busy: The behavior if another run is active in the conversation.
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
    omitted_headers: frozenset[str]
    former_keys: tuple[str, ...] = field(repr=False)
    instrumentation: Instrumentation = NOOP


def prepare(
    config: Config,
    endpoint: Endpoint,
    ids: tuple[Any, ...],
    arguments: Mapping[str, Any],
    accept: str = JSON,
    idempotency: Idempotency | None = None,
) -> Call:
    """Check the arguments of a call and build its request.

    Raises:
        TypeError: If an argument is unknown or has the wrong type.
        ValueError: If an argument has an invalid value.
    """
    operation = endpoint.OPERATION
    options, given = separate_options(arguments)
    if unknown := sorted(given.keys() - operation.parameters):
        known = ", ".join(sorted(operation.parameters)) or "only ids"
        raise TypeError(f"{operation.id}() has no argument {unknown[0]!r}. Valid arguments: {known}.")
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
    """Return a call of a request, whose options override the settings of the client.

    Raises:
        TypeError: If an option has the wrong type.
        ValueError: If an option has an invalid value.
    """
    headers, omitted = config.headers, config.omitted_headers
    if request.content:
        request = encode_content(operation.id, request)
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
            raise TypeError(f"extra_body is not supported: the body of {operation.id}() is not an object. Omit it.")
        request = evolve(request, body={**(request.body or {}), **to_json_value(extra_body)})
    if extra_headers := options.get("extra_headers"):
        own, omitted_here = separate_omitted(extra_headers)
        headers = {name: value for name, value in headers.items() if name.lower() not in omitted_here}
        headers = merge_headers(headers, own)
        omitted = omitted.difference(map(str.lower, own)) | omitted_here
    timeout = parse_timeout(options["timeout"]) if "timeout" in options else config.timeout
    retry = options.get("retry") or config.retry
    if (max_retries := options.get("max_retries")) is not None:
        retry = retry_policy(retry, max_retries)
    stream_limits = options.get("stream_limits") or config.stream_limits
    return Call(
        operation,
        request,
        accept,
        headers,
        stream_limits.timeout(timeout) if accept == EVENTS else timeout,
        retry,
        idempotency or ("idempotent" if operation.idempotency == "idempotent" else "none"),
        options.get("hooks") or config.hooks,
        options.get("response_limits") or config.response_limits,
        stream_limits,
        options.get("when_busy") or config.when_busy,
        omitted,
        config.former_keys,
    )


def _check_options(options: RequestOptions) -> None:
    """Check the options of a call. `Config.resolve` has checked those of the client."""
    check_query("extra_query", ensure_mapping("extra_query", options.get("extra_query")))
    if extra_body := ensure_mapping("extra_body", options.get("extra_body")):
        check_json("extra_body", extra_body)
    check_headers(ensure_mapping("extra_headers", options.get("extra_headers")))
    if (when_busy := options.get("when_busy")) is not None:
        parse_when_busy(when_busy)
    for name, value in options.items():
        if value is not None and (kind := _OPTION_CLASSES.get(name)):
            ensure_instance(name, value, kind)


def instrumented(call: Call) -> Call:
    """Return the call with its observers, if there are any."""
    instrumentation = make_instrumentation(call)
    return call if instrumentation is NOOP else evolve(call, instrumentation=instrumentation)


def query_pairs(name: str, value: Any) -> list[QueryPair]:
    """Return the pairs of a query parameter. A list repeats the parameter."""
    items = value if is_sequence(value) else [value]
    return [(name, each) for each in items]


def build_httpx_request(http: httpx.Client | httpx.AsyncClient, config: Config, call: Call) -> httpx.Request:
    """Return the request for httpx.

    Raises:
        TypeError: If the body contains a value of an unsupported type.
        ValueError: If the body contains a number that JSON cannot represent, or the URL is too long.
        LettaError: If the httpx client contains a cookie or a query parameter that cannot be encoded.
    """
    try:
        built = _build_httpx_request(http, config, call)
        if cookies := call.request.content.get("cookies"):
            add_cookies(built, cookies)
        return built
    except (httpx.InvalidURL, UnicodeError):
        if type(http).build_request not in BUILDERS:
            raise  # from the caller's subclass
    raise url_error(call.operation.id, call.request.path, call.request.query) or LettaError(UNSENDABLE)


def _build_httpx_request(http: httpx.Client | httpx.AsyncClient, config: Config, call: Call) -> httpx.Request:
    request, own, content = call.request, {"Accept": call.accept}, None
    if request.body is not None:
        try:
            content = json_codec.dumps(request.body)
        except (TypeError, ValueError, RecursionError) as error:
            raise body_error(call.operation.id, request.body, error) from None
        own["Content-Type"] = JSON
    elif request.content:
        content = request.content.get("content")  # bytes; without it, there are only cookies
    url = config.url(request.path)
    if http.params or http.cookies or type(http).build_request not in BUILDERS:
        together = merge_headers(own, call.headers)
        built = http.build_request(
            request.method, url, params=request.query or None, content=content, headers=together, timeout=call.timeout
        )
        if call.former_keys:
            built.extensions[FORMER_KEYS] = call.former_keys
        return _without(call.omitted_headers, separate_cookies(http, built, together))
    # Equivalent to `http.build_request` in half the time: httpx merges and checks constant headers for each request.
    method = request.method if content is None else WITH_LENGTH
    headers, key, is_utf8 = _constant_headers(
        method, config.base_url, tuple(http.headers.raw), tuple(own.items()), tuple(call.headers.items())
    )
    built = httpx.Request(
        request.method,
        make_url(url, request.query),
        headers=headers,
        stream=httpx.ByteStream(content or b""),
        extensions={"timeout": call.timeout.as_dict()},
    )
    if is_utf8:
        # Otherwise httpx decodes all headers of each request to detect ASCII, which would reject others from hooks.
        built.headers.encoding = "utf-8"
    if call.former_keys:
        built.extensions[FORMER_KEYS] = call.former_keys
    if content is not None:
        built.headers.setdefault("Content-Length", str(len(content)))
    built.read()  # makes `request.content` available
    built = separate_cookies(http, built, headers, key)
    return _without(call.omitted_headers, built) if call.omitted_headers else built


def _without(names: frozenset[str], request: httpx.Request) -> httpx.Request:
    """Remove headers from a request, which httpx or its client may have added, and return the request."""
    for name in names:
        request.headers.pop(name, None)
    return request


@lru_cache(maxsize=32)
def _constant_headers(
    method: str,
    base_url: str,
    defaults: tuple[tuple[bytes, bytes], ...],
    own: tuple[tuple[str, str], ...],
    given: tuple[tuple[str, str], ...],
) -> tuple[httpx.Headers, str, bool]:
    """Return the headers as completed by httpx, the `Authorization` header, and whether all headers are UTF-8."""
    headers = httpx.Headers(defaults)
    headers.update(merge_headers(dict(own), dict(given)))
    complete = httpx.Request(method, base_url, headers=headers).headers
    return complete, complete.get("Authorization", ""), complete.encoding in ("ascii", "utf-8")


def decode_body(response: httpx.Response) -> Any:
    """Return the decoded JSON body of a response, or its text if it is not JSON."""
    try:
        return json_codec.loads(response.content)
    except ValueError:
        return text_of(response, response.content)


def decode(endpoint: ResponseReader[T], call: Call, response: httpx.Response) -> T:
    """Return the decoded value of a successful response.

    Raises:
        APIResponseValidationError: If the response does not match the API document.
    """
    try:
        return endpoint.read_response(response.content)
    except (DecodeError, TypeError, ValueError) as error:
        # A package that `client.call` gets has a DecodeError of its own.
        known = isinstance(error, DecodeError) or type(error).__name__ == DecodeError.__name__
        reason = str(error) if known else f"not JSON with the documented schema: {error}"
        if EVENTS in content_types(response):
            reason = "a stream of events, not JSON. Pass the argument that turns streaming off, such as streaming=False"
    raise invalid_response_error(response, decode_body(response), reason)


def content_types(response: httpx.Response) -> set[str]:
    """Return the content type of a response, or "" without one. Some proxies repeat or empty the header."""
    return {each.partition(";")[0].strip().lower() for each in response.headers.get("content-type", "").split(",")}


def is_event_stream(response: httpx.Response) -> bool:
    """Return whether a response is an event stream or has no content type."""
    kinds = content_types(response)
    return EVENTS in kinds or kinds == {""}


def not_event_stream_error(response: httpx.Response) -> APIError:
    """Return the error for a successful response that is not an event stream."""
    body = decode_body(response)
    reason = f"expected text/event-stream, got {response.headers['content-type']}: {body!r}"
    return invalid_response_error(response, body, reason)


def redirect_request(
    http: httpx.Client | httpx.AsyncClient, request: httpx.Request, response: httpx.Response
) -> httpx.Request | None:
    """Return the redirected request, or None if the redirect changes the method or the origin.

    A POST redirected as GET would lose its body, and another origin must not receive the API key.
    """
    if response.is_success:  # fast path
        return None
    keeps = response.status_code in (307, 308) or (response.status_code in (301, 302, 303) and request.method == "GET")
    location = response.headers.get("location")
    if not keeps or not location:
        return None
    try:
        target = request.url.join(location)
        if (target.scheme, target.host, target.port) != (request.url.scheme, request.url.host, request.url.port):
            return None
    except (httpx.InvalidURL, ValueError):  # UnicodeError for an invalid IDNA host
        return None
    headers = {name: value for name, value in request.headers.items() if name not in ("host", "content-length")}
    built = http.build_request(
        request.method, target, content=request.content or None, headers=headers, extensions=dict(request.extensions)
    )
    omitted = frozenset(name for name in http.headers if name not in request.headers)
    return separate_cookies(http, _without(omitted, built), headers)
