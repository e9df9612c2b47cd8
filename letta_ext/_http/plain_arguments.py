"""Arguments in their plain form: iterables as lists, models of other libraries as JSON, options without None.

An iterable can be consumed only once, whereas a call may be sent several times.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from .._types import NotGiven
from .requests import OPTIONS, Endpoint
from .validation import plain

_ATOMS: Final = frozenset([str, int, float, bool, type(None)])
_NONE_IS_DEFAULT: Final = (OPTIONS - {"timeout"}) | {"checkpoint", "prefetch"}
"""The options for which None is the setting of the client. A `timeout` of None removes the limit."""


def plain_arguments(endpoint: Endpoint, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of a call in their plain form, without those that are not given."""
    found: dict[str, Any] = {}
    for name, value in arguments.items():
        if isinstance(value, NotGiven) or (value is None and name in _NONE_IS_DEFAULT):
            continue
        atomic = value.__class__ in _ATOMS or name in OPTIONS
        found[name] = value if atomic else plain(endpoint.build_request, name, value)
    return found
