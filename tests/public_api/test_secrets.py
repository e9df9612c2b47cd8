"""A secret, wherever a user puts it, is in no error, log line or span of this library, whatever fails."""

from __future__ import annotations

import base64
import html
import json
import logging
import os
import pickle
import ssl
import traceback
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote, quote_plus

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from letta_ext import Letta, LettaError, RetryPolicy
from letta_ext._instrumentation.redaction import redact

from ..client.helpers import BASE_URL, CONVERSATION, STEP, ClientDriver, event_stream, loopback, sse
from ..client.raising import Network, http_client, pieces

PREFIX = "sk-canary-"
EXAMPLES = 4_000 if os.environ.get("LETTA_STRESS") == "full" else 60
ONE_MORE = RetryPolicy(max_retries=1, initial_delay=0)

# How a server, a proxy or an exception may spell a secret.
SPELLINGS: dict[str, Callable[[str], str]] = {
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
    "in base64 behind a name": lambda text: base64.b64encode(f"me:{text}".encode()).decode(),
    "in base64 behind a longer name": lambda text: base64.b64encode(f"user:{text}".encode()).decode(),
    "in base64 for URLs": lambda text: base64.urlsafe_b64encode(f"user2:{text} and more".encode()).decode(),
}


def spelled(secret: str) -> set[str]:
    """All that must not be seen: what somebody could read the secret from."""
    found = {secret, *(each(secret).strip("'\"b") for name, each in SPELLINGS.items() if "base64" not in name)}
    # From the middle of base64: its ends depend on what stands before and behind.
    return found | {each(secret)[10:-6] for name, each in SPELLINGS.items() if "base64" in name}


class HeaderAuth(httpx.Auth):
    def __init__(self, secret: str) -> None:
        self.secret = secret

    def auth_flow(self, request: httpx.Request) -> Any:
        request.headers["X-Signature"] = self.secret
        yield request


# Where a user puts a secret: the settings of a client, those of its httpx client, and the options of a call.
Settings = tuple[dict[str, Any], dict[str, Any], dict[str, Any]]
PUT: dict[str, Callable[[str], Settings]] = {
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
    "json": lambda side, c, o: side.run(c.steps.retrieve(STEP, **o)),
    "send": lambda side, c, o: side.run(
        c.conversations.messages.create(CONVERSATION, input="hi", streaming=False, **o)
    ),
    "list": lambda side, c, o: side.items(c.steps.list(**o)),
    "raw": lambda side, c, o: side.run(side.run(c.steps.with_raw_response.retrieve(STEP, **o)).parse()),
    "verb": lambda side, c, o: side.run(c.get("/v1/agents/", query={"secret": "x"}, **o)),
    "stream": lambda side, c, o: side.items(side.run(c.conversations.messages.create(CONVERSATION, input="hi", **o))),
    "background stream": lambda side, c, o: side.items(
        side.run(c.conversations.messages.create(CONVERSATION, input="hi", background=True, **o))
    ),
    "result": lambda side, c, o: side.run(
        side.run(c.conversations.messages.create(CONVERSATION, input="hi", **o)).result()
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
    """A text that is shortened within the secret."""
    return "x" * 285 + text


# What fails, given what the server or the transport says.
Fails = Callable[[str], Callable[[], httpx.Response] | Exception]
ERRORS: dict[str, Callable[[str], dict[str, Any]]] = {
    "detail": lambda text: {"json": {"detail": text}},
    "error": lambda text: {"json": {"error": {"type": text, "message": f"key {text} is wrong"}}},
    "text": lambda text: {"text": long(text)},
    "key": lambda text: {"json": {text: [{"deep": [text]}]}},
    "header": lambda text: {"headers": {"x-request-id": text.encode(), "x-echo": text.encode()}},
}


def responding(status: int, make: Callable[[str], dict[str, Any]]) -> Fails:
    return lambda text: lambda: httpx.Response(status, **make(text))


FAILS: dict[str, Fails] = {
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
    "a failed run in words": lambda text: lambda: event_stream(f"event: error\ndata: {text}\n\n".encode()),
}


class Lines(logging.Handler):
    """Keeps what the library logs."""

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


def shown(error: BaseException) -> str:
    """All that a program could show of an exception."""
    found: list[str] = []
    pending: list[BaseException | None] = [error]
    seen: set[int] = set()
    while pending:
        each = pending.pop()
        if each is None or id(each) in seen:
            continue
        seen.add(id(each))
        found += [str(each), repr(each), repr(each.args), repr(getattr(each, "__notes__", ""))]
        if isinstance(each, LettaError):  # those of httpx hold their request, which is the program's own
            found.append(repr(vars(each)))
        pending += [each.__cause__, each.__context__]
    found.append("".join(traceback.format_exception(error)))
    restored = pickle.loads(pickle.dumps(error))
    found += [repr(pickle.dumps(error)), repr(vars(restored)), str(restored)]
    return "\n".join(found)


def check(text: str, secret: str) -> None:
    for each in spelled(secret):
        assert each not in text, text[max(0, text.index(each) - 200) : text.index(each) + 200]


def fails(
    side: ClientDriver, secret: str, put: str, call: str, fail: str, text: str, logged: Lines, spans: Any
) -> None:
    logged.lines.clear()
    spans.clear()
    became = FAILS[fail](text)

    def handler(_: httpx.Request) -> httpx.Response:
        if isinstance(became, Exception):
            raise became
        return became()

    ours, theirs, options = PUT[put](secret)
    transport = httpx.MockTransport(handler)
    kind = httpx.AsyncClient if side.is_async else httpx.Client
    http = kind(transport=transport, **theirs)
    side._to_close.append(http)
    letta = side.client(**{"base_url": BASE_URL, "retry": ONE_MORE, "http_client": http, **ours})
    text = repr(letta) + repr(letta._transport.config) + repr(letta.with_options(max_retries=0))
    try:
        CALLS[call](side, letta, options)
    except LettaError as error:
        text += shown(error)
    text += "\n".join(logged.lines)
    text += "\n".join(span.to_json() for span in spans.get_finished_spans())
    check(text, secret)


SECRETS = st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters=",;"), min_size=12, max_size=40)


@given(
    SECRETS,
    st.booleans(),
    st.sampled_from(sorted(PUT)),
    st.sampled_from(sorted(CALLS)),
    st.sampled_from(sorted(FAILS)),
    st.sampled_from(sorted(SPELLINGS)),
)
@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_secret_is_never_shown(
    logged: Lines, exporter: Any, tail: str, is_async: bool, put: str, call: str, fail: str, spelling: str
) -> None:
    secret = PREFIX + tail
    side = ClientDriver(is_async=is_async)
    try:
        fails(side, secret, put, call, fail, SPELLINGS[spelling](secret), logged, exporter)
    finally:
        side.close()


@pytest.mark.parametrize("fail", FAILS)
def test_a_secret_is_never_shown_whatever_fails(side: ClientDriver, logged: Lines, exporter: Any, fail: str) -> None:
    for number, put in enumerate(PUT):
        spelling = sorted(SPELLINGS)[number % len(SPELLINGS)]
        call = sorted(CALLS)[number % len(CALLS)]
        secret = f'{PREFIX}a/b+c="d\\{number}'
        fails(side, secret, put, call, fail, SPELLINGS[spelling](secret), logged, exporter)


@given(SECRETS, st.sampled_from(sorted(SPELLINGS)), st.text(max_size=8), st.text(max_size=8))
@settings(max_examples=4 * EXAMPLES, deadline=None)
def test_a_secret_is_left_out_however_it_is_spelled(tail: str, spelling: str, before: str, behind: str) -> None:
    secret = PREFIX + tail
    left = redact(f"{before} {SPELLINGS[spelling](secret)} {behind}", frozenset([secret]))
    check(left, secret)
    assert left.startswith(before)
    assert left.endswith(behind)


# Values that are refused.

SECRET = f"{PREFIX}0123456789"
FALLBACK_ERRORS: dict[str, Callable[[], Any]] = {
    "a key with a line end": lambda: Letta(api_key=f"{SECRET}\n"),
    "a key that is no text": lambda: Letta(api_key=SECRET.encode()),  # type: ignore[arg-type]  # the subject
    "a header with a line end": lambda: Letta(default_headers={"Authorization": f"Bearer {SECRET}\r\n"}),
    "a header of another name": lambda: Letta(default_headers={"X-Mine": f"{SECRET}\r\n"}),
    "a header that is no text": lambda: Letta(default_headers={"X-Mine": [SECRET]}),  # type: ignore[dict-item]  # as above
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


@pytest.mark.parametrize("name", FALLBACK_ERRORS)
def test_a_refused_value_is_not_shown(name: str) -> None:
    with pytest.raises((TypeError, ValueError)) as caught:
        FALLBACK_ERRORS[name]()
    check(shown(caught.value).replace(repr(FALLBACK_ERRORS[name]), ""), SECRET)


ENVIRONMENT: dict[str, tuple[dict[str, str], str]] = {
    "no file of certificates": ({"SSL_CERT_FILE": "/nowhere/ca.pem"}, "SSL_CERT_FILE must name readable certificates"),
    "a folder": ({"SSL_CERT_FILE": "/"}, "SSL_CERT_FILE must name readable certificates"),
    "no certificates": ({"SSL_CERT_FILE": __file__}, "SSL_CERT_FILE must name readable certificates"),
    "an address in brackets": (
        {"NO_PROXY": "localhost,[::1]"},
        "NO_PROXY must hold addresses of proxies, and NO_PR",
    ),
    "a mask": ({"no_proxy": "fd00::/8"}, "NO_PROXY must hold"),
    "a proxy of another kind": ({"HTTPS_PROXY": f"ftp://me:{SECRET}@proxy.test"}, "HTTPS_PROXY must hold addresses"),
    "a proxy without a port": ({"ALL_PROXY": f"http://me:{SECRET}@proxy.test:x"}, "ALL_PROXY must hold addresses"),
    "a key with a line within": ({"LETTA_API_KEY": f"{SECRET}\nx"}, "api_key must be printable ASCII"),
    "an address with a password": ({"LETTA_BASE_URL": f"http://me:{SECRET}@letta.test"}, "LETTA_BASE_URL must hold no"),
}


@pytest.mark.parametrize("name", ENVIRONMENT)
def test_a_variable_that_cannot_be_used_is_named(
    side: ClientDriver, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    variables, words = ENVIRONMENT[name]
    for each in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(each, raising=False)
        monkeypatch.delenv(each.lower(), raising=False)
    for variable, value in variables.items():
        monkeypatch.setenv(variable, value)
    arguments: dict[str, Any] = {} if "LETTA_BASE_URL" in variables else {"base_url": BASE_URL}
    with pytest.raises(ValueError, match="must") as caught:
        side.client(**arguments)
    assert type(caught.value) is ValueError
    assert str(caught.value).startswith(words)
    check(shown(caught.value), SECRET)


def test_a_header_that_httpx_would_quote_is_not_shown(side: ClientDriver) -> None:
    http = http_client(
        Network("connect", RuntimeError, pieces(b"{}"), times=0),
        is_async=side.is_async,
        headers={"Authorization": f"Bearer {SECRET}\r\n", "X-Mine": f"{SECRET}-2\n"},
    )
    side._to_close.append(http)
    with pytest.raises(LettaError) as caught:
        side.run(side.client(base_url=BASE_URL, retry=ONE_MORE, http_client=http).steps.retrieve(STEP))
    check(shown(caught.value), SECRET)


def test_an_error_names_the_host_and_the_port_without_userinfo_and_query(side: ClientDriver) -> None:
    with loopback(b"") as server:
        letta = side.client(base_url=server.base_url, retry=ONE_MORE, default_query={"q": SECRET})
        with pytest.raises(LettaError) as caught:
            side.run(letta.steps.retrieve(STEP, timeout=0.05))
    assert str(caught.value).startswith(f"GET {server.base_url}/v1/steps/{STEP} timed out while reading")
    check(shown(caught.value), SECRET)


CONTROL = "\x1b[31m\x07\x9b2J\u202e\ud800\r\nforged line\u2028"


@pytest.mark.parametrize("fail", [fail for fail in FAILS if "header" not in fail and fail != "redirect"])
def test_a_message_can_be_printed_on_any_terminal(side: ClientDriver, fail: str) -> None:
    became = FAILS[fail](CONTROL)

    def handler(_: httpx.Request) -> httpx.Response:
        if isinstance(became, Exception):
            raise became
        return became()

    messages = []
    for call in CALLS.values():
        try:
            call(side, side.client(handler), {})
        except LettaError as error:
            messages.append(str(error))
    assert messages
    for message in messages:
        assert message.encode()
        assert message.isprintable()
