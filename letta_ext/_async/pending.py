"""Requests that find what a conversation waits for. `tools/pending.py` reads their responses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from letta_api import api
from letta_api.operations import AGENTS_RETRIEVE, CONVERSATIONS_RETRIEVE, Operation

from .._http.requests import OPTIONS, JsonEndpoint
from ..errors import LettaError, PendingApprovalError
from ..retry import RetryPolicy
from ..tools.pending import ConversationKey, last_message_id, pending_message, to_pending_request

if TYPE_CHECKING:
    from letta_api.unions import Message

T = TypeVar("T")

LIST = api.conversations_messages.conversations_messages_list
RUNS = api.runs.runs_list


class AsyncCalls(Protocol):
    """The part of the transport that sends these requests."""

    async def call(self, endpoint: JsonEndpoint[T], ids: tuple[Any, ...], arguments: Mapping[str, Any]) -> T:
        """Send a request, and return the decoded JSON response."""
        ...

    async def call_internal(self, operation: Operation, arguments: Mapping[str, Any], **ids: str) -> Any:
        """Call an operation for internal use, and return its JSON."""
        ...


async def find_pending(transport: AsyncCalls, key: ConversationKey, options: Mapping[str, Any]) -> Message | None:
    """Return the approval request that a conversation waits for, or None."""
    if key.agent_id is None:
        state = await transport.call_internal(CONVERSATIONS_RETRIEVE, options, conversation_id=key.conversation_id)
    else:
        state = await transport.call_internal(AGENTS_RETRIEVE, options, agent_id=key.agent_id)
    last_id = last_message_id(state)
    if last_id is None:
        return None
    return pending_message(
        await transport.call(LIST, (key.conversation_id,), {**options, **key.list_arguments()}), last_id
    )


async def find_active_run(transport: AsyncCalls, key: ConversationKey, options: Mapping[str, Any]) -> str | None:
    """Return the id of the run that holds a conversation, or None."""
    return key.active_run_id(await transport.call(RUNS, (), {**options, **key.runs_arguments()}))


async def describe_pending(
    transport: AsyncCalls, error: PendingApprovalError, conversation_id: str, arguments: Mapping[str, Any]
) -> None:
    """Add the pending calls to an error. They are left out if they cannot be determined.

    Args:
        transport: The transport.
        error: The error, which the server raised without them.
        conversation_id: The id in the path of the rejected request.
        arguments: The arguments of that request.
    """
    options = {name: value for name, value in arguments.items() if name in OPTIONS - {"extra_body", "extra_query"}}
    options["retry"] = RetryPolicy(max_retries=0)
    key = ConversationKey.of(conversation_id, arguments.get("agent_id"))
    try:
        found = to_pending_request(await find_pending(transport, key, options))
    except LettaError:
        return
    if found is not None:
        error.pending_request_id, error.calls = found.id, found.calls
