"""JSON, as fast as the machine has it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any


def _slow_loads(text: str | bytes) -> Any:
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("nested too deeply") from None


try:
    from orjson import JSONDecodeError as _OrjsonError
    from orjson import loads as _fast_loads
except ImportError:  # it is not to be had for every interpreter

    def loads(text: str | bytes) -> Any:
        """Decodes JSON.

        Raises:
            ValueError: it is none.
        """
        return _slow_loads(text)

    strict_loads: Callable[[str | bytes], Any] = loads
else:
    strict_loads = _fast_loads
    """What `loads` tries first. For whom a call less is worth asking `loads` where this raises a ValueError."""

    def loads(text: str | bytes) -> Any:
        """Decodes JSON.

        Raises:
            ValueError: it is none.
        """
        try:
            return _fast_loads(text)
        except _OrjsonError:
            # Stricter than the standard library: half a surrogate pair, for one, is no reason to lose an answer.
            return _slow_loads(text)


def dumps(value: Any) -> bytes:
    """Encodes JSON in UTF-8.

    Raises:
        TypeError: it holds something that JSON has no form for.
        ValueError: it holds a number that is none, or refers to itself.
    """
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode("utf-8")
