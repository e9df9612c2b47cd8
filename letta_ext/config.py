"""The settings of a client: defaults, environment variables and validation."""

from __future__ import annotations

import platform
import re
from collections.abc import Mapping
from math import isfinite
from typing import Any, Final, Literal, Self, TypeAlias, TypedDict, cast

import httpx
from attrs import evolve, field, frozen

from ._instrumentation.redaction import merge_headers, separate_omitted
from ._settings_checks import MAX_WAIT
from ._types import NOT_GIVEN as NOT_GIVEN
from ._types import NotGiven as NotGiven
from ._types import is_mapping, is_sequence
from ._version import __version__
from .busy import WhenBusy, parse_when_busy
from .hooks import NO_HOOKS, Hooks
from .limits import ResponseLimits, StreamLimits
from .retry import RetryPolicy

ENVIRONMENTS: Mapping[str, str] = {"cloud": "https://api.letta.com", "local": "http://localhost:8283"}
DEFAULT_TIMEOUT: Final = httpx.Timeout(60.0, connect=5.0)
DEFAULT_LIMITS: Final = httpx.Limits(max_connections=1000, max_keepalive_connections=100, keepalive_expiry=4)
"""Uvicorn closes connections after 5 s of inactivity. A request sent at that moment may or may not be processed."""
USER_AGENT: Final = f"letta_ext/{__version__} Python/{platform.python_version()}"
TimeLimit: TypeAlias = float | httpx.Timeout | None
"""Seconds for each phase of a request, an `httpx.Timeout` with a value per phase, or None for no limit."""

MAX_URL: Final = 65_536
"""Characters of a URL or of one of its components. httpx rejects longer ones."""
MAX_HOST_LABEL: Final = 63
MAX_HOST: Final = 253
MAX_PORT: Final = 65_535
FRAMING_HEADERS: Final = frozenset({"host", "content-length", "transfer-encoding"})
"""The headers without which a request cannot be sent."""
MAX_FORMER_KEYS: Final = 8
"""The number of earlier API keys that are redacted. Each of them costs time when an error is raised."""
VERSION_PREFIX: Final = "/v1"
"""The prefix of all API paths."""

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


def strip_not_given(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments without those that are `NOT_GIVEN`."""
    return {name: value for name, value in arguments.items() if not isinstance(value, NotGiven)}


class ClientOptions(TypedDict, total=False):
    """The constructor arguments of `Letta`, which documents them."""

    api_key: str | None
    project: str | None
    project_id: str | None
    environment: Literal["cloud", "local"] | None
    base_url: str | httpx.URL | None
    timeout: TimeLimit | NotGiven
    max_retries: int | None
    retry: RetryPolicy | None
    hooks: Hooks | None
    response_limits: ResponseLimits | None
    stream_limits: StreamLimits | None
    when_busy: WhenBusy | None
    default_headers: Mapping[str, str | NotGiven] | None
    default_query: Mapping[str, Any] | None


class CopyOptions(ClientOptions, total=False):
    """The arguments of `Letta.with_options`, which documents them."""

    set_default_headers: Mapping[str, str | NotGiven] | None
    set_default_query: Mapping[str, Any] | None


@frozen
class Config:
    """The validated settings of a client.

    Attributes:
        base_url: The URL of the server, without a trailing slash.
        api_key: The API key, or None if the server requires none. Not part of the repr.
        headers: Headers of every request. Not part of the repr.
        omitted_headers: The names of headers that no request has, in lower case.
        query: Query parameters of every request. Not part of the repr.
        timeout: The timeout of each phase of a request [s].
        retry: The retry policy.
        hooks: Callbacks for attempts, resumed streams and busy conversations.
        response_limits: The bounds of response bodies.
        stream_limits: The bounds of streams.
        when_busy: The behavior if another run is active in the conversation.
        default_timeout: The timeout if the constructor arguments have none.
        former_keys: The last earlier API keys, which are still redacted. Not part of the repr.
        options: Constructor arguments that yield the same settings without the environment. Not part of the repr.
    """

    base_url: str
    api_key: str | None = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    omitted_headers: frozenset[str]
    query: Mapping[str, Any] = field(repr=False)
    timeout: httpx.Timeout
    retry: RetryPolicy
    hooks: Hooks
    response_limits: ResponseLimits
    stream_limits: StreamLimits
    when_busy: WhenBusy
    default_timeout: httpx.Timeout
    former_keys: tuple[str, ...] = field(repr=False)
    options: ClientOptions = field(repr=False)

    def url(self, path: str) -> str:
        """Return the URL of a path of the server.

        Raises:
            ValueError: If the path is not relative to the server: the API key would be sent to another host.
        """
        if not path.startswith("/") or path.startswith("//"):
            raise ValueError("path must be relative to the server and begin with one '/'")
        return self.base_url + path

    @classmethod
    def resolve(
        cls,
        environ: Mapping[str, str],
        options: ClientOptions,
        *,
        default_timeout: httpx.Timeout = DEFAULT_TIMEOUT,
        former_keys: tuple[str, ...] = (),
    ) -> Self:
        """Build the settings from constructor arguments and, for arguments not given, the environment.

        Args:
            environ: The environment variables.
            options: The constructor arguments.
            default_timeout: The timeout if the arguments have none. Defaults to `DEFAULT_TIMEOUT`.
            former_keys: Earlier API keys, which are still redacted. Defaults to none.

        Raises:
            TypeError: If an argument has the wrong type.
            ValueError: If an argument has an invalid value.
        """
        key, headers = _identity(environ, options)
        default_headers = dict(ensure_mapping("default_headers", options.get("default_headers")))
        check_headers(default_headers)
        default_query = dict(ensure_mapping("default_query", options.get("default_query")))
        check_query("default_query", default_query)
        when_busy = options.get("when_busy")
        when_busy = "raise" if when_busy is None else when_busy
        parse_when_busy(when_busy)
        retry = retry_policy(options.get("retry") or RetryPolicy(), options.get("max_retries"))
        base_url = _base_url(environ, options.get("base_url"), options.get("environment"))
        timeout = options.get("timeout", NOT_GIVEN)
        timeouts = default_timeout if isinstance(timeout, NotGiven) else parse_timeout(timeout)
        hooks = options.get("hooks") or NO_HOOKS
        ensure_instance("hooks", hooks, Hooks)
        response_limits = options.get("response_limits") or ResponseLimits()
        ensure_instance("response_limits", response_limits, ResponseLimits)
        stream_limits = options.get("stream_limits") or StreamLimits()
        ensure_instance("stream_limits", stream_limits, StreamLimits)
        resolved = ClientOptions(
            api_key=key,
            project=options.get("project"),
            project_id=options.get("project_id"),
            base_url=base_url,
            timeout=timeout,
            retry=retry,
            hooks=hooks,
            response_limits=response_limits,
            stream_limits=stream_limits,
            when_busy=when_busy,
            default_headers=default_headers,
            default_query=default_query,
        )
        sent_headers, omitted_headers = separate_omitted(merge_headers(headers, default_headers))
        return cls(
            base_url,
            key,
            sent_headers,
            omitted_headers,
            default_query,
            timeouts,
            retry,
            hooks,
            response_limits,
            stream_limits,
            when_busy,
            default_timeout,
            former_keys,
            resolved,
        )

    def with_changes(self, changes: CopyOptions, default_timeout: httpx.Timeout | None = None) -> Self:
        """Return a copy with some settings replaced, without reading the environment.

        None keeps the current value, except for `timeout`, where it disables the timeout. Headers and query parameters
        are merged with the current ones, unless they are replaced by `set_default_headers` and `set_default_query`.
        `max_retries` replaces that field of the current retry policy.

        Args:
            changes: The settings to replace.
            default_timeout: The timeout if the arguments never had one. Defaults to the current one.

        Raises:
            TypeError: If a setting is unknown or has the wrong type.
            ValueError: If a setting has an invalid value.
        """
        if unknown := sorted(changes.keys() - CopyOptions.__annotations__.keys()):
            raise TypeError(f"with_options() has no argument {unknown[0]!r}")
        changed: dict[str, Any] = {
            name: value
            for name, value in changes.items()
            if not isinstance(value, NotGiven) and (value is not None or name == "timeout")
        }
        options: dict[str, Any] = {**self.options, **changed}
        if "environment" in changed and "base_url" not in changed:
            del options["base_url"]
        for name in ("default_headers", "default_query"):
            replacement = options.pop(f"set_{name}", None)
            if replacement is not None:
                if name in changed:
                    raise ValueError(f"{name} and set_{name} are mutually exclusive. Pass one of them.")
                options[name] = ensure_mapping(f"set_{name}", replacement)
                continue
            added = ensure_mapping(name, changed.get(name))
            held = cast(Mapping[str, Any], self.options.get(name) or {})
            options[name] = merge_headers(held, added) if name == "default_headers" else {**held, **added}
        return self._resolved(options, self.default_timeout if default_timeout is None else default_timeout)

    def assigned(self, name: str, value: Any) -> Self:
        """Return a copy with one setting replaced, as by an assignment to an attribute of the client.

        None removes an API key, a project and a timeout. `NOT_GIVEN` restores the default timeout.

        Raises:
            TypeError: If the value has the wrong type.
            ValueError: If the value is invalid.
        """
        if value is None and name in ("base_url", "max_retries"):
            raise TypeError(f"{name} must not be None")
        return self._resolved({**self.options, name: value}, self.default_timeout)

    def _resolved(self, options: Mapping[str, Any], default_timeout: httpx.Timeout) -> Self:
        former = self.former_keys
        if self.api_key is not None and options.get("api_key") != self.api_key:
            former = (*(key for key in former if key != self.api_key), self.api_key)
        return self.resolve(
            {},
            cast(ClientOptions, options),
            default_timeout=default_timeout,
            former_keys=former[-MAX_FORMER_KEYS:],
        )


def _identity(environ: Mapping[str, str], options: ClientOptions) -> tuple[str | None, dict[str, str]]:
    """Return the API key and the headers for it, for the project and for the user agent."""
    api_key, project, project_id = options.get("api_key"), options.get("project"), options.get("project_id")
    headers = {"User-Agent": USER_AGENT}
    key = api_key if api_key is not None else environ.get("LETTA_API_KEY", "").strip() or None
    if key is not None:
        if not key:
            raise ValueError("api_key must not be empty. Omit it or pass None if the server requires no key.")
        headers["Authorization"] = f"Bearer {_header_text('api_key', key)}"
    if project is not None:
        headers["X-Project"] = _header_text("project", project)
    if project_id is not None:
        headers["X-Project-Id"] = _header_text("project_id", project_id)
    return key, headers


def retry_policy(retry: RetryPolicy, max_retries: int | None) -> RetryPolicy:
    """Return the retry policy with `max_retries` applied."""
    ensure_instance("retry", retry, RetryPolicy)
    if max_retries is None:
        return retry
    if not isinstance(max_retries, int) or isinstance(max_retries, bool) or max_retries < 0:
        raise ValueError(f"max_retries must be an integer of 0 or more, got {max_retries!r}")
    return evolve(retry, max_retries=max_retries)


def _base_url(environ: Mapping[str, str], base_url: str | httpx.URL | None, environment: str | None) -> str:
    if environment is not None and environment not in ENVIRONMENTS:
        raise ValueError(f"environment must be {' or '.join(map(repr, ENVIRONMENTS))}, got {environment!r}")
    if base_url is not None and environment is not None:
        raise ValueError(
            "base_url and environment are mutually exclusive: both set the URL of the server. Pass one of them."
        )
    if base_url is not None and not isinstance(base_url, (str, httpx.URL)):
        raise TypeError(f"base_url must be a string or an httpx.URL, got {type(base_url).__name__}")
    name, chosen = "base_url", str(base_url) if base_url is not None else None
    if chosen is None and environment is not None:
        chosen = ENVIRONMENTS[environment]
    from_environ = environ.get("LETTA_BASE_URL", "").strip()  # files with CRLF line ends leave a trailing "\r"
    if chosen is None and from_environ:
        name, chosen = "LETTA_BASE_URL", from_environ
    return _checked_address(name, ENVIRONMENTS["cloud"] if chosen is None else chosen)


def _checked_address(name: str, address: str) -> str:
    """Return the URL without a trailing slash. Error messages omit it: it may contain a password."""
    if "@" in address:
        raise ValueError(f"{name} must not contain a user name or password. Pass credentials in default_headers.")
    if " " in address:
        raise ValueError(f"{name} must not contain spaces")  # httpx would percent-encode them
    try:
        url = httpx.URL(address)
        host, port = url.raw_host.decode("ascii"), url.port
        _ = url.host  # raises for invalid IDNA labels
    except (httpx.InvalidURL, ValueError):
        url, host, port = None, "", None
    if url is None:
        raise ValueError(f"{name} must be a valid URL, such as {ENVIRONMENTS['local']}")
    if url.scheme not in ("http", "https") or not host:
        raise ValueError(f"{name} must begin with http:// or https:// and contain a host")
    if url.query or url.fragment or "?" in address or "#" in address:
        raise ValueError(f"{name} must not contain a query or fragment. Pass query parameters in default_query.")
    if port is not None and not 0 < port <= MAX_PORT:
        raise ValueError(f"{name} must contain a port from 1 to {MAX_PORT}, got {port}")
    labels = host.removesuffix(".").split(".")
    if len(host) > MAX_HOST or (":" not in host and not all(0 < len(label) <= MAX_HOST_LABEL for label in labels)):
        raise ValueError(
            f"{name} must contain a host of up to {MAX_HOST} characters in labels of 1 to {MAX_HOST_LABEL} characters"
        )
    base_url = str(url).rstrip("/")
    if len(base_url) > MAX_URL // 2:
        raise ValueError(f"{name} must have at most {MAX_URL // 2} characters")
    if base_url.endswith(VERSION_PREFIX):
        raise ValueError(f"{name} must not end in {VERSION_PREFIX}: the paths of the API begin with it. Remove it.")
    return base_url


def parse_timeout(timeout: TimeLimit, name: str = "timeout") -> httpx.Timeout:
    """Return the timeout of each phase of a request.

    Args:
        timeout: The timeout.
        name: The name of the timeout in messages. Defaults to `timeout`.

    Raises:
        TypeError: If the timeout is not a number, an `httpx.Timeout` or None.
        ValueError: If it is not positive, or longer than `MAX_WAIT`.
    """
    if isinstance(timeout, httpx.Timeout):
        for phase, seconds in timeout.as_dict().items():
            if seconds is not None and not 0 <= seconds <= MAX_WAIT:
                raise ValueError(f"{name} must be from 0 to {MAX_WAIT} seconds, got {phase}={seconds!r}")
        return timeout
    if timeout is None:
        return httpx.Timeout(None)
    if isinstance(timeout, bool) or not isinstance(timeout, (int, float)):
        raise TypeError(f"{name} must be a number of seconds, an httpx.Timeout or None, got {timeout!r}")
    if not 0 < timeout <= MAX_WAIT:
        bounds = f"a positive number of seconds up to {MAX_WAIT}"
        raise ValueError(f"{name} must be {bounds}, got {timeout!r}. Pass None to disable it.")
    return httpx.Timeout(timeout)


def ensure_instance(name: str, value: object, kind: type) -> None:
    """Check the class of a setting.

    Raises:
        TypeError: If the value is not an instance of `kind`.
    """
    if not isinstance(value, kind):
        raise TypeError(f"{name} must be a {kind.__name__}, got {type(value).__name__}")


def ensure_mapping(name: str, value: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """Return the mapping, or an empty one for None.

    Raises:
        TypeError: If the value is neither a mapping nor None.
    """
    if value is not None and not is_mapping(value):
        raise TypeError(f"{name} must be a mapping, got {type(value).__name__}")
    return value or {}


def check_text(name: str, value: str) -> None:
    """Check that UTF-8 can encode a string.

    Raises:
        ValueError: If the string contains a lone surrogate.
    """
    try:
        value.encode()
    except UnicodeEncodeError as error:
        index = error.start
    else:
        return
    raise ValueError(f"{name} must be text that UTF-8 can encode, got a lone surrogate at index {index}")


def check_number(name: str, value: float) -> None:
    """Check that JSON can represent a number.

    Raises:
        ValueError: If the number is not finite or exceeds Python's limit on digits.
    """
    try:
        finite = isinstance(value, int) or isfinite(value)
        str(value)
    except ValueError:
        raise ValueError(
            f"{name} must have fewer digits: it exceeds Python's limit for conversion to a string"
        ) from None
    if not finite:
        raise ValueError(f"{name} must be a finite number, got {value}")


def check_query(name: str, query: Mapping[str, Any]) -> None:
    """Check that query parameters can be encoded in a URL.

    Raises:
        TypeError: If a key is not a string, or a value is neither a scalar nor a list of scalars.
        ValueError: If a number is not finite, or a string contains a lone surrogate.
    """
    for key, value in query.items():
        if not isinstance(key, str):
            raise TypeError(f"{name} must have strings as keys, got {type(key).__name__}")
        check_text(f"a key of {name}", key)
        for each in value if is_sequence(value) else [value]:
            if isinstance(each, str):
                check_text(f"{name}[{key!r}]", each)
            elif isinstance(each, (int, float)):
                check_number(f"{name}[{key!r}]", each)
            if each is not None and not isinstance(each, (str, int, float)):
                allowed = "a string, a number, True, False, None or a list of these"
                raise TypeError(f"{name}[{key!r}] must be {allowed}, got {type(each).__name__}")


def check_headers(headers: Mapping[str, str | NotGiven]) -> None:
    """Check the names and values of headers.

    Raises:
        TypeError: If a value is neither a string nor `omit`.
        ValueError: If a name is not an HTTP token, or a value is not printable ASCII. Also if `omit` removes a header
            without which HTTP cannot send a request.
    """
    for name, value in headers.items():
        if not isinstance(name, str) or not _TOKEN.fullmatch(name):
            raise ValueError(f"a header name must be an HTTP token, got {name!r}")
        if isinstance(value, NotGiven):
            if name.lower() in FRAMING_HEADERS:
                raise ValueError(f"header {name} must not be omitted: HTTP requires it")
            continue
        _header_text(f"header {name}", value)


def _header_text(name: str, value: str) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{name} must be a string, got {type(value).__name__}")
    if not value.isascii() or not value.isprintable() or value != value.strip():
        raise ValueError(f"{name} must be printable ASCII without surrounding spaces")
    return value
