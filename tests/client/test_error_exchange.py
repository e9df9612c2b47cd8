"""The request and the response of an error, and errors that programs build themselves."""

from __future__ import annotations

import copy
import gzip
import json
import pickle
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from unittest.mock import Mock

import httpx
import letta_client
import pytest

import letta_ext
from letta_ext import (
    APIConnectionError,
    APIError,
    APIStatusError,
    APITimeoutError,
    ConflictError,
    LettaError,
    NotFoundError,
    PendingApprovalError,
    RunError,
    StreamInterrupted,
    StreamTimeoutError,
)
from letta_ext.errors import STATUS_ERRORS
from letta_ext.testing import EmbeddedServer, Respond

from .helpers import BASE_URL, CONVERSATION, KEY, STEP, ClientDriver, event_stream, make_response, respond_with, sse

URL = f"{BASE_URL}/v1/steps/{STEP}"


def failed_call(driver: ClientDriver, response: Any, call: Callable[[Any], Any] | None = None, **settings: Any) -> Any:
    """Return the error of a call, for a response or an exception of the transport."""
    client = driver.client(respond_with(response), **settings)
    call = call or (lambda client: driver.run(client.steps.retrieve(STEP)))
    with pytest.raises(LettaError) as caught:
        call(client)
    return caught.value


ALTERED: dict[str, Callable[[Any], Any]] = {
    "raised": lambda error: error,
    "copied": copy.copy,
    "deeply copied": copy.deepcopy,
    "pickled": lambda error: pickle.loads(pickle.dumps(error)),
    "pickled after use": lambda error: pickle.loads(pickle.dumps((error.response, error))[:])[1],
}

BODIES: dict[str, dict[str, Any]] = {
    "JSON": {"json": {"detail": "nö", "n": [1.5, None]}},
    "text": {"text": "<h1>nö</h1>"},
    "nothing": {},
    "another charset": {
        "content": "nö".encode("latin-1"),
        "headers": {"content-type": "text/html; charset=iso-8859-1"},
    },
}


@pytest.mark.parametrize("altered", ALTERED)
@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize("status", [307, 404, 409, 503])
def test_status_error_has_request_and_response(driver: ClientDriver, status: int, body: str, altered: str) -> None:
    """The response of an error has the status, headers and text of the server's, and the request its method and URL."""
    sent = make_response(status, **{**BODIES[body], "headers": {"Retry-After": "7", **BODIES[body].get("headers", {})}})
    error: Any = ALTERED[altered](failed_call(driver, sent, default_query={"limit": 5}))
    original = sent()
    assert isinstance(error, APIStatusError)
    response = error.response
    assert (response.status_code, response.status_code) == (status, error.status_code)
    assert response.text == original.text
    assert response.headers["retry-after"] == "7"
    assert response.is_closed
    if body == "JSON":
        assert response.json() == error.body == original.json()
    assert (error.request.method, str(error.request.url)) == ("GET", f"{URL}?limit=5")
    assert response.request is error.request
    assert str(response.url) == f"{URL}?limit=5"
    assert error.request.headers["accept"] == "application/json"
    assert error.request.headers["authorization"] == "***"
    with pytest.raises(httpx.HTTPStatusError):
        response.raise_for_status()


@pytest.mark.parametrize("altered", ALTERED)
def test_error_response_on_a_socket_has_its_duration(
    driver: ClientDriver, server: EmbeddedServer, altered: str
) -> None:
    """`response.elapsed` is the time until the end of the response, as httpx measures it."""
    client = driver.client(base_url=server.base_url)
    with pytest.raises(NotFoundError) as caught:
        driver.run(client.steps.retrieve(STEP))
    error: Any = ALTERED[altered](caught.value)
    assert timedelta(0) < error.response.elapsed < timedelta(minutes=1)


def test_compressed_error_response_has_decoded_text(driver: ClientDriver) -> None:
    """The response of an error has the decompressed text, without the headers of the compression."""
    packed = gzip.compress(b'{"detail": "no"}')
    error: Any = failed_call(driver, make_response(404, content=packed, headers={"content-encoding": "gzip"}))
    assert error.response.json() == {"detail": "no"}
    assert "content-encoding" not in error.response.headers


def test_request_and_response_are_redacted(driver: ClientDriver) -> None:
    """The request has no user info, credentials and secret query parameters, and the response no secret at all."""
    body = {"detail": f"{KEY} is unknown", "n": 1}
    sent = make_response(401, json=body, headers={"x-echo": KEY})
    query = {"api_key": "hidden-in-query", "limit": 5}
    error: Any = failed_call(
        driver, sent, default_query=query, default_headers={"X-Team": "red", "Cookie": "sid=hidden"}
    )
    assert error.response.json() == error.body == {"detail": "*** is unknown", "n": 1}
    assert error.response.headers["x-echo"] == "***"
    assert dict(error.request.url.params) == {"api_key": "***", "limit": "5"}
    headers = error.request.headers
    assert (headers["x-team"], headers["cookie"], headers["authorization"]) == ("red", "***", "***")
    assert error.request.content == b""


def test_user_info_of_base_url_is_not_in_the_request(driver: ClientDriver) -> None:
    """User info that an httpx client adds to the URL is not in the request of the error."""

    class AddingUserInfo(httpx.BaseTransport, httpx.AsyncBaseTransport):
        def handle_request(self, request: httpx.Request) -> httpx.Response:
            request.url = request.url.copy_with(username="me", password="hidden-password")
            return httpx.Response(404, json={"detail": "at me:hidden-password"})

        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            return self.handle_request(request)

    client = driver.client(base_url=BASE_URL, http_client=driver.httpx_client(transport=AddingUserInfo()))
    with pytest.raises(NotFoundError) as caught:
        driver.run(client.steps.retrieve(STEP))
    assert str(caught.value.request.url) == URL
    assert "hidden-password" not in caught.value.response.text


@pytest.mark.parametrize("altered", ALTERED)
@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (httpx.ReadTimeout("late"), APITimeoutError),
        (httpx.ConnectError("refused"), APIConnectionError),
        (OSError("broken"), APIConnectionError),
    ],
)
def test_connection_error_has_request_and_no_response(
    driver: ClientDriver, fault: Exception, kind: type[APIConnectionError], altered: str
) -> None:
    """A connection error has its request, and None as response and status."""
    error: Any = ALTERED[altered](failed_call(driver, fault))
    assert isinstance(error, kind)
    assert (error.request.method, str(error.request.url)) == ("GET", URL)
    assert (error.response, error.status_code) == (None, None)


FAILED_STREAMS: dict[str, tuple[bytes, type[APIError], int | None]] = {
    "a failed run": (
        sse({"message_type": "error_message", "error_type": "llm_error", "detail": "no"}, event="error"),
        RunError,
        502,
    ),
    "a failed run as text": (b"event: error\ndata: no\n\n", RunError, 502),
    "a pending approval": (
        sse({"message_type": "error_message", "detail": "waiting for approval"}, event="error"),
        PendingApprovalError,
        409,
    ),
    "an interruption": (sse({"message_type": "ping"}), StreamInterrupted, None),
}


@pytest.mark.parametrize("altered", ALTERED)
@pytest.mark.parametrize("name", FAILED_STREAMS)
def test_stream_error_has_request_and_error_status(driver: ClientDriver, name: str, altered: str) -> None:
    """An error of a stream has the request of the stream, and a status that reports no success, or none."""
    content, kind, status = FAILED_STREAMS[name]

    def read(client: Any) -> None:
        driver.items(driver.run(client.conversations.messages.create(CONVERSATION, input="hi")))

    error: Any = ALTERED[altered](failed_call(driver, lambda: event_stream(content), read))
    assert type(error).__name__ == kind.__name__
    assert error.status_code == status
    assert (error.request.method, error.request.url.path) == ("POST", f"/v1/conversations/{CONVERSATION}/messages")
    if status is None:
        assert error.response is None
    else:
        assert error.response.status_code == status
        assert error.response.json() == error.body
        assert error.response.request is error.request


@pytest.mark.parametrize("response", [make_response(200, text="<h1>hi</h1>"), make_response(200, json=[])])
def test_validation_error_has_request_and_response(driver: ClientDriver, response: Any) -> None:
    """The error for a response that cannot be decoded has that response."""
    error: Any = failed_call(driver, response)
    assert type(error).__name__ == "APIResponseValidationError"
    assert (error.response.status_code, error.response.text) == (200, response().text)
    assert str(error.request.url) == URL


def test_error_of_embedded_server_has_response(driver: ClientDriver) -> None:
    """An error of a real connection has the response of the server."""
    with EmbeddedServer() as server:
        server.faults.add(Respond(429, {"detail": "slow down"}))
        client = driver.client(base_url=server.base_url, max_retries=0)
        with pytest.raises(letta_ext.RateLimitError) as caught:
            driver.run(client.steps.list(limit=3))
        assert caught.value.response.json()["detail"] == "slow down"
        assert str(caught.value.request.url) == f"{server.base_url}/v1/steps/?limit=3"


# Errors that tests of programs build.

REQUEST = httpx.Request("GET", "http://localhost:8283/v1/agents/")
BODY = {"detail": "no"}


def response_of(status: int) -> httpx.Response:
    return httpx.Response(status, json=BODY, headers={"X-Request-Id": "req-1"}, request=REQUEST)


STATUS_CLASSES = [
    ("BadRequestError", 400),
    ("AuthenticationError", 401),
    ("PermissionDeniedError", 403),
    ("NotFoundError", 404),
    ("ConflictError", 409),
    ("UnprocessableEntityError", 422),
    ("RateLimitError", 429),
    ("InternalServerError", 503),
    ("APIStatusError", 418),
]


def status_error_of(name: str, status: int) -> Callable[[Any], Any]:
    return lambda package: getattr(package, name)(f"{name} happened", response=response_of(status), body=BODY)


BUILT: dict[str, Callable[[Any], Any]] = {
    **{name: status_error_of(name, status) for name, status in STATUS_CLASSES},
    "APIConnectionError": lambda package: package.APIConnectionError(request=REQUEST),
    "APIConnectionError, message": lambda package: package.APIConnectionError(message="cut", request=REQUEST),
    "APITimeoutError": lambda package: package.APITimeoutError(REQUEST),
    "APITimeoutError, keyword": lambda package: package.APITimeoutError(request=REQUEST),
    "APIError": lambda package: package.APIError("broken", REQUEST, body=BODY),
    "APIError, keyword": lambda package: package.APIError(message="broken", request=REQUEST, body=None),
    "APIResponseValidationError": lambda package: package.APIResponseValidationError(response_of(200), BODY),
    "APIResponseValidationError, keywords": lambda package: package.APIResponseValidationError(
        response=response_of(200), body=BODY, message="bad"
    ),
}


@pytest.mark.parametrize("altered", ALTERED)
@pytest.mark.parametrize("name", BUILT)
def test_built_error_equals_that_of_the_published_client(name: str, altered: str) -> None:
    """An error that is built as for letta-client has the same attributes, and can be copied and pickled."""
    expected, found = BUILT[name](letta_client), ALTERED[altered](BUILT[name](letta_ext))
    assert type(found).__name__ == type(expected).__name__
    for attribute in ("message", "body"):
        assert getattr(found, attribute) == getattr(expected, attribute)
    assert str(found) == str(expected)
    assert found.status_code == getattr(expected, "status_code", None)
    assert (found.request.method, found.request.url) == (expected.request.method, expected.request.url)
    if hasattr(expected, "response"):
        assert found.response.content == expected.response.content
        assert (found.headers["x-request-id"], found.request_id) == ("req-1", "req-1")
    else:
        assert found.response is None


def test_built_error_keeps_the_response_that_was_passed() -> None:
    """`response` and `request` are the passed objects, also doubles."""
    response = response_of(404)
    error = NotFoundError("no", response=response, body=None)
    assert error.response is response
    assert error.request is REQUEST
    double = Mock(status_code=429, headers={"Retry-After": "3"})
    assert letta_ext.RateLimitError("slow", response=double, body=None).status_code == 429
    assert letta_ext.RateLimitError("slow", response=double, body=None).headers == {"retry-after": "3"}
    assert letta_ext.RateLimitError("slow", response=Mock(), body=None).status_code == 429
    assert APITimeoutError(double).request is double


@pytest.mark.parametrize("status", STATUS_ERRORS)
def test_error_built_from_a_message_has_the_status_of_its_class(status: int) -> None:
    """An error that is built from a message alone has the status of its class, and a response made of its body."""
    error = STATUS_ERRORS[status]("no", body=BODY)
    assert (error.status_code, error.response.status_code, error.response.json()) == (status, status, BODY)
    with pytest.raises(RuntimeError, match="request"):
        _ = error.response.request


@pytest.mark.parametrize(
    ("cls", "status"),
    [
        (letta_ext.InternalServerError, 500),
        (APIStatusError, 500),
        (RunError, 502),
        (ConflictError, 409),
        (letta_ext.ConversationBusyError, 409),
        (PendingApprovalError, 409),
        (APIConnectionError, None),
        (StreamTimeoutError, None),
    ],
)
def test_class_without_a_response_has_a_default_status(cls: type[APIError], status: int | None) -> None:
    """Each error about a status has a status that reports an error."""
    assert cls("no").status_code == status


def test_error_without_request_has_no_request_attribute() -> None:
    """`request` of an error without one raises a LettaError, and is missing for `getattr` and `hasattr`."""
    error = letta_ext.NotFoundError("no")
    assert getattr(error, "request", "none") == "none"
    assert not hasattr(pickle.loads(pickle.dumps(error)), "request")
    with pytest.raises(LettaError, match="has no request"):
        _ = error.request


def test_status_of_a_run_error_can_be_passed_on() -> None:
    """A program that responds with the status of any status error does not report success."""
    pending = [APIStatusError]
    while pending:
        cls = pending.pop()
        pending += cls.__subclasses__()
        assert cls("no").status_code >= 400, cls
        assert json.loads(cls("no", body=BODY).response.content) == BODY
