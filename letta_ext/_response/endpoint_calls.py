"""Calls of endpoint modules: `client.call(endpoint, …)`.

The module can be of any package that the generator wrote, under any name: its parts are recognized by their attributes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, ParamSpec, Protocol, TypeVar

from letta_api.model import to_json_value
from letta_api.operations import Operation
from letta_api.types import NO_CONTENT, Request

from .._http.encodable import nesting_error
from .._http.requests import JSON, OPTIONS, Call, ResponseReader, make_call
from .._http.validation import check_arguments, check_bounds, is_unset_type, plain
from .._types import NotGiven
from ..config import Config

P = ParamSpec("P")
T_co = TypeVar("T_co", covariant=True)

EXAMPLE: Final = "letta_api.api.agents.agents_list"

CLIENT_OPTIONS: Final = {"extra_headers": "default_headers", "extra_query": "default_query"}
"""The options of a client that correspond to request options of another name."""


class EndpointRequest(Protocol):
    """The result of a `build_request`."""

    @property
    def method(self) -> str: ...

    @property
    def path(self) -> str: ...

    @property
    def query(self) -> Sequence[tuple[str, Any]]: ...

    @property
    def body(self) -> Any: ...

    @property
    def headers(self) -> Mapping[str, str]: ...


class EndpointModule(ResponseReader[T_co], Protocol[P, T_co]):
    """An endpoint module with a JSON response or an empty one, of any generated package."""

    @property
    def OPERATION(self) -> Any: ...  # noqa: N802  # the name in the generated modules

    @property
    def build_request(self) -> Callable[P, EndpointRequest]: ...


def make_endpoint_call(
    config: Config, endpoint: EndpointModule[..., Any], positional: Sequence[Any], keywords: Mapping[str, Any]
) -> tuple[Call, tuple[Any, ...]]:
    """Return the call of an endpoint module, and the arguments in its path.

    The response is not paginated and not streamed. The operations table of the package determines the retries.

    Args:
        config: The settings of the client.
        endpoint: The module.
        positional: The arguments in the path.
        keywords: The other arguments.

    Raises:
        TypeError: If the object is not such a module, or an argument is missing, unknown or of the wrong type.
        ValueError: If an argument has an invalid value.
    """
    operation = _read_operation(endpoint)
    given = _bind(operation, positional, keywords)
    if (condition := getattr(endpoint.OPERATION, "stream_condition", None)) is not None:
        if given.get(condition):
            raise ValueError(f"{condition} must be False or omitted, because call() returns the JSON response")
        given[condition] = False
    ids = tuple(given.pop(name) for name in operation.path_parameters)
    given = {name: plain(endpoint.build_request, name, value) for name, value in given.items()}
    try:
        check_arguments(endpoint.build_request, ids, given)
        check_bounds(operation.bounds, given)
        built = endpoint.build_request(*ids, **given)
        body, content = to_json_value(built.body), getattr(built, "content", NO_CONTENT)
        request = Request(built.method, built.path, [*built.query], body, built.headers, content)
    except RecursionError:
        raise nesting_error(given) from None
    return make_call(config, operation, request, {}, getattr(endpoint.OPERATION, "accept", JSON)), ids


def _read_operation(endpoint: Any) -> Operation:
    """Return the operation of an endpoint module, without pagination and streaming.

    Raises:
        TypeError: If the object is not an endpoint module with a JSON response or an empty one.
    """
    found = getattr(endpoint, "OPERATION", None)
    parts = ("build_request", "read_response")
    lacking = [name for name in parts if not callable(getattr(endpoint, name, None))]
    if found is not None and lacking == ["read_response"]:
        raise TypeError(
            f"endpoint must have a JSON response, but {found.id} has a stream of events. Use a method of the client, or"
            " events() of the module"
        )
    if found is None or lacking:
        raise TypeError(f"endpoint must be an endpoint module such as {EXAMPLE}, got {_described(endpoint)}")
    try:
        return Operation(
            found.id,
            found.method,
            found.path,
            found.path_parameters,
            found.parameters,
            found.idempotency,
            required=found.required,
            bounds=found.bounds,
            module=found.module,
        )
    except AttributeError as error:
        raise TypeError(f"endpoint must be of a package that this version of the generator wrote: {error}") from None


def _described(value: Any) -> str:
    """Return the type of a value, and the module to pass if the value belongs to one."""
    module = getattr(value, "module", None)
    package = type(value).__module__.rpartition(".")[0]
    if type(value).__name__ == "Operation" and module:
        return f"Operation. Pass {package}.api.{module}"
    kind = type(value).__name__
    name = getattr(value, "__name__", None)
    return f"{kind} {name}" if isinstance(name, str) else kind


def _bind(operation: Operation, positional: Sequence[Any], keywords: Mapping[str, Any]) -> dict[str, Any]:
    """Return the given arguments by name, without those that are `NOT_GIVEN` or `UNSET`.

    Raises:
        TypeError: If an argument is missing, unknown or given twice.
    """
    ids = operation.path_parameters
    if len(positional) > len(ids):
        allowed = f"only {', '.join(ids)}" if ids else "no argument"
        raise TypeError(f"{operation.id}() takes {allowed} by position. Pass the other arguments by keyword.")
    by_position = dict(zip(ids, positional, strict=False))
    given = {**by_position, **{name: value for name, value in keywords.items() if not _is_omitted(value)}}
    for name in keywords:
        if name in by_position:
            raise TypeError(f"{operation.id}() has two values for the argument {name!r}")
        if name in ids or name in operation.parameters:
            continue
        if name in OPTIONS:
            changed = f"client.with_options({CLIENT_OPTIONS.get(name, name)}=…).call(…)"
            remedy = "client.post(…), put or patch" if name == "extra_body" else changed
            raise TypeError(
                f"{operation.id}() has no argument {name!r}, and call() has no request options. Use {remedy}."
            )
        known = ", ".join([*ids, *sorted(operation.parameters)]) or "none"
        raise TypeError(f"{operation.id}() has no argument {name!r}. Valid arguments: {known}.")
    if missing := [name for name in (*ids, *sorted(operation.required)) if name not in given]:
        noun = "argument" if len(missing) == 1 else "arguments"
        raise TypeError(f"{operation.id}() needs the {noun} {', '.join(missing)}")
    return given


def _is_omitted(value: object) -> bool:
    return isinstance(value, NotGiven) or is_unset_type(type(value))
