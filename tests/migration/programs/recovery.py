"""A proxy that frees a conversation: it denies the calls that another program has left, and sends again."""

from __future__ import annotations

from typing import Any

from letta_ext import APIStatusError, AsyncLetta
from letta_ext.types.agents import ApprovalRequestMessage, ApprovalResponseMessage, Message, ToolCall
from letta_ext.types.agents.message_create_params import ClientTool

REASON = "The session has ended."


def detail_of(error: APIStatusError) -> str:
    """Return the explanation of an error, whose body has several shapes."""
    body: Any = error.body
    try:
        found: Any = body["detail"]
        return found if isinstance(found, str) else str(found["message"])
    except (KeyError, TypeError):
        return str(error)


def calls_of(message: Message) -> list[str]:
    """Return the ids of the calls that a message requests."""
    if not isinstance(message, ApprovalRequestMessage):
        return []
    found = message.tool_calls if isinstance(message.tool_calls, list) else [message.tool_call]
    return [call.tool_call_id for call in found if isinstance(call, ToolCall)]


async def pending_calls(client: AsyncLetta, conversation_id: str) -> list[str]:
    """Return the ids of the calls without a result, from the newest messages."""
    page = await client.conversations.messages.list(conversation_id, limit=20)
    resolved: set[str | None] = set()
    for message in page.items:
        if isinstance(message, ApprovalResponseMessage):
            resolved |= {approval.tool_call_id for approval in message.approvals or []}
    return [call for message in page.items for call in calls_of(message) if call not in resolved]


async def deny(client: AsyncLetta, conversation_id: str, calls: list[str]) -> None:
    """Deny calls, and wait for the end of the turn."""
    stream = await client.conversations.messages.create(
        conversation_id,
        messages=[
            {
                "type": "approval",
                "approvals": [
                    {"type": "tool", "tool_call_id": call, "tool_return": REASON, "status": "error"} for call in calls
                ],
            }
        ],
    )
    async for _ in stream:
        pass


async def send(
    client: AsyncLetta, conversation_id: str, text: str, client_tools: list[ClientTool] | None = None
) -> list[str]:
    """Send a message, once more if the conversation waits for results, and return the types of the events."""
    for last_attempt in (False, True):
        try:
            stream = await client.conversations.messages.create(
                conversation_id, messages=[{"role": "user", "content": text}], client_tools=client_tools
            )
            return [str(event.message_type) async for event in stream]
        except APIStatusError as error:
            if last_attempt or "waiting for approval" not in detail_of(error):
                raise
            await deny(client, conversation_id, await pending_calls(client, conversation_id))
    return []
