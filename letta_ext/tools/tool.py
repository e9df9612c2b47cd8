"""Tools that run here: what the model is told of them, checking what it asks for, running them.

A tool is a Python callable. Its name, its docstring and its signature are what the model sees; `annotations.py` turns
annotations into a JSON schema, and the model's JSON into Python values.
"""

from __future__ import annotations

import base64
import dataclasses
import enum
import functools
import inspect
import json
import re
import traceback
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import date, time
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias, cast

import anyio.to_thread
import attrs

from letta_api.model import Model

from .._types import is_mapping, is_sequence
from .annotation_compiler import Compiler, read_hints
from .schema import ArgumentError, Definitions, Field, Record, is_foreign

if TYPE_CHECKING:
    from letta_api.models import ToolCall
    from letta_api.params import ApprovalReturnParam, ClientToolParam, ToolReturnParam

NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
"""What model providers take for a tool's name."""

SECTION: Final = re.compile(r"(Args|Arguments|Returns|Yields|Raises|Attributes|Example|Examples|Note|Notes):\s*")
ARGUMENT: Final = re.compile(r"(\w+)\s*(?:\([^)]*\))?\s*:\s*(.*)")


@attrs.frozen
class Tool:
    """A tool that runs in this process.

    Attributes:
        name: what the model calls it by.
        description: what the model is told it does.
        parameters: the JSON schema of its arguments.
        function: what runs, with keyword arguments; may be async in an `AsyncLetta`.
    """

    name: str
    description: str
    parameters: Mapping[str, Any]
    function: Callable[..., Any]
    _arguments: Record = attrs.field(repr=False, eq=False)

    @classmethod
    def from_function(
        cls, function: Callable[..., Any], *, name: str | None = None, description: str | None = None
    ) -> Tool:
        """The tool that a callable is.

        Args:
            function: the callable. Its annotations become the schema: `str`, `int`, `float`, `bool`, `None`, `Literal`,
                enums, `list`, `tuple`, `set`, `dict`, unions, dates, `UUID`, `Decimal`, `Path`, TypedDicts,
                dataclasses, attrs classes, and, where pydantic is installed, its models and types and what is
                annotated by its `Field`. `Annotated[…, "…"]` describes a parameter, and so does the `Args:` section
                of the docstring. What has no annotation takes any JSON.
            name: its name; by default that of the callable.
            description: what it does; by default the docstring up to its first section.

        Raises:
            TypeError: an annotation has no form in JSON, or a parameter cannot be given by its name.
            ValueError: the name is none that model providers take.
        """
        if not callable(function):
            raise TypeError(f"a tool must be callable, not {function!r}")
        if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
            raise TypeError(f"{function!r} yields; a tool returns what it has to say, such as a list")
        name = name or str(getattr(function, "__name__", ""))
        if not NAME.fullmatch(name):
            raise ValueError(
                f"a tool needs a name of 1 to 64 letters, digits, _ and -, not {name!r}: Tool.from_function(…, name=…)"
            )
        told, described = read_docstring(inspect.getdoc(_documented(function)) or "")
        arguments = _signature(function, name, described)
        definitions = Definitions()
        parameters = arguments.schema(definitions)
        if definitions.found:
            parameters["$defs"] = definitions.found
        return cls(name, told if description is None else description, parameters, function, arguments)

    @property
    def is_async(self) -> bool:
        """Whether it must be awaited."""
        called = _documented(self.function) if _is_partial(self.function) else self.function
        inner = getattr(called, "__call__", None)  # noqa: B004  (the method itself, of an object that is callable)
        return inspect.iscoroutinefunction(called) or inspect.iscoroutinefunction(inner)

    def declaration(self) -> ClientToolParam:
        """What is sent as one of `client_tools`."""
        return {"name": self.name, "description": self.description, "parameters": self.parameters}

    def read(self, arguments: str) -> dict[str, Any]:
        """The keyword arguments that the model's JSON stands for.

        Raises:
            ArgumentError: it is no JSON object, or not what the signature says.
        """
        try:
            # Not the codec of the wire, which makes whole numbers beyond 64 bits inexact.
            value: Any = json.loads(arguments or "{}", parse_constant=_no_number)
        except (ValueError, RecursionError) as fault:
            raise ArgumentError(f"the arguments are not JSON: {fault}") from None
        if not is_mapping(value):
            raise ArgumentError("the arguments must be a JSON object")
        read: dict[str, Any] = self._arguments.read(value, "")
        return read


def _no_number(name: str) -> float:
    raise ValueError(f"{name} is no number")


def _is_partial(function: object) -> bool:
    return isinstance(function, functools.partial)


def _documented(function: Callable[..., Any]) -> Any:
    """What bears the docstring and the annotations."""
    if _is_partial(function):
        return cast(Any, function).func
    return function if inspect.isroutine(function) or inspect.isclass(function) else type(function).__call__


def _signature(function: Callable[..., Any], name: str, described: Mapping[str, str]) -> Record:
    bearer = _documented(function)
    hints = read_hints(bearer.__init__ if inspect.isclass(bearer) else inspect.unwrap(bearer), name)
    try:
        parameters = inspect.signature(function).parameters.values()
    except ValueError as fault:  # some functions of C have none
        raise TypeError(f"{name}: {fault}; wrap it in a function") from fault
    compiler, record = Compiler(), Record(name, dict)
    for parameter in parameters:
        if parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
            raise TypeError(f"{name}: a tool is called with named arguments, and {parameter} cannot be given by name")
        kind, told = compiler.compile(hints.get(parameter.name, Any), f"{name}: {parameter.name}")
        default = parameter.default
        shown = default.value if isinstance(default, enum.Enum) else default
        required = default is parameter.empty
        scalar = not required and isinstance(shown, (str, int, float, bool))
        record.fields.append(
            Field(parameter.name, kind, required, told or described.get(parameter.name), [shown] if scalar else [])
        )
    return record


def read_docstring(text: str) -> tuple[str, dict[str, str]]:
    """What a docstring says before its first section, and what its `Args:` section says of each parameter."""
    head: list[str] = []
    described: dict[str, str] = {}
    section, margin, name = "", 0, ""
    for line in text.splitlines():
        if match := SECTION.fullmatch(line):
            section, margin = match.group(1), 0
        elif not section:
            head.append(line)
        elif section in ("Args", "Arguments") and line.strip():
            indent = len(line) - len(line.lstrip())
            margin = margin or indent
            if indent == margin and (match := ARGUMENT.fullmatch(line.strip())):
                name = match.group(1)
                described[name] = match.group(2)
            elif name:
                described[name] = f"{described[name]} {line.strip()}".strip()
    return "\n".join(head).strip(), described


ToolRegistry: TypeAlias = dict[str, Tool]
"""Tools by their names."""


def make_tool_registry(tools: Sequence[Tool | Callable[..., Any]], *, may_be_async: bool) -> ToolRegistry:
    """The tools of a call by their names.

    Raises:
        TypeError: one is async where nothing can await it, or has a signature that no model can call.
        ValueError: two have the same name.
    """
    box: ToolRegistry = {}
    if not is_sequence(tools):
        raise TypeError(f"tools must be a list of functions, not {tools!r}")
    for each in tools:
        tool = each if isinstance(each, Tool) else Tool.from_function(each)
        if tool.name in box:
            raise ValueError(
                f"two tools are called {tool.name!r}; Tool.from_function(…, name=…) gives one another name"
            )
        if tool.is_async and not may_be_async:
            raise TypeError(f"{tool.name} is async; use AsyncLetta, or give a function that is not")
        box[tool.name] = tool
    return box


@attrs.frozen
class ToolRun:
    """A tool call that was answered here.

    Attributes:
        tool_call_id: the call.
        name: the tool that was asked for.
        arguments: what it was asked with, the JSON as the model wrote it.
        status: `"success"`, or `"error"` where the tool is unknown, the arguments are wrong, or it raised.
        tool_return: what the model is told.
        stderr: what it is told besides of an exception.
        error: what was raised, or None.
    """

    tool_call_id: str
    name: str
    arguments: str
    status: Literal["success", "error"]
    tool_return: str | list[dict[str, Any]]
    stderr: tuple[str, ...] = ()
    error: Exception | None = None

    def answer(self) -> ToolReturnParam:
        """The form in which it is sent."""
        answer: Any = {
            "type": "tool",
            "tool_call_id": self.tool_call_id,
            "tool_return": self.tool_return,
            "status": self.status,
        }
        if self.stderr:
            answer["stderr"] = list(self.stderr)
        sent: ToolReturnParam = answer
        return sent


@attrs.frozen
class Decision:
    """What was decided about a call that needed approval.

    Attributes:
        tool_call_id: the call.
        name: the tool that was to run on the server.
        arguments: what it was to be called with, the JSON as the model wrote it.
        approve: whether it may run.
        reason: why not, or why; the model is told.
    """

    tool_call_id: str
    name: str
    arguments: str
    approve: bool
    reason: str | None = None

    def answer(self) -> ApprovalReturnParam:
        """The form in which it is sent."""
        return {
            "type": "approval",
            "tool_call_id": self.tool_call_id,
            "approve": self.approve,
            "reason": self.reason,
        }


Verdict: TypeAlias = "bool | tuple[bool, str | None]"
"""What an approval callback returns: whether the call may run, or that and why."""


def read_verdict(call: ToolCall, verdict: Any) -> Decision:
    """The decision that a callback's answer means.

    Raises:
        TypeError: it is neither a bool nor a bool and a reason.
    """
    approve, reason = verdict if is_sequence(verdict) and len(verdict) == 2 else (verdict, None)
    if not isinstance(approve, bool) or not isinstance(reason, (str, type(None))):
        raise TypeError(f"approve must return a bool, or a bool and a reason, not {verdict!r}")
    return Decision(call.tool_call_id, call.name, call.arguments, approve, reason and sendable(reason))


def failed(call: ToolCall, said: str, error: Exception | None = None, stderr: Sequence[str] = ()) -> ToolRun:
    """The run of a call that brought nothing."""
    told = tuple(sendable(line) for line in stderr)
    return ToolRun(call.tool_call_id, call.name, call.arguments, "error", sendable(said), told, error)


def _prepared(box: ToolRegistry, call: ToolCall) -> Callable[[], Any] | ToolRun:
    """What runs for a call, or the run of one that cannot."""
    tool = box.get(call.name)
    if tool is None:
        known = ", ".join(box) or "none"
        return failed(
            call, f"There is no tool {call.name} here; there is {known}.", stderr=[f"unknown tool {call.name}"]
        )
    try:
        arguments = tool.read(call.arguments)
    except ArgumentError as fault:
        return failed(call, f"{call.name} was not run: {fault}", fault, [str(fault)])
    except Exception as fault:  # noqa: BLE001  (a class of the arguments that raises whatever it likes)
        return _raised(call, fault, "was not run")
    return functools.partial(tool.function, **arguments)


def _raised(call: ToolCall, fault: Exception, what: str = "failed") -> ToolRun:
    # The exception without its traceback: what a model reads should not tell it where things lie on this machine.
    lines = "".join(traceback.format_exception_only(fault)).rstrip("\n").split("\n")
    return failed(call, f"{call.name} {what}: {lines[0]}", fault, lines)


def _returned(call: ToolCall, value: object) -> ToolRun:
    return ToolRun(call.tool_call_id, call.name, call.arguments, "success", render(value))


def run_tool(box: ToolRegistry, call: ToolCall) -> ToolRun:
    """Runs the tool that a call asks for. What it raises, and what is wrong with the call, becomes an error return."""
    ready = _prepared(box, call)
    if isinstance(ready, ToolRun):
        return ready
    try:
        value = ready()
        if inspect.isawaitable(value):
            if inspect.iscoroutine(value):
                value.close()  # or Python warns that nobody awaited it
            raise TypeError(f"{call.name} returned something to be awaited, which takes AsyncLetta")
        return _returned(call, value)
    except Exception as fault:  # noqa: BLE001  (whatever a tool raises is for the model to know)
        return _raised(call, fault)


async def run_tool_async(box: ToolRegistry, call: ToolCall, record: Callable[[ToolRun], object]) -> None:
    """What `run_tool` does; async tools are awaited, others run in a thread so that nothing else has to wait.

    The run is told to `record` where the tool runs: a thread brings its work to an end, also where nobody waits for it
    any more.
    """
    if call.name in box and not box[call.name].is_async:
        late = await anyio.to_thread.run_sync(_run_in_thread, box, call, record)
    else:
        ready = _prepared(box, call)
        if isinstance(ready, ToolRun):
            record(ready)
            return
        late = ready()
    if late is not None:
        try:
            record(_returned(call, await late))
        except Exception as fault:  # noqa: BLE001  (whatever a tool raises is for the model to know)
            record(_raised(call, fault))


def _run_in_thread(box: ToolRegistry, call: ToolCall, record: Callable[[ToolRun], object]) -> Awaitable[Any] | None:
    """Runs a tool that is not async; what it returns is given back where it must be awaited after all."""
    ready = _prepared(box, call)
    if isinstance(ready, ToolRun):
        record(ready)
        return None
    try:
        value = ready()
        if inspect.isawaitable(value):
            return value
        record(_returned(call, value))
    except Exception as fault:  # noqa: BLE001  (whatever a tool raises is for the model to know)
        record(_raised(call, fault))
    return None


def render(value: object) -> str | list[dict[str, Any]]:
    """What a tool returned, as the model is told: text as it is, content parts as such, all else as JSON."""
    if isinstance(value, str) and not isinstance(value, enum.Enum):
        return sendable(value)
    if is_sequence(value) and value and all(map(_is_part, value)):
        parts: list[dict[str, Any]] = [part.to_dict() for part in value]
        return parts
    found = plain(value)
    return sendable(found if isinstance(found, str) else json.dumps(found, ensure_ascii=False))


def _is_part(value: object) -> bool:
    return isinstance(value, Model) and getattr(value, "type", None) in ("text", "image")


def sendable(text: str) -> str:
    """Text without what no server takes: halves of surrogate pairs, and zero bytes, which databases refuse."""
    return text.encode("utf-8", "replace").decode().replace("\0", "\ufffd")


def plain(value: Any) -> Any:
    """A value as JSON has it; what JSON has no form for, as text."""
    if isinstance(value, enum.Enum):
        return plain(value.value)
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, Model):
        return value.to_dict()
    if isinstance(value, (bytes, bytearray)):
        return _text_of(bytes(value))
    if is_foreign(value) and hasattr(value, "model_dump"):
        return value.model_dump(mode="json")
    names = _field_names(value.__class__)
    if names is not None:
        return {name: plain(getattr(value, name)) for name in names}
    if is_mapping(value):
        return {str(plain(key)): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, AbstractSet)):
        return [plain(item) for item in cast("Iterable[Any]", value)]
    return value.isoformat() if isinstance(value, (date, time)) else str(value)


def _text_of(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return base64.b64encode(data).decode()


def _field_names(cls: type[Any]) -> list[str] | None:
    """The fields of an attrs class or a dataclass; None where it is neither."""
    if attrs.has(cls):
        return [field.name for field in attrs.fields(cls)]
    return [field.name for field in dataclasses.fields(cls)] if dataclasses.is_dataclass(cls) else None
