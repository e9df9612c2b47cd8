"""A bot of a network: it reads a background stream, edits its message as tokens arrive, and resumes."""

from __future__ import annotations

from dataclasses import dataclass, field

from letta_ext import APIConnectionError, APIError, AsyncLetta, AsyncStream
from letta_ext.types.agents.letta_streaming_response import LettaStreamingResponse


@dataclass
class Chat:
    """A chat of the network."""

    edits: list[str] = field(default_factory=list[str])
    notices: list[str] = field(default_factory=list[str])


@dataclass
class Reply:
    """The state of a reply."""

    text: str = ""
    run_id: str | None = None
    seq_id: int | None = None
    finished: bool = False


async def read(stream: AsyncStream[LettaStreamingResponse], reply: Reply, chat: Chat) -> None:
    """Read events until the stream ends."""
    async for event in stream:
        if event.message_type == "ping":
            continue
        if event.message_type == "assistant_message":
            reply.text += event.content if isinstance(event.content, str) else ""
            chat.edits.append(reply.text)
        elif event.message_type == "tool_call_message":
            chat.notices.append("calls a tool")
        elif event.message_type == "stop_reason":
            reply.finished = True
            chat.notices.append(event.stop_reason)
        reply.run_id = getattr(event, "run_id", None) or reply.run_id
        reply.seq_id = getattr(event, "seq_id", None) or reply.seq_id


async def on_message(client: AsyncLetta, chat: Chat, conversation_id: str, text: str) -> Reply:
    """Send a message, and show the reply in the chat."""
    reply = Reply()
    try:
        stream = await client.conversations.messages.create(
            conversation_id, input=text, background=True, stream_tokens=True, include_pings=True
        )
        await read(stream, reply, chat)
    except (APIConnectionError, APIError) as error:
        chat.notices.append(f"failed: {error.message}")
    if not reply.finished and reply.run_id is not None:
        resumed = await client.conversations.messages.stream(
            conversation_id, run_id=reply.run_id, starting_after=reply.seq_id
        )
        await read(resumed, reply, chat)
    return reply
