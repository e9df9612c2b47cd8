"""Errors: their class, the server's description, a one-line message, and no secrets."""

from __future__ import annotations

import copy
import json
import pickle
import re
import ssl
import traceback
from typing import Any

import httpx
import pytest

import letta_ext
from letta_ext import (
    APIConnectionError,
    APIError,
    APIResponseValidationError,
    APIStatusError,
    APITimeoutError,
    AuthenticationError,
    BadRequestError,
    ConflictError,
    ConversationBusyError,
    InternalServerError,
    LettaError,
    NotFoundError,
    PendingApprovalError,
    PermissionDeniedError,
    RateLimitError,
    RunExpiredError,
    StreamInterrupted,
    UnprocessableEntityError,
)
from letta_ext.types import stream_event_from_dict

from .helpers import (
    BASE_URL,
    CONVERSATION,
    DISCONNECT,
    KEY,
    STEP,
    ClientDriver,
    Recording,
    event_stream,
    loopback,
    make_response,
    recording,
    recordings,
    respond_with,
)

# The class, the server's error type, the run id, and the start of the detail.
RECORDED_ERRORS: dict[str, tuple[type[APIStatusError], str | None, str | None, str]] = {
    "compact_bad_422": (UnprocessableEntityError, None, None, "[{'type': 'literal_error'"),
    "model_error_json_500": (InternalServerError, "llm_error", None, "INTERNAL_SERVER_ERROR: OpenAI API error"),
    "model_rate_limit_json": (RateLimitError, "llm_rate_limit", None, "RATE_LIMIT_EXCEEDED: Rate limited by OpenAI"),
    "resume_no_active_run_400": (BadRequestError, None, None, "INVALID_ARGUMENT: No active runs found"),
    "resume_unknown_otid_404": (NotFoundError, None, None, "No run found for otid=nope."),
    "send_bad_id_422": (UnprocessableEntityError, None, None, "[{'type': 'string_pattern_mismatch'"),
    "send_bad_role_422": (UnprocessableEntityError, None, None, "[{'type': 'literal_error'"),
    "send_empty_422": (UnprocessableEntityError, None, None, "Messages must not be empty"),
    "send_missing_404": (NotFoundError, None, None, "Conversation not found with id="),
    "send_while_busy_409": (
        ConversationBusyError,
        None,
        "run-bae0f313-9258-4501-b6e8-040ca5e8b587",
        "CONFLICT: Cannot send a new message: Another request",
    ),
    "send_while_pending_409": (PendingApprovalError, None, None, "CONFLICT: Cannot send a new message: The agent is"),
    "step_404": (NotFoundError, None, None, "Step not found with id="),
    "step_bad_id_422": (UnprocessableEntityError, None, None, "[{'type': 'string_pattern_mismatch'"),
}


def recorded_error(driver: ClientDriver, recorded: Recording) -> APIStatusError:
    # The library itself would reject the invalid arguments of these recordings.
    with pytest.raises(APIStatusError) as caught:
        recorded.call(driver, driver.client(lambda _: recorded.response()), arguments=False)
    return caught.value


def test_recorded_error_list_is_complete() -> None:
    """Each recorded error response has an entry."""
    assert set(RECORDED_ERRORS) == {each.name for each in recordings() if each.status >= 400}


@pytest.mark.parametrize("name", RECORDED_ERRORS)
def test_recorded_error_response_keeps_class_body_and_detail(driver: ClientDriver, name: str) -> None:
    """An error has the class, status, body, type, run id and detail of the response."""
    recorded = recording(name)
    cls, error_type, run_id, detail = RECORDED_ERRORS[name]
    error = recorded_error(driver, recorded)
    assert type(error) is cls
    assert error.status_code == recorded.status
    assert error.body == json.loads(recorded.content)
    assert (error.error_type, error.run_id) == (error_type, run_id)
    assert error.detail is not None
    assert error.detail.startswith(detail)
    assert error.detail in (error.body.get("detail"), error.body.get("error", {}).get("detail"))
    assert error.headers["content-type"] == recorded.headers["content-type"]


@pytest.mark.parametrize("name", RECORDED_ERRORS)
def test_recorded_error_message_is_one_line_with_request_and_remedy(driver: ClientDriver, name: str) -> None:
    """The message is one line with the status, the request, the cause and a remedy."""
    recorded = recording(name)
    error = recorded_error(driver, recorded)
    text = str(error)
    assert text == error.message
    assert len(text.splitlines()) == 1
    assert len(text) < 600
    assert f"{recorded.status} " in text
    assert f"{recorded.method} {BASE_URL}{recorded.path}" in text
    assert text.endswith(".")
    if recorded.status == 422 and (error.detail or "").startswith("[{"):
        assert re.search(r": (path|body)\..+: \w+ should .+ Correct the value that the server names\.$", text), text
        assert "'loc'" not in text
        return
    said = " ".join((error.detail or "").split())
    assert said[:100] in text
    assert re.fullmatch(r"[.…]? \w.*\.", text.rpartition(said[-20:].rstrip(".") if len(said) < 250 else "…")[2])


STATUSES: list[tuple[int, type[APIStatusError]]] = [
    (400, BadRequestError),
    (401, AuthenticationError),
    (402, APIStatusError),
    (403, PermissionDeniedError),
    (404, NotFoundError),
    (405, APIStatusError),
    (409, ConflictError),
    (410, RunExpiredError),
    (413, APIStatusError),
    (418, APIStatusError),
    (422, UnprocessableEntityError),
    (429, RateLimitError),
    (500, InternalServerError),
    (502, InternalServerError),
    (599, InternalServerError),
]


BODIES: list[dict[str, Any]] = [
    {"content": b""},
    {"html": "<html>\n<h1>Bad\nGateway</h1></html>"},
    {"content": b"{broken", "headers": {"content-type": "application/json"}},
    {"content": b"\xff\xfe\x00", "headers": {"content-type": "text/plain; charset=nonsense"}},
    {"json": None},
    {"json": []},
    {"json": ["detail"]},
    {"json": 7},
    {"json": "message"},
    {"json": {}},
    {"json": {"detail": None}},
    {"json": {"detail": [{"loc": ["body"], "msg": "line\nbreak"}]}},
    {"json": {"detail": {"deep": {"er": 1}}}},
    {"json": {"error": "message"}},
    {"json": {"error": {}}},
    {"json": {"error": None, "detail": 5}},
    {"json": {"message": "message", "run_id": None}},
    {"content": b"[" * 200_000},
]


@pytest.mark.parametrize(("status", "cls"), STATUSES)
def test_error_response_with_any_body_has_class_and_one_line_message(
    driver: ClientDriver, status: int, cls: type[APIStatusError]
) -> None:
    """Any body, malformed or not, gives the class of its status and a one-line message."""
    client = driver.client(respond_with(*[make_response(status, **body) for body in BODIES]))
    for body in BODIES:
        with pytest.raises(APIStatusError) as caught:
            driver.run(client.steps.retrieve(STEP))
        error = caught.value
        assert type(error) is cls, body
        assert error.status_code == status
        assert len(str(error).splitlines()) == 1
        assert f"GET {BASE_URL}/v1/steps/{STEP}" in str(error)


@pytest.mark.parametrize("status", sorted({status for status, _ in STATUSES} | {307}))
def test_error_message_of_every_status_ends_with_remedy(driver: ClientDriver, status: int) -> None:
    """The message of every status ends with a remedy."""
    with pytest.raises(APIStatusError) as caught:
        driver.run(driver.client(respond_with(make_response(status, json={"detail": "So it is"}))).steps.retrieve(STEP))
    assert str(caught.value).partition("So it is")[2].strip()


def test_pending_approval_in_structured_or_text_form_raises_pending_approval_error(driver: ClientDriver) -> None:
    """Both forms of the 409 raise `PendingApprovalError`."""
    detail = {"code": "PENDING_APPROVAL", "message": "Decide first.", "pending_request_id": "message-7"}
    with pytest.raises(PendingApprovalError) as caught:
        driver.run(driver.client(respond_with(make_response(409, json={"detail": detail}))).steps.retrieve(STEP))
    error = caught.value
    assert (error.pending_request_id, error.error_type, error.detail) == (
        "message-7",
        "PENDING_APPROVAL",
        "Decide first.",
    )
    assert (
        recorded_error(driver, recording("send_while_pending_409")).status_code == 409
    )  # the text form; test_streams.py covers the streamed form


def test_request_id_is_taken_from_header_or_body(driver: ClientDriver) -> None:
    """The request id comes from the header or from `trace_id`."""
    for content in ({"headers": {"X-Request-Id": "req-1"}}, {"json": {"detail": "x", "trace_id": "req-1"}}):
        with pytest.raises(NotFoundError) as caught:
            driver.run(driver.client(respond_with(make_response(404, **content))).steps.retrieve(STEP))
        assert caught.value.request_id == "req-1"


# Malformed responses with status 200


@pytest.mark.parametrize(
    ("content", "detail"),
    [
        ({"content": b""}, "not JSON"),
        ({"content": b"{"}, "not JSON"),
        ({"html": "<h1>Welcome\nto the proxy</h1>"}, "not JSON"),
        ({"content": b"\xff\xfe"}, "not JSON"),
        ({"content": b"null"}, "is null, not an object"),
        ({"json": []}, "is an array, not an object"),
        ({"json": {}}, "id: is required and missing"),
        ({"json": {"id": "step-1", "messages": [{}]}}, "messages[0].id: is required and missing"),
        pytest.param({"content": b"[" * 200_000}, "", id="deep"),
    ],
)
def test_malformed_response_raises_validation_error_naming_position(
    driver: ClientDriver, content: dict[str, Any], detail: str
) -> None:
    """A malformed 200 response raises an error that names the position, and is not retried."""
    handler = respond_with(make_response(200, **content))
    with pytest.raises(APIResponseValidationError) as caught:
        driver.run(driver.client(handler).steps.retrieve(STEP))
    error = caught.value
    assert error.status_code == 200
    assert error.detail is not None
    assert detail in error.detail
    assert len(str(error).splitlines()) == 1
    assert f"200 from GET {BASE_URL}/v1/steps/{STEP}" in str(error)
    assert len(handler.requests) == 1


def test_malformed_list_item_is_named_by_index(driver: ClientDriver) -> None:
    """The error for a malformed list item contains its index."""
    client = driver.client(respond_with(make_response(200, json=[{"id": "step-1"}, {}])))
    with pytest.raises(APIResponseValidationError) as caught:
        driver.run(client.steps.list())
    assert (caught.value.detail or "").startswith("[1].id: is required and missing")
    assert caught.value.body == [{"id": "step-1"}, {}]


@pytest.mark.parametrize("content", [b"{}", b'"message"', b"null", b"<html>"])
def test_list_response_that_is_not_array_raises_validation_error(driver: ClientDriver, content: bytes) -> None:
    """A list response that is not an array raises `APIResponseValidationError`."""
    with pytest.raises(APIResponseValidationError):
        driver.run(driver.client(respond_with(make_response(200, content=content))).steps.list())


# No response


@pytest.mark.parametrize(
    ("fault", "cls", "message"),
    [
        (httpx.ConnectError("refused"), APIConnectionError, "failed: refused"),
        (httpx.ConnectTimeout("late"), APITimeoutError, "timed out while connecting (late)"),
        (httpx.ReadTimeout("late"), APITimeoutError, "timed out while reading (late)"),
        (httpx.WriteTimeout(""), APITimeoutError, "timed out while sending (WriteTimeout)"),
        (httpx.PoolTimeout(""), APITimeoutError, "timed out while waiting for a connection"),
        (httpx.ReadError(""), APIConnectionError, "failed: ReadError"),
        (httpx.RemoteProtocolError("a\nb"), APIConnectionError, "failed: a b"),
        (httpx.UnsupportedProtocol("x"), APIConnectionError, "failed: x"),
        (httpx.TooManyRedirects("x"), APIConnectionError, "failed: x"),
        (httpx.DecodingError("x"), APIConnectionError, "failed: x"),
    ],
)
def test_httpx_exception_raises_api_connection_error_with_cause(
    driver: ClientDriver, fault: Exception, cls: type[APIError], message: str
) -> None:
    """An httpx exception becomes an `APIConnectionError` whose cause it is."""
    with pytest.raises(APIConnectionError) as caught:
        driver.run(driver.client(respond_with(fault)).steps.retrieve(STEP))
    error = caught.value
    assert type(error) is cls
    assert (error.status_code, error.body, error.headers) == (None, None, {})
    assert f"GET {BASE_URL}/v1/steps/{STEP} {message}" in str(error)
    assert len(str(error).splitlines()) == 1
    assert error.__cause__ is fault


@pytest.mark.parametrize(
    "broken",
    [DISCONNECT, b"garbage\r\n\r\n" + DISCONNECT, b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{" + DISCONNECT],
)
def test_malformed_http_response_raises_api_connection_error(driver: ClientDriver, broken: bytes) -> None:
    """A closed connection, garbage or a truncated body raises `APIConnectionError`."""
    with loopback(broken) as server:
        client = driver.client(base_url=server.base_url, max_retries=0)
        with pytest.raises(APIConnectionError, match=f"^GET {server.base_url}/v1/steps/{STEP} failed: .+ Check"):
            driver.run(client.steps.retrieve(STEP))


def test_undecodable_response_body_raises_api_connection_error(driver: ClientDriver) -> None:
    """A body that is not in its content encoding raises `APIConnectionError`."""
    broken = b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 4\r\n\r\nabcd"
    with loopback(broken) as server, pytest.raises(APIConnectionError):
        driver.run(driver.client(base_url=server.base_url, max_retries=0).steps.retrieve(STEP))


def test_connection_refused_error_names_base_url_as_remedy(driver: ClientDriver) -> None:
    """The error for a refused connection recommends to check `base_url`."""
    with loopback(DISCONNECT) as server:
        url = server.base_url
    with pytest.raises(APIConnectionError, match="Check base_url, and that the server is running"):
        driver.run(driver.client(base_url=url, max_retries=0).steps.retrieve(STEP))


def test_https_to_plain_http_server_raises_api_connection_error(driver: ClientDriver) -> None:
    """A TLS failure raises `APIConnectionError`, not `ssl.SSLError`."""
    with loopback(DISCONNECT) as server:
        client = driver.client(base_url=server.base_url.replace("http:", "https:"), max_retries=0)
        with pytest.raises(APIConnectionError) as caught:
            driver.run(client.steps.retrieve(STEP, timeout=0.2))
    assert not isinstance(caught.value, ssl.SSLError)


def test_call_on_closed_client_raises_before_sending(driver: ClientDriver) -> None:
    """A closed client raises before it sends."""
    handler = respond_with(200)
    client = driver.client(handler)
    driver.run(client.close())
    assert client.is_closed()
    with pytest.raises(LettaError, match="The client has been closed"):
        driver.run(client.steps.retrieve(STEP))
    assert handler.requests == []


def test_call_with_closed_httpx_client_raises_letta_error(driver: ClientDriver) -> None:
    """A closed httpx client raises `LettaError`."""
    http = driver.httpx_client()
    client = driver.client(base_url=BASE_URL, http_client=http)
    driver.run(http.aclose() if driver.is_async else http.close())
    with pytest.raises(LettaError):
        driver.run(client.steps.retrieve(STEP))


# Pickling

PUBLIC = [getattr(letta_ext, name) for name in letta_ext.__all__]
ERRORS = sorted(
    {value for value in PUBLIC if isinstance(value, type) and issubclass(value, APIError)},
    key=lambda cls: cls.__name__,
)


@pytest.mark.parametrize("cls", ERRORS)
def test_errors_keep_all_attributes_when_pickled_or_copied(cls: type[APIError]) -> None:
    """Each error class keeps its attributes in every pickle protocol and in copies."""
    error = cls(
        "What happened.",
        status_code=418,
        body={"detail": ["x"]},
        headers={"retry-after": "7"},
        request_id="req-1",
        run_id="run-1",
        error_type="teapot",
        detail="I am one.",
    )
    if isinstance(error, PendingApprovalError):
        error.pending_request_id = "message-1"
    if isinstance(error, StreamInterrupted):
        error.last_seq_id, error.gap = 7, (8, 9)
        error.partial = (stream_event_from_dict({"message_type": "stop_reason", "stop_reason": "error"}),)
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        again = pickle.loads(pickle.dumps(error, protocol))
        assert type(again) is cls
        assert str(again) == "What happened."
        assert vars(again) == vars(error)
        assert again.status_code == 418
        assert again.args == error.args
    assert vars(copy.copy(error)) == vars(copy.deepcopy(error)) == vars(error)


@pytest.mark.parametrize("name", RECORDED_ERRORS)
def test_recorded_errors_keep_all_attributes_when_pickled(driver: ClientDriver, name: str) -> None:
    """Errors of recorded responses keep their attributes when pickled."""
    error = recorded_error(driver, recording(name))
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again), vars(again)) == (type(error), str(error), vars(error))


def test_stream_interrupted_keeps_all_attributes_when_pickled(driver: ClientDriver) -> None:
    """`StreamInterrupted` of a real stream keeps its attributes when pickled."""
    recorded = recording("send_tokens_stream")
    stream = recorded.call(driver, driver.client(lambda _: event_stream(recorded.content[:-20])))
    _, error = driver.drain(stream)
    again = pickle.loads(pickle.dumps(error))
    assert isinstance(again, StreamInterrupted)
    assert (str(again), vars(again)) == (str(error), vars(error))


# Secrets


@pytest.mark.parametrize(
    "behavior",
    [make_response(status, json={"detail": "no"}) for status in (307, 400, 401, 403, 404, 409, 422, 429, 500)]
    + [make_response(200, content=b"<html>"), httpx.ConnectError("refused"), httpx.ReadTimeout("late")],
)
def test_api_key_is_absent_from_errors_and_reprs(driver: ClientDriver, behavior: Any) -> None:
    """The API key is sent, and is absent from tracebacks, reprs and pickles."""
    handler = respond_with(behavior)
    client = driver.client(handler)
    with pytest.raises(APIError) as caught:
        driver.run(client.steps.retrieve(STEP))
    error = caught.value
    shown = "".join(traceback.format_exception(error)) + repr(error) + str(error) + repr(vars(error)) + repr(client)
    assert handler.requests[0].headers["authorization"] == f"Bearer {KEY}"
    assert KEY not in shown
    assert KEY.encode() not in pickle.dumps(error)


def test_api_key_is_absent_from_reprs_of_public_objects(driver: ClientDriver) -> None:
    """Reprs of clients, streams, requests and pages do not contain the API key."""
    client = driver.client(lambda _: event_stream(b"data: [DONE]\n\n"))
    stream = driver.run(client.conversations.messages.create(CONVERSATION, input="hi"))
    listing = driver.client(respond_with(make_response(200, json=[{"id": "step-1"}])))
    page = driver.run(listing.steps.list())
    held = [client, client.steps, client.conversations.messages, stream, stream.response, stream.response.request, page]
    assert KEY not in repr(held) + repr(stream.response.request.headers)
    driver.run(stream.close())


@pytest.mark.parametrize("secret", [f"{KEY}\n", f" {KEY}", f"{KEY}é"])
@pytest.mark.parametrize("where", ["api_key", "default_headers", "extra_headers"])
def test_invalid_api_key_is_absent_from_value_error(driver: ClientDriver, where: str, secret: str) -> None:
    """The error for a key that is not printable ASCII does not contain it."""
    with loopback(b"HTTP/1.1 200 OK\r\ncontent-length: 15\r\n\r\n" + b'{"id":"step-1"}') as server:
        headers = {"Authorization": f"Bearer {secret}x "}
        settings: dict[str, Any] = {"api_key": secret} if where == "api_key" else {}
        settings |= {"default_headers": headers} if where == "default_headers" else {}
        options = {"extra_headers": headers} if where == "extra_headers" else {}
        with pytest.raises(ValueError, match="printable ASCII") as caught:
            driver.run(driver.client(base_url=server.base_url, **settings).steps.retrieve(STEP, **options))
        assert KEY not in "".join(traceback.format_exception(caught.value))
        assert server.requests == []


BLANK: list[bytes] = [
    b"",
    b" \r\n",
    b"\t",
    b'{"detail": " "}',
    b'{"detail": ""}',
    b'{"error": {"message": "\\n"}}',
    b"\xe2\x80\xa8",
]


@pytest.mark.parametrize("body", BLANK)
@pytest.mark.parametrize("status", [400, 404, 503])
def test_error_with_blank_body_states_no_reason(driver: ClientDriver, status: int, body: bytes) -> None:
    """An error with a blank body states that the server gave no reason."""
    with pytest.raises(APIStatusError, match=r": the server gave no reason\. [A-Z]"):
        driver.run(driver.client(lambda _: httpx.Response(status, content=body)).steps.retrieve(STEP))
