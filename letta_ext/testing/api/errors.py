"""Error answers, word for word as the real server gives them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ..store.ids import ORGANIZATION_ID, USER_ID

PENDING_APPROVAL = (
    "CONFLICT: Cannot send a new message: The agent is waiting for approval on a tool call. "
    "Please approve or deny the pending request before continuing."
)
NOTHING_PENDING = (
    "Cannot process approval response: No tool call is currently awaiting approval. "
    "Please send a regular message to interact with the agent."
)
NOTHING_ANSWERED = "Invalid approval response. Approval response message does not contain any approvals."
EMPTY_RETURN = "1 validation error for ToolReturnMessage\ntool_return\n  Input should be a valid string"
NOTHING_TO_COMPACT = (
    "Summarization failed to reduce the number of messages. You may not have enough messages to compact or need to "
    "use a different CompactionSettings (e.g. using `all` mode)."
)

# The real server prints its default user into every "not found", dates of its database included.
_ACTOR = (
    f"id='{USER_ID}' organization_id='{ORGANIZATION_ID}' name='default_user' "
    "created_at=datetime.datetime(2026, 1, 1, 0, 0, tzinfo=TzInfo(0)) "
    "updated_at=datetime.datetime(2026, 1, 1, 0, 0, tzinfo=TzInfo(0)) is_deleted=False"
)


class ApiError(Exception):
    """An answer other than 200: a status and a JSON body."""

    def __init__(self, status: int, body: Mapping[str, object]) -> None:
        super().__init__(f"{status}: {body}")
        self.status = status
        self.body = body


def plain(status: int, detail: str) -> ApiError:
    """Return the commonest form: ``{"detail": "..."}``."""
    return ApiError(status, {"detail": detail})


def not_found(kind: str, wanted: str) -> ApiError:
    """Return the 404 of an object that is not in the database."""
    return plain(404, f"{kind} not found with id='['{wanted}']', access level in ['read'] for actor='{_ACTOR}'")


def conversation_not_found(wanted: str) -> ApiError:
    """Return the 404 of a conversation, which alone also names its deletion flag."""
    error = not_found("Conversation", wanted)
    return plain(404, f"{error.body['detail']}, is_deleted=False")


def agent_not_found(wanted: str | None = None) -> ApiError:
    """Return the 404 of an agent, which names it where it was to do something."""
    if wanted is None:
        return plain(404, "Agent not found")
    return plain(404, f"Agent with ID {wanted} not found")


def invalid_argument(detail: str) -> ApiError:
    """Return the 400 of an argument that cannot be used."""
    return plain(400, f"INVALID_ARGUMENT: {detail}")


def busy(run_id: str) -> ApiError:
    """Return the 409 of a conversation that is answering another message."""
    return ApiError(
        409,
        {
            "detail": f"CONFLICT: Cannot send a new message: Another request (run_id={run_id}) is currently being "
            "processed for this conversation. Please wait for it to complete.",
            "run_id": run_id,
        },
    )


def expired() -> ApiError:
    """Return the 410 of a run older than three hours."""
    return plain(410, "EXPIRED: Run was created more than 3 hours ago, and is now expired.")


def validation(problems: list[dict[str, object]], example: str | None = None) -> ApiError:
    """Return the 422 of a request that does not fit the API.

    Args:
        problems: what is wrong, in the order and with the keys of pydantic's errors.
        example: an id that would have been valid, given for a malformed step id.
    """
    body: dict[str, object] = {"trace_id": "", "detail": repr(problems)}
    if example is not None:
        body["examples"] = [example]
    return ApiError(422, body)


@dataclass(eq=False)
class RunFailedError(Exception):
    """Why a run failed, in the two forms in which the real server says it.

    Attributes:
        detail: what the server wrote down.
        status: the status of the JSON answer.
        json_error: type and message of the JSON answer's ``error``; None for a bare ``detail``.
        stream_error: type and message of the stream's ``error_message``.
        stop_reason: why the stream stopped.
        exception: the name of the server's exception, as a failed step records it.
        overflow: whether the context was too long for the model.
        told: what the stream's ``error_message`` says in ``detail``, if it is not ``detail``.
    """

    detail: str
    status: int
    json_error: tuple[str, str] | None
    stream_error: tuple[str, str]
    stop_reason: str = "error"
    exception: str = "Exception"
    overflow: bool = False
    told: str | None = None

    def as_response(self) -> ApiError:
        """Return the answer to a request with ``streaming=false``."""
        if self.json_error is None:
            return plain(self.status, self.detail)
        kind, message = self.json_error
        return ApiError(self.status, {"error": {"type": kind, "message": message, "detail": self.detail}})


def pending_approval() -> RunFailedError:
    """Return the failure of a message sent while tool calls wait for an answer."""
    return RunFailedError(PENDING_APPROVAL, 409, None, ("internal_error", PENDING_APPROVAL))


def bad_answer(detail: str) -> RunFailedError:
    """Return the failure of an approval or a tool return that does not fit what is pending."""
    message = "An unknown error occurred with the LLM streaming request."
    return RunFailedError(detail, 400, None, ("internal_error", message))


def unknown_failure(told: str) -> RunFailedError:
    """Return the failure of which the real server tells a stream what it was about, and JSON nothing."""
    message = "An unknown error occurred with the LLM streaming request."
    return RunFailedError("An unknown error occurred", 500, None, ("internal_error", message), told=told)


_LLM_ERROR = ("llm_error", "An error occurred with the LLM request.")
_BAD_REQUEST = ("llm_bad_request", "The request to the LLM model provider was invalid.")
_UNAUTHENTICATED = ("llm_authentication", "Authentication failed with the LLM model provider.")
_RATE_LIMIT = (
    "llm_rate_limit",
    "Rate limit exceeded for LLM model provider. Please wait before making another request.",
)

# The model's status: our status, the JSON error, the stream's error, how the detail begins, the exception's name.
_MODEL_FAILURES: dict[int, tuple[int, tuple[str, str], tuple[str, str], str, str]] = {
    400: (
        400,
        _BAD_REQUEST,
        _LLM_ERROR,
        "INVALID_ARGUMENT: Bad request to OpenAI-compatible endpoint",
        "LLMBadRequestError",
    ),
    401: (
        401,
        _UNAUTHENTICATED,
        _UNAUTHENTICATED,
        "UNAUTHENTICATED: Authentication failed with OpenAI",
        "LLMAuthenticationError",
    ),
    403: (
        500,
        _LLM_ERROR,
        _LLM_ERROR,
        "PERMISSION_DENIED: Permission denied by OpenAI",
        "LLMPermissionDeniedError",
    ),
    404: (500, _LLM_ERROR, _LLM_ERROR, "NOT_FOUND: Resource not found in OpenAI", "LLMNotFoundError"),
    422: (
        500,
        _LLM_ERROR,
        _LLM_ERROR,
        "INVALID_ARGUMENT: Invalid request content for OpenAI",
        "LLMUnprocessableEntityError",
    ),
    429: (429, _RATE_LIMIT, _RATE_LIMIT, "RATE_LIMIT_EXCEEDED: Rate limited by OpenAI", "LLMRateLimitError"),
}


def model_failure(model_status: int) -> RunFailedError:
    """Return the failure of a run whose model answered with that status."""
    said = f"Error code: {model_status} - {{'error': {{'message': 'asked to fail', 'type': 'server_error'}}}}"
    if model_status == 413:
        detail = f"CONTEXT_WINDOW_EXCEEDED: Request too large for OpenAI (413): {said} ({{'is_byok': False}})"
        message = "An unknown error occurred with the LLM streaming request."
        exception = "ContextWindowExceededError"
        return RunFailedError(detail, 400, None, ("internal_error", message), exception=exception, overflow=True)
    known = _MODEL_FAILURES.get(model_status)
    if known is None and 400 <= model_status < 500:
        known = (400, _BAD_REQUEST, _LLM_ERROR, "INVALID_ARGUMENT: OpenAI API error", "LLMBadRequestError")
    if known is None:
        known = (500, _LLM_ERROR, _LLM_ERROR, "INTERNAL_SERVER_ERROR: OpenAI API error", "LLMServerError")
    status, json_error, stream_error, prefix, exception = known
    return RunFailedError(f"{prefix}: {said}", status, json_error, stream_error, "llm_api_error", exception)
