"""A service, and its tests as users write them: a mock of the client, and mocked responses."""

from __future__ import annotations

from datetime import UTC, datetime
from unittest.mock import Mock

import httpx
import respx

from letta_ext import Letta, NotFoundError
from letta_ext.types import Step
from letta_ext.types.agents import AssistantMessage

URL = "http://letta.test"


def describe(client: Letta, step_id: str) -> str:
    """Return a line about a step."""
    try:
        step = client.steps.retrieve(step_id)
    except NotFoundError as error:
        return f"{step_id}: {error.status_code} {error.response.status_code}"
    return f"{step.id}: {step.model} {step.total_tokens}"


def mocked_client() -> str:
    """Return the line of a client whose methods are replaced."""
    client = Mock(spec=Letta)
    client.steps.retrieve.return_value = Step.model_construct(id="step-1", model="gpt", total_tokens=3)
    return describe(client, "step-1")


def mocked_failure() -> str:
    """Return the line of a client whose method raises an error that the test builds."""
    client = Mock(spec=Letta)
    response = httpx.Response(404, request=httpx.Request("GET", f"{URL}/v1/steps/step-2"))
    client.steps.retrieve.side_effect = NotFoundError("Not found", response=response, body={"detail": "Not found"})
    return describe(client, "step-2")


def mocked_responses() -> list[str]:
    """Return the lines of a client whose HTTP responses are mocked."""
    with respx.mock(base_url=URL) as router, Letta(base_url=URL, api_key="k", max_retries=0) as client:
        step = {"id": "step-1", "model": "gpt", "total_tokens": 3, "origin": None}
        router.get("/v1/steps/step-1").respond(json=step)
        router.get("/v1/steps/step-2").respond(404, json={"detail": "Not found"})
        return [describe(client, "step-1"), describe(client, "step-2")]


def message() -> AssistantMessage:
    """Return a message as tests build it."""
    return AssistantMessage(id="message-1", date=datetime(2026, 1, 1, tzinfo=UTC), content="Hello")


def copied_message() -> str:
    """Return the JSON of a changed copy, read again."""
    copy = message().model_copy(update={"content": "Bye"})
    again = AssistantMessage.model_validate_json(copy.model_dump_json())
    return str(again.model_dump(exclude_unset=True)["content"])
