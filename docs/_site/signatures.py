"""What the reference shows beyond the source code: full signatures, and placeholders such as `<uuid4>` in text."""

from __future__ import annotations

import importlib
import re
from typing import Any, Final

import attrs
import griffe

from letta_ext import RequestOptions

ARGUMENTS: Final = "letta_ext.resources.arguments"


class FullSignatures(griffe.Extension):
    """Adds the parameters that the source code of a function or class does not list."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Escape placeholders, which Markdown takes for HTML, outside code."""
        if obj.docstring is not None:
            parts = re.split(r"(`[^`]*`)", obj.docstring.value)
            parts[::2] = [re.sub(r"<(?=\w)", "&lt;", part) for part in parts[::2]]
            obj.docstring.value = "".join(parts)

    def on_function(self, *, func: griffe.Function, **_: Any) -> None:
        """List the keyword arguments of an unpacked TypedDict, and keep the request options in one parameter."""
        declared = (func.overloads or [func])[-1]
        keywords = next((each for each in declared.parameters if each.kind is griffe.ParameterKind.var_keyword), None)
        name = str(keywords.annotation).removeprefix("Unpack[").removesuffix("]") if keywords else ""
        if keywords is None or not name.endswith("Arguments"):
            return
        own = getattr(importlib.import_module(ARGUMENTS), name)
        del func.parameters[keywords.name]
        for parameter in declared.parameters:
            if parameter is not keywords and parameter.name not in {each.name for each in func.parameters}:
                func.parameters.add(parameter)
        for key, annotation in own.__annotations__.items():
            if key not in RequestOptions.__annotations__ and key not in {each.name for each in func.parameters}:
                add(func, key, getattr(annotation, "__forward_arg__", str(annotation)))
        func.parameters.add(keywords)

    def on_class(self, *, cls: griffe.Class, **_: Any) -> None:
        """Give an attrs class the constructor that attrs makes."""
        if not any(str(decorator.callable_path).startswith("attrs.") for decorator in cls.decorators):
            return
        kind = getattr(importlib.import_module(cls.module.path), cls.name)
        if not attrs.has(kind) or "__init__" in cls.members:
            return
        init = griffe.Function("__init__", parameters=griffe.Parameters(griffe.Parameter("self")))
        for field in attrs.fields(kind):
            if field.init:
                required = field.default is attrs.NOTHING
                add(init, field.alias, str(field.type), None if required else "...")
        cls.set_member("__init__", init)


def add(function: griffe.Function, name: str, annotation: str, default: str | None = "...") -> None:
    """Add a keyword parameter. A TypedDict marks an optional one in its annotation."""
    if annotation.startswith("Required["):
        default = None
    for mark in ("NotRequired[", "Required["):
        if annotation.startswith(mark):
            annotation = annotation.removeprefix(mark)[:-1]
    function.parameters.add(
        griffe.Parameter(name, annotation=annotation, kind=griffe.ParameterKind.keyword_only, default=default)
    )
