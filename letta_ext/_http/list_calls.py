"""The calls of one list. The requests for its pages differ only in their cursor and limit."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from operator import attrgetter
from types import NoneType
from typing import Any, Final

from attrs import fields

from letta_api.types import Request

from ..config import Config
from .requests import Call, Endpoint, prepare
from .validation import check_bounds

IMMUTABLE: Final = frozenset({str, int, float, bool, NoneType})
"""The types of arguments that the caller cannot change between two pages."""

_fields_of_call: Final[Callable[[Call], tuple[Any, ...]]] = attrgetter(*(each.name for each in fields(Call)))


class ListCalls:
    """The calls for the pages of one list.

    The first call with arguments of these names is prepared like every call. Another one is a copy with another cursor
    and limit, if no other argument and no setting of the client has changed.

    Args:
        endpoint: The endpoint module.
        ids: The ids in the path.
    """

    def __init__(self, endpoint: Endpoint, ids: tuple[Any, ...]) -> None:
        facts = endpoint.OPERATION.pagination
        self._endpoint = endpoint
        self._ids = ids
        self._varying: frozenset[str | None] = frozenset((facts.after, facts.before, facts.limit) if facts else ())
        self._prepared: dict[tuple[str, ...], tuple[Config, Mapping[str, Any], Call]] = {}

    def prepare(self, config: Config, arguments: Mapping[str, Any]) -> Call:
        """Return the call for a page.

        Args:
            config: The settings of the client.
            arguments: The arguments in their plain form.

        Raises:
            TypeError: If an argument is unknown or has the wrong type.
            ValueError: If an argument has an invalid value.
        """
        names = tuple(arguments)
        found = self._prepared.get(names)
        if found is not None and found[0] is config and self._differ_in_place(found[1], arguments):
            return self._copy(found[2], arguments)
        call = prepare(config, self._endpoint, self._ids, arguments)
        if self._is_repeatable(call, arguments):
            self._prepared[names] = config, arguments, call
        return call

    def _differ_in_place(self, before: Mapping[str, Any], arguments: Mapping[str, Any]) -> bool:
        """Return whether arguments differ from those before only in the cursor and the limit."""
        for name, value in arguments.items():
            if value is not before[name] and not (name in self._varying and _is_plain(value)):
                return False
        return True

    def _is_repeatable(self, call: Call, arguments: Mapping[str, Any]) -> bool:
        """Return whether the call depends on immutable arguments only, each of which has one query parameter."""
        names = [name for name, _ in call.request.query]
        return len(set(names)) == len(names) and all(type(value) in IMMUTABLE for value in arguments.values())

    def _copy(self, call: Call, arguments: Mapping[str, Any]) -> Call:
        check_bounds(call.operation.bounds, arguments)
        request, varying = call.request, self._varying
        query = [
            (name, str(arguments[name]) if name in varying and name in arguments else text)
            for name, text in request.query
        ]
        changed = Request(request.method, request.path, query, request.body, request.headers, request.content)
        operation, _, *others = _fields_of_call(call)  # `evolve` takes as long as the check of the arguments
        return Call(operation, changed, *others)


def _is_plain(value: object) -> bool:
    """Return whether the query parameter of a value is its `str`."""
    return type(value) is int or (type(value) is str and value.isascii())
