"""The state machine of a turn that calls client-side tools: the next step, and the arguments of the next request.

A round is one request and its run. If the run stops for tool calls, the next request carries the results of all of
them. Rounds run in the background and their messages have otids. A request whose response is lost therefore finds its
own run instead of starting a second one: a tool result that is sent twice would give the agent an extra turn.

An interrupted foreground run is found by its id once an event has named it, and its messages are listed. Without an id
it cannot be found, and the request is not sent again. All results are kept here, so a turn can be resumed after an
error.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from attrs import frozen

from .._http.busy_wait import has_ended
from .._http.errors_from_response import one_line
from .._http.idempotency import RESUME_ARGUMENTS, new_otid, with_otids
from .._http.send_checks import check_one_input
from .._pagination.items import field_of, text_field
from .._types import is_mapping, is_sequence
from ..errors import (
    APIConnectionError,
    APIResponseValidationError,
    APIStatusError,
    LettaError,
    NotFoundError,
    PendingApprovalError,
    RunExpiredError,
    StreamInterrupted,
    TooManyRoundsError,
)
from ..polling import PollSchedule
from .checks import TYPES, calls_of, check_turn, is_count, name_of_tool
from .output_text import OutputText
from .steps import FetchMessages, FindPending, OpenStream, PollRun, RequestApproval, RunTools, Step
from .tool import Decision, ToolRegistry, ToolRun, failed_run

if TYPE_CHECKING:
    from letta_api.models import LettaStopReason, LettaUsageStatistics, ToolCall
    from letta_api.unions import Message, StreamEvent

REQUEST: Final = "approval_request_message"
UNSTREAMED: Final = frozenset({"user_message", "system_message", "approval_response_message"})
"""Types of messages that a run stores but does not stream."""

POLL_TIMEOUT: Final = 600.0
"""Seconds for which a run whose events are lost is polled before the turn fails."""

OTID_LIFETIME: Final = 10_000.0
"""Seconds for which an otid is looked up. Letta forgets it after three hours."""


@frozen
class ToolResult(OutputText):
    """The result of a turn, including its tool calls.

    Attributes:
        messages: The messages of all rounds, in order.
        stop_reason: The stop reason of the last round.
        usage: The usage of all rounds. `context_tokens` is that of the last round.
        tool_runs: The runs of client-side tools.
        decisions: The decisions about calls that needed approval.
        rounds: The number of requests. 0 if nothing was given and nothing was pending.
    """

    messages: list[Message]
    stop_reason: LettaStopReason
    usage: LettaUsageStatistics
    tool_runs: list[ToolRun]
    decisions: list[Decision]
    rounds: int


class _Round:
    """One request and its run."""

    def __init__(self, messages: Sequence[Any], otid: str) -> None:
        from .._streaming.accumulator import MessageAccumulator

        self.messages = messages
        self.otid = otid
        self.picks_up = False  # whether it sends nothing, but begins with the pending approval request
        self.accumulator = MessageAccumulator()
        self.sent = False  # whether the request may have reached the server
        self.sent_at = 0.0
        self.finished = False
        self.events_lost = False  # whether the messages must be listed instead
        # The polling of the run once its events are lost.
        self.has_ended = False
        self.waited = 0.0
        self.polling = PollSchedule()
        self.run_id: str | None = None
        self.last_seq_id: int | None = None
        self.completed: list[Message] = []
        self.event: StreamEvent | None = None  # the last event, and the value that `on_event` returned for it
        self.visible: list[Message] | None = None
        self.unreadable: Message | None = None  # an approval request whose tool calls cannot be decoded
        # Keyed by call id. Ids are unique within a round only: some models restart them in each round.
        self.calls: dict[str, ToolCall] = {}
        self.started: set[str] = set()
        self.runs: dict[str, ToolRun] = {}
        self.decisions: dict[str, Decision] = {}


class TurnStateMachine:
    """The rounds of one turn.

    Args:
        registry: The client-side tools.
        arguments: The arguments of the call.
        max_rounds: The maximum number of rounds that send tool results.
        can_decide: Whether there is an approval callback.
        make_otid: A function that returns a new otid.
        clock: A monotonic clock in seconds.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If `messages` is empty, or an argument is given twice.
    """

    def __init__(
        self,
        registry: ToolRegistry,
        arguments: Mapping[str, Any],
        *,
        max_rounds: int,
        can_decide: bool,
        make_otid: Callable[[], str] = new_otid,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        check_one_input(arguments)
        check_turn(arguments, max_rounds)
        declared = list(arguments.get("client_tools") or ())
        self._make_otid = make_otid
        self._clock = clock
        self._registry = registry
        self._declared = {str(name_of_tool(tool)) for tool in declared}
        if clash := sorted(self._declared & registry.keys()):
            raise ValueError(f"{clash[0]!r} is declared in client_tools and given in tools; give it once")
        self._background = arguments.get("background", True) is not False
        self._max_rounds = max_rounds
        self._can_decide = can_decide
        self._common = {k: v for k, v in arguments.items() if k not in ("input", "messages")}
        self._common |= {
            "background": self._background,
            "client_tools": [*declared, *(t.declaration() for t in registry.values())],
        }
        self._wanted = arguments.get(TYPES)
        if is_sequence(self._wanted) and REQUEST not in self._wanted:
            self._common[TYPES] = [*self._wanted, REQUEST]  # the tool calls arrive in messages of this type
        content = {name: arguments[name] for name in ("input", "messages") if arguments.get(name) is not None}
        given, otid = with_otids(content, make_otid)
        if not content and (named := sorted({"input", "messages"} & arguments.keys())):
            raise ValueError(f"{named[0]} must not be None. Omit it to continue pending calls.")
        if content and otid is None:
            raise ValueError("messages must be a list of at least one message. Omit it to continue a pending turn.")
        self._round = _Round(given.get("messages", []), otid or make_otid())
        self._round.picks_up = not content
        self._previous: list[_Round] = []
        self._error: LettaError | None = None

    def next(self) -> Step | None:
        """Return the next step, or None if the turn has ended.

        Raises:
            PendingApprovalError: If a call needs approval without an approval callback.
            TooManyRoundsError: If the agent called tools in more than `max_rounds` rounds.
            LettaError: If the run has failed. Each call raises the same error.
        """
        if self._error is not None:
            raise self._error
        current = self._round
        if not current.finished:
            return self._next_request()
        if self.stop_reason.stop_reason != "requires_approval":
            return None
        if current.unreadable is not None:
            raise APIResponseValidationError(
                f"The tool calls of the agent cannot be decoded: {one_line(repr(current.unreadable))}. No tool was run."
                " Send the results with conversations.messages.create, or cancel the run.",
                body=current.unreadable.to_dict(),
                run_id=current.run_id,
            )
        if not current.calls:
            raise APIResponseValidationError(
                "The agent requires approval, but the stream contained no tool calls. List the messages."
            )
        calls = list(current.calls.values())
        guarded = [call for call in calls if not self._runs_here(call)]
        if guarded and not self._can_decide:
            raise self._pending_approval(guarded, calls)
        if len(self._previous) >= self._max_rounds:
            raise TooManyRoundsError(
                f"The agent called tools in more than {self._max_rounds} rounds. The last calls were not run;"
                " pass a greater max_rounds if more rounds are expected."
            )
        for call in guarded:
            if call.tool_call_id not in current.decisions:
                return RequestApproval(call)
        for id in current.started - current.runs.keys():
            call = current.calls[id]
            current.runs[id] = failed_run(call, f"{call.name} was interrupted and may have had an effect.")
        pending = [call for call in calls if self._runs_here(call) and call.tool_call_id not in current.runs]
        if pending:
            return RunTools(pending)
        self._begin_next_round(calls)
        return self._next_request()

    def _runs_here(self, call: ToolCall) -> bool:
        return call.name in self._registry or call.name in self._declared

    def _pending_approval(self, guarded: Sequence[ToolCall], calls: Sequence[ToolCall]) -> PendingApprovalError:
        names = ", ".join(f"{call.name} ({call.tool_call_id})" for call in guarded)
        error = PendingApprovalError(
            f"The agent requires approval of {names}. No tool was run. Pass approve=…, a function that decides.",
            run_id=self._round.run_id,
        )
        requests = [field_of(m, "id") for m in self._round.completed if field_of(m, "message_type") == REQUEST]
        error.pending_request_id = requests[-1] if requests else None
        error.calls = tuple(calls)
        return error

    def _begin_next_round(self, calls: Sequence[ToolCall]) -> None:
        """Begin the round that sends the results of all calls in one message."""
        results: list[Any] = [
            self._round.runs[call.tool_call_id].to_param()
            if self._runs_here(call)
            else self._round.decisions[call.tool_call_id].to_param()
            for call in calls
        ]
        otid = self._make_otid()
        if all(self._runs_here(call) for call in calls):
            message = {"type": "tool_return", "tool_returns": results, "otid": otid}
        else:
            message = {"type": "approval", "approvals": results, "otid": otid}
        self._previous.append(self._round)
        self._round = _Round([message], otid)

    def _next_request(self) -> Step:
        current = self._round
        if current.picks_up:
            waits = current.run_id is not None and not current.has_ended
            return PollRun(current.run_id, current.polling.delay) if current.run_id and waits else FindPending()
        if current.events_lost and current.run_id:
            if current.has_ended:
                return FetchMessages(current.run_id)
            return PollRun(current.run_id, current.polling.delay)
        if not current.sent:
            return OpenStream(self.request, resume=False)
        if not self._background and current.run_id:
            current.events_lost = True  # a foreground stream cannot be resumed, but its messages are stored
            return PollRun(current.run_id, current.polling.delay)
        if not current.run_id and (not self._background or self._clock() - current.sent_at > OTID_LIFETIME):
            raise LettaError(
                "The request may have been processed, and its run cannot be found. List the messages of the"
                " conversation before you send it again."
            )
        found: dict[str, Any] = {"run_id": current.run_id} if current.run_id else {"otid": current.otid}
        if current.last_seq_id:
            found["starting_after"] = current.last_seq_id
        return OpenStream({**{k: v for k, v in self._common.items() if k in RESUME_ARGUMENTS}, **found}, resume=True)

    @property
    def request(self) -> dict[str, Any]:
        """The arguments of the request that begins the current round."""
        return {**self._common, "messages": self._round.messages}

    def record_active_run(self, run_id: str) -> None:
        """Record that another run holds the conversation. The pending request is searched for after its end."""
        self._round.run_id, self._round.has_ended = run_id, False

    def record_pending(self, request: Message | None) -> list[Message]:
        """Record the pending approval request, None if nothing is pending, and return the new visible messages."""
        from letta_api.models import LettaStopReason

        current, found = self._round, [] if request is None else [request]
        current.run_id = text_field(request, "run_id") if request is not None else None
        visible = self._collect(found)
        reason = "end_turn" if request is None else "requires_approval"
        current.completed, current.accumulator.stop_reason = found, LettaStopReason(stop_reason=reason)
        current.finished = True
        return visible

    def mark_sent(self) -> None:
        """Record that the request is about to be sent, so that it may reach the server."""
        if not self._round.sent:
            self._round.sent, self._round.sent_at = True, self._clock()

    def on_connection_error(self, error: APIConnectionError) -> None:
        """Record a request without a response. It is sent again if it cannot have reached the server."""
        # In the background an earlier attempt may have reached it.
        if not self._background and not error.may_have_been_processed:
            self._round.sent = False

    def on_error_response(self, error: APIStatusError, *, resume: bool) -> None:
        """Record an error response.

        Raises:
            APIStatusError: If the turn cannot continue.
        """
        current = self._round
        if resume and current.run_id and isinstance(error, (NotFoundError, RunExpiredError)):
            current.events_lost = True
        elif resume and isinstance(error, NotFoundError):
            current.sent = False  # the request never reached the server
        else:
            current.sent = resume or error.status_code >= 500
            raise error

    def on_event(self, event: StreamEvent, run_id: str | None, last_seq_id: int | None) -> list[Message] | None:
        """Record an event.

        Returns:
            The visible messages that the event completes, or None if the event is hidden from the caller.
        """
        current = self._round
        if event is current.event:
            return current.visible  # the caller was interrupted before it took the event
        message_type = field_of(event, "message_type")
        visible: list[Message] | None = None
        completed: list[Message] = []
        finals = {"stop_reason": current.accumulator.stop_reason, "usage_statistics": current.accumulator.usage}
        known = finals.get(str(message_type), event)
        if known is None or known is event:  # a resumed stream repeats the stop reason and the usage
            completed = current.accumulator.add(event)
            visible = self._collect(completed)
            hidden = message_type == REQUEST and self._wanted is not None and REQUEST not in self._wanted
            visible = None if hidden and not visible else visible
        current.completed += completed
        current.run_id, current.last_seq_id = run_id or current.run_id, last_seq_id or current.last_seq_id
        current.event, current.visible = event, visible
        return visible

    def on_stream_end(self) -> None:
        """Record the end of a stream.

        Raises:
            APIResponseValidationError: If the stream contained neither a stop reason nor a run id.
        """
        current = self._round
        current.finished = current.accumulator.stop_reason is not None
        current.events_lost = not current.finished and current.run_id is not None
        if not current.finished and not current.events_lost:
            raise APIResponseValidationError("The stream has neither a stop reason nor a run id. List the messages.")

    def on_interrupted(self, error: StreamInterrupted) -> None:
        """Record an interrupted stream. If its events are lost, the messages are listed instead.

        Raises:
            StreamInterrupted: If the stream can be resumed later.
        """
        current = self._round
        current.run_id = current.run_id or error.run_id
        is_gone = error.gap or isinstance(error.__cause__, (NotFoundError, RunExpiredError))
        if current.run_id and (is_gone or not self._background):
            current.events_lost = True
            return
        raise error

    def fail(self, error: LettaError) -> LettaError:
        """End the turn with the error of a failed run, and return it."""
        self._error = error
        return error

    def _collect(self, messages: list[Message]) -> list[Message]:
        """Record the tool calls of messages, and return the messages of the requested types."""
        current = self._round
        for message in messages:
            if field_of(message, "message_type") == REQUEST:
                calls = calls_of(message)
                if calls is None:
                    current.unreadable = message
                for call in calls or ():
                    current.calls.setdefault(call.tool_call_id, call)
        wanted = self._wanted
        return [m for m in messages if wanted is None or field_of(m, "message_type") in wanted]

    def start_tool(self, call: ToolCall) -> Callable[[ToolRun], object]:
        """Record that a tool is about to run. It never runs again, whether or not it succeeds.

        Returns:
            A function that records the run of the tool. It has no effect once the call has a result.
        """
        current = self._round
        current.started.add(call.tool_call_id)
        return lambda run: current.runs.setdefault(run.tool_call_id, run)

    def record_decision(self, decision: Decision) -> None:
        """Record the decision about a call."""
        self._round.decisions[decision.tool_call_id] = decision

    def record_run_status(self, run: Any) -> None:
        """Record the status of a run, given its JSON.

        Raises:
            StreamInterrupted: If the run has not ended within `POLL_TIMEOUT`.
        """
        current = self._round
        current.waited += current.polling.delay
        current.polling.advance()
        current.has_ended = has_ended(run)
        if current.has_ended:
            from letta_api.models import LettaStopReason

            reason = run.get("stop_reason") if is_mapping(run) else None
            reason = reason if isinstance(reason, str) and reason else "error"
            current.accumulator.stop_reason = current.accumulator.stop_reason or LettaStopReason(stop_reason=reason)
        elif current.waited > POLL_TIMEOUT:
            current.waited = 0.0
            problem = "holds the conversation" if current.picks_up else "has lost its events"
            error = StreamInterrupted(
                f"The run {current.run_id} {problem} and has not ended. Try again later, or cancel it with runs.cancel."
            )
            error.run_id = current.run_id
            raise error

    def record_messages(self, newest_first: Sequence[Message]) -> list[Message]:
        """Record the listed messages of a run whose events are lost, and return the new ones."""
        current = self._round
        seen = Counter((text_field(m, "id"), text_field(m, "message_type")) for m in current.completed)
        fresh: list[Message] = []
        for message in reversed(newest_first):
            key = (text_field(message, "id"), text_field(message, "message_type"))
            if field_of(message, "run_id") != current.run_id or key[1] in UNSTREAMED:
                continue
            if seen[key]:
                seen[key] -= 1
            else:
                fresh.append(message)
        messages = self._collect(fresh)
        if current.calls or current.unreadable is not None:
            from letta_api.models import LettaStopReason

            current.accumulator.stop_reason = LettaStopReason(stop_reason="requires_approval")
        current.completed += fresh
        current.finished = True
        return messages

    @property
    def active_run_id(self) -> str | None:
        """The id of the run of the current round, unless it has ended or is unknown."""
        current = self._round
        is_over = current.finished or current.has_ended or current.picks_up or self._error is not None
        return None if is_over else current.run_id

    @property
    def stop_reason(self) -> LettaStopReason:
        """The stop reason of the last round."""
        reason = self._round.accumulator.stop_reason
        if reason is None:
            raise LettaError("The turn has not ended.")
        return reason

    def result(self) -> ToolResult:
        """Return the result of a turn that has ended."""
        rounds = [*self._previous, self._round]
        completed = [message for each in rounds for message in each.completed]
        wanted = self._wanted
        return ToolResult(
            messages=[m for m in completed if wanted is None or field_of(m, "message_type") in wanted],
            stop_reason=self.stop_reason,
            usage=add_usage([each.accumulator.usage for each in rounds if each.accumulator.usage is not None]),
            tool_runs=[each.runs[id] for each in rounds for id in each.calls if id in each.runs],
            decisions=[each.decisions[id] for each in rounds for id in each.calls if id in each.decisions],
            rounds=sum(not each.picks_up for each in rounds),
        )


def add_usage(parts: Sequence[LettaUsageStatistics]) -> LettaUsageStatistics:
    """Return the sum of the usage of several runs."""
    from letta_api.models import LettaUsageStatistics

    total: dict[str, Any] = {}
    for part in parts:
        for name, value in part.to_dict().items():
            before = total.get(name)
            if is_count(value) and is_count(before) and name != "context_tokens":
                total[name] = before + value
            elif isinstance(value, list) and isinstance(before, list):
                total[name] = [*before, *value]
            elif value is not None or name not in total:
                total[name] = value
    return LettaUsageStatistics.from_dict(total)
