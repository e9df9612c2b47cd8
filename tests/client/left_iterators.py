"""Abandon async iterators in each way, under each end of an event loop, and print the complaints of Python.

`test_left_iterators.py` runs this script in a separate process with `-X dev -W error`.
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

ITERATORS: Final = ("stream", "events", "text", "messages", "turn", "follower", "items", "pages", "bytes", "lines")
ABANDONMENTS: Final = ("dropped", "cycle", "held", "unbegun", "thread")

Main = Callable[[], Coroutine[Any, Any, None]]


async def open_iterator(client: AsyncLetta, conversation: str, kind: str) -> Any:
    """Return an iterator, or a stream that has not been iterated."""
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


async def abandon(base_url: str, conversation: str, kind: str, abandonment: str, held: list[Any]) -> None:
    """Open an iterator, take one item, and abandon it."""
    client = AsyncLetta(base_url=base_url)
    found = [await open_iterator(client, conversation, kind)]
    if kind != "stream" and abandonment != "unbegun":
        await anext(found[0])
    if abandonment == "cycle":
        found.append(found)
    elif abandonment == "held":
        held += found
    elif abandonment == "thread":
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


def collect_before_close(main: Main) -> None:
    loop = asyncio.new_event_loop()
    loop.run_until_complete(main())
    gc.collect()
    loop.close()


ENDINGS: Final = (with_run, with_trio, with_shutdown, without_shutdown, collect_before_close)


def complaints(run: Callable[[Main], None], main: Main) -> str:
    """Run, and return the output to stderr."""
    original, sys.stderr = sys.stderr, io.StringIO()
    handler = logging.StreamHandler(sys.stderr)
    logging.getLogger().addHandler(handler)
    try:
        run(main)
        gc.collect()
    except Exception:  # noqa: BLE001  # an exception is a complaint too
        traceback.print_exc()
    finally:
        logging.getLogger().removeHandler(handler)
        found, sys.stderr = sys.stderr.getvalue(), original
    return found


def main(base_url: str, conversation: str, amount: str) -> None:
    logging.getLogger("asyncio").setLevel(logging.ERROR)  # a slow machine reports slow callbacks
    count = 0
    for number, (kind, abandonment, run) in enumerate(itertools.product(ITERATORS, ABANDONMENTS, ENDINGS)):
        if amount != "full" and (number + number // 5 + number // 25) % 5:  # the sample contains each pair of values
            continue
        held: list[Any] = []
        found = complaints(run, partial(abandon, base_url, conversation, kind, abandonment, held))
        held.clear()
        gc.collect()
        count += 1
        if found:
            print(f"{kind}, {abandonment}, {run.__name__}: {found}", file=sys.stderr)
    print(count)


if __name__ == "__main__":
    main(*sys.argv[1:])
