"""JSON values of models."""

from __future__ import annotations

from typing import Any

from letta_api.model import Model, Unknown

from .._types import is_mapping, is_sequence
from ..tools.tool import to_jsonable


def to_json_value(value: Any) -> Any:
    """Return the JSON of a model, with the fields that the server has sent."""
    if isinstance(value, Model):
        return value.to_dict()
    if isinstance(value, Unknown):
        return value.raw
    if is_mapping(value):
        return {str(key): to_json_value(item) for key, item in value.items()}
    if is_sequence(value):
        return [to_json_value(item) for item in value]
    return to_jsonable(value)
