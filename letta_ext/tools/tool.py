"""Client-side tools: their declarations for the model, decoding of arguments, and execution.

A tool is a Python callable. The model sees its name, its docstring and its signature. `annotation_compiler.py` compiles
the annotations to a JSON schema that also decodes the arguments.
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
from .annotation_compiler import Compiler, resolve_hints
from .schema import ArgumentError, Definitions, Field, ObjectType, is_pydantic

if TYPE_CHECKING:
    from letta_api.models import ToolCall
    from letta_api.params import ApprovalReturnParam, ClientToolParam, ToolReturnParam

NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
"""The tool names that model providers accept."""

SECTION: Final = re.compile(r"(Args|Arguments|Returns|Yields|Raises|Attributes|Example|Examples|Note|Notes):\s*")
ARGUMENT: Final = re.compile(r"(\w+)\s*(?:\([^)]*\))?\s*:\s*(.*)")


@attrs.frozen
class Tool:
    """A tool that runs in this process.

    Attributes:
        name: Its name.
        description: Its description for the model.
        parameters: The JSON schema of its arguments.
        function: The function that is called with keyword arguments. It may be async in an `AsyncLetta`.
    """

    name: str
    description: str
    parameters: Mapping[str, Any]
    function: Callable[..., Any]
    _arguments: ObjectType = attrs.field(repr=False, eq=False)

    @classmethod
    def from_function(
        cls, function: Callable[..., Any], *, name: str | None = None, description: str | None = None
    ) -> Tool:
        """Make a tool from a callable.

        Args:
            function: The callable. Its annotations become the schema: `str`, `int`, `float`, `bool`, `None`, `Literal`,
                enums, `list`, `tuple`, `set`, `dict`, unions, dates, `UUID`, `Decimal`, `Path`, TypedDicts,
                dataclasses, attrs classes, and, if pydantic is installed, its models, types and `Field`.
                `Annotated[…, "…"]` or the `Args:` section of the docstring describes a parameter. A parameter without
                an annotation accepts any JSON.
            name: The name of the tool. Defaults to the name of the callable.
            description: The description of the tool. Defaults to the docstring up to its first section.

        Raises:
            TypeError: If JSON cannot express an annotation, or a parameter cannot be passed by keyword.
            ValueError: If model providers do not accept the name.
        """
        if not callable(function):
            raise TypeError(f"a tool must be callable, got {function!r}")
        if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
            raise TypeError(f"a tool must not be a generator, got {function!r}; return a list instead")
        name = name or str(getattr(function, "__name__", ""))
        if not NAME.fullmatch(name):
            raise ValueError(
                f"the name of a tool must be 1 to 64 letters, digits, _ or -, got {name!r};"
                " pass another to Tool.from_function(…, name=…)"
            )
        summary, parameter_docs = parse_docstring(inspect.getdoc(_annotated_callable(function)) or "")
        arguments = _compile_signature(function, name, parameter_docs)
        definitions = Definitions()
        parameters = arguments.schema(definitions)
        if definitions.schemas:
            parameters["$defs"] = definitions.schemas
        return cls(name, summary if description is None else description, parameters, function, arguments)

    @property
    def is_async(self) -> bool:
        """Whether the tool must be awaited."""
        called = _annotated_callable(self.function) if _is_partial(self.function) else self.function
        inner = getattr(called, "__call__", None)  # noqa: B004  # the method of a callable object
        return inspect.iscoroutinefunction(called) or inspect.iscoroutinefunction(inner)

    def declaration(self) -> ClientToolParam:
        """Return the declaration of the tool for `client_tools`."""
        return {"name": self.name, "description": self.description, "parameters": self.parameters}

    def decode_arguments(self, arguments: str) -> dict[str, Any]:
        """Return the keyword arguments for the JSON text of a tool call.

        Raises:
            ArgumentError: If the text is not a JSON object, or does not match the signature.
        """
        try:
            # Not the faster codec of requests, which rounds integers beyond 64 bits.
            value: Any = json.loads(arguments or "{}", parse_constant=_reject_constant)
        except (ValueError, RecursionError) as error:
            raise ArgumentError(f"the arguments are not JSON: {error}") from None
        if not is_mapping(value):
            raise ArgumentError("the arguments must be a JSON object")
        decoded: dict[str, Any] = self._arguments.decode(value, "")
        return decoded


def _reject_constant(name: str) -> float:
    raise ValueError(f"{name} is not a JSON number")


def _is_partial(function: object) -> bool:
    return isinstance(function, functools.partial)


def _annotated_callable(function: Callable[..., Any]) -> Any:
    """Return the object that has the docstring and the annotations of a callable."""
    if _is_partial(function):
        return cast(Any, function).func
    return function if inspect.isroutine(function) or inspect.isclass(function) else type(function).__call__


def _compile_signature(function: Callable[..., Any], name: str, parameter_docs: Mapping[str, str]) -> ObjectType:
    annotated = _annotated_callable(function)
    hints = resolve_hints(annotated.__init__ if inspect.isclass(annotated) else inspect.unwrap(annotated), name)
    try:
        parameters = inspect.signature(function).parameters.values()
    except ValueError as error:  # some functions of C have no signature
        raise TypeError(f"{name}: {error}; wrap it in a function") from error
    compiler, compiled = Compiler(), ObjectType(name, dict)
    for parameter in parameters:
        if parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
            raise TypeError(f"{name}: the parameters of a tool must be keyword parameters, got {parameter}")
        value_type, description = compiler.compile(hints.get(parameter.name, Any), f"{name}: {parameter.name}")
        default = parameter.default
        value = default.value if isinstance(default, enum.Enum) else default
        required = default is parameter.empty
        encodable = not required and isinstance(value, (str, int, float, bool))
        description = description or parameter_docs.get(parameter.name)
        compiled.fields.append(Field(parameter.name, value_type, required, description, [value] if encodable else []))
    return compiled


def parse_docstring(text: str) -> tuple[str, dict[str, str]]:
    """Return the text of a docstring before its first section, and the descriptions of its `Args:` section."""
    head: list[str] = []
    descriptions: dict[str, str] = {}
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
                descriptions[name] = match.group(2)
            elif name:
                descriptions[name] = f"{descriptions[name]} {line.strip()}".strip()
    return "\n".join(head).strip(), descriptions


ToolRegistry: TypeAlias = dict[str, Tool]
"""Tools by name."""


def make_tool_registry(tools: Sequence[Tool | Callable[..., Any]], *, may_be_async: bool) -> ToolRegistry:
    """Return the tools of a call by name.

    Raises:
        TypeError: If a tool is async in a sync client, or has an unsupported signature.
        ValueError: If two tools have the same name.
    """
    registry: ToolRegistry = {}
    if not is_sequence(tools):
        raise TypeError(f"tools must be a list of functions, got {tools!r}")
    for each in tools:
        tool = each if isinstance(each, Tool) else Tool.from_function(each)
        if tool.name in registry:
            raise ValueError(f"two tools are named {tool.name!r}; rename one with Tool.from_function(…, name=…)")
        if tool.is_async and not may_be_async:
            raise TypeError(f"{tool.name} must not be async in a sync client; use AsyncLetta, or pass a sync function")
        registry[tool.name] = tool
    return registry


@attrs.frozen
class ToolRun:
    """A run of a client-side tool.

    Attributes:
        tool_call_id: The id of the call.
        name: The name of the tool.
        arguments: The arguments, as JSON text of the model.
        status: `"success"`, or `"error"` if the tool is unknown, the arguments are invalid, or the tool raised.
        tool_return: The result that is sent to the model.
        stderr: The lines of the exception, which are also sent.
        error: The exception, or None.
    """

    tool_call_id: str
    name: str
    arguments: str
    status: Literal["success", "error"]
    tool_return: str | list[dict[str, Any]]
    stderr: tuple[str, ...] = ()
    error: Exception | None = None

    def to_param(self) -> ToolReturnParam:
        """Return the request parameter."""
        param: Any = {
            "type": "tool",
            "tool_call_id": self.tool_call_id,
            "tool_return": self.tool_return,
            "status": self.status,
        }
        if self.stderr:
            param["stderr"] = list(self.stderr)
        typed: ToolReturnParam = param
        return typed


@attrs.frozen
class Decision:
    """A decision about a tool call that needs approval.

    Attributes:
        tool_call_id: The id of the call.
        name: The name of the tool, which runs on the server.
        arguments: The arguments, as JSON text of the model.
        approve: Whether the tool may run.
        reason: The reason, which is sent to the model.
    """

    tool_call_id: str
    name: str
    arguments: str
    approve: bool
    reason: str | None = None

    def to_param(self) -> ApprovalReturnParam:
        """Return the request parameter."""
        return {
            "type": "approval",
            "tool_call_id": self.tool_call_id,
            "approve": self.approve,
            "reason": self.reason,
        }


Verdict: TypeAlias = "bool | tuple[bool, str | None]"
"""The result of an approval callback: whether the call may run, optionally with a reason."""


def decision_from_verdict(call: ToolCall, verdict: Any) -> Decision:
    """Return the decision for the result of an approval callback.

    Raises:
        TypeError: If the result is neither a bool nor a bool and a reason.
    """
    approve, reason = verdict if is_sequence(verdict) and len(verdict) == 2 else (verdict, None)
    if not isinstance(approve, bool) or not isinstance(reason, (str, type(None))):
        raise TypeError(f"approve must return a bool, or a bool and a reason, got {verdict!r}")
    return Decision(call.tool_call_id, call.name, call.arguments, approve, reason and sanitize(reason))


def failed_run(call: ToolCall, text: str, error: Exception | None = None, stderr: Sequence[str] = ()) -> ToolRun:
    """Return the run of a call that failed."""
    lines = tuple(sanitize(line) for line in stderr)
    return ToolRun(call.tool_call_id, call.name, call.arguments, "error", sanitize(text), lines, error)


def _bind(registry: ToolRegistry, call: ToolCall) -> Callable[[], Any] | ToolRun:
    """Return the tool of a call with its arguments bound, or a failed run."""
    tool = registry.get(call.name)
    if tool is None:
        known = ", ".join(registry) or "none"
        text = f"{call.name} is not a client-side tool; the client-side tools are: {known}."
        return failed_run(call, text, stderr=[f"unknown tool {call.name}"])
    try:
        arguments = tool.decode_arguments(call.arguments)
    except ArgumentError as error:
        return failed_run(call, f"{call.name} was not run: {error}", error, [str(error)])
    except Exception as error:  # noqa: BLE001  # classes of the arguments can raise any exception
        return _raised_run(call, error, "was not run")
    return functools.partial(tool.function, **arguments)


def _raised_run(call: ToolCall, error: Exception, outcome: str = "failed") -> ToolRun:
    # Without the traceback, which would disclose local paths to the model.
    lines = "".join(traceback.format_exception_only(error)).rstrip("\n").split("\n")
    return failed_run(call, f"{call.name} {outcome}: {lines[0]}", error, lines)


def _returned_run(call: ToolCall, value: object) -> ToolRun:
    return ToolRun(call.tool_call_id, call.name, call.arguments, "success", to_tool_return(value))


def run_tool(registry: ToolRegistry, call: ToolCall) -> ToolRun:
    """Run the tool of a call. Exceptions and invalid calls become error results."""
    bound = _bind(registry, call)
    if isinstance(bound, ToolRun):
        return bound
    try:
        value = bound()
        if inspect.isawaitable(value):
            if inspect.iscoroutine(value):
                value.close()  # prevents the "was never awaited" warning
            raise TypeError(f"{call.name} returned an awaitable, which requires AsyncLetta")
        return _returned_run(call, value)
    except Exception as error:  # noqa: BLE001  # each exception of a tool is reported to the model
        return _raised_run(call, error)


async def run_tool_async(registry: ToolRegistry, call: ToolCall, record: Callable[[ToolRun], object]) -> None:
    """Async version of `run_tool`. Sync tools run in a thread.

    Args:
        registry: The tools by name.
        call: The call.
        record: Is called with the run, in the thread of the tool. A thread outlives the cancellation of its task,
            and still records its run.
    """
    if call.name in registry and not registry[call.name].is_async:
        awaitable = await anyio.to_thread.run_sync(_run_in_thread, registry, call, record)
    else:
        bound = _bind(registry, call)
        if isinstance(bound, ToolRun):
            record(bound)
            return
        awaitable = bound()
    if awaitable is not None:
        try:
            record(_returned_run(call, await awaitable))
        except Exception as error:  # noqa: BLE001  # each exception of a tool is reported to the model
            record(_raised_run(call, error))


def _run_in_thread(
    registry: ToolRegistry, call: ToolCall, record: Callable[[ToolRun], object]
) -> Awaitable[Any] | None:
    """Run a sync tool. If it returns an awaitable, return that instead of recording a run."""
    bound = _bind(registry, call)
    if isinstance(bound, ToolRun):
        record(bound)
        return None
    try:
        value = bound()
        if inspect.isawaitable(value):
            return value
        record(_returned_run(call, value))
    except Exception as error:  # noqa: BLE001  # each exception of a tool is reported to the model
        record(_raised_run(call, error))
    return None


def to_tool_return(value: object) -> str | list[dict[str, Any]]:
    """Return the result of a tool as text, as content parts, or otherwise as JSON text."""
    if isinstance(value, str) and not isinstance(value, enum.Enum):
        return sanitize(value)
    if is_sequence(value) and value and all(map(_is_content_part, value)):
        parts: list[dict[str, Any]] = [part.to_dict() for part in value]
        return parts
    jsonable = to_jsonable(value)
    return sanitize(jsonable if isinstance(jsonable, str) else json.dumps(jsonable, ensure_ascii=False))


def _is_content_part(value: object) -> bool:
    return isinstance(value, Model) and getattr(value, "type", None) in ("text", "image")


def sanitize(text: str) -> str:
    """Replace lone surrogates, which UTF-8 cannot encode, and null characters, which databases reject."""
    return text.encode("utf-8", "replace").decode().replace("\0", "\ufffd")


def to_jsonable(value: Any) -> Any:
    """Convert a value to JSON types. Values without a JSON equivalent become strings."""
    if isinstance(value, enum.Enum):
        return to_jsonable(value.value)
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, Model):
        return value.to_dict()
    if isinstance(value, (bytes, bytearray)):
        return _text_of(bytes(value))
    if is_pydantic(value) and hasattr(value, "model_dump"):
        return value.model_dump(mode="json")
    names = _field_names(value.__class__)
    if names is not None:
        return {name: to_jsonable(getattr(value, name)) for name in names}
    if is_mapping(value):
        return {str(to_jsonable(key)): to_jsonable(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, AbstractSet)):
        return [to_jsonable(item) for item in cast("Iterable[Any]", value)]
    return value.isoformat() if isinstance(value, (date, time)) else str(value)


def _text_of(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return base64.b64encode(data).decode()


def _field_names(cls: type[Any]) -> list[str] | None:
    """Return the fields of an attrs class or dataclass, or None for other classes."""
    if attrs.has(cls):
        return [field.name for field in attrs.fields(cls)]
    return [field.name for field in dataclasses.fields(cls)] if dataclasses.is_dataclass(cls) else None
