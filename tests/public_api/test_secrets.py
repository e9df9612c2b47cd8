"""Errors, log lines and spans contain no secret, for each place of a secret and each fault."""

from __future__ import annotations

import base64
import html
import io
import json
import logging
import os
import pickle
import ssl
import time
import traceback
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote, quote_plus

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from letta_ext import BadRequestError, Letta, LettaError, RetryPolicy
from letta_ext._instrumentation.redaction import redact

from ..client.helpers import BASE_URL, CONVERSATION, STEP, ClientDriver, event_stream, loopback, sse
from ..client.raising import Network, http_client, pieces

PREFIX = "sk-canary-"
EXAMPLES = 4_000 if os.environ.get("LETTA_STRESS") == "full" else 60
ONE_MORE = RetryPolicy(max_retries=1, initial_delay=0)

# The encodings of a secret in the text of a server, a proxy or an exception.
ENCODINGS: dict[str, Callable[[str], str]] = {
    "as it is": lambda text: text,
    "percent-encoded": lambda text: quote(text, safe=""),
    "percent-encoded in lower case": lambda text: "".join(f"%{octet:02x}" for octet in text.encode()),
    "percent-encoded twice": lambda text: quote(quote(text, safe=""), safe=""),
    "as in a form": quote_plus,
    "as JSON": json.dumps,
    "as JSON in JSON": lambda text: json.dumps(json.dumps(text)),
    "as JSON, all escaped": lambda text: "".join(f"\\u{ord(each):04X}" for each in text),
    "as the repr of text": repr,
    "as the repr of bytes": lambda text: repr(text.encode()),
    "as HTML": lambda text: html.escape(html.escape(text)),
    "in base64": lambda text: base64.b64encode(text.encode()).decode(),
    "in base64 after a name": lambda text: base64.b64encode(f"me:{text}".encode()).decode(),
    "in base64 after a longer name": lambda text: base64.b64encode(f"user:{text}".encode()).decode(),
    "in percent-encoded base64": lambda text: quote(base64.b64encode(f"{text}\U0001f600>?".encode()).decode(), safe=""),
    "in base64 in JSON": lambda text: base64.b64encode(f"{text}\U0001f600>?".encode()).decode().replace("/", "\\/"),
    "in base64 for URLs": lambda text: base64.urlsafe_b64encode(f"user2:{text} and more".encode()).decode(),
}


def disclosing_texts(secret: str) -> set[str]:
    """Return the texts that would disclose a secret."""
    found = {secret, *(each(secret).strip("'\"b") for name, each in ENCODINGS.items() if "base64" not in name)}
    # The middle of base64: its ends depend on the surrounding text.
    return found | {each(secret)[10:-6] for name, each in ENCODINGS.items() if "base64" in name}


class HeaderAuth(httpx.Auth):
    def __init__(self, secret: str) -> None:
        self.secret = secret

    def auth_flow(self, request: httpx.Request) -> Any:
        request.headers["X-Signature"] = self.secret
        yield request


# The places of a secret: the settings of a client, those of its httpx client, and the options of a call.
Settings = tuple[dict[str, Any], dict[str, Any], dict[str, Any]]
PLACES: dict[str, Callable[[str], Settings]] = {
    "api_key": lambda c: ({"api_key": c}, {}, {}),
    "default_headers": lambda c: ({"default_headers": {"X-Api-Key": c}}, {}, {}),
    "a bearer": lambda c: ({"default_headers": {"Authorization": f"Bearer {c}"}}, {}, {}),
    "default_query": lambda c: ({"default_query": {"api_key": c}}, {}, {}),
    "extra_headers": lambda c: ({}, {}, {"extra_headers": {"X-Session": c}}),
    "a cookie header": lambda c: ({}, {}, {"extra_headers": {"Cookie": f"theme=dark; sid={c}"}}),
    "extra_query": lambda c: ({}, {}, {"extra_query": {"access_token": [c, "x"]}}),
    "headers of the httpx client": lambda c: ({}, {"headers": {"X-Auth": c}}, {}),
    "basic auth of the httpx client": lambda c: ({}, {"auth": ("me", c)}, {}),
    "an auth flow": lambda c: ({}, {"auth": HeaderAuth(c)}, {}),
    "cookies of the httpx client": lambda c: ({}, {"cookies": {"sid": c}}, {}),
    "parameters of the httpx client": lambda c: ({}, {"params": {"key": c}}, {}),
}

CALLS: dict[str, Callable[[ClientDriver, Any, dict[str, Any]], Any]] = {
    "json": lambda driver, c, o: driver.run(c.steps.retrieve(STEP, **o)),
    "send": lambda driver, c, o: driver.run(
        c.conversations.messages.create(CONVERSATION, input="hi", streaming=False, **o)
    ),
    "list": lambda driver, c, o: driver.items(c.steps.list(**o)),
    "raw": lambda driver, c, o: driver.run(driver.run(c.steps.with_raw_response.retrieve(STEP, **o)).parse()),
    "verb": lambda driver, c, o: driver.run(c.get("/v1/agents/", query={"secret": "x"}, **o)),
    "stream": lambda driver, c, o: driver.items(
        driver.run(c.conversations.messages.create(CONVERSATION, input="hi", **o))
    ),
    "background stream": lambda driver, c, o: driver.items(
        driver.run(c.conversations.messages.create(CONVERSATION, input="hi", background=True, **o))
    ),
    "result": lambda driver, c, o: driver.run(
        driver.run(c.conversations.messages.create(CONVERSATION, input="hi", **o)).result()
    ),
}


def chained(text: str) -> Exception:
    try:
        try:
            raise ValueError(text)
        except ValueError as inner:
            raise httpx.ConnectError("refused") from inner
    except httpx.ConnectError as error:
        return error


def noted(text: str) -> Exception:
    error = httpx.ReadError("cut")
    error.add_note(text)
    return error


def long(text: str) -> str:
    """Return a text that is truncated within the secret."""
    return "x" * 285 + text


# The faults, given the text of the server or the transport.
FaultFactory = Callable[[str], Callable[[], httpx.Response] | Exception]
ERRORS: dict[str, Callable[[str], dict[str, Any]]] = {
    "detail": lambda text: {"json": {"detail": text}},
    "error": lambda text: {"json": {"error": {"type": text, "message": f"key {text} is wrong"}}},
    "text": lambda text: {"text": long(text)},
    "key": lambda text: {"json": {text: [{"deep": [text]}]}},
    "header": lambda text: {"headers": {"x-request-id": text.encode(), "x-echo": text.encode()}},
}


def responding(status: int, make: Callable[[str], dict[str, Any]]) -> FaultFactory:
    return lambda text: lambda: httpx.Response(status, **make(text))


FAULTS: dict[str, FaultFactory] = {
    **{
        f"{status} {name}": responding(status, make)
        for status in (400, 401, 403, 404, 409, 422, 429, 500)
        for name, make in ERRORS.items()
    },
    "redirect": lambda text: lambda: httpx.Response(307, headers={"location": f"http://x.test/?k={quote(text)}"}),
    "no json": lambda text: lambda: httpx.Response(200, content=f"<html>{text}".encode()),
    "another shape": lambda text: lambda: httpx.Response(200, json=[text]),
    "a wrong value": lambda text: lambda: httpx.Response(200, json={"id": {"x": text}}),
    "a page": lambda text: lambda: httpx.Response(200, html=f"<b>{text}</b>"),
    "refused": lambda text: httpx.ConnectError(f"cannot reach {text}"),
    "illegal header": lambda text: httpx.LocalProtocolError(f"Illegal header value {text}"),
    "TLS": lambda text: ssl.SSLError(1, text),
    "timeout": lambda text: httpx.ReadTimeout(long(text)),
    "a bare fault": lambda text: RuntimeError(text),
    "an encoding fault": lambda text: UnicodeEncodeError("ascii", text, 0, len(text), text),
    "a chain": chained,
    "a note": noted,
    "a group": lambda text: ExceptionGroup("all failed", [OSError(text), ValueError(text)]),
    "a cut stream": lambda text: lambda: event_stream(sse({"message_type": "ping"}), ssl.SSLError(1, text)),
    "a failed run": lambda text: (
        lambda: event_stream(
            sse({"message_type": "error_message", "detail": long(text), "error_type": text}, event="error")
        )
    ),
    "a failed run as text": lambda text: lambda: event_stream(f"event: error\ndata: {text}\n\n".encode()),
}


class Lines(logging.Handler):
    """A log handler that keeps the messages of the library."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


@pytest.fixture(scope="module")
def logged() -> Iterator[Lines]:
    log, lines = logging.getLogger("letta_ext"), Lines()
    before = log.level
    log.addHandler(lines)
    log.setLevel(logging.DEBUG)
    yield lines
    log.setLevel(before)
    log.removeHandler(lines)


def exchange_texts(error: BaseException) -> list[str]:
    """Return all text in the request and the response of an error."""
    found: list[str] = []
    request: Any = getattr(error, "request", None)
    response: Any = getattr(error, "response", None)
    if isinstance(error, LettaError) and request is not None:
        found += [str(request.url), repr(request.headers.raw), repr(request.content), repr(request.extensions)]
    if isinstance(error, LettaError) and response is not None:
        found += [response.text, repr(response.headers.raw), str(response.url), repr(response.request.headers.raw)]
    return found


def exception_text(error: BaseException) -> str:
    """Return all text that a program can show of an exception."""
    found: list[str] = []
    pending: list[BaseException | None] = [error]
    seen: set[int] = set()
    while pending:
        each = pending.pop()
        if each is None or id(each) in seen:
            continue
        seen.add(id(each))
        found += [str(each), repr(each), repr(each.args), repr(getattr(each, "__notes__", ""))]
        if isinstance(each, LettaError):  # httpx errors contain their request, which belongs to the program
            found.append(repr(vars(each)))
            found += exchange_texts(each)
        pending += [each.__cause__, each.__context__]
    found.append("".join(traceback.format_exception(error)))
    pickled = io.BytesIO()
    OwnPickler(pickled).dump(error)
    restored = pickle.loads(pickled.getvalue())
    found += [repr(pickled.getvalue()), repr(vars(restored)), str(restored), *exchange_texts(restored)]
    return "\n".join(found)


class OwnPickler(pickle.Pickler):
    """A pickler without the functions that other packages register, such as one that adds the errors of httpx."""

    dispatch_table = {}  # noqa: RUF012  # as pickle documents


def check(text: str, secret: str) -> None:
    for each in disclosing_texts(secret):
        assert each not in text, text[max(0, text.index(each) - 200) : text.index(each) + 200]


def check_fault(
    driver: ClientDriver, secret: str, place: str, call: str, fault: str, text: str, logged: Lines, spans: Any
) -> None:
    logged.lines.clear()
    spans.clear()
    outcome = FAULTS[fault](text)

    def handler(_: httpx.Request) -> httpx.Response:
        if isinstance(outcome, Exception):
            raise outcome
        return outcome()

    client_settings, http_settings, options = PLACES[place](secret)
    transport = httpx.MockTransport(handler)
    kind = httpx.AsyncClient if driver.is_async else httpx.Client
    http = kind(transport=transport, **http_settings)
    driver._to_close.append(http)
    letta = driver.client(**{"base_url": BASE_URL, "retry": ONE_MORE, "http_client": http, **client_settings})
    text = repr(letta) + repr(letta._transport.config) + repr(letta.with_options(max_retries=0))
    try:
        CALLS[call](driver, letta, options)
    except LettaError as error:
        text += exception_text(error)
    text += "\n".join(logged.lines)
    text += "\n".join(span.to_json() for span in spans.get_finished_spans())
    check(text, secret)


SECRETS = st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters=",;"), min_size=12, max_size=40)


@pytest.mark.slow
@given(
    SECRETS,
    st.booleans(),
    st.sampled_from(sorted(PLACES)),
    st.sampled_from(sorted(CALLS)),
    st.sampled_from(sorted(FAULTS)),
    st.sampled_from(sorted(ENCODINGS)),
)
@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_secret_random_combinations_are_redacted(
    logged: Lines, exporter: Any, suffix: str, is_async: bool, place: str, call: str, fault: str, encoding: str
) -> None:
    """No combination of place, call, fault and encoding discloses a secret."""
    secret = PREFIX + suffix
    driver = ClientDriver(is_async=is_async)
    try:
        check_fault(driver, secret, place, call, fault, ENCODINGS[encoding](secret), logged, exporter)
    finally:
        driver.close()


@pytest.mark.parametrize("fault", FAULTS)
def test_secret_with_each_fault_is_redacted(driver: ClientDriver, logged: Lines, exporter: Any, fault: str) -> None:
    """No fault discloses a secret, for each place in which the program passes it."""
    for number, place in enumerate(PLACES):
        encoding = sorted(ENCODINGS)[number % len(ENCODINGS)]
        call = sorted(CALLS)[number % len(CALLS)]
        secret = f'{PREFIX}a/b+c="d\\{number}'
        check_fault(driver, secret, place, call, fault, ENCODINGS[encoding](secret), logged, exporter)


@given(SECRETS, st.sampled_from(sorted(ENCODINGS)), st.text(max_size=8), st.text(max_size=8))
@settings(max_examples=4 * EXAMPLES, deadline=None)
def test_redact_secret_in_each_encoding_is_removed(suffix: str, encoding: str, before: str, after: str) -> None:
    """`redact` removes a secret in each encoding, and keeps the surrounding text."""
    secret = PREFIX + suffix
    redacted = redact(f"{before} {ENCODINGS[encoding](secret)} {after}", frozenset([secret]))
    check(redacted, secret)
    assert redacted.startswith(before)
    assert redacted.endswith(after)


@pytest.mark.slow
@given(SECRETS, st.integers(3, 20), st.sampled_from(sorted(ENCODINGS)), st.text(max_size=8))
@settings(max_examples=EXAMPLES, deadline=None)
def test_redact_long_secret_in_each_encoding_is_removed(suffix: str, times: int, encoding: str, after: str) -> None:
    """A secret of hundreds of characters is removed to its end, and so is its beginning before an ellipsis."""
    secret = PREFIX + suffix * times
    text = ENCODINGS[encoding](secret)
    assert redact(f"before {text} {after}", frozenset([secret])) == f"before {redact(text, [secret])} {after}"
    check(redact(f"{text} {text}", frozenset([secret, PREFIX + suffix])), secret)
    assert suffix[:8] not in redact(f"{secret[:-3]}…", frozenset([secret]))


def test_failed_call_with_long_query_is_redacted_in_time() -> None:
    """A failed call with a query of 16,000 characters raises within 2 seconds of processor time."""
    query = {"api_key": SECRET * 800}
    with httpx.Client(transport=httpx.MockTransport(lambda _: httpx.Response(400, text=str(query)))) as http:
        client = Letta(base_url=BASE_URL, http_client=http)
        started = time.process_time()
        with pytest.raises(BadRequestError) as caught:
            client.steps.list(extra_query=query)
    assert time.process_time() - started < 2
    assert SECRET not in exception_text(caught.value)


# Invalid settings.

SECRET = f"{PREFIX}0123456789"
INVALID_SETTINGS: dict[str, Callable[[], Any]] = {
    "a key with a line end": lambda: Letta(api_key=f"{SECRET}\n"),
    "a key that is not a string": lambda: Letta(api_key=SECRET.encode()),  # type: ignore[arg-type]  # an invalid argument is the subject
    "a header with a line end": lambda: Letta(default_headers={"Authorization": f"Bearer {SECRET}\r\n"}),
    "a header of another name": lambda: Letta(default_headers={"X-Mine": f"{SECRET}\r\n"}),
    "a header that is not a string": lambda: Letta(default_headers={"X-Mine": [SECRET]}),  # type: ignore[dict-item]  # an invalid argument is the subject
    "a project with a line end": lambda: Letta(project=f"{SECRET}\n"),
    "userinfo": lambda: Letta(base_url=f"http://me:{SECRET}@letta.test"),
    "userinfo and a space": lambda: Letta(base_url=f"http://me:{SECRET}@letta.test "),
    "userinfo and a query": lambda: Letta(base_url=f"http://me:{SECRET}@letta.test/?x=1"),
    "userinfo and a wrong port": lambda: Letta(base_url=f"http://me:{SECRET}@letta.test:x"),
    "userinfo without a host": lambda: Letta(base_url=f"http://me:{SECRET}@"),
    "userinfo and another scheme": lambda: Letta(base_url=f"ftp://me:{SECRET}@letta.test"),
    "a password with a slash": lambda: Letta(base_url=f"http://me:/{SECRET}@letta.test"),
    "a query in the address": lambda: Letta(base_url=f"http://letta.test/?api_key={SECRET}"),
    "a query in a path": lambda: Letta(base_url=BASE_URL).get(f"/v1/x?api_key={SECRET}"),
    "an address as a path": lambda: Letta(base_url=BASE_URL).get(f"http://me:{SECRET}@elsewhere.test/"),
    "a query in a wrong path": lambda: Letta(base_url=BASE_URL).get(f"/v1/../x?api_key={SECRET}"),
    "a header of a call": lambda: Letta(base_url=BASE_URL).steps.list(extra_headers={"X-Key": f"{SECRET}\n"}),
    "a query of a call": lambda: Letta(base_url=BASE_URL).steps.list(extra_query={"api_key": f"{SECRET}\ud800"}),
    "a long query": lambda: Letta(base_url=BASE_URL).steps.list(extra_query={"api_key": SECRET * 9_000}),
    "a default query": lambda: Letta(base_url=BASE_URL, default_query={"api_key": {SECRET}}),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", INVALID_SETTINGS)
def test_invalid_setting_error_hides_the_value(name: str) -> None:
    """The error for an invalid setting does not contain its value."""
    with pytest.raises((TypeError, ValueError)) as caught:
        INVALID_SETTINGS[name]()
    check(exception_text(caught.value).replace(repr(INVALID_SETTINGS[name]), ""), SECRET)


ENVIRONMENT: dict[str, tuple[dict[str, str], str]] = {
    "no file of certificates": (
        {"SSL_CERT_FILE": "/nowhere/ca.pem"},
        "SSL_CERT_FILE must be the path of readable cert",
    ),
    "a folder": ({"SSL_CERT_FILE": "/"}, "SSL_CERT_FILE must be the path of readable cert"),
    "no certificates": ({"SSL_CERT_FILE": __file__}, "SSL_CERT_FILE must be the path of readable cert"),
    "an address in brackets": (
        {"NO_PROXY": "localhost,[::1]"},
        "NO_PROXY must contain proxy URLs, and NO_PROXY ho",
    ),
    "a mask": ({"no_proxy": "fd00::/8"}, "NO_PROXY must contain"),
    "a proxy of another kind": (
        {"HTTPS_PROXY": f"ftp://me:{SECRET}@proxy.test"},
        "HTTPS_PROXY must contain proxy URLs",
    ),
    "a proxy without a port": ({"ALL_PROXY": f"http://me:{SECRET}@proxy.test:x"}, "ALL_PROXY must contain proxy URLs"),
    "a key with a line within": ({"LETTA_API_KEY": f"{SECRET}\nx"}, "api_key must be printable ASCII"),
    "an address with a password": (
        {"LETTA_BASE_URL": f"http://me:{SECRET}@letta.test"},
        "LETTA_BASE_URL must not contain",
    ),
}


@pytest.mark.parametrize("name", ENVIRONMENT)
def test_invalid_variable_error_names_it_and_hides_the_value(
    driver: ClientDriver, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """The error for an invalid environment variable contains its name, not its value."""
    variables, message = ENVIRONMENT[name]
    for each in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(each, raising=False)
        monkeypatch.delenv(each.lower(), raising=False)
    for variable, value in variables.items():
        monkeypatch.setenv(variable, value)
    arguments: dict[str, Any] = {} if "LETTA_BASE_URL" in variables else {"base_url": BASE_URL}
    with pytest.raises(ValueError, match="must") as caught:
        driver.client(**arguments)
    assert type(caught.value) is ValueError
    assert str(caught.value).startswith(message)
    check(exception_text(caught.value), SECRET)


def test_invalid_header_of_http_client_is_redacted(driver: ClientDriver) -> None:
    """The error of httpx for an invalid header is redacted."""
    http = http_client(
        Network("connect", RuntimeError, pieces(b"{}"), times=0),
        is_async=driver.is_async,
        headers={"Authorization": f"Bearer {SECRET}\r\n", "X-Mine": f"{SECRET}-2\n"},
    )
    driver._to_close.append(http)
    with pytest.raises(LettaError) as caught:
        driver.run(driver.client(base_url=BASE_URL, retry=ONE_MORE, http_client=http).steps.retrieve(STEP))
    check(exception_text(caught.value), SECRET)


def test_connection_error_names_host_and_port_only(driver: ClientDriver) -> None:
    """A connection error contains the host and port, without user info and query."""
    with loopback(b"") as server:
        letta = driver.client(base_url=server.base_url, retry=ONE_MORE, default_query={"q": SECRET})
        with pytest.raises(LettaError) as caught:
            driver.run(letta.steps.retrieve(STEP, timeout=0.05))
    assert str(caught.value).startswith(f"GET {server.base_url}/v1/steps/{STEP} timed out while reading")
    check(exception_text(caught.value), SECRET)


CONTROL = "\x1b[31m\x07\x9b2J\u202e\ud800\r\nforged line\u2028"


@pytest.mark.parametrize("fault", [fault for fault in FAULTS if "header" not in fault and fault != "redirect"])
def test_error_messages_are_printable(driver: ClientDriver, fault: str) -> None:
    """Error messages contain no control characters and can be encoded."""
    outcome = FAULTS[fault](CONTROL)

    def handler(_: httpx.Request) -> httpx.Response:
        if isinstance(outcome, Exception):
            raise outcome
        return outcome()

    messages = []
    for call in CALLS.values():
        try:
            call(driver, driver.client(handler), {})
        except LettaError as error:
            messages.append(str(error))
    assert messages
    for message in messages:
        assert message.encode()
        assert message.isprintable()
