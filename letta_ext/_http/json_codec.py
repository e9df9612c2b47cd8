"""JSON encoding and decoding."""

from __future__ import annotations

import json
from typing import Any, Final

from letta_api.structs import loads

__all__ = ["dumps", "loads"]

_ENCODER: Final = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def dumps(value: Any) -> bytes:
    """Return the value as JSON in UTF-8.

    Raises:
        TypeError: If a nested value has an unsupported type.
        ValueError: If a number is not finite, or the value contains itself.
    """
    return _ENCODER.encode(value).encode("utf-8")
