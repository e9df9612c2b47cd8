"""What a stream makes of its events: `messages()`, `text()`, `result()`."""

from __future__ import annotations

from typing import Any, Final

import pytest

from letta_api.models import AssistantMessage
from letta_ext import AsyncLetta

from .reading import SIX_WORDS, collect, kinds, plain, said, thought, tool_calls, words
from .talking import CLIENT_TOOLS, messages

pytestmark = pytest.mark.anyio

MODES: Final[list[dict[str, Any]]] = [
    {"stream_tokens": False, "background": False},
    {"stream_tokens": True, "background": False},
    {"stream_tokens": True, "background": True},
]
"""The ways to stream: in steps, in tokens, and in tokens from a run in the background."""

modes = pytest.mark.parametrize("mode", MODES, ids=["steps", "tokens", "background"])

FLEETING: Final = {"seq_id", "run_id", "date"}
"""What differs between a message that was listed and one that was streamed, or between two turns."""


def lasting(items: list[Any]) -> list[dict[str, Any]]:
    return [{key: value for key, value in item.items() if key not in FLEETING} for item in plain(items)]


@modes
async def test_whole_messages(client: AsyncLetta, conversation: str, mode: dict[str, Any]) -> None:
    async with await client.conversations.messages.create(conversation, input="REASON", **mode) as stream:
        whole = await collect(stream.messages())

    assert kinds(whole) == ["reasoning_message", "assistant_message"]
    assert lasting(whole) == lasting((await messages(client, conversation))[-2:])


@modes
async def test_text_alone(client: AsyncLetta, conversation: str, mode: dict[str, Any]) -> None:
    async with await client.conversations.messages.create(conversation, input="REASON LONG 7", **mode) as stream:
        pieces = await collect(stream.text())

    assert "".join(pieces).split() == words(7).split()
    assert len([piece for piece in pieces if piece]) == (7 if mode["stream_tokens"] else 1)


@modes
async def test_a_result_is_what_comes_without_streaming(
    client: AsyncLetta, conversation: str, mode: dict[str, Any]
) -> None:
    at_once = await client.conversations.messages.create(conversation, input="REASON", streaming=False)
    async with await client.conversations.messages.create(conversation, input="REASON", **mode) as stream:
        result = await stream.result()

    assert kinds(result.messages) == kinds(at_once.messages)
    assert thought(result.messages).split() == thought(at_once.messages).split()
    assert said(result.messages).split() == SIX_WORDS.split()
    assert result.stop_reason == at_once.stop_reason
    assert result.usage.total_tokens == at_once.usage.total_tokens == 112
    assert lasting(result.messages) == lasting((await messages(client, conversation))[-2:])


@modes
async def test_parallel_calls_of_client_tools(client: AsyncLetta, conversation: str, mode: dict[str, Any]) -> None:
    async with await client.conversations.messages.create(
        conversation, input="CALL local_weather local_time", client_tools=CLIENT_TOOLS, **mode
    ) as stream:
        result = await stream.result()

    assert result.stop_reason.stop_reason == "requires_approval"
    assert [call.name for call in tool_calls(result.messages)] == ["local_weather", "local_time"]
    assert plain(tool_calls(result.messages)) == plain(tool_calls(await messages(client, conversation)))


async def test_the_rest_of_a_run(client: AsyncLetta, conversation: str) -> None:
    async with await client.conversations.messages.create(
        conversation, input="LONG 9", stream_tokens=True, background=True
    ) as stream:
        await collect(stream)
    assert stream.run_id is not None

    async with await client.conversations.messages.stream(conversation, run_id=stream.run_id, starting_after=5) as rest:
        result = await rest.result()

    (message,) = result.messages
    assert isinstance(message, AssistantMessage)
    assert message.content == words(9).removeprefix(words(4))
