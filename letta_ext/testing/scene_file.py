"""Scenes from files: what an agent answers to what, and what goes wrong, as YAML or JSON. docs/testing.md shows one."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import yaml

from . import arguments
from .api import errors
from .api.requests import COMPACTION_MODES
from .api.validation import is_object
from .engine.agent import ToolAnswer, Turn
from .engine.script import Rule, check_answer
from .network.faults import Fault
from .scenarios import setup_api, yaml_loader
from .scenarios.builtin import SOURCE, Scenario, build
from .scenarios.dataclass_reader import Misfit, read
from .store.models import Agent
from .store.state import State

LONGEST = 4 * 2**20
"""How many bytes a file may have."""


def _name(kind: type[Any]) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", kind.__name__).lower()


FAULTS: Mapping[str, type[Any]] = {_name(kind): kind for kind in get_args(Fault)}
"""The faults by the names they have in a file, such as ``lost_answer``."""


@dataclass(frozen=True, slots=True)
class _Answers:
    message: str
    answers: Sequence[Turn | str]

    def __post_init__(self) -> None:
        arguments.text("message", self.message)
        for index, answer in enumerate(self.answers):
            check_answer(f"answers[{index}]", answer)
        if not self.answers:
            raise ValueError("answers must hold at least one answer")


@dataclass(frozen=True, slots=True)
class _Tool:
    name: str
    answers: str | None = None
    status: Literal["success", "error"] = "success"
    stdout: Sequence[str] = ()
    stderr: Sequence[str] = ()
    requires_approval: bool | None = None
    source: str | None = None

    def __post_init__(self) -> None:
        if self.answers is None:
            for name, default in (("status", "success"), ("stdout", ()), ("stderr", ())):
                if getattr(self, name) != default:
                    raise ValueError(f"{name} belongs to answers, which is missing")
        else:
            self.answer(self.answers)

    def answer(self, text: str) -> ToolAnswer:
        """Return what the tool answers."""
        return ToolAnswer(text, self.status, self.stdout, self.stderr)


@dataclass(frozen=True, slots=True)
class _Agent:
    name: str = "Ada"
    system: str = "You are a test agent."
    parallel_tool_calls: bool = True
    context_window: int = 128_000
    compaction_mode: str = "sliding_window"

    def __post_init__(self) -> None:
        arguments.text("name", self.name)
        arguments.text("system", self.system)
        arguments.whole("context_window", self.context_window, 1, 2**31 - 1)
        arguments.one_of("compaction_mode", self.compaction_mode, COMPACTION_MODES)


@dataclass(frozen=True, slots=True)
class _File:
    agent: _Agent = _Agent()
    tools: Sequence[_Tool] = ()
    say: Sequence[Turn | str] = ()
    when: Sequence[_Answers] = ()
    otherwise: Turn | str | None = None
    faults: Sequence[object] = ()
    delay: float = 0.0
    kept_events: int = 10_000
    order_relative_cursors: bool = False

    def __post_init__(self) -> None:
        for index, answer in enumerate(self.say):
            check_answer(f"say[{index}]", answer)
        if self.otherwise is not None:
            check_answer("otherwise", self.otherwise)
        arguments.seconds("delay", self.delay)
        arguments.whole("kept_events", self.kept_events)


@dataclass(frozen=True, slots=True)
class _When:
    on: str | None = None
    times: int | None = 1


def load(path: Path, state: State | None = None) -> Scenario:
    """Return the stage that a scene file sets.

    Args:
        path: the file.
        state: the memory to set it in; a new one by default.

    Raises:
        ValueError: the file is no scene; the message says where it is wrong.
        OSError: the file cannot be read.
    """
    lines: dict[str, int] = {}
    try:
        data, lines = yaml_loader.load_checked(_text(path))
        return _stage(read(_File, {} if data is None else data), state)
    except Misfit as error:
        raise ValueError(f"{path}: {error} (line {error.line_in(lines)})") from None
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: the file is not UTF-8: {error}") from None
    except yaml.YAMLError as error:
        raise ValueError(f"{path}: {' '.join(str(error).split())}") from None


def _text(path: Path) -> str:
    with path.open("rb") as file:
        content = file.read(LONGEST + 1)
    if len(content) > LONGEST:
        raise Misfit("", f"the file has more than {LONGEST} bytes")
    text = content.decode("utf-8-sig")
    return yaml_loader.with_joined_pairs(text) if path.suffix == ".json" else text


def _stage(scene: _File, memory: State | None) -> Scenario:
    stage = build("default", memory)
    state, script = stage.state, stage.state.script
    agent = state.agent(stage.agent_id)
    agent.name, agent.system = scene.agent.name, scene.agent.system
    agent.parallel_tool_calls = scene.agent.parallel_tool_calls
    agent.context_window, agent.compaction_mode = scene.agent.context_window, scene.agent.compaction_mode
    named: set[str] = set()
    for index, tool in enumerate(scene.tools):
        if tool.name in named:
            raise Misfit(f".tools[{index}].name", f"another tool has the name {tool.name!r}")
        named.add(tool.name)
        _set_tool(state, agent, tool, f".tools[{index}]")
        if tool.answers is not None:
            script.tools[tool.name] = tool.answer(tool.answers)
    script.say(*scene.say)
    script.rules = [Rule(rule.message, rule.answers) for rule in scene.when]
    script.otherwise = scene.otherwise
    state.delay, state.kept_events = scene.delay, scene.kept_events
    state.order_relative_cursors = scene.order_relative_cursors
    for index, planned in enumerate(scene.faults):
        _plan(stage, planned, f".faults[{index}]")
    return stage


def _set_tool(state: State, agent: Agent, tool: _Tool, place: str) -> None:
    for known in agent.tools:
        if known.name == tool.name:
            if tool.source is not None:
                raise Misfit(f"{place}.source", f"the tool {tool.name!r} is there already, with a source")
            if tool.requires_approval is not None:
                known.requires_approval = tool.requires_approval
            return
    source = SOURCE.format(name=tool.name) if tool.source is None else tool.source
    try:
        made = setup_api.create_tool(state, source, requires_approval=bool(tool.requires_approval))
    except errors.ApiError as error:
        raise Misfit(place, str(error)) from None
    if made.name != tool.name:
        raise Misfit(place, f"name is {tool.name!r}, and the last function of the source is {made.name!r}")
    agent.tools.append(made)


def _plan(stage: Scenario, planned: object, place: str) -> None:
    if not is_object(planned):
        raise Misfit(place, f"a mapping is expected, not {arguments.shown(planned)}")
    rest = dict(planned)
    name = rest.pop("fault", None)
    if not isinstance(name, str) or name not in FAULTS:
        raise Misfit(place, f"no fault {arguments.shown(name)}; there are {', '.join(FAULTS)}")
    when = read(_When, {key: rest.pop(key) for key in ("on", "times") if key in rest}, place)
    fault: Any = read(FAULTS[name], rest, place)
    try:
        stage.faults.add(fault, on=when.on, times=when.times)
    except (TypeError, ValueError) as error:
        raise Misfit(place, str(error)) from None
