"""Every refusal and failure that the server is known for, under its own name."""

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

from .reading import asked, collect, said, words
from .scene import Agent, Scene
from .talking import eventually, messages

pytestmark = pytest.mark.anyio

NO_STEP: Final = "step-00000000-0000-4000-8000-000000000000"
NO_CONVERSATION: Final = "conv-00000000-0000-4000-8000-000000000000"
NO_RUN: Final = "run-00000000-0000-4000-8000-000000000000"

Deed: TypeAlias = Callable[[AsyncLetta, str], Awaitable[object]]


def sending(streaming: bool = False, **arguments: Any) -> Deed:
    return lambda client, where: client.conversations.messages.create(where, streaming=streaming, **arguments)


# fmt: off
REFUSALS: Final[dict[str, tuple[Deed, type[APIStatusError], str]]] = {
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
    # In `extra_body`, for the client refuses these by itself.
    "send with a bad role": (
        sending(extra_body={"messages": [{"role": "alien", "content": "x"}]}), UnprocessableEntityError, "alien"),
    "compact in a bad mode": (
        lambda client, where: client.conversations.messages.compact(
            where, extra_body={"compaction_settings": {"mode": "sideways"}}),
        UnprocessableEntityError, "sideways"),
    "send nothing": (
        sending(extra_body={"messages": []}), UnprocessableEntityError, "Messages must not be empty"),
    "stream nothing": (
        sending(True, extra_body={"messages": []}), UnprocessableEntityError, "Messages must not be empty"),
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
    "the model knows nobody": (sending(input="FAIL 401"), AuthenticationError, "asked to fail"),
}
# fmt: on


@pytest.mark.parametrize("what", REFUSALS)
async def test_a_refusal(client: AsyncLetta, conversation: str, what: str) -> None:
    deed, kind, words_of_the_server = REFUSALS[what]

    with pytest.raises(kind) as caught:
        await deed(client, conversation)

    fault = caught.value
    assert type(fault) is kind
    assert isinstance(fault, (APIError, LettaError))
    assert words_of_the_server in (fault.detail or "")
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
async def test_a_model_that_fails(
    client: AsyncLetta, conversation: str, status: int, kind: type[APIStatusError], error_type: str
) -> None:
    with pytest.raises(kind, match="asked to fail") as caught:
        await client.conversations.messages.create(conversation, input=f"FAIL {status}", streaming=False)

    fault = caught.value
    assert (fault.status_code, fault.error_type) == (status, error_type)
    again = pickle.loads(pickle.dumps(fault))
    assert type(again) is type(fault)
    assert (str(again), again.body, again.error_type) == (str(fault), fault.body, fault.error_type)


@pytest.mark.parametrize(("status", "background"), [(400, False), (400, True), (429, True), (500, False)])
async def test_a_streamed_run_that_fails(client: AsyncLetta, conversation: str, status: int, background: bool) -> None:
    async with await client.conversations.messages.create(
        conversation, input=f"FAIL {status}", stream_tokens=True, background=background
    ) as stream:
        with pytest.raises(RunError, match="asked to fail") as caught:
            await collect(stream)

    fault = caught.value
    assert fault.run_id == stream.run_id is not None
    assert fault.error_type in ("llm_error", "llm_rate_limit")
    assert f"Error code: {status}" in (fault.detail or "")
    # What has failed is over: the conversation takes the next message.
    answer = await client.conversations.messages.create(conversation, input="LONG 1", streaming=False)
    assert said(answer.messages) == "word0"


@pytest.mark.parametrize("background", [False, True])
async def test_a_busy_conversation(client: AsyncLetta, conversation: str, scene: Scene, background: bool) -> None:
    async with await client.conversations.messages.create(
        conversation, input="LONG 500", stream_tokens=True, background=True
    ) as stream:
        async for _ in stream:
            break
        with pytest.raises(ConversationBusyError) as caught:
            await client.conversations.messages.create(conversation, input="me too", background=background)
        scene.cancel(conversation)

    assert isinstance(caught.value, ConflictError)
    assert caught.value.run_id == stream.run_id is not None
    assert caught.value.status_code == 409
    assert "me too" not in asked(await messages(client, conversation))


async def test_an_answer_at_once_waits_for_nobody(client: AsyncLetta, conversation: str) -> None:
    # A fact of 0.16.8 to know about: without streaming it answers in the midst of another run, and refuses nothing.
    async with await client.conversations.messages.create(
        conversation, input="LONG 20", stream_tokens=True, background=True
    ) as stream:
        answer = await client.conversations.messages.create(conversation, input="LONG 2", streaming=False)
        events = await collect(stream)

    assert said(answer.messages) == words(2).strip()
    assert said(events) == words(20)


async def test_waiting_until_a_conversation_is_free(client: AsyncLetta, conversation: str) -> None:
    async with await client.conversations.messages.create(
        conversation, input="LONG 20", stream_tokens=True, background=True
    ) as stream:
        async for _ in stream:
            break

    async with await client.conversations.messages.create(conversation, input="LONG 2", when_busy="wait") as stream:
        assert said(await collect(stream)).split() == words(2).split()

    assert asked(await messages(client, conversation)) == ["LONG 20", "LONG 2"]


async def test_a_pending_approval(client: AsyncLetta, conversation: str, agent: Agent) -> None:
    answer = await client.conversations.messages.create(conversation, input=f"CALL {agent.guarded}", streaming=False)
    assert answer.stop_reason.stop_reason == "requires_approval"

    with pytest.raises(PendingApprovalError) as refused:
        await client.conversations.messages.create(conversation, input="hello?", streaming=False)
    assert refused.value.status_code == 409

    # Streamed, the same refusal is an event behind a status of 200.
    for background in (False, True):
        async with await client.conversations.messages.create(
            conversation, input="hello?", background=background
        ) as stream:
            with pytest.raises(PendingApprovalError) as streamed:
                await collect(stream)
        assert isinstance(streamed.value, ConflictError)
        assert streamed.value.run_id == stream.run_id is not None
        assert "waiting for approval" in (streamed.value.detail or "")


async def test_an_answer_that_comes_too_late_is_not_asked_for_again(client: AsyncLetta, conversation: str) -> None:
    with pytest.raises(APITimeoutError):
        await client.conversations.messages.create(
            conversation, input="LONG 2", streaming=False, timeout=httpx.Timeout(10, read=0.01)
        )

    # The server was not told that nobody waits: it answers once, to one message.
    found = await eventually(client, conversation, lambda found: bool(said(found)))
    assert (asked(found), said(found)) == (["LONG 2"], "word0 word1")


async def test_the_client_refuses_what_it_knows_to_be_wrong(client: AsyncLetta, conversation: str) -> None:
    alien: dict[str, Any] = {"messages": [{"role": "alien", "content": "x"}]}
    with pytest.raises(ValueError, match="role"):
        await client.conversations.messages.create(conversation, **alien)
    with pytest.raises(ValueError, match="step_id"):
        await client.steps.retrieve("..")

    assert await messages(client, conversation) != []
    assert asked(await messages(client, conversation)) == []
