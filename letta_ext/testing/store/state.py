"""Everything a server knows, and the small decisions that need nothing else."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from .. import arguments
from ..api import errors
from ..engine.runs import KEPT_EVENTS, KEPT_FOR, Journal, Keepalive, Run
from ..engine.script import Script
from .clock import Clock, TickingClock
from .ids import IdSource
from .models import Agent, Conversation, Step, Thread, Tool


@dataclass(frozen=True, slots=True)
class Lock:
    """Who is answering in a conversation: the request's token, and its run."""

    token: str
    run_id: str


@dataclass(frozen=True, slots=True)
class Noted:
    """Which run an otid stands for, and since when."""

    run_id: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Documented:
    """What stands behind the calls that the documentation shows without saying whom they mean.

    Attributes:
        agent_id: the agent of ``default`` without an ``agent_id``.
        run_id: the run that is resumed when nothing is going on.
    """

    agent_id: str
    run_id: str


@dataclass(slots=True)
class State:
    """One server's memory.

    Attributes:
        script: what the agents answer.
        clock: where the time comes from.
        ids: where ids come from.
        delay: seconds to wait before each token.
        keepalive: how silent streams are kept open.
        kept_events: how many of a background run's newest events can be resumed; what comes before them is gone
            without a word.
        order_relative_cursors: whether a conversation's cursors follow the sort order, as in Letta's cloud, instead
            of the time, as on a server of one's own.
        failures: the exceptions that functions of the script raised.
        documented: makes the documentation's example calls work as they stand; set by the docs scene only.
    """

    script: Script = field(default_factory=Script)
    clock: Clock = field(default_factory=TickingClock)
    ids: IdSource = field(default_factory=IdSource)
    delay: float = 0.0
    keepalive: Keepalive = field(default_factory=Keepalive)
    kept_events: int = KEPT_EVENTS
    order_relative_cursors: bool = False
    documented: Documented | None = None
    failures: list[str] = field(default_factory=list[str])
    tools: dict[str, Tool] = field(default_factory=dict[str, Tool])
    agents: dict[str, Agent] = field(default_factory=dict[str, Agent])
    conversations: dict[str, Conversation] = field(default_factory=dict[str, Conversation])
    steps: dict[str, Step] = field(default_factory=dict[str, Step])
    runs: dict[str, Run] = field(default_factory=dict[str, Run])
    locks: dict[str, Lock] = field(default_factory=dict[str, Lock])
    otids: dict[str, Noted] = field(default_factory=dict[str, Noted])
    # A task that nobody holds may be collected in the middle of its work.
    tasks: set[asyncio.Task[None]] = field(default_factory=set[asyncio.Task[None]])

    @property
    def models(self) -> set[str]:
        """The handles of the models that there are: those of the agents."""
        return {agent.model_handle for agent in self.agents.values()}

    def failed(self, error: Exception) -> errors.RunFailedError:
        """Note the exception of a function of the script, and return the failure of its run."""
        failure = f"a function of the script raised {arguments.shown(error)}"
        self.failures.append(failure)
        return errors.unknown_failure(failure)

    def agent(self, agent_id: str) -> Agent:
        """Return an agent, or raise its 404."""
        if agent_id not in self.agents:
            raise errors.agent_not_found(agent_id)
        return self.agents[agent_id]

    def conversation(self, conversation_id: str) -> Conversation:
        """Return a conversation, or raise its 404."""
        if conversation_id not in self.conversations:
            raise errors.conversation_not_found(conversation_id)
        return self.conversations[conversation_id]

    def step(self, step_id: str, kind: str = "Step") -> Step:
        """Return a step, or raise the 404 of what was asked about it."""
        step = self.find_step(step_id)
        if step is None:
            raise errors.not_found(kind, step_id)
        return step

    def find_step(self, step_id: str) -> Step | None:
        """Return a step of an agent that was not deleted, if there is such a step."""
        step = self.steps.get(step_id)
        return step if step is not None and step.agent_id in self.agents else None

    def steps_of_agents(self) -> list[Step]:
        """Return the steps of all agents that were not deleted, oldest first."""
        return [step for step in self.steps.values() if step.agent_id in self.agents]

    def run(self, run_id: str) -> Run:
        """Return a run of an agent that was not deleted, or raise its 404."""
        run = self.runs.get(run_id)
        if run is None or run.agent_id not in self.agents:
            raise errors.not_found("Run", run_id)
        return run

    def runs_of_agents(self) -> list[Run]:
        """Return the runs of all agents that were not deleted, oldest first."""
        return [run for run in self.runs.values() if run.agent_id in self.agents]

    def threads_of(self, agent_id: str) -> list[Thread]:
        """Return the threads of an agent: its default conversation, and those that were not deleted."""
        others = [known.thread for known in self.conversations.values() if known.thread.agent_id == agent_id]
        return [self.agents[agent_id].thread, *others]

    def delete_agent(self, agent_id: str) -> None:
        """Delete an agent with its conversations. Its runs and steps are hidden: one may still be active."""
        del self.agents[agent_id]
        for known in [known for known in self.conversations.values() if known.thread.agent_id == agent_id]:
            del self.conversations[known.id]

    def direct_agent_id(self, conversation_id: str, agent_id: str | None) -> str | None:
        """Return the agent meant by ``default`` or by an agent's id in a conversation's place, if one is."""
        if conversation_id.startswith("agent-"):
            return conversation_id
        if conversation_id != "default":
            return None
        return agent_id or (self.documented.agent_id if self.documented else None)

    def thread(self, conversation_id: str, agent_id: str | None) -> Thread:
        """Return the thread a request means, or raise its 404."""
        direct = self.direct_agent_id(conversation_id, agent_id)
        if direct is not None:
            return self.agent(direct).thread
        return self.conversation(conversation_id).thread

    def count_messages(self, agent_id: str) -> int:
        """Return how many messages an agent has, in all its conversations."""
        return sum(len(thread.stored) for thread in self.threads_of(agent_id))

    def start_run(
        self, thread: Thread, *, background: bool, streaming: bool = True, types: Sequence[str] | None = None
    ) -> Run:
        """Create a run.

        Args:
            thread: where it answers.
            background: whether it can be resumed.
            streaming: whether its answer is streamed; the real server notes less about a run that is not.
            types: the message types that the request asked for.
        """
        run = Run(
            id=self.ids.new("run"),
            agent_id=thread.agent_id,
            conversation_id=thread.label if streaming and not thread.is_default else None,
            background=background,
            created_at=self.clock.now(),
            kind="send_message" if thread.is_default else "send_conversation_message",
            types=types,
            tracked=streaming,
            journal=Journal(self.kept_events),
        )
        self.runs[run.id] = run
        return run

    def note_otids(self, token: str, otids: Sequence[str], run: Run) -> None:
        """Remember the run under its request's token and under each otid."""
        noted = Noted(run.id, self.clock.now())
        for key in (token, *otids):
            self.otids[key] = noted

    def run_by_otid(self, otid: str) -> Run | None:
        """Return the run an otid or a request's token stands for, unless it is forgotten."""
        noted = self.otids.get(otid)
        if noted is None or self.clock.now() - noted.at > KEPT_FOR:
            return None
        return self.runs[noted.run_id]

    def active_runs(self, conversation_id: str | None, agent_id: str | None) -> list[Run]:
        """Return the runs that go on in a conversation, or anywhere for an agent, newest first."""
        return [
            run
            for run in reversed(self.runs.values())
            if run.active and (run.agent_id == agent_id if agent_id else run.conversation_id == conversation_id)
        ]

    def lock(self, thread: Thread, token: str, run: Run) -> None:
        """Let a run answer alone in a thread."""
        self.locks[thread.lock_key] = Lock(token, run.id)

    def check_free(self, thread: Thread) -> None:
        """Raise 409 if another run is answering in the thread."""
        lock = self.locks.get(thread.lock_key)
        if lock is not None:
            raise errors.busy(lock.run_id)

    def unlock(self, thread: Thread, run: Run) -> None:
        """Let others answer in the thread again, if it is this run that locked it."""
        lock = self.locks.get(thread.lock_key)
        if lock is not None and lock.run_id == run.id:
            del self.locks[thread.lock_key]


def request_token(otids: Sequence[str]) -> str:
    """Return what stands for a request: its otids, in their order."""
    return hashlib.sha256("|".join(otids).encode()).hexdigest()[:16]
