"""One async client under several event loops, against the real server."""

from __future__ import annotations

import asyncio
import threading
from typing import Any, Final

import trio

from letta_api.models import UserMessage
from letta_ext import AsyncLetta, Letta

LOOPS: Final = 10


def sent(address: str, conversation: str) -> list[str]:
    """The messages of the user that the server has."""
    with Letta(base_url=address) as client:
        listed = client.conversations.messages.list(conversation, order="asc")
        return [str(each.content) for each in listed if isinstance(each, UserMessage)]


def test_one_client_under_ten_event_loops_sends_each_message_once(address: str, conversation: str) -> None:
    """`asyncio.run` once for each message."""
    client = AsyncLetta(base_url=address)

    async def send(number: int) -> Any:
        create = client.conversations.messages.create
        return await create(conversation, input=f"no. {number}", streaming=False)

    assert all(asyncio.run(send(number)).messages for number in range(LOOPS))
    said = sent(address, conversation)
    assert [text for text in said if "no. " in text] == [f"no. {number}" for number in range(LOOPS)]


def test_event_loops_in_threads_share_a_client(address: str) -> None:
    """Four event loops in four threads, five calls at once in each, four times."""
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


def test_a_client_goes_from_asyncio_to_trio_and_back(address: str, conversation: str) -> None:
    """A stream under each of them."""
    client = AsyncLetta(base_url=address)

    async def read() -> int:
        return len([each async for each in await client.conversations.messages.create(conversation, input="hello")])

    async def close() -> None:
        await client.close()

    assert min(asyncio.run(read()), trio.run(read), asyncio.run(read()), trio.run(read)) > 2
    trio.run(close)
