"""One async client under several event loops on the real server."""

from __future__ import annotations

import asyncio
import threading
from typing import Any, Final

import trio

from letta_api.models import UserMessage
from letta_ext import AsyncLetta, Letta

LOOPS: Final = 10


def stored_inputs(address: str, conversation: str) -> list[str]:
    """Return the user messages on the server."""
    with Letta(base_url=address) as client:
        listed = client.conversations.messages.list(conversation, order="asc")
        return [str(each.content) for each in listed if isinstance(each, UserMessage)]


def test_client_used_by_ten_consecutive_event_loops_sends_each_message_once(address: str, conversation: str) -> None:
    """One `asyncio.run` per message sends each message once."""
    client = AsyncLetta(base_url=address)

    async def send(number: int) -> Any:
        create = client.conversations.messages.create
        return await create(conversation, input=f"no. {number}", streaming=False)

    assert all(asyncio.run(send(number)).messages for number in range(LOOPS))
    assistant_text = stored_inputs(address, conversation)
    assert [text for text in assistant_text if "no. " in text] == [f"no. {number}" for number in range(LOOPS)]


def test_client_shared_by_event_loops_in_threads_completes_all_calls(address: str) -> None:
    """Four event loops in threads complete 20 calls each, five of them concurrent."""
    client = AsyncLetta(base_url=address)
    found: list[int] = []

    async def work() -> None:
        for _ in range(4):
            pages = await asyncio.gather(*(client.steps.list(limit=1) for _ in range(5)))
            found.append(len(pages))

    threads = [threading.Thread(target=lambda: asyncio.run(work())) for _ in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join(60)
    assert found == [5] * 16


def test_client_moved_between_asyncio_and_trio_streams(address: str, conversation: str) -> None:
    """A client streams under asyncio and trio in turn."""
    client = AsyncLetta(base_url=address)

    async def read() -> int:
        return len([each async for each in await client.conversations.messages.create(conversation, input="hello")])

    async def close() -> None:
        await client.close()

    assert min(asyncio.run(read()), trio.run(read), asyncio.run(read()), trio.run(read)) > 2
    trio.run(close)
