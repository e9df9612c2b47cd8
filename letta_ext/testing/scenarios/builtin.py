"""The built-in scenarios."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, get_args

from .. import arguments
from ..api import serializers
from ..engine import trace
from ..engine.agent import Usage
from ..engine.runs import Run
from ..engine.script import GREETING, echo
from ..network.faults import Faults
from ..store.models import Agent, Thread
from ..store.state import Documented, State
from . import setup_api

BuiltinScenario = Literal["default", "docs", "echo"]
"""``default`` has one agent. In ``docs``, the examples of Letta's documentation work unchanged. The agent of ``echo``
repeats each message."""

SCENARIOS: tuple[BuiltinScenario, ...] = get_args(BuiltinScenario)

DOCUMENTED_STEP = "step-123e4567-e89b-42d3-8456-426614174000"
"""The step id in the examples of Letta's documentation."""

SOURCE = '''def {name}(city: str) -> str:
    """Look something up.

    Args:
        city (str): the city
    """
    return "sunny in " + city
'''


@dataclass(frozen=True, slots=True)
class Scenario:
    """The state of a server, ready to start.

    Attributes:
        state: The stored data.
        agent_id: An agent with the tools ``get_weather``, ``get_time`` and ``guarded``. The last one needs approval.
        conversation_id: A conversation with the agent.
        faults: The plan of faults.
    """

    state: State
    agent_id: str
    conversation_id: str
    faults: Faults = field(default_factory=Faults)


def build(scenario: BuiltinScenario = "default", state: State | None = None) -> Scenario:
    """Build a built-in scenario.

    Args:
        scenario: Its name. Defaults to ``default``.
        state: The state to add it to. Defaults to a new one.

    Raises:
        ValueError: If the scenario does not exist.
    """
    if not isinstance(scenario, str) or scenario not in SCENARIOS:
        raise ValueError(f"scenario must be one of {', '.join(SCENARIOS)}, got {arguments.short_repr(scenario)}")
    state = state or State()
    tools = [
        setup_api.create_tool(state, SOURCE.format(name=name), requires_approval=name == "guarded")
        for name in ("get_weather", "get_time", "guarded")
    ]
    agent = setup_api.create_agent(
        state,
        name="Ada",
        system="You are a test agent.",
        blocks=[{"label": "human", "value": "A tester."}],
        tools=tools,
        parallel_tool_calls=True,
    )
    conversation = setup_api.create_conversation(state, agent.id)
    if scenario == "echo":
        state.script.otherwise = echo
    if scenario == "docs":
        run = _store_documented_exchange(state, agent, agent.thread)
        state.documented = Documented(agent.id, run.id)
    return Scenario(state, agent.id, conversation.id)


def _store_documented_exchange(state: State, agent: Agent, thread: Thread) -> Run:
    """Store one exchange, with the documented step and a run that can be resumed."""
    run = state.start_run(thread, background=True)
    step = state.start_step(agent, DOCUMENTED_STEP, run.id)
    step.finish(Usage(), "end_turn")
    user_message = state.new_message("user", run.id, step_id=step.id, content="hello")
    user_message.otid = state.ids.uuid()
    response = state.new_message("assistant", run.id, step_id=step.id, text=GREETING)
    exchange = trace.Exchange(thread.context, [user_message], response, [], Usage())
    step.trace = trace.provider_trace(state, agent, step, exchange)
    step.messages = [user_message, response]
    for message in step.messages:
        thread.store(message)
    ping = serializers.ping(state.ids.new("ping"), state.clock.now(), run.id)
    for number, event in enumerate([ping, *serializers.render(response)], 1):
        run.journal.append(serializers.sse({**event, "seq_id": number}))
    usage = serializers.RunUsage()
    usage.add(Usage())
    run.journal.append(serializers.sse(serializers.stop_reason("end_turn")))
    run.journal.append(serializers.sse(usage.as_json()))
    run.journal.append(serializers.DONE, final=True)
    run.finish("completed", state.clock.now(), "end_turn")
    return run
