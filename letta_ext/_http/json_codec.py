"""JSON, as fast as the machine has it."""

from __future__ import annotations

import json
from typing import Any, Final

from letta_api.structs import loads

__all__ = ["dumps", "loads"]

_ENCODER: Final = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def dumps(value: Any) -> bytes:
    """Encodes JSON in UTF-8.

    Raises:
        TypeError: it holds something that JSON has no form for.
        ValueError: it holds a number that is none, or refers to itself.
    """
    return _ENCODER.encode(value).encode("utf-8")
