"""The accumulated views of a stream: `messages()`, `text()` and `result()`."""

from __future__ import annotations

from typing import Any, Final

import pytest

from letta_api.models import AssistantMessage
from letta_ext import AsyncLetta

from .reading import SIX_WORDS, assistant_text, collect, kinds, reasoning_text, to_dicts, tool_calls, words
from .talking import CLIENT_TOOLS, messages

pytestmark = pytest.mark.anyio

MODES: Final[list[dict[str, Any]]] = [
    {"stream_tokens": False, "background": False},
    {"stream_tokens": True, "background": False},
    {"stream_tokens": True, "background": True},
]
"""Streaming modes: steps, tokens, and tokens of a background run."""

modes = pytest.mark.parametrize("mode", MODES, ids=["steps", "tokens", "background"])

VARYING: Final = {"seq_id", "run_id", "date"}
"""Fields that differ between a listed and a streamed message, or between two turns."""


def stable_fields(items: list[Any]) -> list[dict[str, Any]]:
    return [{key: value for key, value in item.items() if key not in VARYING} for item in to_dicts(items)]


@modes
async def test_messages_yields_listed_messages(client: AsyncLetta, conversation: str, mode: dict[str, Any]) -> None:
    """`messages()` yields the messages that the server lists."""
    async with await client.conversations.messages.create(conversation, input="REASON", **mode) as stream:
        whole = await collect(stream.messages())

    assert kinds(whole) == ["reasoning_message", "assistant_message"]
    assert stable_fields(whole) == stable_fields((await messages(client, conversation))[-2:])


@modes
async def test_text_yields_text_pieces(client: AsyncLetta, conversation: str, mode: dict[str, Any]) -> None:
    """`text()` yields the text, without reasoning."""
    async with await client.conversations.messages.create(conversation, input="REASON LONG 7", **mode) as stream:
        pieces = await collect(stream.text())

    assert "".join(pieces).split() == words(7).split()
    assert len([piece for piece in pieces if piece]) == (7 if mode["stream_tokens"] else 1)


@modes
async def test_result_equals_json_response(client: AsyncLetta, conversation: str, mode: dict[str, Any]) -> None:
    """`result()` equals the response without streaming."""
    at_once = await client.conversations.messages.create(conversation, input="REASON", streaming=False)
    async with await client.conversations.messages.create(conversation, input="REASON", **mode) as stream:
        result = await stream.result()

    assert kinds(result.messages) == kinds(at_once.messages)
    assert reasoning_text(result.messages).split() == reasoning_text(at_once.messages).split()
    assert assistant_text(result.messages).split() == SIX_WORDS.split()
    assert result.stop_reason == at_once.stop_reason
    assert result.usage.total_tokens == at_once.usage.total_tokens == 112
    assert stable_fields(result.messages) == stable_fields((await messages(client, conversation))[-2:])


@modes
async def test_result_has_parallel_client_tool_calls(
    client: AsyncLetta, conversation: str, mode: dict[str, Any]
) -> None:
    """`result()` has the parallel tool calls as stored."""
    async with await client.conversations.messages.create(
        conversation, input="CALL local_weather local_time", client_tools=CLIENT_TOOLS, **mode
    ) as stream:
        result = await stream.result()

    assert result.stop_reason.stop_reason == "requires_approval"
    assert [call.name for call in tool_calls(result.messages)] == ["local_weather", "local_time"]
    assert to_dicts(tool_calls(result.messages)) == to_dicts(tool_calls(await messages(client, conversation)))


async def test_result_of_partial_stream_has_rest_of_message(client: AsyncLetta, conversation: str) -> None:
    """`result()` of a resumed stream has the rest of the message."""
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
