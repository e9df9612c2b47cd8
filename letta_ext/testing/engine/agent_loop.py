"""The agent's loop: from the messages of one request to the messages, steps and events of its answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

from ..api import content, errors, serializers
from ..api.requests import Said, Send
from ..store.ids import previous_id
from ..store.models import Agent, Approval, Json, Message, Step, Thread, ToolCall, ToolReturn
from ..store.state import State
from . import compaction, trace
from .agent import Usage
from .deltas import deltas
from .runs import Run

Mode = Literal["tokens", "steps", "json"]
"""How the answer is sent: token by token, message by message, or all at once."""

KEEP_ALIVE = (
    "<system-alert>Automated keep-alive ping. Ignore this message and continue from where you stopped.</system-alert>"
)


class RunCancelledError(Exception):
    """The run was cancelled while its answer was being streamed."""


@dataclass(slots=True)
class Loop:
    """One run of an agent.

    Attributes:
        reason: why it stopped, once it has.
        usage: what it used so far.
        begun: whether a message of the answer has been yielded.
    """

    state: State
    agent: Agent
    thread: Thread
    run: Run
    request: Send
    mode: Mode
    reason: str = "end_turn"
    usage: serializers.RunUsage = field(default_factory=serializers.RunUsage)
    begun: bool = False

    async def answer(self) -> AsyncIterator[Json]:
        """Yield the messages of the answer, or their deltas.

        Raises:
            errors.RunFailedError: the answer failed.
            RunCancelledError: the run was cancelled.
        """
        self.usage.streamed = self.mode == "tokens"
        # Without streaming, Letta takes an empty list of types for none.
        types = self.request.types if self.request.types or self.mode != "json" else None
        try:
            async for message in self._steps():
                if types is None or message["message_type"] in types:
                    self.begun = True
                    yield message
        except (errors.RunFailedError, RunCancelledError):
            raise
        except Exception as error:  # a function of the script may raise any exception
            raise self.state.failed(error) from error
        self.agent.last_stop_reason = self.reason

    async def _steps(self) -> AsyncIterator[Json]:
        for sent in self.request.messages:
            if isinstance(sent, Said):
                content.check_sendable(sent.content)
        request = self._pending_answer()
        said, later = self._input(request)
        for number in range(self.request.max_steps):
            if self.run.cancelled and self.mode == "json":
                self.reason = "cancelled"
                return
            if number == 0 and request is not None:
                goes_on = True
                async for message in self._answered_step(request, said):
                    yield message
                said = later
            else:
                goes_on = False
                async for message in self._model_step(said):
                    yield message
                said = []
                goes_on = self.reason == "tool"
            if not goes_on:
                return
        if self.request.max_steps > 0:
            self.reason = "max_steps"

    def _pending_answer(self) -> Message | None:
        """Return the approval request that the request answers, if it answers one."""
        first = self.request.messages[0]
        pending = self.thread.pending
        if isinstance(first, Said):
            if pending is not None:
                raise errors.pending_approval()
            return None
        received = [answer.tool_call_id for answer in first.answers]
        if any(isinstance(answer, ToolReturn) and answer.parts == [] for answer in first.answers):
            # Letta stores it, and then can neither answer nor list the conversation any more.
            raise errors.bad_answer(errors.EMPTY_RETURN)
        if pending is None:
            recent = self.thread.context[-10:]
            answered = {returned.tool_call_id for message in recent for returned in message.tool_returns}
            if not received or not set(received) <= answered:
                raise errors.bad_answer(errors.NOTHING_PENDING)
            return None
        if not received:
            raise errors.bad_answer(errors.NOTHING_ANSWERED)
        expected = [call.id for call in pending.tool_calls]
        if set(received) != set(expected):
            raise errors.bad_answer(f"Invalid tool call IDs. Expected '{expected}', but received '{received}'.")
        return pending

    def _input(self, pending: Message | None) -> tuple[list[Message], list[Message]]:
        """Return the messages to store with the first step, and with the second."""
        first = self.request.messages[0]
        said = [self._said(message) for message in self.request.messages if isinstance(message, Said)]
        if isinstance(first, Said):
            return said, []
        if pending is None:
            # An answer that was given before makes the agent take another turn.
            return said or [self._said(Said("user", KEEP_ALIVE, self.state.ids.uuid()))], []
        response = self._message("approval_response")
        response.answers = list(first.answers)
        return [response], said

    def _message(self, role: Literal["approval_response", "assistant", "approval_request", "tool"]) -> Message:
        return Message(
            id=self.state.ids.new("message"), role=role, created_at=self.state.clock.now(), run_id=self.run.id
        )

    def _said(self, said: Said) -> Message:
        return Message(
            id=self.state.ids.new("message"),
            role=said.role,
            created_at=self.state.clock.now(),
            otid=said.otid,
            run_id=self.run.id,
            name=said.name,
            sender_id=said.sender_id,
            content=said.content if said.role != "assistant" else "",
            text=_plain_text(said.content) if said.role == "assistant" else None,
        )

    async def _answered_step(self, request: Message, said: list[Message]) -> AsyncIterator[Json]:
        """Finish the step that was waiting: run what was approved, and store what was returned."""
        step = self.state.steps[request.step_id or ""]
        answers = {answer.tool_call_id: answer for answer in said[0].answers}
        returns = [answer for answer in answers.values() if isinstance(answer, ToolReturn)]
        approved: list[ToolCall] = []
        for call in request.tool_calls:
            answer = answers[call.id]
            if isinstance(answer, Approval) and answer.approve:
                approved.append(call)
            elif isinstance(answer, Approval):
                text = f"Error: request to call tool denied. User reason: {answer.reason}"
                returns.append(ToolReturn(tool_call_id=call.id, text=text, status="error"))
        approved += self._calls_held_back(request)
        message = self._tool_message(step, approved, returns)
        self._store(step, said, [message])
        # A token stream tells only what the server itself ran.
        if self.mode != "tokens" or approved:
            yield serializers.tool_return_message(message)

    def _calls_held_back(self, request: Message) -> list[ToolCall]:
        """Return the calls of the same turn that needed no approval, and waited for those that did."""
        before = self.thread.context[-2] if len(self.thread.context) > 1 else None
        if before is None or before.role != "assistant" or before.step_id != request.step_id:
            return []
        return before.tool_calls

    async def _model_step(self, said: list[Message]) -> AsyncIterator[Json]:
        """Call the model once, and the tools it calls."""
        step = self._begin_step()
        messages = [*self.thread.context, *said]
        offered = [tool.name for tool in self.agent.tools] + list(self.request.client_tools)
        after_tool = messages[-1].role == "tool"
        turn = self.state.script.next_turn(
            _last_user_text(messages), offered, after_tool=after_tool, done=_answers_since(messages)
        )
        calls = [
            ToolCall(id=call.id or f"call_{self.state.ids.hex(12)}", name=call.name, arguments=call.json)
            for call in turn.calls
        ]
        message = self._message("assistant")
        message.step_id = step.id
        message.reasoning = turn.reasoning
        message.text = turn.streamed_text if self.mode == "tokens" and turn.streamed_text else turn.text
        exchange = trace.Exchange(self.thread.context, said, message, calls, turn.usage, failed=turn.fail is not None)
        streamed: list[str] = []
        pause = self.state.delay if turn.token_delay is None else turn.token_delay
        try:
            if turn.delay:
                await self._wait(turn.delay)
            if self.mode == "tokens":
                for delta in deltas(message, turn, calls, self._guarded()):
                    await self._wait(pause)
                    streamed.append(str(delta.get("content", "")))
                    yield delta
            else:
                await self._wait(pause)
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
                async for told in self._compact(step, "context_window_exceeded"):
                    yield told
            raise failure
        self._finish_step(step, turn.usage)
        # A model that may not call in parallel is not kept from it: the server drops what came after the first call.
        message.tool_calls = calls if self.agent.parallel_tool_calls else calls[:1]
        async for rendered in self._act(step, said, message):
            yield rendered
        if compaction.is_due(turn.usage.total, self.agent.context_window):
            async for told in self._compact(step, "post_step_context_check"):
                yield told

    async def _act(self, step: Step, said: list[Message], message: Message) -> AsyncIterator[Json]:
        """Store a model's turn and do what it asks for."""
        guarded = self._guarded()
        held = [call for call in message.tool_calls if call.name in guarded]
        if held:
            new = self._approval_request(message, held)
            self.reason = "requires_approval"
        elif message.tool_calls:
            new = [message, self._tool_message(step, message.tool_calls, [])]
            self.reason = "tool"
        else:
            new = [message] if message.text or message.reasoning else []
            self.reason = "end_turn"
        if self.reason != "tool":
            step.stop_reason = self.reason
        self._store(step, said, new)
        if self.mode != "tokens":
            for stored in new:
                for rendered in serializers.render(stored):
                    yield rendered
        elif self.reason == "tool":
            yield serializers.tool_return_message(new[1])

    async def _compact(self, step: Step, trigger: compaction.Trigger) -> AsyncIterator[Json]:
        """Make room in the context, and tell of it."""
        message = compaction.make_room(self.state, self.agent, self.thread, trigger)
        message.run_id = self.run.id
        # Asked for compaction messages, the real server marks the summary so and then tells it as a user's all the
        # same, without an otid. Where it streams it does not look whether they were asked for.
        if not (self.request.include_compaction_messages and self.mode == "json"):
            message.otid = self.state.ids.uuid()
        self.usage.context = compaction.estimate(self.thread.context)
        if self.mode == "json" or trigger == "context_window_exceeded":
            message.step_id = step.id
        for told in serializers.render(message):
            yield told
        message.step_id = step.id

    def _guarded(self) -> set[str]:
        """Return the names of the tools that the server does not run by itself."""
        return {tool.name for tool in self.agent.tools if tool.requires_approval} | set(self.request.client_tools)

    def _approval_request(self, message: Message, held: Sequence[ToolCall]) -> list[Message]:
        """Split a model's turn into the calls that must wait for an answer and those that wait with them."""
        request = self._message("approval_request")
        request.step_id = message.step_id
        request.tool_calls = list(held)
        if self.mode == "tokens":
            request.id = previous_id(message.id)
        free = [call for call in message.tool_calls if call not in held]
        if not free:
            request.reasoning, request.text = message.reasoning, message.text
            return [request]
        message.tool_calls = free
        return [message, request]

    def _tool_message(self, step: Step, calls: Sequence[ToolCall], returns: Sequence[ToolReturn]) -> Message:
        """Run the calls, and return the message that holds what they and others returned."""
        message = self._message("tool")
        message.step_id = step.id
        message.name = calls[0].name if calls else None
        message.tool_returns = [*returns, *(self._execute(call) for call in calls)]
        if calls:
            step.tool_execution_ns = 5_000_000 * len(calls)
        return message

    def _execute(self, call: ToolCall) -> ToolReturn:
        if call.name not in {tool.name for tool in self.agent.tools}:
            # An approved client tool: the server has no such tool.
            return ToolReturn(tool_call_id=call.id, text="Tool not found", status="error")
        said = self.state.script.tool_answer(call.name, call.arguments)
        return ToolReturn(
            tool_call_id=call.id,
            text=said.text,
            status=said.status,
            stdout=list(said.stdout),
            stderr=list(said.stderr),
        )

    def _store(self, step: Step, said: Sequence[Message], new: Sequence[Message]) -> None:
        for message in (*said, *new):
            # Only an approval's answer belongs to no step.
            if message.role != "approval_response":
                message.step_id = step.id
                step.messages.append(message)
            self.thread.store(message)

    def _begin_step(self) -> Step:
        step = Step(
            id=self.state.ids.new("step"),
            run_id=self.run.id,
            agent_id=self.agent.id,
            model_handle=self.agent.model_handle,
            context_window=self.agent.context_window,
            created_at=self.state.clock.now(),
            streamed=self.mode == "tokens",
        )
        self.state.steps[step.id] = step
        return step

    def _finish_step(self, step: Step, usage: Usage) -> None:
        step.usage = usage
        step.status = "success"
        self.usage.add(usage)

    def _fail_step(self, step: Step, failure: errors.RunFailedError | None) -> None:
        step.status = "failed"
        step.stop_reason = failure.stop_reason if failure else None
        step.error_type, step.error_data = serializers.failed_step(failure)

    async def _wait(self, seconds: float) -> None:
        """Wait as long as the model takes, and notice a cancellation."""
        await asyncio.sleep(seconds)
        if self.run.cancelled and self.mode != "json":
            raise RunCancelledError


def _plain_text(content: str | Sequence[Json]) -> str:
    if isinstance(content, str):
        return content
    return "\n\n".join(str(part.get("text", "")) for part in content)


def _last_user_text(messages: Sequence[Message]) -> str:
    for message in reversed(messages):
        if message.role in ("user", "summary"):
            return _plain_text(message.content)
    return ""


def _answers_since(messages: Sequence[Message]) -> int:
    """Return how often the model has answered since a user last spoke."""
    # By steps: a turn of which some calls wait for approval is stored in two parts.
    steps: set[str | None] = set()
    for message in reversed(messages):
        if message.role in ("user", "summary"):
            break
        if message.role in ("assistant", "approval_request"):
            steps.add(message.step_id)
    return len(steps)
