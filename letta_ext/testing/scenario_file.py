"""Scenario files: the agent, its script and its faults, as YAML or JSON. docs/testing.md has an example."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import yaml

from . import arguments
from .api import errors
from .api.requests import CompactionMode
from .api.validation import is_object
from .engine.agent import ToolResult, Turn
from .engine.script import Rule, check_response
from .network.faults import Fault
from .scenarios import file_schema, setup_api, yaml_loader
from .scenarios.builtin import SOURCE, Scenario, build
from .scenarios.dataclass_reader import InvalidValueError, read
from .store.models import Agent, CompactionSettings
from .store.state import State

MAX_SIZE = 4 * 2**20
"""Maximum size of a file [B]."""


def _fault_name(fault_type: type[Any]) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", fault_type.__name__).lower()


FAULTS: Mapping[str, type[Any]] = {_fault_name(fault_type): fault_type for fault_type in get_args(Fault)}
"""The faults by their name in a file, such as ``lost_response``."""


@dataclass(frozen=True, slots=True)
class _Rule:
    """Responses to certain messages.

    Attributes:
        message: A part of the user's message, case-insensitive.
        responses: One response for each call of the model that follows the message.
    """

    message: str
    responses: Sequence[Turn | str]

    def __post_init__(self) -> None:
        arguments.text("message", self.message)
        self.rule()

    def rule(self) -> Rule:
        """Return the rule of the script."""
        return Rule(self.message, self.responses)


@dataclass(frozen=True, slots=True)
class _Tool:
    """A tool of the agent.

    Attributes:
        name: Name of the tool.
        returns: The return value.
        status: Whether the tool succeeds.
        stdout: Lines written to standard output.
        stderr: Lines written to standard error.
        requires_approval: Whether a call needs an approval.
        source: Source of a new tool, with a function of its name.
    """

    name: str
    returns: str | None = None
    status: Literal["success", "error"] = "success"
    stdout: Sequence[str] = ()
    stderr: Sequence[str] = ()
    requires_approval: bool | None = None
    source: str | None = None

    def __post_init__(self) -> None:
        if self.returns is None:
            for name, default in (("status", "success"), ("stdout", ()), ("stderr", ())):
                if getattr(self, name) != default:
                    raise ValueError(f"{name} requires returns")
        else:
            self.result(self.returns)

    def result(self, text: str) -> ToolResult:
        """Return the result of the tool."""
        return ToolResult(text, self.status, self.stdout, self.stderr)


@dataclass(frozen=True, slots=True)
class _Agent:
    """The agent.

    Attributes:
        name: Name of the agent.
        system: System prompt.
        parallel_tool_calls: Whether a turn can call several tools.
        context_window: Size of the context window in tokens.
        compaction_mode: How the context is compacted.
    """

    name: str = "Ada"
    system: str = "You are a test agent."
    parallel_tool_calls: bool = True
    context_window: int = 128_000
    compaction_mode: CompactionMode = "sliding_window"

    def __post_init__(self) -> None:
        arguments.text("name", self.name)
        arguments.text("system", self.system)
        arguments.integer("context_window", self.context_window, 1, 2**31 - 1)


@dataclass(frozen=True, slots=True)
class _File:
    """A scenario file.

    Attributes:
        agent: The agent.
        tools: Results of the agent's tools. A tool with a new name is added.
        say: Responses that are used once each, for any message.
        when: Responses to certain messages.
        otherwise: The response to other messages.
        faults: Planned faults, each for one request.
        delay: Delay before each token [s].
        kept_events: Number of the newest events of a background run that can be resumed.
        order_relative_cursors: Whether cursors of a conversation follow the sort order, as in Letta Cloud.
    """

    agent: _Agent = _Agent()
    tools: Sequence[_Tool] = ()
    say: Sequence[Turn | str] = ()
    when: Sequence[_Rule] = ()
    otherwise: Turn | str | None = None
    faults: Sequence[object] = ()
    delay: float = 0.0
    kept_events: int = 10_000
    order_relative_cursors: bool = False

    def __post_init__(self) -> None:
        for index, response in enumerate(self.say):
            check_response(f"say[{index}]", response)
        if self.otherwise is not None:
            check_response("otherwise", self.otherwise)
        arguments.seconds("delay", self.delay)
        arguments.integer("kept_events", self.kept_events)


@dataclass(frozen=True, slots=True)
class _Options:
    """Options of a fault.

    Attributes:
        on: The requests that the fault applies to: an operation such as ``steps.list``, or a path.
        times: How often the fault happens. null injects it every time.
    """

    on: str | None = None
    times: int | None = 1


def schema() -> dict[str, Any]:
    """Return the JSON Schema of scenario files. Loading a file also checks bounds and references between its parts."""
    root: dict[str, Any] = file_schema.of(_File)
    options: Any = file_schema.of(_Options)["properties"]
    variants: list[object] = []
    for name, fault_type in FAULTS.items():
        fault: dict[str, Any] = file_schema.of(fault_type)
        properties: dict[str, object] = {"fault": {"const": name}, **fault["properties"], **options}
        variants.append(file_schema.mapping(properties, ["fault", *fault.get("required", ())]))
    root["properties"]["faults"] |= {"type": "array", "items": {"oneOf": variants}}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "Scenario of letta_ext.testing", **root}


def load(path: Path, state: State | None = None) -> Scenario:
    """Return the scenario of a file.

    Args:
        path: The file.
        state: The state to add it to. Defaults to a new one.

    Raises:
        ValueError: If the file is invalid. The message contains the location.
        OSError: If the file cannot be read.
    """
    lines: dict[str, int] = {}
    try:
        data, lines = yaml_loader.load_checked(_text(path))
        return _scenario(read(_File, {} if data is None else data), state)
    except InvalidValueError as error:
        raise ValueError(f"{path}: {error} (line {error.line_in(lines)})") from None
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: not UTF-8: {error}") from None
    except yaml.YAMLError as error:
        raise ValueError(f"{path}: {' '.join(str(error).split())}") from None


def _text(path: Path) -> str:
    with path.open("rb") as file:
        content = file.read(MAX_SIZE + 1)
    if len(content) > MAX_SIZE:
        raise InvalidValueError("", f"the file must have at most {MAX_SIZE} bytes")
    text = content.decode("utf-8-sig")
    return yaml_loader.join_surrogate_pairs(text) if path.suffix == ".json" else text


def _scenario(file: _File, initial_state: State | None) -> Scenario:
    scenario = build("default", initial_state)
    state, script = scenario.state, scenario.state.script
    agent = state.agent(scenario.agent_id)
    agent.name, agent.system = file.agent.name, file.agent.system
    agent.parallel_tool_calls = file.agent.parallel_tool_calls
    agent.context_window = file.agent.context_window
    agent.compaction = CompactionSettings(file.agent.compaction_mode)
    names: set[str] = set()
    for index, tool in enumerate(file.tools):
        if tool.name in names:
            raise InvalidValueError(f".tools[{index}].name", f"duplicate tool name {tool.name!r}")
        names.add(tool.name)
        _set_tool(state, agent, tool, f".tools[{index}]")
        if tool.returns is not None:
            script.tools[tool.name] = tool.result(tool.returns)
    script.say(*file.say)
    script.rules = [each.rule() for each in file.when]
    script.otherwise = file.otherwise
    state.delay, state.kept_events = file.delay, file.kept_events
    state.order_relative_cursors = file.order_relative_cursors
    for index, fault_data in enumerate(file.faults):
        _add_fault(scenario, fault_data, f".faults[{index}]")
    return scenario


def _set_tool(state: State, agent: Agent, tool: _Tool, location: str) -> None:
    for existing in agent.tools:
        if existing.name == tool.name:
            if tool.source is not None:
                raise InvalidValueError(f"{location}.source", f"the tool {tool.name!r} exists and has a source")
            if tool.requires_approval is not None:
                existing.requires_approval = tool.requires_approval
                agent.guarded = [each.name for each in agent.tools if each.requires_approval]
            return
    source = SOURCE.format(name=tool.name) if tool.source is None else tool.source
    try:
        created = setup_api.create_tool(state, source, requires_approval=bool(tool.requires_approval))
    except errors.ApiError as error:
        raise InvalidValueError(location, str(error)) from None
    if created.name != tool.name:
        problem = f"name must be {created.name!r}, the last function of the source, got {tool.name!r}"
        raise InvalidValueError(location, problem)
    agent.tools.append(created)
    agent.guarded += [created.name] if created.requires_approval else []


def _add_fault(scenario: Scenario, fault_data: object, location: str) -> None:
    if not is_object(fault_data):
        raise InvalidValueError(location, f"expected a mapping, got {arguments.short_repr(fault_data)}")
    remaining = dict(fault_data)
    name = remaining.pop("fault", None)
    if not isinstance(name, str) or name not in FAULTS:
        raise InvalidValueError(location, f"fault must be one of {', '.join(FAULTS)}, got {arguments.short_repr(name)}")
    options = read(_Options, {key: remaining.pop(key) for key in ("on", "times") if key in remaining}, location)
    fault: Any = read(FAULTS[name], remaining, location)
    try:
        scenario.faults.add(fault, on=options.on, times=options.times)
    except (TypeError, ValueError) as error:
        raise InvalidValueError(location, str(error)) from None
