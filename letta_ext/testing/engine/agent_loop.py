"""The agent loop: turns the messages of one request into messages, steps and events."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

from ..api import content, errors, serializers
from ..api.requests import InputMessage, Send
from ..store.ids import previous_id
from ..store.models import Agent, Approval, Json, Message, Step, Thread, ToolCall, ToolReturn
from ..store.state import State
from . import compaction, trace
from .cancellation import denial
from .deltas import deltas
from .runs import Run

Mode = Literal["tokens", "steps", "json"]
"""Form of the response: token by token, message by message, or one JSON object."""

KEEP_ALIVE = (
    "<system-alert>Automated keep-alive ping. Ignore this message and continue from where you stopped.</system-alert>"
)


class RunCancelledError(Exception):
    """The run was cancelled while its response was streamed."""


@dataclass(slots=True)
class AgentLoop:
    """One run of an agent.

    Attributes:
        reason: Stop reason.
        usage: Token counts so far.
        started: Whether a message of the response has been yielded.
    """

    state: State
    agent: Agent
    thread: Thread
    run: Run
    request: Send
    mode: Mode
    reason: str = "end_turn"
    usage: serializers.RunUsage = field(default_factory=serializers.RunUsage)
    started: bool = False

    async def messages(self) -> AsyncIterator[Json]:
        """Yield the messages of the response, or their deltas.

        Raises:
            errors.RunFailedError: If the run fails.
            RunCancelledError: If the run is cancelled.
        """
        self.usage.streamed = self.mode == "tokens"
        # Without streaming, Letta treats an empty list of types as no filter.
        types = self.request.options.include_return_message_types
        if self.mode == "json":
            types = types or None
        try:
            async for message in self._steps():
                if types is None or message["message_type"] in types:
                    self.started = True
                    yield message
        except (errors.RunFailedError, RunCancelledError):
            raise
        except Exception as error:  # a script function may raise any exception
            raise self.state.record_failure(error) from error

    async def _steps(self) -> AsyncIterator[Json]:
        request = self._pending_request()
        for each in self.request.messages:
            if isinstance(each, InputMessage):
                if not each.content:
                    raise errors.invalid_approval("Message content is empty or invalid")
            elif isinstance(self.request.messages[0], InputMessage):
                raise errors.invalid_approval(f"Expected MessageCreate, got {each.schema}")
        for each in self.request.messages:
            if isinstance(each, InputMessage):
                content.check_sendable(each.role, each.content)
        new_input, later_input = self._input(request)
        for number in range(self.request.options.max_steps):
            if self.run.cancelled and self.mode == "json":
                self.reason = "cancelled"
                return
            if number == 0 and request is not None:
                async for message in self._approved_step(request, new_input):
                    yield message
                new_input = later_input
                continue
            async for message in self._model_step(new_input):
                yield message
            new_input = []
            if self.reason != "tool":
                return
        if self.request.options.max_steps > 0:
            self.reason = "max_steps"

    def _pending_request(self) -> Message | None:
        """Return the approval request that the request responds to, if any."""
        first = self.request.messages[0]
        pending = self.thread.pending
        if isinstance(first, InputMessage):
            if pending is not None:
                raise errors.pending_approval()
            return None
        call_ids = [result.tool_call_id for result in first.approvals]
        if pending is None:
            recent = self.thread.context[-10:]
            answered = {returned.tool_call_id for message in recent for returned in message.tool_returns}
            if not call_ids or not set(call_ids) <= answered:
                raise errors.invalid_approval(errors.NO_PENDING_CALL)
            return None
        if any(isinstance(result, ToolReturn) and result.parts == [] for result in first.approvals):
            # Letta stores it, and then fails to respond to or list the conversation.
            raise errors.invalid_approval(errors.EMPTY_RETURN)
        if not call_ids:
            raise errors.invalid_approval(errors.EMPTY_APPROVALS)
        expected = [call.id for call in pending.tool_calls]
        if set(call_ids) != set(expected):
            raise errors.invalid_approval(f"Invalid tool call IDs. Expected '{expected}', but received '{call_ids}'.")
        return pending

    def _input(self, pending: Message | None) -> tuple[list[Message], list[Message]]:
        """Return the messages to store with the first step and with the second step."""
        first = self.request.messages[0]
        new_input = [
            self._to_message(message) for message in self.request.messages if isinstance(message, InputMessage)
        ]
        if isinstance(first, InputMessage):
            return new_input, []
        if pending is None:
            # A repeated approval or return starts another turn.
            return new_input or [self._to_message(InputMessage("user", KEEP_ALIVE, self.state.ids.uuid()))], []
        return [self.state.new_message("approval_response", self.run.id, approvals=list(first.approvals))], new_input

    def _to_message(self, item: InputMessage) -> Message:
        return self.state.new_message(
            item.role,
            self.run.id,
            otid=item.otid,
            name=item.name,
            sender_id=item.sender_id,
            content="" if item.role == "assistant" and isinstance(item.content, str) else item.content,
            text=(_plain_text(item.content) or None) if item.role == "assistant" else None,
        )

    async def _approved_step(self, request: Message, new_input: list[Message]) -> AsyncIterator[Json]:
        """Finish the step with the pending approval: run the approved calls and store the returns."""
        step = self.state.steps[request.step_id or ""]
        approvals = {result.tool_call_id: result for result in new_input[0].approvals}
        returns = [result for result in approvals.values() if isinstance(result, ToolReturn)]
        approved: list[ToolCall] = []
        for call in request.tool_calls:
            result = approvals[call.id]
            if isinstance(result, Approval) and result.approve:
                approved.append(call)
            elif isinstance(result, Approval):
                returns.append(denial(call, result.reason))
        approved += self.thread.deferred_calls
        message = self._tool_message(step, approved, returns)
        self._store(step, new_input, [message])
        # A token stream contains only the returns of the server's own tools.
        if self.mode != "tokens" or approved:
            yield serializers.tool_return_message(message)

    async def _model_step(self, new_input: list[Message]) -> AsyncIterator[Json]:
        """Call the model once, and run the tools it calls."""
        step = self.state.start_step(
            self.agent, self.state.ids.new("step"), self.run.id, streamed=self.mode == "tokens"
        )
        messages = [*self.thread.context, *new_input]
        offered = [tool.name for tool in self.agent.tools] + self.request.client_tools
        after_tool = messages[-1].role == "tool"
        turn = self.state.script.next_turn(
            _last_user_text(messages), offered, after_tool=after_tool, turns_done=_turns_since_user(messages)
        )
        calls = [
            ToolCall(id=call.id or f"call_{self.state.ids.hex(12)}", name=call.name, arguments=call.json)
            for call in turn.calls
        ]
        text = turn.streamed_text if self.mode == "tokens" and turn.streamed_text else turn.text
        message = self.state.new_message("assistant", self.run.id, step_id=step.id, reasoning=turn.reasoning, text=text)
        exchange = trace.Exchange(
            self.thread.context, new_input, message, calls, turn.usage, failed=turn.fail is not None
        )
        streamed: list[str] = []
        token_delay = self.state.delay if turn.token_delay is None else turn.token_delay
        try:
            if turn.delay:
                await self._wait(turn.delay)
            if self.mode == "tokens":
                for delta in deltas(message, turn, calls, self._guarded_tools()):
                    await self._wait(token_delay)
                    streamed.append(str(delta.get("content", "")))
                    yield delta
            else:
                await self._wait(token_delay)
        except RunCancelledError:
            self._fail_step(step, None)
            exchange.streamed = "".join(streamed)
            raise
        finally:
            step.trace = trace.provider_trace(self.state, self.agent, step, exchange)
        if turn.fail is not None:
            failure = errors.model_failure(turn.fail)
            self._fail_step(step, failure)
            if failure.overflow:
                async for rendered in self._compact(step, "context_window_exceeded"):
                    yield rendered
            raise failure
        step.finish(turn.usage)
        self.usage.add(turn.usage)
        # A model without parallel tool calls can still make several. The server keeps the first.
        message.tool_calls = calls if self.agent.parallel_tool_calls else calls[:1]
        async for rendered in self._handle_turn(step, new_input, message):
            yield rendered
        if compaction.is_due(turn.usage.total, self.agent.context_window):
            async for rendered in self._compact(step, "post_step_context_check"):
                yield rendered

    async def _handle_turn(self, step: Step, new_input: list[Message], message: Message) -> AsyncIterator[Json]:
        """Store a turn of the model, and run its tools or request their approval."""
        guarded = self._guarded_tools()
        awaiting = [call for call in message.tool_calls if call.name in guarded]
        if awaiting:
            new = self._approval_request(message, awaiting)
            self.reason = "requires_approval"
        elif message.tool_calls:
            new = [message, self._tool_message(step, message.tool_calls, [])]
            self.reason = "tool"
        else:
            new = [message] if message.text or message.reasoning else []
            self.reason = "end_turn"
        if self.reason != "tool":
            step.stop_reason = self.reason
        self._store(step, new_input, new)
        if self.mode != "tokens":
            for stored in new:
                for rendered in serializers.render(stored):
                    yield rendered
        elif self.reason == "tool":
            yield serializers.tool_return_message(new[1])

    async def _compact(self, step: Step, trigger: compaction.Trigger) -> AsyncIterator[Json]:
        """Compact the context, and yield the summary."""
        message = compaction.make_room(self.state, self.agent, self.thread, trigger)
        message.run_id = self.run.id
        # With include_compaction_messages, Letta omits the otid of the summary in JSON responses, and still returns a
        # user message. Streams ignore the option.
        if not (self.request.options.include_compaction_messages and self.mode == "json"):
            message.otid = self.state.ids.uuid()
        self.usage.context = compaction.estimate(self.thread.context)
        if self.mode == "json" or trigger == "context_window_exceeded":
            message.step_id = step.id
        for rendered in serializers.render(message):
            yield rendered
        message.step_id = step.id

    def _guarded_tools(self) -> set[str]:
        """Return the names of the tools that need an approval or a return of the client."""
        return {*self.agent.guarded, *self.request.client_tools}

    def _approval_request(self, message: Message, awaiting: Sequence[ToolCall]) -> list[Message]:
        """Split a turn into the calls that need approval and the calls deferred until it."""
        request = self.state.new_message(
            "approval_request", self.run.id, step_id=message.step_id, tool_calls=list(awaiting)
        )
        if self.mode == "tokens":
            request.id = previous_id(message.id)
        deferred = [call for call in message.tool_calls if call not in awaiting]
        if not deferred:
            request.reasoning, request.text = message.reasoning, message.text
            return [request]
        message.tool_calls = deferred
        return [message, request]

    def _tool_message(self, step: Step, calls: Sequence[ToolCall], returns: Sequence[ToolReturn]) -> Message:
        """Run the calls, and return a message with their results and the given returns."""
        name = calls[0].name if calls else None
        message = self.state.new_message("tool", self.run.id, step_id=step.id, name=name)
        message.tool_returns = [*returns, *(self._execute(call) for call in calls)]
        if calls:
            step.tool_execution_ns = 5_000_000 * len(calls)
        return message

    def _execute(self, call: ToolCall) -> ToolReturn:
        if call.name not in {tool.name for tool in self.agent.tools}:
            # An approved client tool: the server does not have it.
            return ToolReturn(tool_call_id=call.id, text="Tool not found", status="error")
        result = self.state.script.tool_result(call.name, call.arguments)
        return ToolReturn(
            tool_call_id=call.id,
            text=result.text,
            status=result.status,
            stdout=list(result.stdout),
            stderr=list(result.stderr),
        )

    def _store(self, step: Step, new_input: Sequence[Message], new: Sequence[Message]) -> None:
        for message in (*new_input, *new):
            # Approval responses belong to no step.
            if message.role != "approval_response":
                message.step_id = step.id
                step.messages.append(message)
            self.thread.store(message)

    def _fail_step(self, step: Step, failure: errors.RunFailedError | None) -> None:
        step.status = "failed"
        step.stop_reason = failure.stop_reason if failure else None
        step.error_type, step.error_data = serializers.failed_step(failure)

    async def _wait(self, seconds: float) -> None:
        """Wait as long as the model takes, and stop if the run is cancelled."""
        await asyncio.sleep(seconds)
        if self.run.cancelled and self.mode != "json":
            raise RunCancelledError


def _plain_text(content: str | Sequence[Json]) -> str:
    if isinstance(content, str):
        return content
    return "\n\n".join(str(part["text"]) for part in content if part["type"] == "text")


def _last_user_text(messages: Sequence[Message]) -> str:
    for message in reversed(messages):
        if message.role in ("user", "summary"):
            return _plain_text(message.content)
    return ""


def _turns_since_user(messages: Sequence[Message]) -> int:
    """Return the number of turns since the last message of the user."""
    # Count steps, because a turn with deferred calls is stored as two messages.
    steps: set[str | None] = set()
    for message in reversed(messages):
        if message.role in ("user", "summary"):
            break
        if message.role in ("assistant", "approval_request"):
            steps.add(message.step_id)
    return len(steps)
