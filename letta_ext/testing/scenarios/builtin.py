"""Scenes: what a server holds when it starts."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, get_args

from .. import arguments
from ..api import serializers
from ..engine import trace
from ..engine.agent import Usage
from ..engine.runs import Run
from ..network.faults import Faults
from ..store.models import Agent, Message, Step, Thread
from ..store.state import Documented, State
from . import setup_api

BuiltinScenario = Literal["default", "docs"]
"""``default`` is a real server with one agent; ``docs`` also takes the documentation's example calls as they stand."""

SCENARIOS: tuple[BuiltinScenario, ...] = get_args(BuiltinScenario)

DOCUMENTED_STEP = "step-123e4567-e89b-42d3-8456-426614174000"
"""The step that every example of the documentation names."""

SOURCE = '''def {name}(city: str) -> str:
    """Look something up.

    Args:
        city (str): the city
    """
    return "sunny in " + city
'''


@dataclass(frozen=True, slots=True)
class Scenario:
    """A scene that has been set.

    Attributes:
        state: the server's memory.
        agent_id: an agent with the tools ``get_weather`` and ``get_time``, and ``guarded``, which needs approval.
        conversation_id: a conversation with it.
        faults: what goes wrong between it and its clients.
    """

    state: State
    agent_id: str
    conversation_id: str
    faults: Faults = field(default_factory=Faults)


def build(scene: BuiltinScenario = "default", state: State | None = None) -> Scenario:
    """Set a scene.

    Args:
        scene: which one.
        state: the memory to set it in; a new one by default.

    Raises:
        ValueError: there is no such scene.
    """
    if not isinstance(scene, str) or scene not in SCENARIOS:
        raise ValueError(f"no scene {arguments.shown(scene)}; there are {', '.join(SCENARIOS)}")
    state = state or State()
    tools = [
        setup_api.create_tool(state, SOURCE.format(name=name), requires_approval=name == "guarded")
        for name in ("get_weather", "get_time", "guarded")
    ]
    agent = setup_api.create_agent(
        state,
        name="Ada",
        system="You are a test agent.",
        blocks=[("human", "Somebody who tests.")],
        tools=tools,
        parallel_tool_calls=True,
    )
    conversation = setup_api.create_conversation(state, agent.id)
    if scene == "docs":
        run = _told(state, agent, agent.thread)
        state.documented = Documented(agent.id, run.id)
    return Scenario(state, agent.id, conversation.id)


def _told(state: State, agent: Agent, thread: Thread) -> Run:
    """Store one exchange, in the step that the documentation names and a run that can be resumed."""
    run = state.start_run(thread, background=True)
    step = Step(
        id=DOCUMENTED_STEP,
        run_id=run.id,
        agent_id=agent.id,
        model_handle=agent.model_handle,
        context_window=agent.context_window,
        created_at=state.clock.now(),
        usage=Usage(),
        status="success",
        stop_reason="end_turn",
    )
    state.steps[step.id] = step
    question = Message(
        id=state.ids.new("message"),
        role="user",
        created_at=state.clock.now(),
        otid=state.ids.uuid(),
        run_id=run.id,
        step_id=step.id,
        content="hello",
    )
    answer = Message(
        id=state.ids.new("message"),
        role="assistant",
        created_at=state.clock.now(),
        run_id=run.id,
        step_id=step.id,
        text="Hello! How can I help you?",
    )
    exchange = trace.Exchange(thread.context, [question], answer, [], Usage())
    step.trace = trace.provider_trace(state, agent, step, exchange)
    step.messages = [question, answer]
    for message in step.messages:
        thread.store(message)
    opening = serializers.ping(state.ids.new("ping"), state.clock.now(), run.id)
    for number, event in enumerate([opening, *serializers.render(answer)], 1):
        run.journal.append(serializers.sse({**event, "seq_id": number}))
    total = serializers.RunUsage()
    total.add(Usage())
    run.journal.append(serializers.sse(serializers.stop_reason("end_turn")))
    run.journal.append(serializers.sse(total.as_json()))
    run.journal.append(serializers.DONE, final=True)
    run.finish("completed", state.clock.now(), "end_turn")
    return run
