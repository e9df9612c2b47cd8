"""The differences between the real and the embedded server that are intended. docs/testing.md lists their reasons."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any, Final

from .drawing import Json

UNUSED_SETTINGS: Final = frozenset(
    {
        *("llm_config", "model_settings", "compaction_settings", "response_format", "tool_rules", "message_ids"),
        *("embedding", "embedding_config", "secrets", "tool_exec_environment_variables", "identity_ids", "identities"),
        *("sources", "hidden"),
    }
)
"""Fields of an agent that the embedded server stores in part, because nothing depends on them."""


def _is_server_failure(step: Json, real: Json, embedded: Json) -> bool:
    """Return whether the real server fails on a request that the embedded one rejects."""
    return bool(real.get("status", 0) >= 500 and 400 <= embedded.get("status", 0) < 500)


def _has_nul(step: Json, real: Json, embedded: Json) -> bool:
    return "\\u0000" in json.dumps([step.get("query"), step.get("body")])


def _has_unused_settings(step: Json, real: Json, embedded: Json) -> bool:
    """Return whether only settings of agents differ that the embedded server does not use."""
    body = step.get("body")
    if "/v1/agents/" not in step["request"]:
        return False
    # With a second agent that works between messages, the real server fails without a model for embeddings.
    has_second_agent = isinstance(body, dict) and body.get("enable_sleeptime") not in (None, False)
    return has_second_agent or _without_settings(real) == _without_settings(embedded)


def _without_settings(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_settings(each) for name, each in value.items() if name not in UNUSED_SETTINGS}
    return [_without_settings(each) for each in value] if isinstance(value, list) else value


def _is_unknown_object(step: Json, real: Json, embedded: Json) -> bool:
    """Return whether a request refers to a model, a folder or a block, which the embedded server does not have."""
    body = json.dumps(step.get("body"))
    names = ("model", "embedding", "folder_ids", "source_ids", "block_ids", "identity_ids", "message_ids")
    if "Handle" in str(real.get("body")) and real.get("status") == 404:
        return True
    return real.get("status") in (400, 404) and embedded.get("status") == 200 and any(name in body for name in names)


def _damages(step: Json, real: Json, embedded: Json) -> bool:
    """Return whether a request sends content that Letta stores, and then fails to read."""
    body = step.get("body")
    messages = body.get("messages") if isinstance(body, dict) else None
    for message in messages if isinstance(messages, list) else ():
        match message:
            case {"role": "system", "content": [*_]}:
                return True
            case {"role": "assistant", "content": [{"type": "tool_call"}]}:
                return True
    return False


def _has_another_order(step: Json, real: Json, embedded: Json) -> bool:
    """Return whether two lists of messages have the same items in another order."""
    expected, found = _sorted(real.get("body")), _sorted(embedded.get("body"))
    return bool(step.get("compacted")) and expected is not None and expected == found


def _sorted(messages: Any) -> list[str] | None:
    if not isinstance(messages, list):
        return None
    return sorted(re.sub(r"<(\w+) \d+>", r"<\1>", json.dumps(message)) for message in messages)


def _has_blocks_of_one_label(step: Json, real: Json, embedded: Json) -> bool:
    body = step.get("body")
    blocks = body.get("memory_blocks") if isinstance(body, dict) else None
    labels = (
        [str(block.get("label")) for block in blocks if isinstance(block, dict)] if isinstance(blocks, list) else []
    )
    return len(set(labels)) < len(labels)


def _has_another_type(step: Json, real: Json, embedded: Json) -> bool:
    body = step.get("body")
    return isinstance(body, dict) and body.get("agent_type", "letta_v1_agent") != "letta_v1_agent"


def _has_initial_messages(step: Json, real: Json, embedded: Json) -> bool:
    body = step.get("body")
    return isinstance(body, dict) and bool(body.get("initial_message_sequence"))


def _has_base_tools(step: Json, real: Json, embedded: Json) -> bool:
    """Return whether Letta attaches tools, folders or agents of its own to a new agent."""
    body = step.get("body")
    names = ("include_base_tools", "include_multi_agent_tools", "include_default_source")
    return isinstance(body, dict) and any(body.get(name) not in (None, False, 0) for name in names)


def _is_other_operation(step: Json, real: Json, embedded: Json) -> bool:
    """Return whether the embedded server has no route, and the real one does."""
    missing = {404: "Not Found", 405: "Method Not Allowed"}
    status = embedded.get("status")
    return status in missing and embedded.get("body") == {"detail": missing[status]} and status != real.get("status")


LISTED: Final[dict[str, Callable[[Json, Json, Json], bool]]] = {
    "the real server fails": _is_server_failure,
    "a NUL character": _has_nul,
    "unused settings of an agent": _has_unused_settings,
    "requests that damage stored data": _damages,
    "messages after a compaction": _has_another_order,
    "several blocks with one label": _has_blocks_of_one_label,
    "agents of other types": _has_another_type,
    "the initial messages of an agent": _has_initial_messages,
    "base tools": _has_base_tools,
    "operations that the client does not have": _is_other_operation,
    "models and objects that the embedded server does not know": _is_unknown_object,
}
"""The reasons of differences, and functions that recognize them by the request and both responses."""


def reason_of(step: Json, real: Json, embedded: Json) -> str | None:
    """Return the reason of a difference, or None if it is not listed."""
    return next((reason for reason, applies in LISTED.items() if applies(step, real, embedded)), None)
