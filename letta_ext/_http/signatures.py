"""What a call takes, for people: what `help`, `inspect.signature` and the completion of a prompt show.

Type checkers and editors read the TypedDict behind `Unpack`, which those others do not know: to them a method of a
resource would take `**arguments`. The names come from the generated table, so there is no list of them to keep here.
"""

from __future__ import annotations

from collections.abc import Callable
from inspect import Parameter, Signature, signature
from typing import Any, Final, TypeVar

from letta_api.operations import Operation

from ..config import NOT_GIVEN
from .requests import RequestOptions

F = TypeVar("F", bound=Callable[..., Any])

LIST_OPTIONS: Final = ("checkpoint", "prefetch")
"""What every list takes besides."""


def with_signature(operation: Operation) -> Callable[[F], F]:
    """Makes a method show the arguments of an operation, and the options of every call, in place of its last one."""
    names = sorted(operation.parameters - operation.required)
    names += LIST_OPTIONS if operation.pagination is not None else ()
    names += RequestOptions.__annotations__
    keywords = [Parameter(name, Parameter.KEYWORD_ONLY) for name in sorted(operation.required)]
    keywords += [Parameter(name, Parameter.KEYWORD_ONLY, default=NOT_GIVEN) for name in names]

    def show(method: F) -> F:
        found = signature(method)
        positional = [each for each in found.parameters.values() if each.kind is Parameter.POSITIONAL_OR_KEYWORD]
        shown = Signature([*positional, *keywords], return_annotation=found.return_annotation)
        method.__signature__ = shown  # type: ignore[attr-defined]  # pyright: ignore  (`inspect` looks for it)
        return method

    return show
