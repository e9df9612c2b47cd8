"""Conversion of error responses and transport errors to exceptions."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from datetime import timedelta
from http import HTTPStatus
from typing import Any, TypeVar

import httpx

from letta_api.types import QueryPair

from .._exchange import RequestCopy
from .._instrumentation.redaction import (
    PUBLIC_HEADERS,
    REDACTED,
    is_secret,
    redact,
    redact_json,
    secrets_of_request,
)
from .._types import is_mapping
from ..errors import (
    STATUS_ERRORS,
    APIConnectionError,
    APIError,
    APIResponseValidationError,
    APIStatusError,
    APITimeoutError,
    ConversationBusyError,
    InternalServerError,
    PendingApprovalError,
    ResponseTooLargeError,
    RunError,
)
from .charsets import text_of
from .transport_errors import describe_cause, describe_request, is_timeout, url_without_query

E = TypeVar("E", bound=APIError)

STAGES: Mapping[type[Exception], str] = {
    httpx.ConnectTimeout: "connecting",
    httpx.ReadTimeout: "reading",
    httpx.WriteTimeout: "sending",
}
WAITING = "waiting for approval"
BUSY = "currently being processed"
NO_REASON = "the server gave no reason"
RETURN_TOOLS = (
    "Continue with conversations.messages.run_tools without input, or reject the calls with deny_pending: the agent"
    " accepts no other message before."
)
PHRASES: Mapping[int, str] = {status.value: status.phrase for status in HTTPStatus}
MAX_DETAIL_CHARS = 300
"""Characters of the server's description in a message. `detail` contains all of it."""

UNKNOWN_PATH = {"detail": "Not Found"}
"""The body of a 404 for a path without an operation. Letta's other 404s describe what does not exist."""

MISSING_OPERATION = "The server does not have this operation: update the server, or check base_url."

REMEDIES: Mapping[int, str] = {
    400: "Correct the request as the server describes.",
    401: "Pass api_key, or set LETTA_API_KEY.",
    403: "Use an API key with the required permission.",
    404: "Check the id.",
    405: MISSING_OPERATION,
    409: "Resolve the conflict that the server describes, then send the request again.",
    410: "List the messages of the conversation instead: they include those of the run.",
    422: "Correct the value that the server names.",
    429: "Send fewer requests, or wait as long as Retry-After requires.",
}
FAMILIES: Mapping[int, str] = {
    3: "Set base_url to the target: a redirect that changes the method or the origin is not followed.",
    4: "Correct the request as the server describes.",
    5: "Try again later.",
}
"""Remedies for status codes that are not in `REMEDIES`, by first digit."""

TLS_REMEDIES: Mapping[str, str] = {
    "WRONG_VERSION_NUMBER": "The port does not serve TLS: begin base_url with http://, or correct its port.",
    "CERTIFICATE_VERIFY_FAILED": "Correct the host of base_url, or set SSL_CERT_FILE to the certificates to trust.",
}
"""Remedies for failed TLS handshakes, by the reason of OpenSSL."""

MAY_HAVE_BEEN_PROCESSED = (
    "The request may have been processed: check its effect, such as the messages of the conversation, before you send"
    " it again. Streamed messages with background=True are retried safely."
)
"""The remedy for a request that is not idempotent and may have reached the server."""


def one_line(text: str, limit: int = MAX_DETAIL_CHARS) -> str:
    """Return the text on one line, truncated to `limit` characters."""
    line = " ".join(text.split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def _parse_error_body(body: Any) -> tuple[str | None, str | None, str | None, str | None]:
    """Return the detail, error type, run id and pending request id of an error body in any of its formats."""
    if not is_mapping(body):
        return (str(body) if body else None), None, None, None
    run_id = body.get("run_id")
    nested = body.get("error")
    if is_mapping(nested):
        detail = nested.get("detail") or nested.get("message")
        return _text(detail), _text(nested.get("type")), _text(nested.get("run_id") or run_id), None
    detail = body.get("detail", body.get("message"))
    if is_mapping(detail):
        return (
            _text(detail.get("message")) or str(dict(detail)),
            _text(detail.get("code")),
            _text(detail.get("run_id") or run_id),
            _text(detail.get("pending_request_id")),
        )
    return _text(detail), None, _text(run_id), None


def _text(value: Any) -> str | None:
    return None if value is None else value if isinstance(value, str) else str(value)


def as_sentence(text: str | None) -> str:
    """Return the server's description as a sentence on one line."""
    line = one_line(_readable_detail(text or "")) or NO_REASON
    return line if line.endswith((".", "!", "?", "…")) else f"{line}."


def _readable_detail(detail: str) -> str:
    """Return `field: message` for each error of a pydantic error list, which servers send as a Python literal."""
    if not detail.startswith("[{"):
        return detail
    try:
        errors = ast.literal_eval(detail)
        lines = [f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in errors]
    except (ValueError, TypeError, KeyError, SyntaxError, MemoryError, RecursionError):
        return detail
    return "; ".join(lines)


def _request_id(headers: Mapping[str, str], body: Any) -> str | None:
    trace = body.get("trace_id") if is_mapping(body) else None
    return headers.get("x-request-id") or _text(trace) or None


def status_error(
    request: httpx.Request,
    status: int,
    headers: Mapping[str, str],
    body: Any,
    *,
    text: str | None = None,
    elapsed: timedelta | None = None,
    in_doubt: bool = False,
) -> APIStatusError:
    """Return the exception for an error response.

    Args:
        request: The request. The message contains its URL without the query.
        status: The status code of the response.
        headers: The response headers, with lowercase names.
        body: The decoded body, or its text if it is not JSON.
        text: The text of the body. None makes it from `body`.
        elapsed: The time from the request to the end of the response, if it is known.
        in_doubt: Whether the request is not idempotent and may have been processed.
    """
    text = _redacted_text(request, text)
    headers, body = redact_response(request, headers, body)
    detail, error_type, run_id, pending = _parse_error_body(body)
    cls = STATUS_ERRORS.get(status, InternalServerError if status >= 500 else APIStatusError)
    remedy = MAY_HAVE_BEEN_PROCESSED if in_doubt else REMEDIES.get(status) or FAMILIES.get(status // 100, "")
    if status == 404:
        remedy = _not_found_remedy(request, body)
    if status == 409:
        if error_type == "PENDING_APPROVAL" or WAITING in (detail or ""):
            cls, remedy = PendingApprovalError, RETURN_TOOLS
        elif run_id or BUSY in (detail or ""):
            cls = ConversationBusyError
            remedy = f"Wait until {run_id or 'the other run'} has ended, or pass when_busy='wait'."
    phrase = PHRASES.get(status, "status")
    error = cls(
        f"{status} {phrase} from {describe_request(request)}: {as_sentence(detail)} {remedy}".strip(),
        status_code=status,
        body=body,
        headers=headers,
        request_id=_request_id(headers, body),
        run_id=run_id,
        error_type=error_type,
        detail=detail,
    )
    if isinstance(error, PendingApprovalError):
        error.pending_request_id = pending
    error.add_exchange(copy_of_request(request), text, elapsed)
    return error


def _not_found_remedy(request: httpx.Request, body: Any) -> str:
    if body == UNKNOWN_PATH:
        return MISSING_OPERATION
    if b"-" in request.url.raw_path:  # the path or the query contains an id
        return REMEDIES[404]
    is_described = is_mapping(body) and _text(body.get("detail"))  # as by Letta: an id of the body does not exist
    return REMEDIES[400] if is_described else "Check base_url."


def copy_of_request(request: httpx.Request, *, all_values: bool = False) -> RequestCopy:
    """Return a copy of a request without secrets and body.

    Args:
        request: The request.
        all_values: Whether to redact the values of all query parameters and headers, except for headers that never
            contain a secret. Pass True for errors of the transport. Defaults to False.
    """
    secrets = secrets_of_request(request, all_values=all_values)

    def shown(name: str, value: str) -> str:
        return REDACTED if all_values or is_secret(name) else redact(value, secrets)

    query: list[QueryPair] = [(name, shown(name, value)) for name, value in request.url.params.multi_items()]
    headers = tuple(
        (name, value if name in PUBLIC_HEADERS else shown(name, value)) for name, value in request.headers.multi_items()
    )
    url = redact(url_without_query(request.url), secrets)
    return RequestCopy(request.method, f"{url}?{httpx.QueryParams(query)}" if query else url, headers)


def _redacted_text(request: httpx.Request, text: str | None) -> str | None:
    """Return the text of a body, or None if it contains a secret: the text is made from the redacted body then."""
    return text if text is not None and redact(text, secrets_of_request(request)) == text else None


def run_error(event: Any, request: httpx.Request | None = None) -> APIError:
    """Return the exception for an error event.

    Args:
        event: The event, as JSON without secrets.
        request: The request of the stream, if it is known.
    """
    error = _run_error(event)
    if request is not None:
        error.add_exchange(copy_of_request(request))
    return error


def _run_error(event: Any) -> APIError:
    data: Mapping[str, Any] = event if is_mapping(event) else {}
    detail, error_type, run_id = _text(data.get("detail")), _text(data.get("error_type")), _text(data.get("run_id"))
    reason = detail or _text(data.get("message")) or (_text(event) if data is not event else None)
    reason = reason or NO_REASON
    if WAITING in reason:
        return PendingApprovalError(
            f"The run was rejected: {as_sentence(reason)} {RETURN_TOOLS}",
            body=event,
            run_id=run_id,
            error_type=error_type,
            detail=reason,
        )
    kind = error_type or "unknown error"
    message = f"The run failed ({kind}): {as_sentence(reason)} Call steps.retrieve for the stored result."
    return RunError(message, body=event, run_id=run_id, error_type=error_type, detail=reason)


def transport_error(request: httpx.Request, error: Exception, *, in_doubt: bool = False) -> APIConnectionError:
    """Return the exception for a request without a complete response.

    Args:
        request: The request. The message contains its URL without the query.
        error: The result of `sanitize_transport_error`.
        in_doubt: Whether the request is not idempotent and may have been processed.
    """
    cause = one_line(describe_cause(error))
    found: APIConnectionError
    if is_timeout(error):
        stage = STAGES.get(type(error), "waiting for a connection" if isinstance(error, httpx.PoolTimeout) else "")
        found = APITimeoutError(
            f"{describe_request(request)} timed out{f' while {stage}' if stage else ''} ({cause})."
            f" {MAY_HAVE_BEEN_PROCESSED if in_doubt else 'Increase timeout, or check the server.'}"
        )
    else:
        remedy = MAY_HAVE_BEEN_PROCESSED if in_doubt else _connection_remedy(cause)
        found = APIConnectionError(f"{describe_request(request)} failed: {cause}. {remedy}")
    found.add_exchange(copy_of_request(request, all_values=True))
    return found


def _connection_remedy(cause: str) -> str:
    for reason, remedy in TLS_REMEDIES.items():
        if reason in cause:
            return remedy
    return "Check base_url, and that the server is running."


def too_large(response: httpx.Response, limit: int) -> ResponseTooLargeError:
    """Return the error for a successful response whose body exceeds `ResponseLimits.max_bytes`."""
    reason = f"is larger than {limit} bytes; the server has processed the request. Increase response_limits.max_bytes."
    return _body_limit_error(ResponseTooLargeError, response, reason)


def too_slow(response: httpx.Response, limit: float | None) -> APITimeoutError:
    """Return the error for a successful response whose body takes longer than `ResponseLimits.total`."""
    reason = f"did not end within {limit} s; the server has processed the request. Increase response_limits.total."
    return _body_limit_error(APITimeoutError, response, reason)


def _body_limit_error(cls: type[E], response: httpx.Response, reason: str) -> E:
    lower_headers = {name.lower(): value for name, value in response.headers.items()}
    headers, _ = redact_response(response.request, lower_headers, None)
    error = cls(
        f"The body of the {response.status_code} response to {describe_request(response.request)} {reason}",
        status_code=response.status_code,
        headers=headers,
        request_id=_request_id(headers, None),
    )
    error.add_exchange(copy_of_request(response.request))
    return error


def invalid_response_error(response: httpx.Response, body: Any, reason: str) -> APIError:
    """Return the error for a successful response that cannot be decoded."""
    request, lower_headers = response.request, {name.lower(): value for name, value in response.headers.items()}
    headers, (body, reason) = redact_response(request, lower_headers, [body, reason])
    error = APIResponseValidationError(
        f"{response.status_code} from {describe_request(request)} does not match the API document: {one_line(reason)}",
        status_code=response.status_code,
        body=body,
        headers=headers,
        request_id=_request_id(headers, body),
        detail=reason,
    )
    error.add_exchange(copy_of_request(request), _redacted_text(request, text_of(response, response.content)))
    return error


def redact_response(request: httpx.Request, headers: Mapping[str, str], body: Any) -> tuple[Mapping[str, str], Any]:
    """Return headers and body without the secrets of the request, which servers and proxies may echo."""
    secrets = secrets_of_request(request)
    return redact_json(headers, secrets), redact_json(body, secrets)
