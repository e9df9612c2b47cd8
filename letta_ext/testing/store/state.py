"""The state of a server, and the lookups on it."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from .. import arguments
from ..api import errors
from ..engine.agent import Usage
from ..engine.runs import MAX_EVENTS, RUN_RETENTION, Journal, Keepalive, Run
from ..engine.script import Script
from .clock import Clock, TickingClock
from .ids import IdSource
from .models import Agent, Conversation, Json, Message, Role, Step, StoredMessage, Thread, Tool


@dataclass(frozen=True, slots=True)
class Lock:
    """The lock of a conversation: the token of the request and its run."""

    token: str
    run_id: str


@dataclass(frozen=True, slots=True)
class Documented:
    """The objects behind the examples of the documentation, which contain no ids.

    Attributes:
        agent_id: The agent of ``default`` without an ``agent_id``.
        run_id: The run to resume if none is active.
    """

    agent_id: str
    run_id: str


@dataclass(slots=True)
class State:
    """The state of one server.

    Attributes:
        script: The responses of the agents.
        clock: Source of the time.
        ids: Source of ids.
        delay: Delay before each token [s].
        keepalive: How silent streams are kept open.
        kept_events: Number of the newest events of a background run that can be resumed. Older ones are dropped.
        order_relative_cursors: Whether cursors of a conversation follow the sort order, as in Letta Cloud, instead of
            the time, as in a self-hosted server.
        failures: Descriptions of the exceptions that script functions raised.
        locks: The locks by `Thread.lock_key`.
        otids: The run and the time of the request with an otid, or with these otids, by `request_token`.
        documented: Set by the docs scenario, in which the examples of the documentation work unchanged.
    """

    script: Script = field(default_factory=Script)
    clock: Clock = field(default_factory=TickingClock)
    ids: IdSource = field(default_factory=IdSource)
    delay: float = 0.0
    keepalive: Keepalive = field(default_factory=Keepalive)
    kept_events: int = MAX_EVENTS
    order_relative_cursors: bool = False
    documented: Documented | None = None
    failures: list[str] = field(default_factory=list[str])
    tools: dict[str, Tool] = field(default_factory=dict[str, Tool])
    agents: dict[str, Agent] = field(default_factory=dict[str, Agent])
    conversations: dict[str, Conversation] = field(default_factory=dict[str, Conversation])
    deleted_conversations: dict[str, Conversation] = field(default_factory=dict[str, Conversation])
    steps: dict[str, Step] = field(default_factory=dict[str, Step])
    runs: dict[str, Run] = field(default_factory=dict[str, Run])
    locks: dict[str, Lock] = field(default_factory=dict[str, Lock])
    otids: dict[str, tuple[Run, datetime]] = field(default_factory=dict[str, tuple[Run, datetime]])
    # asyncio keeps only weak references to tasks.
    tasks: set[asyncio.Task[None]] = field(default_factory=set[asyncio.Task[None]])

    @property
    def models(self) -> set[str]:
        """The handles of the agents' models."""
        return {agent.model_handle for agent in self.agents.values()}

    def record_failure(self, error: Exception) -> errors.RunFailedError:
        """Record an exception of a script function, and return the failure of its run."""
        failure = f"a script function raised {arguments.short_repr(error)}"
        self.failures.append(failure)
        return errors.unknown_failure(failure)

    def agent(self, agent_id: str) -> Agent:
        """Return an agent, or raise a 404."""
        if agent_id not in self.agents:
            raise errors.agent_not_found(agent_id)
        return self.agents[agent_id]

    def conversation(self, conversation_id: str) -> Conversation:
        """Return a conversation, or raise a 404."""
        if conversation_id not in self.conversations:
            raise errors.conversation_not_found(conversation_id)
        return self.conversations[conversation_id]

    def add_steps(self, agent_id: str, count: int) -> list[str]:
        """Add finished steps of an agent without messages, traces and runs, and return their ids.

        Args:
            agent_id: Id of the agent.
            count: Number of steps. The clock is read once for each.
        """
        agent = self.agent(agent_id)
        added = [self.start_step(agent, step_id=self.ids.new("step"), run_id=self.ids.new("run")) for _ in range(count)]
        for step in added:
            step.finish(Usage(), "end_turn")
        return [step.id for step in added]

    def start_step(self, agent: Agent, step_id: str, run_id: str, *, streamed: bool = False) -> Step:
        """Create a step of an agent."""
        step = Step(
            id=step_id,
            run_id=run_id,
            agent_id=agent.id,
            model_handle=agent.model_handle,
            context_window=agent.context_window,
            created_at=self.clock.now(),
            streamed=streamed,
        )
        self.steps[step.id] = step
        return step

    def new_message(self, role: Role, run_id: str | None = None, **fields: Any) -> Message:
        """Return a message with a new id and the current time, which is not stored in a thread yet."""
        return Message(id=self.ids.new("message"), role=role, created_at=self.clock.now(), run_id=run_id, **fields)

    def step(self, step_id: str, kind: str = "Step") -> Step:
        """Return a step, or raise a 404 that names this kind of object."""
        step = self.find_step(step_id)
        if step is None:
            raise errors.not_found(kind, step_id)
        return step

    def find_step(self, step_id: str) -> Step | None:
        """Return a step of an existing agent, or None."""
        step = self.steps.get(step_id)
        return step if step is not None and step.agent_id in self.agents else None

    def steps_of_agents(self) -> list[Step]:
        """Return the steps of all existing agents, oldest first."""
        return [step for step in self.steps.values() if step.agent_id in self.agents]

    def run(self, run_id: str) -> Run:
        """Return a run of an existing agent, or raise a 404."""
        run = self.runs.get(run_id)
        if run is None or run.agent_id not in self.agents:
            raise errors.not_found("Run", run_id)
        return run

    def runs_of_agents(self) -> list[Run]:
        """Return the runs of all existing agents, oldest first."""
        return [run for run in self.runs.values() if run.agent_id in self.agents]

    def last_completion(self, conversation_id: str) -> datetime | None:
        """Return the time at which the last streamed run of a conversation ended."""
        ended = [
            run.completed_at for run in self.runs.values() if run.conversation_id == conversation_id and run.tracked
        ]
        return max((each for each in ended if each is not None), default=None)

    def threads_of(self, agent_id: str) -> list[Thread]:
        """Return the threads of an agent: its default conversation and its other ones."""
        others = [known.thread for known in self.conversations.values() if known.thread.agent_id == agent_id]
        return [self.agents[agent_id].thread, *others]

    def stored(self) -> list[StoredMessage]:
        """Return the messages of all agents."""
        threads = [thread for agent_id in self.agents for thread in self.threads_of(agent_id)]
        return [entry for thread in threads for entry in thread.stored]

    def delete_agent(self, agent_id: str) -> None:
        """Delete an agent with its conversations. Its runs and steps are hidden, because one can be active."""
        del self.agents[agent_id]
        for known in [known for known in self.conversations.values() if known.thread.agent_id == agent_id]:
            del self.conversations[known.id]

    def direct_agent_id(self, conversation_id: str, agent_id: str | None) -> str | None:
        """Return the agent that ``default`` or an agent id selects in place of a conversation id, if any."""
        if conversation_id.startswith("agent-"):
            return conversation_id
        if conversation_id != "default":
            return None
        return agent_id or (self.documented.agent_id if self.documented else None)

    def thread(self, conversation_id: str, agent_id: str | None) -> Thread:
        """Return the thread of a request, or raise a 404."""
        direct = self.direct_agent_id(conversation_id, agent_id)
        if direct is not None:
            return self.agent(direct).thread
        return self.conversation(conversation_id).thread

    def count_messages(self, agent_id: str) -> int:
        """Return the number of messages of an agent in all conversations."""
        return sum(len(thread.stored) for thread in self.threads_of(agent_id))

    def start_run(self, thread: Thread, *, background: bool, streaming: bool = True, config: Json | None = None) -> Run:
        """Create a run.

        Args:
            thread: Thread of the run.
            background: Whether the run can be resumed.
            streaming: Whether the response is streamed. Letta records less about other runs.
            config: The settings of the request that the run contains.
        """
        run = Run(
            id=self.ids.new("run"),
            agent_id=thread.agent_id,
            conversation_id=thread.label if streaming and not thread.is_default else None,
            background=background,
            created_at=self.clock.now(),
            kind="send_message" if thread.is_default else "send_conversation_message",
            config=config or {},
            tracked=streaming,
            journal=Journal(self.kept_events),
        )
        self.runs[run.id] = run
        return run

    def record_otids(self, token: str, otids: Sequence[str], run: Run) -> None:
        """Record the run under the token of its request and under each otid."""
        self.otids |= dict.fromkeys((token, *otids), (run, self.clock.now()))

    def run_by_otid(self, otid: str) -> Run | None:
        """Return the run of an otid or a request token, unless it has expired."""
        run, requested_at = self.otids.get(otid, (None, None))
        if requested_at is None or self.clock.now() - requested_at > RUN_RETENTION:
            return None
        return run

    def active_runs(self, conversation_id: str | None, agent_id: str | None) -> list[Run]:
        """Return the runs of a conversation, or of an agent, that the API shows as active, newest first."""
        return [
            run
            for run in reversed(self.runs_of_agents())
            if run.is_shown_active
            and (run.agent_id == agent_id if agent_id else run.conversation_id == conversation_id)
        ]

    def lock(self, thread: Thread, token: str, run: Run) -> None:
        """Lock a thread for a run."""
        self.locks[thread.lock_key] = Lock(token, run.id)

    def check_free(self, thread: Thread) -> None:
        """Raise a 409 if another run has locked the thread."""
        if thread.lock_key in self.locks:
            raise errors.busy(self.locks[thread.lock_key].run_id)

    def unlock(self, thread: Thread, run: Run) -> None:
        """Release the lock of a run."""
        lock = self.locks.get(thread.lock_key)
        if lock is not None and lock.run_id == run.id:
            del self.locks[thread.lock_key]


def request_token(otids: Sequence[str]) -> str:
    """Return the token of a request: a hash of its otids in order."""
    return hashlib.sha256("|".join(otids).encode()).hexdigest()[:16]
