"""Cancels runs, and denies the tool calls that wait for an approval."""

from __future__ import annotations

from ..store.models import Approval, Message, ToolCall, ToolReturn
from ..store.state import State
from .runs import Run

REASON = "The user cancelled the request, so the tool call was denied."
"""Why a tool call is denied if its run is cancelled."""


def cancel(state: State, run: Run) -> None:
    """Cancel a run, unless it has ended.

    As in Letta, this denies the calls that wait in the default conversation of the agent, also for a run of another
    conversation.
    """
    if not run.is_cancellable:
        return
    agent, now = state.agents[run.agent_id], state.clock.now()
    run.cancel(now)
    agent.last_stop_reason = run.stop_reason
    thread = agent.thread
    request = thread.pending
    if request is None:
        return
    step = state.steps[request.step_id or ""]
    response = Message(id=state.ids.new("message"), role="approval_response", created_at=now, run_id=run.id)
    response.approvals = [Approval(tool_call_id=call.id, approve=False, reason=REASON) for call in request.tool_calls]
    returns = Message(id=state.ids.new("message"), role="tool", created_at=now, run_id=run.id, step_id=step.id)
    returns.tool_returns = [denial(call, REASON) for call in (*request.tool_calls, *thread.deferred_calls)]
    thread.store(response)
    thread.store(returns)
    step.messages.append(returns)


def denial(call: ToolCall, reason: str | None) -> ToolReturn:
    """Return the result of a denied tool call."""
    text = f"Error: request to call tool denied. User reason: {reason}"
    return ToolReturn(tool_call_id=call.id, text=text, status="error")
