"""The hierarchy of error classes, compatible with `letta-client` 1.12.1."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

import letta_ext
from letta_ext import (
    APIStatusError,
    ConversationBusyError,
    LettaError,
    PendingApprovalError,
    RunError,
    RunExpiredError,
    StreamInterrupted,
)
from letta_ext._http.errors_from_response import run_error, status_error

PUBLISHED: dict[str, str] = {
    "LettaError": "Exception",
    "APIError": "LettaError",
    "APIStatusError": "APIError",
    "APIConnectionError": "APIError",
    "APITimeoutError": "APIConnectionError",
    "APIResponseValidationError": "APIError",
    "BadRequestError": "APIStatusError",
    "AuthenticationError": "APIStatusError",
    "PermissionDeniedError": "APIStatusError",
    "NotFoundError": "APIStatusError",
    "ConflictError": "APIStatusError",
    "UnprocessableEntityError": "APIStatusError",
    "RateLimitError": "APIStatusError",
    "InternalServerError": "APIStatusError",
}
PUBLISHED_STATUSES = {
    400: "BadRequestError",
    401: "AuthenticationError",
    403: "PermissionDeniedError",
    404: "NotFoundError",
    409: "ConflictError",
    422: "UnprocessableEntityError",
    429: "RateLimitError",
    **dict.fromkeys(range(500, 600), "InternalServerError"),
}
OURS: dict[type[LettaError], str] = {
    ConversationBusyError: "ConflictError",
    PendingApprovalError: "ConflictError",
    RunExpiredError: "APIStatusError",
    RunError: "APIStatusError",
    StreamInterrupted: "APIConnectionError",
}


@pytest.mark.parametrize(("name", "parent"), PUBLISHED.items())
def test_error_classes_of_letta_client_exist_with_same_parent(name: str, parent: str) -> None:
    """Each error class of `letta-client` exists with the same parent."""
    assert [base.__name__ for base in getattr(letta_ext, name).__bases__] == [parent]


@pytest.mark.parametrize(("cls", "parent"), OURS.items())
def test_additional_error_classes_derive_from_letta_client_classes(cls: type[LettaError], parent: str) -> None:
    """Each additional class derives from one of `letta-client`, so existing handlers catch it."""
    assert [base.__name__ for base in cls.__bases__] == [parent]
    assert getattr(letta_ext, cls.__name__) is cls


@pytest.mark.parametrize("body", [None, "busy", {"detail": "x", "run_id": "run-1"}, {"detail": "waiting for approval"}])
def test_status_maps_to_same_class_as_in_letta_client(body: Any) -> None:
    """Every status maps to the class that `letta-client` raises."""
    for status in range(300, 600):
        error = status_error(httpx.Request("GET", "http://x/v1/x"), status, {}, body)
        assert isinstance(error, getattr(letta_ext, PUBLISHED_STATUSES.get(status, "APIStatusError"))), status
        shared = [name for name in PUBLISHED if isinstance(error, getattr(letta_ext, name))]
        assert len(shared) == (4 if status in PUBLISHED_STATUSES else 3), (status, shared)
        assert error.status_code == status


@pytest.mark.parametrize(
    ("words", "status"), [("it broke", 502), ("The agent is waiting for approval on a tool call.", 409)]
)
def test_streamed_error_is_api_status_error_with_error_status(words: str, status: int) -> None:
    """A streamed error is an `APIStatusError`, whose status reports no success when a program passes it on."""
    event = {"message_type": "error_message", "detail": words}
    error = run_error(event, httpx.Request("POST", "http://x/v1/x"))
    assert isinstance(error, APIStatusError)
    assert (error.status_code, error.response.status_code, error.response.json()) == (status, status, event)
    assert (error.request.method, str(error.request.url)) == ("POST", "http://x/v1/x")
