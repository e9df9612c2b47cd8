"""Error responses with the texts of Letta 0.16.8."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..store.ids import ORGANIZATION_ID, USER_ID

PENDING_APPROVAL = (
    "CONFLICT: Cannot send a new message: The agent is waiting for approval on a tool call. "
    "Please approve or deny the pending request before continuing."
)
NO_PENDING_CALL = (
    "Cannot process approval response: No tool call is currently awaiting approval. "
    "Please send a regular message to interact with the agent."
)
EMPTY_APPROVALS = "Invalid approval response. Approval response message does not contain any approvals."
EMPTY_RETURN = "1 validation error for ToolReturnMessage\ntool_return\n  Input should be a valid string"
NOTHING_TO_COMPACT = (
    "Summarization failed to reduce the number of messages. You may not have enough messages to compact or need to "
    "use a different CompactionSettings (e.g. using `all` mode)."
)

# Letta includes its default user, with dates, in every "not found" text.
_ACTOR = (
    f"id='{USER_ID}' organization_id='{ORGANIZATION_ID}' name='default_user' "
    "created_at=datetime.datetime(2026, 1, 1, 0, 0, tzinfo=TzInfo(0)) "
    "updated_at=datetime.datetime(2026, 1, 1, 0, 0, tzinfo=TzInfo(0)) is_deleted=False"
)


class ApiError(Exception):
    """An error response with a status code and a JSON body."""

    def __init__(self, status: int, body: Mapping[str, object]) -> None:
        super().__init__(f"{status}: {body}")
        self.status = status
        self.body = body


def plain(status: int, detail: str) -> ApiError:
    """Return an error with the body ``{"detail": "..."}``."""
    return ApiError(status, {"detail": detail})


def not_found(kind: str, object_id: str) -> ApiError:
    """Return the 404 of an object that does not exist."""
    return plain(404, f"{kind} not found with id='['{object_id}']', access level in ['read'] for actor='{_ACTOR}'")


def conversation_not_found(object_id: str) -> ApiError:
    """Return the 404 of a conversation. Only this text contains the deletion flag."""
    error = not_found("Conversation", object_id)
    return plain(404, f"{error.body['detail']}, is_deleted=False")


def agent_not_found(object_id: str | None = None) -> ApiError:
    """Return the 404 of an agent. The text of requests to an agent contains its id."""
    if object_id is None:
        return plain(404, "Agent not found")
    return plain(404, f"Agent with ID {object_id} not found")


def unknown_handle(handle: str) -> ApiError:
    """Return the 404 of a model that does not exist."""
    return plain(404, f"NOT_FOUND: Handle {handle} not found, must be one of")


def invalid_argument(detail: str) -> ApiError:
    """Return the 400 of an invalid argument."""
    return plain(400, f"INVALID_ARGUMENT: {detail}")


def invalid_id(kind: str, object_id: str) -> ApiError:
    """Return the 400 of a malformed id."""
    return invalid_argument(f"Invalid {kind} ID format: {object_id}. Expected format: '{kind}-<uuid4>'")


def busy(run_id: str) -> ApiError:
    """Return the 409 of a conversation that is processing another message."""
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


def validation(problems: Sequence[Mapping[str, object]], example: str | None = None) -> ApiError:
    """Return the 422 of an invalid request.

    Args:
        problems: Errors in the format of pydantic.
        example: A valid id, which Letta adds for a malformed step id.
    """
    body: dict[str, object] = {"trace_id": "", "detail": repr(list(problems))}
    if example is not None:
        body["examples"] = [example]
    return ApiError(422, body)


@dataclass(eq=False)
class RunFailedError(Exception):
    """The failure of a run, in the forms of Letta's JSON and stream responses.

    Attributes:
        detail: The description that the server stores.
        status: Status code of the JSON response.
        json_error: Type and message of ``error`` in the JSON response. None returns a bare ``detail``.
        stream_error: Type and message of the ``error_message`` in a stream.
        stop_reason: Stop reason of the stream.
        exception: Name of the server's exception in a failed step.
        overflow: Whether the context exceeded the context window.
        stream_detail: ``detail`` of the ``error_message`` in a stream, if it differs from ``detail``.
    """

    detail: str
    status: int
    json_error: tuple[str, str] | None
    stream_error: tuple[str, str]
    stop_reason: str = "error"
    exception: str = "Exception"
    overflow: bool = False
    stream_detail: str | None = None

    def as_response(self) -> ApiError:
        """Return the response to a request with ``streaming=false``."""
        if self.json_error is None:
            return plain(self.status, self.detail)
        kind, message = self.json_error
        return ApiError(self.status, {"error": {"type": kind, "message": message, "detail": self.detail}})


def pending_approval() -> RunFailedError:
    """Return the failure of a message sent while a tool call waits for approval."""
    return RunFailedError(PENDING_APPROVAL, 409, None, ("internal_error", PENDING_APPROVAL))


def invalid_approval(detail: str) -> RunFailedError:
    """Return the failure of an approval or a tool return that does not match the pending calls."""
    message = "An unknown error occurred with the LLM streaming request."
    return RunFailedError(detail, 400, None, ("internal_error", message))


def unknown_failure(stream_detail: str) -> RunFailedError:
    """Return the failure whose cause Letta reports only in streams."""
    message = "An unknown error occurred with the LLM streaming request."
    return RunFailedError(
        "An unknown error occurred", 500, None, ("internal_error", message), stream_detail=stream_detail
    )


_LLM_ERROR = ("llm_error", "An error occurred with the LLM request.")
_BAD_REQUEST = ("llm_bad_request", "The request to the LLM model provider was invalid.")
_UNAUTHENTICATED = ("llm_authentication", "Authentication failed with the LLM model provider.")
_RATE_LIMIT = (
    "llm_rate_limit",
    "Rate limit exceeded for LLM model provider. Please wait before making another request.",
)

# By the model's status: status, JSON error, stream error, prefix of the detail, exception name.
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
    """Return the failure of a run whose model failed with a status code."""
    provider_error = f"Error code: {model_status} - {{'error': {{'message': 'asked to fail', 'type': 'server_error'}}}}"
    if model_status == 413:
        detail = f"CONTEXT_WINDOW_EXCEEDED: Request too large for OpenAI (413): {provider_error} ({{'is_byok': False}})"
        message = "An unknown error occurred with the LLM streaming request."
        exception = "ContextWindowExceededError"
        return RunFailedError(detail, 400, None, ("internal_error", message), exception=exception, overflow=True)
    failure = _MODEL_FAILURES.get(model_status)
    if failure is None and 400 <= model_status < 500:
        failure = (400, _BAD_REQUEST, _LLM_ERROR, "INVALID_ARGUMENT: OpenAI API error", "LLMBadRequestError")
    if failure is None:
        failure = (500, _LLM_ERROR, _LLM_ERROR, "INTERNAL_SERVER_ERROR: OpenAI API error", "LLMServerError")
    status, json_error, stream_error, prefix, exception = failure
    return RunFailedError(f"{prefix}: {provider_error}", status, json_error, stream_error, "llm_api_error", exception)
