"""Models where programs put objects, for strict mypy and strict pyright. Nothing here runs."""
# pyright: reportUnnecessaryTypeIgnoreComment=true

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any, assert_type

from letta_api.models import AssistantMessage, ClientTool, MessageCreate, Step, ToolCallMessage
from letta_ext import Letta, SyncPage
from letta_ext.types import Message, UnknownMessage, is_unknown


def dumps(step: Step) -> None:
    assert_type(step.model_dump(mode="json", exclude_none=True, exclude_unset=True, by_alias=True), dict[str, Any])
    assert_type(step.model_dump_json(indent=2), str)
    assert_type(step.model_copy(update={"model": "a/b"}, deep=True), Step)
    assert_type(Step.model_validate({"id": "step-1"}), Step)
    assert_type(Step.model_validate_json(b"{}"), Step)
    assert_type(Step.model_construct(id="step-1"), Step)
    assert_type(step.model_fields_set, set[str])
    assert_type(step.model_extra, dict[str, Any])
    assert_type(step.to_dict(mode="python"), dict[str, Any])
    assert_type(step.to_json(indent=2), str)
    assert_type(dict(step), dict[str, Any])
    step.to_dict(mode="xml")  # type: ignore[arg-type]


def fields(step: Step) -> None:
    assert_type(step.api_model_handle, str | None)
    assert_type(step.api_model_endpoint, str | None)
    step.api_model_handle = "a/b"
    print(step.modle)  # type: ignore[attr-defined]
    Step(modle="a/b")  # type: ignore[call-arg]


def unknown(message: UnknownMessage) -> None:
    assert_type(message.id, str | None)
    assert_type(message.date, datetime | None)
    assert_type(message.seq_id, int | None)
    assert_type(message.to_json(), str)
    print(message.content)  # type: ignore[attr-defined]


def narrowed(client: Letta, id: str) -> None:
    for message in client.conversations.messages.list(id):
        print(message.message_type, message.id, message.date, message.otid, message.run_id, message.seq_id)
        print(message.to_json())
        if message.message_type == "assistant_message":
            assert_type(message, AssistantMessage)
        elif message.message_type == "tool_call_message":
            assert_type(message, ToolCallMessage)
        elif is_unknown(message):
            assert_type(message, UnknownMessage)


def matched(message: Message) -> None:
    match message.message_type:
        case "assistant_message":
            print(message.message_type)
        case _:
            pass


def arguments(client: Letta, id: str) -> None:
    page = client.steps.list(
        start_date=date(2026, 1, 1),
        end_date=datetime.now(UTC),
        tags=(tag for tag in ("a", "b")),
        trace_ids=None,
        after=None,
        limit=None,
        has_feedback=None,
    )
    assert_type(page, SyncPage[Step])
    client.steps.list(order=None)  # type: ignore[arg-type]
    client.steps.list(start_date=7)  # type: ignore[arg-type]
    client.conversations.messages.create(
        id,
        messages=(MessageCreate(role="user", content=text) for text in ("a", "b")),
        client_tools=iter([ClientTool(name="look")]),
        retry=None,
        max_retries=0,
        hooks=None,
    )
    client.agents.update("agent-1", last_run_completion=datetime.now(UTC))
    client.get("/v1/x", params={})  # type: ignore[call-arg]
