"""A turn that calls tools, round by round: what to do next, and what to send. Nothing here does I/O.

A round is one request and the run that answers it. Where it stops for tool calls, all of them are answered by the next
request. Rounds go out in the background, their messages with otids, so that a request whose answer was lost finds its
own run again instead of starting another: an answer to a tool call that came twice would make the agent take an extra
turn. In the foreground a run that was cut is found by its id, as soon as an event has named it, and its messages are
listed; before that nobody can tell whether it began, and nothing is sent again. Everything that was done is kept here;
after an error the loop goes on where it stood.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from attrs import frozen

from .._http.busy_wait import has_ended
from .._http.errors_from_response import one_line
from .._http.idempotency import RESUME_ARGUMENTS, check_one_input, new_otid, with_otids
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
from .checks import TYPES, calls_of, check_turn, field_of_tool, is_count
from .tool import Decision, ToolRegistry, ToolRun, failed

if TYPE_CHECKING:
    from letta_api.models import LettaStopReason, LettaUsageStatistics, ToolCall
    from letta_api.unions import Message, StreamEvent

REQUEST: Final = "approval_request_message"
UNSTREAMED: Final = frozenset({"user_message", "system_message", "approval_response_message"})
"""What a run stores without telling it."""

DEADLINE: Final = 600.0
"""Seconds between two looks whether a run has ended whose events are lost, and how long to look in all."""

KEPT_FOR: Final = 10_000.0
"""Seconds for which a server surely knows an otid; it forgets it after three hours."""


@frozen
class Open:
    """Send a round, or find the run of one that was sent.

    Attributes:
        arguments: those of `create`, or of `stream`.
        again: whether it was sent before, so that `stream` finds it.
    """

    arguments: dict[str, Any]
    again: bool


@frozen
class Decide:
    """Ask whether a call may run."""

    call: ToolCall


@frozen
class Execute:
    """Run the tools of these calls."""

    calls: Sequence[ToolCall]


@frozen
class Await:
    """Wait, and then see whether a run has ended whose events are lost."""

    run_id: str
    delay: float


@frozen
class Collect:
    """List the newest messages, as far back as those of a run go."""

    run_id: str


Task: TypeAlias = Open | Decide | Execute | Await | Collect


@frozen
class ToolResult:
    """A whole turn, tool calls and all.

    Attributes:
        messages: the messages of all rounds, in their order.
        stop_reason: why the last round stopped.
        usage: what all rounds used together; `context_tokens` is that of the last.
        tool_runs: the tools that ran here.
        decisions: what was decided about calls that needed approval.
        rounds: how many requests were sent.
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
        self.folder = MessageAccumulator()
        self.begun = False  # whether the request may have reached the server
        self.sent_at = 0.0
        self.over = False
        self.lost = False  # whether its events are gone, so that its messages must be listed
        # Whether the run has ended, how long it was waited for, and when it is asked for again where they are.
        self.has_ended = False
        self.waited = 0.0
        self.poll_schedule = PollSchedule()
        self.run_id: str | None = None
        self.last_seq_id: int | None = None
        self.shown: list[Message] = []
        self.event: StreamEvent | None = None  # the last one that was received, and what was returned for it
        self.told: list[Message] | None = None
        self.unreadable: Message | None = None  # a request for tool calls that cannot be read
        # By the ids of calls, which are unique within a round; some models begin anew in each.
        self.calls: dict[str, ToolCall] = {}
        self.started: set[str] = set()
        self.runs: dict[str, ToolRun] = {}
        self.decisions: dict[str, Decision] = {}


class TurnStateMachine:
    """The rounds of one turn.

    Args:
        box: the tools that run here.
        arguments: the arguments of the call.
        max_rounds: how often results may be sent.
        can_decide: whether there is somebody to ask for approval.
        make_otid: makes an otid.
        clock: a monotonic clock in seconds.

    Raises:
        ValueError: the arguments say nothing to send, or say something twice.
    """

    def __init__(
        self,
        box: ToolRegistry,
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
        self._box = box
        self._foreign = {str(field_of_tool(tool)) for tool in declared}
        if clash := sorted(self._foreign & box.keys()):
            raise ValueError(f"{clash[0]!r} is declared in client_tools and given in tools; give it once")
        self._background = arguments.get("background", True) is not False
        self._max_rounds = max_rounds
        self._can_decide = can_decide
        self._common = {k: v for k, v in arguments.items() if k not in ("input", "messages")}
        self._common |= {
            "background": self._background,
            "client_tools": [*declared, *(t.declaration() for t in box.values())],
        }
        self._wanted = arguments.get(TYPES)
        if is_sequence(self._wanted) and REQUEST not in self._wanted:
            self._common[TYPES] = [*self._wanted, REQUEST]  # it is what tells of the calls
        given, otid = with_otids({k: arguments[k] for k in ("input", "messages") if k in arguments}, make_otid)
        if otid is None:
            raise ValueError("give input or messages: there is nothing to send")
        self._round = _Round(given["messages"], otid)
        self._done: list[_Round] = []
        self._fault: LettaError | None = None

    def next(self) -> Task | None:
        """What is to be done now, or None where the turn has ended.

        Raises:
            PendingApprovalError: a call needs approval, and there is nobody to ask.
            TooManyRoundsError: the agent calls tools again and again.
            LettaError: the run failed before; the same error again.
        """
        if self._fault is not None:
            raise self._fault
        now = self._round
        if not now.over:
            return self._to_open()
        if self.stop_reason.stop_reason != "requires_approval":
            return None
        if now.unreadable is not None:
            raise APIResponseValidationError(
                f"The agent asks for tool calls in a form that cannot be read: {one_line(repr(now.unreadable))}."
                " Nothing of it was run. Answer it with conversations.messages.create, or cancel the run.",
                body=now.unreadable.to_dict(),
                run_id=now.run_id,
            )
        if not now.calls:
            raise APIResponseValidationError(
                "The agent waits for answers to calls that were not told: list its messages."
            )
        calls = list(now.calls.values())
        guarded = [call for call in calls if not self._is_ours(call)]
        if guarded and not self._can_decide:
            raise self._undecided(guarded)
        if len(self._done) >= self._max_rounds:
            raise TooManyRoundsError(
                f"The agent called tools in more than {self._max_rounds} rounds. Nothing of the last calls was run;"
                " pass a greater max_rounds if that is expected."
            )
        for call in guarded:
            if call.tool_call_id not in now.decisions:
                return Decide(call)
        for id in now.started - now.runs.keys():
            call = now.calls[id]
            now.runs[id] = failed(call, f"{call.name} was interrupted; whether it did anything is not known.")
        left = [call for call in calls if self._is_ours(call) and call.tool_call_id not in now.runs]
        if left:
            return Execute(left)
        self._answer(calls)
        return self._to_open()

    def _is_ours(self, call: ToolCall) -> bool:
        return call.name in self._box or call.name in self._foreign

    def _undecided(self, guarded: Sequence[ToolCall]) -> PendingApprovalError:
        names = ", ".join(f"{call.name} ({call.tool_call_id})" for call in guarded)
        error = PendingApprovalError(
            f"The agent asks for approval of {names}. Pass approve=…, a function that decides. Nothing was run.",
            run_id=self._round.run_id,
        )
        requests = [field_of(m, "id") for m in self._round.shown if field_of(m, "message_type") == REQUEST]
        error.pending_request_id = requests[-1] if requests else None
        return error

    def _answer(self, calls: Sequence[ToolCall]) -> None:
        """Begins the round that answers these calls, all of them at once."""
        answers: list[Any] = [
            self._round.runs[call.tool_call_id].answer()
            if self._is_ours(call)
            else self._round.decisions[call.tool_call_id].answer()
            for call in calls
        ]
        otid = self._make_otid()
        if all(self._is_ours(call) for call in calls):
            message = {"type": "tool_return", "tool_returns": answers, "otid": otid}
        else:
            message = {"type": "approval", "approvals": answers, "otid": otid}
        self._done.append(self._round)
        self._round = _Round([message], otid)

    def _to_open(self) -> Task:
        now = self._round
        if now.lost and now.run_id:
            if now.has_ended:
                return Collect(now.run_id)
            return Await(now.run_id, now.poll_schedule.delay)
        if not now.begun:
            return Open(self.request, again=False)
        if not self._background and now.run_id:
            now.lost = True  # no stream of the foreground can be resumed, but what it told is stored
            return Await(now.run_id, now.poll_schedule.delay)
        if not now.run_id and (not self._background or self._clock() - now.sent_at > KEPT_FOR):
            raise LettaError(
                "What was sent may have run or not, and cannot be found any more: list the messages of the conversation"
                " before you send again."
            )
        found: dict[str, Any] = {"run_id": now.run_id} if now.run_id else {"otid": now.otid}
        if now.last_seq_id:
            found["starting_after"] = now.last_seq_id
        return Open({**{k: v for k, v in self._common.items() if k in RESUME_ARGUMENTS}, **found}, again=True)

    @property
    def request(self) -> dict[str, Any]:
        """The arguments of the request that begins the present round."""
        return {**self._common, "messages": self._round.messages}

    def opening(self) -> None:
        """Says that the round is about to be sent: from now on it may have reached the server."""
        if not self._round.begun:
            self._round.begun, self._round.sent_at = True, self._clock()

    def unanswered(self, error: APIConnectionError) -> None:
        """Says that no answer came; a request that cannot have reached the server may be sent anew."""
        # In the background earlier attempts may have reached it.
        if not self._background and not error.may_have_been_processed:
            self._round.begun = False

    def refused(self, error: APIStatusError, *, again: bool) -> None:
        """Says that the server did not take the request.

        Raises:
            APIStatusError: it is for the caller to know.
        """
        now = self._round
        if again and now.run_id and isinstance(error, (NotFoundError, RunExpiredError)):
            now.lost = True
        elif again and isinstance(error, NotFoundError):
            now.begun = False  # it never reached the server
        else:
            now.begun = again or error.status_code >= 500
            raise error

    def received(self, event: StreamEvent, run_id: str | None, last_seq_id: int | None) -> list[Message] | None:
        """The messages that an event completes; None where the event itself is not for the caller."""
        now = self._round
        if event is now.event:
            return now.told  # whoever was interrupted tells it again
        kind = field_of(event, "message_type")
        told: list[Message] | None = None
        completed: list[Message] = []
        known = {"stop_reason": now.folder.stop_reason, "usage_statistics": now.folder.usage}.get(str(kind), event)
        if known is None or known is event:  # a resumed stream tells the others again
            completed = now.folder.add(event)
            told = self._take(completed)
            hidden = kind == REQUEST and self._wanted is not None and REQUEST not in self._wanted
            told = None if hidden and not told else told
        now.shown += completed
        now.run_id, now.last_seq_id = run_id or now.run_id, last_seq_id or now.last_seq_id
        now.event, now.told = event, told
        return told

    def ended(self) -> None:
        """Says that a stream has come to its end.

        Raises:
            APIResponseValidationError: it did not say why the run stopped, nor which run it was.
        """
        now = self._round
        now.over = now.folder.stop_reason is not None
        now.lost = not now.over and now.run_id is not None
        if not now.over and not now.lost:
            raise APIResponseValidationError("The stream ended without a word. List the messages instead.")

    def interrupted(self, error: StreamInterrupted) -> None:
        """Says that a stream broke off. Where its events are gone, the messages will be listed.

        Raises:
            StreamInterrupted: it can go on later where it stood.
        """
        now = self._round
        now.run_id = now.run_id or error.run_id
        is_gone = error.gap or isinstance(error.__cause__, (NotFoundError, RunExpiredError))
        if now.run_id and (is_gone or not self._background):
            now.lost = True
            return
        raise error

    def failed(self, error: LettaError) -> LettaError:
        """The error of a run that failed, which is the end of the turn."""
        self._fault = error
        return error

    def _take(self, messages: list[Message]) -> list[Message]:
        now = self._round
        for message in messages:
            if field_of(message, "message_type") == REQUEST:
                calls = calls_of(message)
                if calls is None:
                    now.unreadable = message
                for call in calls or ():
                    now.calls.setdefault(call.tool_call_id, call)
        wanted = self._wanted
        return [m for m in messages if wanted is None or field_of(m, "message_type") in wanted]

    def starting(self, call: ToolCall) -> Callable[[ToolRun], object]:
        """Says that a tool is about to run: it shall not run again, whatever becomes of it.

        Returns:
            To be told what became of it; what comes when it has been answered otherwise changes nothing.
        """
        now = self._round
        now.started.add(call.tool_call_id)
        return lambda run: now.runs.setdefault(run.tool_call_id, run)

    def decided(self, decision: Decision) -> None:
        """Says what was decided about a call."""
        self._round.decisions[decision.tool_call_id] = decision

    def looked(self, run: Any) -> None:
        """Says how a run stands, given its JSON.

        Raises:
            StreamInterrupted: it goes on for too long.
        """
        now = self._round
        now.waited += now.poll_schedule.delay
        now.poll_schedule.advance()
        now.has_ended = has_ended(run)
        if now.has_ended:
            from letta_api.models import LettaStopReason

            reason = run.get("stop_reason") if is_mapping(run) else None
            reason = reason if isinstance(reason, str) and reason else "error"
            now.folder.stop_reason = now.folder.stop_reason or LettaStopReason(stop_reason=reason)
        elif now.waited > DEADLINE:
            now.waited = 0.0
            error = StreamInterrupted(f"The events of {now.run_id} are lost, and it has not ended. Try again later.")
            error.run_id = now.run_id
            raise error

    def collected(self, newest_first: Sequence[Message]) -> list[Message]:
        """The messages of a run whose events are lost, but for those that were seen."""
        now = self._round
        seen = Counter((text_field(m, "id"), text_field(m, "message_type")) for m in now.shown)
        fresh: list[Message] = []
        for message in reversed(newest_first):
            key = (text_field(message, "id"), text_field(message, "message_type"))
            if field_of(message, "run_id") != now.run_id or key[1] in UNSTREAMED:
                continue
            if seen[key]:
                seen[key] -= 1
            else:
                fresh.append(message)
        messages = self._take(fresh)
        if now.calls or now.unreadable is not None:
            self._requires_approval()
        now.shown += fresh
        now.over = True
        return messages

    def _requires_approval(self) -> None:
        from letta_api.models import LettaStopReason

        self._round.folder.stop_reason = LettaStopReason(stop_reason="requires_approval")

    @property
    def stop_reason(self) -> LettaStopReason:
        """Why the last round stopped."""
        reason = self._round.folder.stop_reason
        if reason is None:
            raise LettaError("The turn has not ended yet.")
        return reason

    def result(self) -> ToolResult:
        """The whole turn, once it has ended."""
        rounds = [*self._done, self._round]
        shown = [message for each in rounds for message in each.shown]
        wanted = self._wanted
        return ToolResult(
            messages=[m for m in shown if wanted is None or field_of(m, "message_type") in wanted],
            stop_reason=self.stop_reason,
            usage=add_usage([each.folder.usage for each in rounds if each.folder.usage is not None]),
            tool_runs=[each.runs[id] for each in rounds for id in each.calls if id in each.runs],
            decisions=[each.decisions[id] for each in rounds for id in each.calls if id in each.decisions],
            rounds=len(rounds),
        )


def add_usage(parts: Sequence[LettaUsageStatistics]) -> LettaUsageStatistics:
    """What several runs used together."""
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
