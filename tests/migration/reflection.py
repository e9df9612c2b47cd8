"""A comparison, by reflection, of letta-client's public names with those of this client.

Each difference is a path: `client.qs`, `steps.list(page)`, `types.step.Step.field`, `errors.APIError.request`.
"""

from __future__ import annotations

import importlib
import inspect
import re
import types
import typing
from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final, NotRequired, Required

import attrs
import letta_client
import letta_client.pagination
from letta_client import AsyncLetta as PublishedAsyncLetta
from typing_extensions import get_type_hints, is_typeddict

import letta_ext
import letta_ext.config
import letta_ext.pagination
import letta_ext.types as types_of_api
from tests.migration.closure import (
    operation_ids,
    package_exports,
    public_names,
    published_client,
    used_modules,
)

CLASSES: Final = {
    "stream": ("Stream", "AsyncStream"),
    "raw_response": ("APIResponse", "AsyncAPIResponse"),
    "page": ("SyncArrayPage", "AsyncArrayPage"),
}
"""Classes whose objects programs receive, by the prefix of their differences."""


SPECIAL: Final = ("__next__", "__anext__", "__iter__", "__aiter__", "__enter__", "__aenter__")
"""The methods that statements call."""

TAGS: Final = ("message_type", "provider_type", "type")
"""The discriminators of unions."""


def differences() -> Iterator[str]:
    """Yield each difference once."""
    seen = set()
    for part in (_package(), _clients(), _methods(), _models(), _types(), _errors(), _classes()):
        for each in part:
            if each not in seen:
                seen.add(each)
                yield each


def _public(cls: Any) -> set[str]:
    """Return the public members of a class, annotated attributes included."""
    found = {name for name in dir(cls) if not name.startswith("_")}
    for base in cls.__mro__ if isinstance(cls, type) else ():
        if base.__module__.partition(".")[0] in ("letta_client", "letta_ext", "letta_api"):
            found |= {name for name in inspect.get_annotations(base) if not name.startswith("_")}
    return found


def _package() -> Iterator[str]:
    """Yield the names of the package that are missing."""
    yield from (f"letta_ext.{name}" for name in letta_client.__all__ if not hasattr(letta_ext, name))
    pages = letta_client.pagination.__all__
    yield from (f"letta_ext.pagination.{name}" for name in pages if not hasattr(letta_ext.pagination, name))


def _clients() -> Iterator[str]:
    """Yield the differences of the client classes."""
    for published, ours in ((letta_client.Letta, letta_ext.Letta), (PublishedAsyncLetta, letta_ext.AsyncLetta)):
        theirs, mine = published(base_url="http://127.0.0.1:1", api_key="k"), ours(base_url="http://127.0.0.1:1")
        for name in sorted(_public(theirs) | _public(published)):
            if not hasattr(mine, name):
                yield f"client.{name}"
            elif callable(getattr(theirs, name)) and not callable(getattr(mine, name)):
                yield f"client.{name}()"
            elif inspect.ismethod(getattr(theirs, name)):
                yield from _parameters(f"client.{name}", getattr(theirs, name), getattr(mine, name))
        yield from _parameters("client", published.__init__, ours.__init__)


def _methods() -> Iterator[str]:
    """Yield the differences of the methods of operations, and of the resources that have them."""
    resources = sorted({name.rpartition(".")[0] for name in operation_ids()})
    mine = letta_ext.Letta(base_url="http://127.0.0.1:1")
    for name in operation_ids():
        try:
            method = _at(mine, name)
        except AttributeError:
            yield name
        else:
            yield from _parameters(name, _at(published_client(), name), method)
    for path in filter(None, resources):
        theirs, found = _at(published_client(), path), _at(mine, path)
        yield from (f"{path}.{name}" for name in sorted(_public(theirs)) if not hasattr(found, name))


def _at(owner: Any, path: str) -> Any:
    for part in filter(None, path.split(".")):
        owner = getattr(owner, part)
    return owner


def _parameters(path: str, published: Any, ours: Any) -> Iterator[str]:
    """Yield the parameters that are missing, and those that differ in kind or in whether they are required."""
    theirs, mine = inspect.signature(published).parameters, dict(inspect.signature(ours).parameters)
    variable = [name for name, each in mine.items() if each.kind is each.VAR_KEYWORD]
    typed = {key for name in variable for key in _unpacked(ours, str(mine[name].annotation))}
    open_ended = bool(variable) and not typed
    mine = {name: each for name, each in mine.items() if name not in variable}
    for name, parameter in theirs.items():
        if parameter.kind in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL) or name.startswith("_"):
            continue
        if name not in mine:
            if not open_ended and name not in typed:
                yield f"{path}({name})"
        elif _positional(parameter) and not _positional(mine[name]):
            yield f"{path}({name}) by position"
        elif mine[name].default is mine[name].empty and parameter.default is not parameter.empty:
            yield f"{path}({name}) without a default"
    order = [name for name, each in theirs.items() if _positional(each) and name in mine and _positional(mine[name])]
    if order != [name for name, each in mine.items() if _positional(each) and name in order]:
        yield f"{path} in another order"


def _unpacked(function: Any, annotation: str) -> set[str]:
    """Return the keys of `Unpack[TypedDict]`, or nothing for another annotation."""
    found = re.fullmatch(r"Unpack\[(\w+)\]", annotation)
    if found is None:
        return set()
    for module in (inspect.getmodule(inspect.unwrap(function)), letta_ext.config, letta_ext):
        if hasattr(module, found[1]):
            return set(get_type_hints(getattr(module, found[1])))
    raise LookupError(annotation)


def _positional(parameter: inspect.Parameter) -> bool:
    return parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD)


def _types() -> Iterator[str]:
    """Yield the names of types that are missing, and the differences of those with the same name."""
    for path in used_modules():
        for name, theirs in public_names(path).items():
            place = f"{path}.{name}"
            try:
                ours = getattr(importlib.import_module(f"letta_ext.{path}"), name)
            except (ImportError, AttributeError):
                yield place
                continue
            yield from _type(place, theirs, ours)
        for package, name in package_exports(path):
            if not hasattr(importlib.import_module(f"letta_ext.{package}"), name):
                yield f"{package}.{name}"


def _type(place: str, theirs: Any, ours: Any) -> Iterator[str]:
    """Yield the differences of two types."""
    if isinstance(theirs, type) and issubclass(theirs, letta_client.BaseModel):
        if not attrs.has(ours):
            yield f"{place} is {_described(ours)}"
            return
        yield from (f"{place}.{name}" for name in theirs.model_fields if not hasattr(ours, name))
        yield from _fields(place, theirs, ours)
    elif is_typeddict(theirs):
        if not is_typeddict(ours):
            yield f"{place} is {_described(ours)}"
            return
        keys = get_type_hints(ours)
        yield from (f"{place}[{key}]" for key in get_type_hints(theirs) if key not in keys)
        required = _required(ours) - _required(theirs)
        yield from (f"{place}[{key}] is required" for key in sorted(required))
    elif typing.get_origin(theirs) is typing.Literal:
        if typing.get_origin(ours) is not typing.Literal:
            yield f"{place} is {_described(ours)}"
            return
        yield from (f"{place} {value!r}" for value in typing.get_args(theirs) if value not in typing.get_args(ours))
    else:
        theirs, mine = _members(theirs), _members(ours)
        yield from (f"{place} without {name}" for name in sorted(theirs - mine))


def _required(cls: Any) -> set[str]:
    """Return the required keys of a TypedDict, whose annotations may be strings."""
    hints = get_type_hints(cls, include_extras=True)
    origins: dict[str, Any] = {key: typing.get_origin(hint) for key, hint in hints.items()}
    return {
        key for key, origin in origins.items() if origin is Required or (cls.__total__ and origin is not NotRequired)
    }


def _fields(place: str, theirs: Any, ours: Any) -> Iterator[str]:
    """Yield the fields whose values are of other kinds, or can be None here only."""
    components = {name: getattr(types_of_api, name) for name in dir(types_of_api) if name[0].isupper()}
    for name, field in attrs.fields_dict(ours).items():
        if name in theirs.model_fields:
            published = theirs.model_fields[name].annotation
            module = vars(importlib.import_module(ours.__module__))
            found = eval(str(field.type), {**components, **module, "datetime": datetime})  # noqa: S307  # generated
            missing = _kinds(published) - _kinds(found) - {"None"}
            if missing and found is not Any:
                yield f"{place}.{name} is not {', '.join(sorted(missing))}"
            if "None" in _kinds(found) - _kinds(published):
                yield f"{place}.{name} can be None"


def _kinds(annotation: Any) -> set[str]:
    """Return the kinds of values of an annotation: a class, or `object` for any model."""
    origin: Any = typing.get_origin(annotation)
    if hasattr(annotation, "__metadata__"):  # Annotated
        return _kinds(typing.get_args(annotation)[0])
    if origin in (types.UnionType, typing.Union):
        return {kind for member in typing.get_args(annotation) for kind in _kinds(member)}
    if origin is typing.Literal:
        return {type(value).__name__ for value in typing.get_args(annotation)}
    if attrs.has(annotation) or hasattr(annotation, "model_fields"):
        return {"a model"}
    if annotation in (None, types.NoneType):
        return {"None"}
    return {str(getattr(origin or annotation, "__name__", annotation))}


def _models() -> Iterator[str]:
    """Yield the differences of the members that all models have."""
    theirs, ours = letta_client.types.Step, letta_ext.types.Step
    for name in sorted(_public(letta_client.BaseModel)):
        if not hasattr(ours, name):
            yield f"model.{name}"
        elif inspect.isroutine(getattr(theirs, name)):
            yield from _parameters(f"model.{name}", getattr(theirs, name), getattr(ours, name))


def _described(found: Any) -> str:
    return str(getattr(found, "__name__", found)) if not typing.get_origin(found) else str(found)


def _members(union: Any) -> set[str]:
    """Return the members of a union: the discriminator values or the kind of each."""
    if hasattr(union, "__metadata__"):  # Annotated
        return _members(typing.get_args(union)[0])
    origin: Any = typing.get_origin(union)
    if origin in (types.UnionType, typing.Union):
        return {tag for member in typing.get_args(union) for tag in _members(member)}
    if union in (None, types.NoneType):
        return set()
    if attrs.has(union):
        constants = {each.name: each.default for each in attrs.fields(union) if isinstance(each.default, str)}
    elif is_typeddict(union) or hasattr(union, "model_fields"):
        hints = {name: _literals(hint) for name, hint in _hints(union).items()}
        constants = {name: values[0] for name, values in hints.items() if len(values) == 1}
    else:
        return {str(getattr(origin or union, "__name__", union)).lower().replace("iterable", "list")}
    return {f"{key}={constants[key]}" for key in TAGS if key in constants} or {"an object"}


def _hints(cls: Any) -> dict[str, Any]:
    """Return the annotations of a pydantic model or a TypedDict."""
    if is_typeddict(cls):
        return get_type_hints(cls)
    return {name: field.annotation for name, field in cls.model_fields.items()}


def _literals(hint: Any) -> list[Any]:
    """Return the constants in an annotation."""
    if typing.get_origin(hint) is typing.Literal:
        return list(typing.get_args(hint))
    return [value for part in typing.get_args(hint) for value in _literals(part)]


def _errors() -> Iterator[str]:
    """Yield the differences of the exceptions."""
    for name in letta_client.__all__:
        theirs = getattr(letta_client, name)
        if not isinstance(theirs, type) or not issubclass(theirs, Exception) or not hasattr(letta_ext, name):
            continue
        ours = getattr(letta_ext, name)
        bases = {base.__name__ for base in theirs.__mro__} - {base.__name__ for base in ours.__mro__}
        yield from (f"errors.{name} is a {base}" for base in sorted(bases))
        mine = _public(ours)
        yield from (f"errors.{name}.{member}" for member in sorted(_public(theirs) - mine))
        yield from _parameters(f"errors.{name}", theirs.__init__, ours.__init__)


def _classes() -> Iterator[str]:
    """Yield the differences of streams, pages and raw responses."""
    for prefix, names in CLASSES.items():
        for name in names:
            theirs, ours = getattr(letta_client, name, None), getattr(letta_ext, name)
            theirs = theirs or getattr(letta_client.pagination, name)
            models = _public(letta_client.BaseModel) if prefix == "page" else set()
            mine = _public(ours)
            for member in sorted(_public(theirs) - models):
                if member not in mine:
                    yield f"{prefix}.{member}"
                elif inspect.isroutine(getattr(theirs, member, None)):
                    found = getattr(ours, member, None)
                    if not callable(found):
                        yield f"{prefix}.{member}()"
                    else:
                        yield from _parameters(f"{prefix}.{member}", getattr(theirs, member), found)
            yield from (f"{prefix}.{each}" for each in SPECIAL if hasattr(theirs, each) and not hasattr(ours, each))
