"""The commands that are derived from the operations of the API: their arguments, options, types and help.

An operation `steps.metrics.retrieve` is the command `letta-ext steps metrics retrieve`. Its parameters come from the
operations table, their types from the TypedDict of its arguments, and the texts from the docstring of its method.
"""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from datetime import date
from enum import Enum
from inspect import Parameter, Signature
from types import NoneType, UnionType
from typing import Annotated, Any, Final, Literal, TypeAlias, Union, get_args, get_origin, get_type_hints

import typer

from letta_api import params
from letta_api.operations import Operation, Pagination

from .docstrings import parse_docstring
from .exit_codes import UsageError
from .inputs import parse_json
from .session import Function, Session, checked, command
from .target import TARGET_HELP, Target
from .terminal_text import clean_line
from .views import show, show_page

DEFAULT_LIMIT: Final = 50
MAX_PAGE: Final = 100
"""Items of a page, unless the documentation has a smaller limit."""

LIMIT_HELP: Final = f"The maximum number of items. Defaults to {DEFAULT_LIMIT}."
ALL_HELP: Final = "Print all items."
CONFIRM_HELP: Final = "Do not ask on a terminal before something is deleted."
DATA_HELP: Final = (
    "A JSON object with further arguments, such as null for a field, or @FILE for a file with it, or - for the "
    "standard input."
)
Converter: TypeAlias = Callable[[str, Any], Any]


def method_of(operation: Operation) -> tuple[type[Any], str]:
    """Return the class and the name of the method that calls an operation."""
    resource, _, method = operation.id.rpartition(".")
    if not resource:
        return importlib.import_module("letta_ext.resources.client_calls").ClientCalls, method
    module = importlib.import_module(f"letta_ext.resources.{resource.partition('.')[0]}")
    return getattr(module, _pascal(resource)), method


def bound_method(session: Session, operation: Operation) -> Callable[..., Any]:
    """Return the method of the session's client that calls an operation."""
    target: Any = session.client
    for name in operation.id.split("."):
        target = getattr(target, name)
    method: Callable[..., Any] = target
    return method


def has_target(operation: Operation) -> bool:
    """Return whether an operation is about a conversation, which can be the default one of an agent."""
    return operation.path_parameters == ("conversation_id",) and "agent_id" in operation.parameters


def operation_command(operation: Operation, positional: tuple[str, ...] = ()) -> Function:
    """Return the command of an operation.

    Args:
        operation: The operation.
        positional: The optional parameters that are arguments of the command instead of options.
    """
    owner, method = method_of(operation)
    help_texts = parse_docstring(getattr(owner, method).__doc__)
    hints = get_type_hints(getattr(params, f"{_pascal(operation.id)}Params", object))
    convert: dict[str, Converter] = {}
    parameters: list[Parameter] = []
    target = has_target(operation)
    for name in operation.path_parameters:
        help_text = TARGET_HELP if target else help_texts.arguments.get(name)
        shown = "TARGET" if target else name.upper()
        parameters.append(
            Parameter(
                "target" if target else name,
                Parameter.KEYWORD_ONLY,
                annotation=Annotated[str, typer.Argument(metavar=shown, help=help_text, show_default=False)],
            )
        )
    names = sorted(operation.parameters - _replaced(operation), key=lambda name: (name not in operation.required, name))
    for name in names:
        if name not in hints:
            continue  # it selects the kind of the response, and commands stream
        help_text = help_texts.arguments.get(name, "")
        kind, convert[name] = _option_kind(name, hints[name])
        parameters.append(
            _parameter(name, kind, help_text, required=name in operation.required, positional=name in positional)
        )
    if operation.pagination is not None:
        parameters += [_parameter("limit", int, LIMIT_HELP), _flag("all_items", "--all", ALL_HELP)]
    elif operation.method not in ("GET", "DELETE"):
        parameters.append(_parameter("data", str, DATA_HELP, metavar="JSON"))
    if operation.method == "DELETE":
        parameters.append(_flag("yes", "--yes", CONFIRM_HELP))

    def run(session: Session, **given: Any) -> None:
        arguments = {name: value for name, value in given.items() if value is not None and value != []}
        data = arguments.pop("data", None)
        limit = None if arguments.pop("all_items", False) else arguments.pop("limit", DEFAULT_LIMIT)
        if not arguments.pop("yes", True):
            confirm(session, f"Delete {', '.join(given[name] for name in operation.path_parameters)}?")
        ids = [arguments.pop(name) for name in operation.path_parameters if not target]
        converted = {
            name: convert[name](name, value) if name in convert else value for name, value in arguments.items()
        }
        if data is not None:
            converted |= parse_object("--data", data)
        if target:
            found = Target.find(session, converted.pop("target"))
            ids, converted = [found.conversation_id], {**found.arguments, **converted}
        method = bound_method(session, operation)
        if operation.pagination is None:
            show(session, checked(method, *ids, **converted))
            return
        chronological = "order" not in converted and operation.pagination.default_order == "desc"
        size = _page_size(operation.pagination, limit)
        show_page(session, checked(method, *ids, **size, **converted), limit, reverse=chronological)

    return command(
        run, signature=Signature(parameters), help=_without_target(help_texts.text) if target else help_texts.text
    )


def _without_target(text: str) -> str:
    """Return a help text without the paragraphs about the id of a conversation, which `TARGET_HELP` replaces."""
    beginnings = ("Agent-direct mode:", "Deprecated:")
    return "\n\n".join(each for each in text.split("\n\n") if not each.startswith(beginnings))


def parse_object(name: str, text: str) -> dict[str, Any]:
    """Return a JSON object of the user.

    Raises:
        UsageError: If the text is not a JSON object.
    """
    value: dict[str, Any] = parse_json(name, text, kind=dict)
    return value


def _replaced(operation: Operation) -> set[str]:
    """Return the parameters that a command has in another form."""
    replaced = {"agent_id"} if has_target(operation) else set[str]()
    return replaced if operation.pagination is None else {*replaced, operation.pagination.limit}


def _page_size(pagination: Pagination, limit: int | None) -> dict[str, int]:
    """Return the size of a page that holds one item more than the limit, which shows whether there are more."""
    if limit is None:
        return {}
    if limit < 1:
        raise UsageError(f"--limit must be 1 or more, got {limit}")
    return {pagination.limit: min(limit + 1, pagination.max_limit or MAX_PAGE)}


def confirm(session: Session, question: str) -> None:
    """Ask whether to continue, if the user can reply.

    Raises:
        UsageError: If the user declines.
    """
    if session.output.is_terminal and sys.stdin is not None and sys.stdin.isatty():
        try:
            reply = input(f"{clean_line(question)} [y/N] ")
        except EOFError:
            session.output.write("\n")
            reply = ""
        if reply.strip().lower() not in ("y", "yes"):
            raise UsageError("nothing was changed")


def _pascal(name: str) -> str:
    return "".join(part.capitalize() for part in re.split(r"[._]", name))


def option_name(name: str) -> str:
    """Return the option of a parameter."""
    return "--" + name.replace("_", "-")


def _parameter(
    name: str,
    kind: Any,
    help_text: str,
    *,
    required: bool = False,
    positional: bool = False,
    metavar: str | None = None,
) -> Parameter:
    hidden = help_text.startswith("Deprecated")
    metavar = metavar or ("JSON" if kind is _Json else None)
    kind = str if kind is _Json else kind
    info: Any
    if positional:
        info = typer.Argument(help=help_text, show_default=False)
        return Parameter(name, Parameter.KEYWORD_ONLY, annotation=Annotated[kind, info])
    flags = f"{option_name(name)}/--no-{option_name(name)[2:]}" if kind is bool else option_name(name)
    info = typer.Option(flags, help=help_text, metavar=metavar, hidden=hidden, show_default=False)
    if required:
        return Parameter(name, Parameter.KEYWORD_ONLY, annotation=Annotated[kind, info])
    return Parameter(name, Parameter.KEYWORD_ONLY, annotation=Annotated[kind | None, info], default=None)


def _flag(name: str, flag: str, help_text: str) -> Parameter:
    info = typer.Option(flag, help=help_text, show_default=False)
    return Parameter(name, Parameter.KEYWORD_ONLY, annotation=Annotated[bool, info], default=False)


class _Json(str):
    """Marks an option whose value is JSON."""

    __slots__ = ()


def _option_kind(name: str, hint: Any) -> tuple[Any, Converter]:
    """Return the type of an option, and the function that makes an argument of its value."""
    members = [each for each in _members(hint) if each is not NoneType]
    if any(isinstance(each, type) and issubclass(each, (str, date)) for each in members):
        return str, _unchanged
    if len(members) == 1:
        [member] = members
        if member in (bool, int, float):
            return member, _unchanged
        if get_origin(member) is Literal:
            return _enum(name, member), _enum_value
        if get_origin(member) is not None and issubclass(get_origin(member), Iterable):
            [item, *_] = get_args(member) or (Any,)
            if item is str and not issubclass(get_origin(member), Mapping):
                return list[str], _unchanged
            if get_origin(item) is Literal:
                return list[_enum(name, item)], _enum_values  # type: ignore[misc]  # a type made at run time
    return _Json, lambda name, text: parse_json(option_name(name), text)


def _members(hint: Any) -> tuple[Any, ...]:
    return get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)


def _enum(name: str, literal: Any) -> type[Enum]:
    """Return an enum of the values of a literal, which every version of typer offers as choices."""
    values = [value for value in get_args(literal) if isinstance(value, str)]
    made: type[Enum] = Enum(name, {value: value for value in values})  # type: ignore[misc]  # made at run time
    return made


def _unchanged(name: str, value: Any) -> Any:
    return value


def _enum_value(name: str, value: Enum) -> Any:
    return value.value


def _enum_values(name: str, values: Iterable[Enum]) -> Any:
    return [value.value for value in values]
