"""The tree of error classes, compatible with that of the published client, `letta-client` 1.12.1."""

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
def test_the_classes_of_the_published_client_are_here(name: str, parent: str) -> None:
    assert [base.__name__ for base in getattr(letta_ext, name).__bases__] == [parent]


@pytest.mark.parametrize(("cls", "parent"), OURS.items())
def test_ours_are_caught_as_theirs(cls: type[LettaError], parent: str) -> None:
    assert [base.__name__ for base in cls.__bases__] == [parent]
    assert getattr(letta_ext, cls.__name__) is cls


@pytest.mark.parametrize("body", [None, "busy", {"detail": "x", "run_id": "run-1"}, {"detail": "waiting for approval"}])
def test_each_status_has_the_class_that_it_has_there(body: Any) -> None:
    for status in range(300, 600):
        error = status_error(httpx.Request("GET", "http://x/v1/x"), status, {}, body)
        assert isinstance(error, getattr(letta_ext, PUBLISHED_STATUSES.get(status, "APIStatusError"))), status
        theirs = [name for name in PUBLISHED if isinstance(error, getattr(letta_ext, name))]
        assert len(theirs) == (4 if status in PUBLISHED_STATUSES else 3), (status, theirs)
        assert error.status_code == status


def test_a_streamed_error_is_a_status_error_on_200_as_it_is_there() -> None:
    for words in ("it broke", "The agent is waiting for approval on a tool call."):
        error = run_error({"message_type": "error_message", "detail": words})
        assert isinstance(error, APIStatusError)
        assert error.status_code == 200
