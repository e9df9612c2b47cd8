"""Questions to the server that are not among the operations this library offers. Nothing here does I/O."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import evolve

from letta_api import api
from letta_api.operations import Operation
from letta_api.types import Request, make_path

from ..config import Config
from ..shapes import is_array, is_id, is_object
from .requests import JSON, OPTIONS, Call, prepare


def question(config: Config, operation: Operation, arguments: Mapping[str, Any], **ids: str) -> Call:
    """The call that asks for one thing by its id, with the options that stand among other arguments."""
    options = {name: arguments[name] for name in OPTIONS - {"extra_body"} if name in arguments}
    # Any endpoint serves: only the settings of the call are taken from it.
    call = prepare(config, api.conversations_messages.conversations_messages_list, ("default",), options)
    request = Request(operation.method, make_path(operation.path, **ids), call.request.query)
    return evolve(call, operation=operation, request=request, accept=JSON, repeat="always")


def context_of(conversation: Any) -> list[str] | None:
    """The ids of the messages in a conversation's context, in order, given its JSON; None if it lists no ids."""
    ids = conversation.get("in_context_message_ids") if is_object(conversation) else None
    return list(dict.fromkeys(ids)) if is_array(ids) and all(map(is_id, ids)) else None
