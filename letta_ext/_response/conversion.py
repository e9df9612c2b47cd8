"""The conversion of a response to the type that the caller passes as `to`."""

from __future__ import annotations

import collections.abc
import types
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Final, Literal, TypeVar, Union, cast, get_args, get_origin, is_typeddict

import httpx

from letta_api.errors import DecodeError
from letta_api.model import Model, Unknown

from .._http import json_codec
from .._http.charsets import text_of
from .._http.errors_from_response import invalid_response_error
from .._types import is_mapping, is_sequence

T = TypeVar("T")

SUPPORTED: Final = (
    "a model, dict, list, a union or literal of these, str, int, float, bool, bytes, None, httpx.Response, or a class"
    " with model_validate"
)
SCALARS: Final[tuple[type, ...]] = (str, int, float, bool)


def parse_content(response: httpx.Response, to: type[T]) -> T:
    """Return the body of a response that has been read, converted to a type.

    Raises:
        TypeError: If the type is not supported.
        APIResponseValidationError: If the body does not match the type.
    """
    to = unwrapped(to)
    check_supported(to)
    found: Any
    if isinstance(to, type) and issubclass(to, httpx.Response):
        found = response
    elif to is bytes:
        found = response.content
    elif to is str:
        found = text_of(response, response.content)
    elif to in (None, type(None)):
        found = None
    else:
        found = _parse_json(response, to)
    return cast(T, found)


def parse_json(response: httpx.Response) -> Any:
    """Return the JSON of a response that has been read.

    Raises:
        APIResponseValidationError: If the body is not JSON.
    """
    return _parse_json(response, Any)


def _parse_json(response: httpx.Response, to: Any) -> Any:
    body: Any = text_of(response, response.content)
    try:
        body = json_codec.loads(response.content)
        return convert(body, to)
    except (TypeError, ValueError, RecursionError) as error:
        reason = str(error) if isinstance(error, (DecodeError, _MismatchError)) else f"{type(error).__name__}: {error}"
    raise invalid_response_error(response, body, f"cannot be converted to {_name(to)}: {reason}")


class _MismatchError(ValueError):
    """A value is not of the type."""


def unwrapped(to: Any) -> Any:
    """Return the type of an annotation or of an alias of the `type` statement."""
    while True:
        if get_origin(to) is Annotated:
            to = get_args(to)[0]
        elif hasattr(to, "__value__") and not isinstance(to, type):
            to = to.__value__
        else:
            return to


def check_supported(to: Any) -> None:
    """Check that values can be converted to a type.

    Raises:
        TypeError: If they cannot.
    """
    to = unwrapped(to)
    origin = get_origin(to) or to
    if origin is Literal or to in (Any, object, None, type(None), bytes, *SCALARS):
        return
    if origin in (Union, types.UnionType) or _is_array(origin) or _is_object(origin):
        for each in get_args(to):
            check_supported(each)
    elif not (
        is_typeddict(origin)
        or _validator(origin)
        or (isinstance(origin, type) and issubclass(origin, (Model, Unknown, httpx.Response)))
    ):
        raise TypeError(f"to must be {SUPPORTED}, got {_name(to)}")


def convert(value: Any, to: Any) -> Any:
    """Return a JSON value converted to a type.

    Raises:
        ValueError: If the value does not match the type.
    """
    to = unwrapped(to)
    origin, arguments = get_origin(to) or to, get_args(to)
    if to in (Any, object) or is_typeddict(origin):
        return value
    if origin is Literal:
        if not any(value == each and type(value) is type(each) for each in arguments):
            raise _mismatch(value, to)
        return value
    if origin in (Union, types.UnionType):
        return _member(value, arguments, to)
    if isinstance(origin, type) and issubclass(origin, Unknown):
        return origin(value, "no other member of the union matches")
    if isinstance(origin, type) and issubclass(origin, Model):
        return origin.from_dict(value)
    if validate := _validator(origin):
        return validate(value)
    if _is_array(origin):
        if not is_sequence(value):
            raise _mismatch(value, to)
        return [convert(each, arguments[0]) for each in value] if arguments else value
    if _is_object(origin):
        if not is_mapping(value):
            raise _mismatch(value, to)
        return {key: convert(each, arguments[1]) for key, each in value.items()} if arguments else value
    return _scalar(value, to)


def _scalar(value: Any, to: Any) -> Any:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if to is float and is_number:
        return float(value)
    if to is int and is_number and float(value).is_integer():
        return int(value)
    if (to in (None, type(None)) and value is None) or (to in (str, bool) and isinstance(value, to)):
        return value
    raise _mismatch(value, to)


def _member(value: Any, members: tuple[Any, ...], to: Any) -> Any:
    """Return a value converted to the first member of a union that matches. Unknown members come last."""
    reasons: list[str] = []
    for member in sorted(members, key=lambda each: isinstance(each, type) and issubclass(each, Unknown)):
        try:
            return convert(value, member)
        except ValueError as error:
            reasons.append(str(error))
    raise _MismatchError(reasons[0] if len(reasons) == 1 else f"no member of {_name(to)} matches: {reasons[0]}")


def _validator(origin: Any) -> Callable[[Any], Any] | None:
    """Return `model_validate` of a class of pydantic or of a class that imitates it."""
    found: Any = getattr(origin, "model_validate", None) if isinstance(origin, type) else None
    return found if callable(found) else None


def _is_array(origin: Any) -> bool:
    return origin in (list, collections.abc.Sequence, collections.abc.Iterable)


def _is_object(origin: Any) -> bool:
    return origin in (dict, Mapping, collections.abc.MutableMapping)


def _name(to: Any) -> str:
    return to.__name__ if isinstance(to, type) and not get_args(to) else str(to)


def _mismatch(value: Any, to: Any) -> _MismatchError:
    return _MismatchError(f"expected {_name(to)}, got {type(value).__name__}")
