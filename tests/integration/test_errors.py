"""The documented error responses and failed runs of the server, and their error classes."""

from __future__ import annotations

import pickle
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeAlias

import httpx
import pytest

from letta_ext import (
    APIError,
    APIStatusError,
    APITimeoutError,
    AsyncLetta,
    AuthenticationError,
    BadRequestError,
    ConflictError,
    ConversationBusyError,
    InternalServerError,
    LettaError,
    NotFoundError,
    PendingApprovalError,
    RateLimitError,
    RunError,
    UnprocessableEntityError,
)

from .reading import assistant_text, collect, user_texts, words
from .server_resources import Agent, ServerResources
from .talking import messages, wait_for_messages

pytestmark = pytest.mark.anyio

NO_STEP: Final = "step-00000000-0000-4000-8000-000000000000"
NO_CONVERSATION: Final = "conv-00000000-0000-4000-8000-000000000000"
NO_RUN: Final = "run-00000000-0000-4000-8000-000000000000"

Operation: TypeAlias = Callable[[AsyncLetta, str], Awaitable[object]]


def sender(streaming: bool = False, **arguments: Any) -> Operation:
    return lambda client, where: client.conversations.messages.create(where, streaming=streaming, **arguments)


# fmt: off
ERROR_RESPONSES: Final[dict[str, tuple[Operation, type[APIStatusError], str]]] = {
    "send to a bad id": (
        lambda client, _: client.conversations.messages.create("nonsense", input="x"),
        UnprocessableEntityError, "conversation_id"),
    "list with a bad id": (
        lambda client, _: client.conversations.messages.list("nonsense"),
        UnprocessableEntityError, "conversation_id"),
    "resume with a bad id": (
        lambda client, _: client.conversations.messages.stream("nonsense"),
        UnprocessableEntityError, "conversation_id"),
    "step with a bad id": (
        lambda client, _: client.steps.retrieve("abc"), UnprocessableEntityError, "step_id"),
    # In `extra_body`, because the client rejects these itself.
    "send with a bad role": (
        sender(extra_body={"messages": [{"role": "alien", "content": "x"}]}), UnprocessableEntityError, "alien"),
    "compact in a bad mode": (
        lambda client, where: client.conversations.messages.compact(
            where, extra_body={"compaction_settings": {"mode": "sideways"}}),
        UnprocessableEntityError, "sideways"),
    "send to nowhere": (
        lambda client, _: client.conversations.messages.create(NO_CONVERSATION, input="x", streaming=False),
        NotFoundError, NO_CONVERSATION),
    "stream to nowhere": (
        lambda client, _: client.conversations.messages.create(NO_CONVERSATION, input="x"),
        NotFoundError, NO_CONVERSATION),
    "compact nothing": (
        lambda client, _: client.conversations.messages.compact(NO_CONVERSATION), NotFoundError, NO_CONVERSATION),
    "retrieve no step": (
        lambda client, _: client.steps.retrieve(NO_STEP), NotFoundError, NO_STEP),
    "metrics of no step": (
        lambda client, _: client.steps.metrics.retrieve(NO_STEP), NotFoundError, NO_STEP),
    "feedback on no step": (
        lambda client, _: client.steps.feedback.create(NO_STEP, feedback="positive"), NotFoundError, NO_STEP),
    "resume an unknown otid": (
        lambda client, where: client.conversations.messages.stream(where, otid="nope"), NotFoundError, "otid=nope"),
    "resume an unknown run": (
        lambda client, where: client.conversations.messages.stream(where, run_id=NO_RUN), NotFoundError, NO_RUN),
    "resume where nothing runs": (
        lambda client, where: client.conversations.messages.stream(where), BadRequestError, "No active runs found"),
    "model rejects credentials": (sender(input="FAIL 401"), AuthenticationError, "asked to fail"),
}
# fmt: on


@pytest.mark.parametrize("case", ERROR_RESPONSES)
async def test_error_response_has_documented_class(client: AsyncLetta, conversation: str, case: str) -> None:
    """Each error response has its class, detail, body and a one-line message."""
    operation, kind, detail = ERROR_RESPONSES[case]

    with pytest.raises(kind) as caught:
        await operation(client, conversation)

    fault = caught.value
    assert type(fault) is kind
    assert isinstance(fault, (APIError, LettaError))
    assert detail in (fault.detail or "")
    assert isinstance(fault.body, dict)
    assert "\n" not in str(fault)
    assert str(fault.status_code) in str(fault)


@pytest.mark.parametrize(
    ("status", "kind", "error_type"),
    [
        (400, BadRequestError, "llm_bad_request"),
        (429, RateLimitError, "llm_rate_limit"),
        (500, InternalServerError, "llm_error"),
    ],
)
async def test_failed_model_call_raises_class_of_status(
    client: AsyncLetta, conversation: str, status: int, kind: type[APIStatusError], error_type: str
) -> None:
    """A failed model call raises the class of its status, which can be pickled."""
    with pytest.raises(kind, match="asked to fail") as caught:
        await client.conversations.messages.create(conversation, input=f"FAIL {status}", streaming=False)

    fault = caught.value
    assert (fault.status_code, fault.error_type) == (status, error_type)
    again = pickle.loads(pickle.dumps(fault))
    assert type(again) is type(fault)
    assert (str(again), again.body, again.error_type) == (str(fault), fault.body, fault.error_type)


@pytest.mark.parametrize(("status", "background"), [(400, False), (400, True), (429, True), (500, False)])
async def test_failed_streamed_run_raises_run_error_and_frees_conversation(
    client: AsyncLetta, conversation: str, status: int, background: bool
) -> None:
    """A failed run raises `RunError`, and the conversation takes the next message."""
    async with await client.conversations.messages.create(
        conversation, input=f"FAIL {status}", stream_tokens=True, background=background
    ) as stream:
        with pytest.raises(RunError, match="asked to fail") as caught:
            await collect(stream)

    fault = caught.value
    assert fault.run_id == stream.run_id is not None
    assert fault.error_type in ("llm_error", "llm_rate_limit")
    assert f"Error code: {status}" in (fault.detail or "")
    # The failed run has ended: the conversation takes the next message.
    response = await client.conversations.messages.create(conversation, input="LONG 1", streaming=False)
    assert assistant_text(response.messages) == "word0"


@pytest.mark.parametrize("background", [False, True])
async def test_send_to_busy_conversation_raises_with_run_id(
    client: AsyncLetta, conversation: str, resources: ServerResources, background: bool
) -> None:
    """A busy conversation raises `ConversationBusyError` with the active run."""
    async with await client.conversations.messages.create(
        conversation, input="LONG 500", stream_tokens=True, background=True
    ) as stream:
        async for _ in stream:
            break
        with pytest.raises(ConversationBusyError) as caught:
            await client.conversations.messages.create(conversation, input="me too", background=background)
        resources.cancel(conversation)

    assert isinstance(caught.value, ConflictError)
    assert caught.value.run_id == stream.run_id is not None
    assert caught.value.status_code == 409
    assert "me too" not in user_texts(await messages(client, conversation))


async def test_json_send_during_other_run_is_processed(client: AsyncLetta, conversation: str) -> None:
    """Without streaming, the server processes a send during another run."""
    # Letta 0.16.8 does not lock the conversation for sends without streaming.
    async with await client.conversations.messages.create(
        conversation, input="LONG 20", stream_tokens=True, background=True
    ) as stream:
        response = await client.conversations.messages.create(conversation, input="LONG 2", streaming=False)
        events = await collect(stream)

    assert assistant_text(response.messages) == words(2).strip()
    assert assistant_text(events) == words(20)


async def test_send_with_when_busy_wait_is_sent_after_active_run(client: AsyncLetta, conversation: str) -> None:
    """`when_busy="wait"` sends after the active run."""
    async with await client.conversations.messages.create(
        conversation, input="LONG 20", stream_tokens=True, background=True
    ) as stream:
        async for _ in stream:
            break

    async with await client.conversations.messages.create(conversation, input="LONG 2", when_busy="wait") as stream:
        assert assistant_text(await collect(stream)).split() == words(2).split()

    assert user_texts(await messages(client, conversation)) == ["LONG 20", "LONG 2"]


async def test_send_with_pending_approval_raises_pending_approval_error(
    client: AsyncLetta, conversation: str, agent: Agent
) -> None:
    """A pending approval raises the same error with and without streaming."""
    response = await client.conversations.messages.create(conversation, input=f"CALL {agent.guarded}", streaming=False)
    assert response.stop_reason.stop_reason == "requires_approval"

    with pytest.raises(PendingApprovalError) as refused:
        await client.conversations.messages.create(conversation, input="hello?", streaming=False)
    assert refused.value.status_code == 409

    # Streamed, the same error is an event with status 200.
    for background in (False, True):
        async with await client.conversations.messages.create(
            conversation, input="hello?", background=background
        ) as stream:
            with pytest.raises(PendingApprovalError) as streamed:
                await collect(stream)
        assert isinstance(streamed.value, ConflictError)
        assert streamed.value.run_id == stream.run_id is not None
        assert "waiting for approval" in (streamed.value.detail or "")


async def test_read_timeout_of_send_is_not_retried(client: AsyncLetta, conversation: str) -> None:
    """A read timeout is not retried; the server processes the message once."""
    with pytest.raises(APITimeoutError):
        await client.conversations.messages.create(
            conversation, input="LONG 2", streaming=False, timeout=httpx.Timeout(10, read=0.01)
        )

    # The server finishes its response although the client has disconnected.
    found = await wait_for_messages(client, conversation, lambda found: bool(assistant_text(found)))
    assert (user_texts(found), assistant_text(found)) == (["LONG 2"], "word0 word1")


async def test_invalid_arguments_raise_before_sending(client: AsyncLetta, conversation: str) -> None:
    """The client rejects invalid arguments, and the server receives nothing."""
    alien: dict[str, Any] = {"messages": [{"role": "alien", "content": "x"}]}
    with pytest.raises(ValueError, match="role"):
        await client.conversations.messages.create(conversation, **alien)
    with pytest.raises(ValueError, match="step_id"):
        await client.steps.retrieve("..")

    assert await messages(client, conversation) != []
    assert user_texts(await messages(client, conversation)) == []
