"""Signatures of resource methods for `help`, `inspect.signature` and the completion of interactive shells.

Type checkers read the TypedDict in `Unpack`. At run time the signature of a method would end in `**arguments`.
"""

from __future__ import annotations

from collections.abc import Callable
from inspect import Parameter, Signature, signature
from typing import Any, Final, TypeVar

from letta_api.operations import Operation

from ..config import NOT_GIVEN
from .requests import RequestOptions

F = TypeVar("F", bound=Callable[..., Any])

LIST_OPTIONS: Final = ("max_items", "checkpoint", "prefetch")
"""Additional arguments of list methods."""


def with_signature(operation: Operation) -> Callable[[F], F]:
    """Return a decorator that replaces `**arguments` by the parameters of an operation and the common options."""
    names = sorted(operation.parameters - operation.required)
    names += LIST_OPTIONS if operation.pagination is not None else ()
    names += RequestOptions.__annotations__
    keywords = [Parameter(name, Parameter.KEYWORD_ONLY) for name in sorted(operation.required)]
    keywords += [Parameter(name, Parameter.KEYWORD_ONLY, default=NOT_GIVEN) for name in names]

    def decorate(method: F) -> F:
        original = signature(method)
        positional = [each for each in original.parameters.values() if each.kind is Parameter.POSITIONAL_OR_KEYWORD]
        replaced = Signature([*positional, *keywords], return_annotation=original.return_annotation)
        method.__signature__ = replaced  # type: ignore[attr-defined]  # pyright: ignore  # read by `inspect`
        return method

    return decorate
