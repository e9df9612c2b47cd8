"""Calls of operations without a public method."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from letta_api.operations import Operation
from letta_api.types import Request, make_path

from .._types import is_id, is_mapping, is_sequence
from ..config import Config
from .requests import Call, make_call, separate_options


def make_internal_call(config: Config, operation: Operation, arguments: Mapping[str, Any], **ids: str) -> Call:
    """Return the call that retrieves a resource by its id.

    Args:
        config: The settings of the client.
        operation: The operation.
        arguments: Arguments of another call, whose options are used.
        **ids: The path parameters of the operation.

    Raises:
        TypeError: If an option has the wrong type.
        ValueError: If an option has an invalid value.
    """
    options = separate_options({name: value for name, value in arguments.items() if name != "extra_body"})[0]
    request = Request(operation.method, make_path(operation.path, **ids))
    return make_call(config, operation, request, options, idempotency="idempotent")


def context_message_ids(conversation: Any) -> list[str] | None:
    """Return the ids of the messages in the context window of a conversation, or None if they are missing."""
    ids = conversation.get("in_context_message_ids") if is_mapping(conversation) else None
    return list(dict.fromkeys(ids)) if is_sequence(ids) and all(map(is_id, ids)) else None
