"""Scenes from files: what an agent answers to what, and what goes wrong, as YAML or JSON. docs/testing.md shows one."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import yaml

from . import errors, scenery, yamls
from .agent import ToolAnswer, Turn
from .faults import Fault
from .reading import Misfit, read
from .scenes import SOURCE, Stage, build
from .script import Rule
from .state import State
from .validation import is_object


def _name(kind: type[Any]) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", kind.__name__).lower()


FAULTS: Mapping[str, type[Any]] = {_name(kind): kind for kind in get_args(Fault)}
"""The faults by the names they have in a file, such as ``lost_answer``."""


@dataclass(frozen=True, slots=True)
class _Answers:
    message: str
    answers: Sequence[Turn | str]


@dataclass(frozen=True, slots=True)
class _Tool:
    name: str
    answers: str | None = None
    status: Literal["success", "error"] = "success"
    stdout: Sequence[str] = ()
    stderr: Sequence[str] = ()
    requires_approval: bool = False
    source: str | None = None


@dataclass(frozen=True, slots=True)
class _Agent:
    name: str = "Ada"
    system: str = "You are a test agent."
    parallel_tool_calls: bool = True
    context_window: int = 128_000
    compaction_mode: str = "sliding_window"


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


@dataclass(frozen=True, slots=True)
class _When:
    on: str | None = None
    times: int | None = 1


def load(path: Path, state: State | None = None) -> Stage:
    """Return the stage that a scene file sets.

    Args:
        path: the file.
        state: the memory to set it in; a new one by default.

    Raises:
        ValueError: the file is no scene; the message says where it is wrong.
        OSError: the file cannot be read.
    """
    try:
        data = yamls.load(path.read_text(encoding="utf-8"))
        return _stage(read(_File, {} if data is None else data), state)
    except (Misfit, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: {error}") from None
    except yaml.YAMLError as error:
        raise ValueError(f"{path}: {' '.join(str(error).split())}") from None


def _stage(scene: _File, memory: State | None) -> Stage:
    stage = build("default", memory)
    state, script = stage.state, stage.state.script
    agent = state.agent(stage.agent_id)
    agent.name, agent.system = scene.agent.name, scene.agent.system
    agent.parallel_tool_calls = scene.agent.parallel_tool_calls
    agent.context_window, agent.compaction_mode = scene.agent.context_window, scene.agent.compaction_mode
    for index, tool in enumerate(scene.tools):
        if tool.name not in {known.name for known in agent.tools}:
            source = tool.source or SOURCE.format(name=tool.name)
            try:
                agent.tools.append(scenery.create_tool(state, source, requires_approval=tool.requires_approval))
            except (errors.ApiError, KeyError) as error:
                raise Misfit(f".tools[{index}]", str(error)) from None
        if tool.answers is not None:
            script.tools[tool.name] = ToolAnswer(tool.answers, tool.status, tool.stdout, tool.stderr)
    script.say(*scene.say)
    script.rules = [Rule(rule.message, rule.answers) for rule in scene.when]
    script.otherwise = scene.otherwise
    state.delay, state.kept_events = scene.delay, scene.kept_events
    state.order_relative_cursors = scene.order_relative_cursors
    for index, planned in enumerate(scene.faults):
        _plan(stage, planned, f".faults[{index}]")
    return stage


def _plan(stage: Stage, planned: object, place: str) -> None:
    if not is_object(planned):
        raise Misfit(place, f"a mapping is expected, not {planned!r}")
    rest = dict(planned)
    name = rest.pop("fault", None)
    if not isinstance(name, str) or name not in FAULTS:
        raise Misfit(place, f"no fault {name!r}; there are {', '.join(FAULTS)}")
    when = read(_When, {key: rest.pop(key) for key in ("on", "times") if key in rest}, place)
    fault: Any = read(FAULTS[name], rest, place)
    try:
        stage.faults.add(fault, on=when.on, times=when.times)
    except ValueError as error:
        raise Misfit(place, str(error)) from None
