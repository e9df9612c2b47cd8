"""Leaves async iterators in every way, in event loops that end in every way, and prints what Python complains of.

Run by `test_left_iterators.py` in a process of its own, with `-X dev -W error`.
"""

from __future__ import annotations

import asyncio
import gc
import io
import itertools
import logging
import sys
import threading
import traceback
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, Final

import trio

from letta_ext import AsyncLetta

KINDS: Final = ("stream", "events", "text", "messages", "turn", "follower", "items", "pages", "bytes", "lines")
WAYS: Final = ("dropped", "cycle", "held", "unbegun", "thread")

Main = Callable[[], Coroutine[Any, Any, None]]


async def opened(client: AsyncLetta, conversation: str, kind: str) -> Any:
    """Return an iterator, or a stream that was not iterated."""
    messages = client.conversations.messages
    if kind in ("stream", "events", "text", "messages"):
        stream = await messages.create(conversation, input="hi")
        return {"stream": lambda: stream, "events": stream.__aiter__, "text": stream.text, "messages": stream.messages}[
            kind
        ]()
    if kind == "turn":
        return aiter(messages.run_tools(conversation, input="hi", tools=[]))
    if kind == "follower":
        return aiter(messages.follow(conversation, from_start=True))
    if kind == "items":
        return aiter(client.steps.list(limit=1))
    if kind == "pages":
        return (await client.steps.list(limit=1)).iter_pages()
    response = await client.steps.with_streaming_response.list(limit=1).__aenter__()
    return response.iter_bytes() if kind == "bytes" else response.iter_lines()


async def leave(base_url: str, conversation: str, kind: str, way: str, held: list[Any]) -> None:
    """Open an iterator, begin it, and leave it."""
    client = AsyncLetta(base_url=base_url)
    found = [await opened(client, conversation, kind)]
    if kind != "stream" and way != "unbegun":
        await anext(found[0])
    if way == "cycle":
        found.append(found)
    elif way == "held":
        held += found
    elif way == "thread":
        clearing = threading.Thread(target=found.clear)
        clearing.start()
        clearing.join()


def with_run(main: Main) -> None:
    asyncio.run(main())


def with_trio(main: Main) -> None:
    trio.run(main)


def with_shutdown(main: Main) -> None:
    loop = asyncio.new_event_loop()
    loop.run_until_complete(main())
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.close()


def without_shutdown(main: Main) -> None:
    loop = asyncio.new_event_loop()
    loop.run_until_complete(main())
    loop.close()


def collected_before_it_is_closed(main: Main) -> None:
    loop = asyncio.new_event_loop()
    loop.run_until_complete(main())
    gc.collect()
    loop.close()


ENDINGS: Final = (with_run, with_trio, with_shutdown, without_shutdown, collected_before_it_is_closed)


def complaints(run: Callable[[Main], None], main: Main) -> str:
    """Run, and return what was written to stderr."""
    real, sys.stderr = sys.stderr, io.StringIO()
    handler = logging.StreamHandler(sys.stderr)
    logging.getLogger().addHandler(handler)
    try:
        run(main)
        gc.collect()
    except Exception:  # noqa: BLE001  # it is a complaint, too
        traceback.print_exc()
    finally:
        logging.getLogger().removeHandler(handler)
        found, sys.stderr = sys.stderr.getvalue(), real
    return found


def main(base_url: str, conversation: str, amount: str) -> None:
    logging.getLogger("asyncio").setLevel(logging.ERROR)  # a slow machine has slow callbacks
    count = 0
    for number, (kind, way, run) in enumerate(itertools.product(KINDS, WAYS, ENDINGS)):
        if amount != "full" and (number + number // 5 + number // 25) % 5:  # each pair of two is in the sample
            continue
        held: list[Any] = []
        found = complaints(run, partial(leave, base_url, conversation, kind, way, held))
        held.clear()
        gc.collect()
        count += 1
        if found:
            print(f"{kind}, {way}, {run.__name__}: {found}", file=sys.stderr)
    print(count)


if __name__ == "__main__":
    main(*sys.argv[1:])
