"""Finalizers of the library are silent when the interpreter exits."""

from __future__ import annotations

import subprocess
import sys
from typing import Final

from letta_ext.testing import EmbeddedServer

PROGRAM: Final = """
import asyncio, logging, sys
import letta_ext
from letta_ext import AsyncLetta, Letta

base_url, conversation = sys.argv[1:]
logging.getLogger("letta_ext").setLevel(logging.INFO)
send = {"input": "LONG 40", "stream_tokens": True, "when_busy": "wait"}

def read_with_threads():
    client = Letta(base_url=base_url)
    stream = client.conversations.messages.create(conversation, **send)
    texts = iter(client.conversations.messages.create(conversation, **send).text())
    raw = client.conversations.messages.with_streaming_response.create(conversation, **send)
    agents = iter(client.agents.list(limit=1, prefetch=True))
    return client, stream, next(iter(stream)), texts, next(texts), raw, raw.__enter__(), agents, next(agents)

async def read_with_a_loop():
    client = AsyncLetta(base_url=base_url)
    stream = await client.conversations.messages.create(conversation, **send)
    texts = aiter((await client.conversations.messages.create(conversation, **send)).text())
    agents = aiter(client.agents.list(limit=1, prefetch=True))
    return client, stream, await anext(aiter(stream)), texts, await anext(texts), agents, await anext(agents)

loop = asyncio.new_event_loop()
# Objects of a module that outlives others: the finalizers then run after the globals of all modules were set to None.
letta_ext.kept = [read_with_threads(), loop.run_until_complete(read_with_a_loop())]
sys.kept = [module for name, module in sys.modules.items() if name.partition(".")[0] in ("letta_ext", "letta_api")]
loop.close()
"""


def test_finalizers_after_globals_are_gone_print_nothing(server: EmbeddedServer) -> None:
    """Open streams, texts, responses and lists that outlive the globals of the library cause no output."""
    server.state.delay = 0.002
    arguments = [sys.executable, "-c", PROGRAM, server.base_url, server.conversation_id]
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
