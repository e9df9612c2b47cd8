"""From an answer, or the lack of one, to the error that says what happened. Nothing here does I/O."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, TypeVar

import httpx

from .._instrumentation.redaction import redact_json, secrets_of_request
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
from .transport_errors import describe_cause, describe_request, is_timeout

E = TypeVar("E", bound=APIError)

STAGES: Mapping[type[Exception], str] = {
    httpx.ConnectTimeout: "connecting",
    httpx.ReadTimeout: "reading",
    httpx.WriteTimeout: "sending",
}
WAITING = "waiting for approval"
BUSY = "currently being processed"
PHRASES: Mapping[int, str] = {status.value: status.phrase for status in HTTPStatus}
STREAMED = 200
"""The status of an answer in which an error is an event."""
MAX_DETAIL_CHARS = 300
"""Characters of the server's words in a message; `detail` has them all."""

REMEDIES: Mapping[int, str] = {
    400: "See the server's words for what the request lacks.",
    401: "Pass api_key, or set LETTA_API_KEY.",
    403: "Use an API key that may do this.",
    404: "Check the id.",
    405: "Check base_url: what answers there does not offer this call.",
    409: "Look at what the server says stands in the way, and send again when it is gone.",
    410: "List the messages of the conversation instead; the run is stored there.",
    422: "Correct the value that the server names.",
    429: "Send less often, or wait as long as Retry-After says.",
}
FAMILIES: Mapping[int, str] = {
    3: "Set base_url to where the server redirects to: this redirect would change the request or take the key along.",
    4: "See the server's words for what it refuses.",
    5: "Try again later.",
}
"""What to do about a status that is not in `REMEDIES`, by its first digit."""


MAY_HAVE_BEEN_PROCESSED = (
    "It may have been carried out all the same: look at what is there, such as the messages of the conversation, before"
    " you send it again. A streamed send with background=True is repeated safely by itself."
)
"""What to do where a request that must not be sent twice may have arrived."""


def one_line(text: str, limit: int = MAX_DETAIL_CHARS) -> str:
    """`text` on one line, shortened."""
    line = " ".join(text.split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def _parse_error_body(body: Any) -> tuple[str | None, str | None, str | None, str | None]:
    """The detail, error type, run and pending request that an error body names, in any of the forms it takes."""
    if not is_mapping(body):
        return (str(body) if body else None), None, None, None
    run_id = body.get("run_id")
    nested = body.get("error")
    if is_mapping(nested):
        detail = nested.get("detail") or nested.get("message")
        return _text(detail), _text(nested.get("type")), _text(nested.get("run_id") or run_id), None
    detail = body.get("detail", body.get("message"))
    if is_mapping(detail):
        words = _text(detail.get("message")) or str(dict(detail))
        return (
            words,
            _text(detail.get("code")),
            _text(detail.get("run_id") or run_id),
            _text(detail.get("pending_request_id")),
        )
    return _text(detail), None, _text(run_id), None


def _text(value: Any) -> str | None:
    return None if value is None else value if isinstance(value, str) else str(value)


def as_sentence(words: str | None) -> str:
    """The server's words as a sentence on one line, or that there are none."""
    line = one_line(_readable_detail(words or "")) or "the server gave no reason"
    return line if line.endswith((".", "!", "?", "…")) else f"{line}."


def _readable_detail(words: str) -> str:
    """What is wrong with which argument, where the server sends pydantic's list of errors, as Python writes it."""
    if not words.startswith("[{"):
        return words
    try:
        errors = ast.literal_eval(words)
        found = [f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in errors]
    except (ValueError, TypeError, KeyError, SyntaxError, MemoryError, RecursionError):
        return words
    return "; ".join(found)


def _request_id(headers: Mapping[str, str], body: Any) -> str | None:
    trace = body.get("trace_id") if is_mapping(body) else None
    return headers.get("x-request-id") or _text(trace) or None


def status_error(
    request: httpx.Request, status: int, headers: Mapping[str, str], body: Any, *, in_doubt: bool = False
) -> APIStatusError:
    """The error for an answer that is no success.

    Args:
        request: the request, which the message names without its query.
        status: the answer's status.
        headers: the answer's headers, in lower case.
        body: the decoded body, or its text where it is no JSON.
        in_doubt: whether the request must not be sent twice, and may have been carried out.
    """
    headers, body = redact_response(request, headers, body)
    detail, error_type, run_id, pending = _parse_error_body(body)
    cls = STATUS_ERRORS.get(status, InternalServerError if status >= 500 else APIStatusError)
    remedy = MAY_HAVE_BEEN_PROCESSED if in_doubt else REMEDIES.get(status) or FAMILIES.get(status // 100, "")
    if status == 404 and "-" not in request.url.path:
        remedy = "Check base_url."  # there is no id in it
    if status == 409:
        if error_type == "PENDING_APPROVAL" or WAITING in (detail or ""):
            cls, remedy = PendingApprovalError, "Answer all pending tool calls first."
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
    return error


def run_error(event: Any) -> APIError:
    """The error for an error event of a stream, given as the event's JSON."""
    data: Mapping[str, Any] = event if is_mapping(event) else {}
    detail, error_type, run_id = _text(data.get("detail")), _text(data.get("error_type")), _text(data.get("run_id"))
    words = detail or _text(data.get("message")) or (_text(event) if data is not event else None)
    words = words or "the server gave no reason"
    if WAITING in words:
        return PendingApprovalError(
            f"The run was refused: {as_sentence(words)} Answer all pending tool calls first.",
            status_code=STREAMED,
            body=event,
            run_id=run_id,
            error_type=error_type,
            detail=words,
        )
    kind = error_type or "unknown error"
    message = f"The run failed ({kind}): {as_sentence(words)} See steps.retrieve for what was stored."
    return RunError(message, status_code=STREAMED, body=event, run_id=run_id, error_type=error_type, detail=words)


def transport_error(request: httpx.Request, fault: Exception, *, in_doubt: bool = False) -> APIConnectionError:
    """The error for a request that got no answer, or not all of it.

    Args:
        request: the request, which the message names without its query.
        fault: what `sanitize_transport_error` returned.
        in_doubt: whether the request must not be sent twice, and may have arrived.
    """
    what = one_line(describe_cause(fault))
    if is_timeout(fault):
        stage = STAGES.get(type(fault), "waiting for a connection" if isinstance(fault, httpx.PoolTimeout) else "")
        return APITimeoutError(
            f"{describe_request(request)} timed out{f' while {stage}' if stage else ''} ({what})."
            f" {MAY_HAVE_BEEN_PROCESSED if in_doubt else 'Raise timeout, or look at the server.'}"
        )
    remedy = MAY_HAVE_BEEN_PROCESSED if in_doubt else "Check base_url, and that the server is up."
    return APIConnectionError(f"{describe_request(request)} got no answer: {what}. {remedy}")


def too_large(response: httpx.Response, limit: int) -> ResponseTooLargeError:
    """The error for a successful response whose body is larger than `ResponseLimits.max_bytes`."""
    reason = f"is larger than {limit} bytes; the server has processed the request. Raise response_limits.max_bytes"
    return _body_limit_error(ResponseTooLargeError, response, f"{reason} if that is expected.")


def too_slow(response: httpx.Response, limit: float | None) -> APITimeoutError:
    """The error for a successful response whose body takes longer than `ResponseLimits.total`."""
    reason = f"did not end within {limit} s; the server has processed the request. Raise response_limits.total"
    return _body_limit_error(APITimeoutError, response, f"{reason} if that is expected.")


def _body_limit_error(cls: type[E], response: httpx.Response, reason: str) -> E:
    found = {name.lower(): value for name, value in response.headers.items()}
    headers, _ = redact_response(response.request, found, None)
    return cls(
        f"The body of the {response.status_code} response to {describe_request(response.request)} {reason}",
        status_code=response.status_code,
        headers=headers,
        request_id=_request_id(headers, None),
    )


def invalid_response_error(response: httpx.Response, body: Any, reason: str) -> APIError:
    """The error for a successful answer that cannot be decoded."""
    request, found = response.request, {name.lower(): value for name, value in response.headers.items()}
    headers, (body, reason) = redact_response(request, found, [body, reason])
    return APIResponseValidationError(
        f"{response.status_code} from {describe_request(request)} does not match the API document: {one_line(reason)}",
        status_code=response.status_code,
        body=body,
        headers=headers,
        request_id=_request_id(headers, body),
        detail=reason,
    )


def redact_response(request: httpx.Request, headers: Mapping[str, str], body: Any) -> tuple[Mapping[str, str], Any]:
    """The headers and the body of an answer without the secrets of its request, which servers and proxies may echo."""
    secrets = secrets_of_request(request)
    return redact_json(headers, secrets), redact_json(body, secrets)
