"""The differences between the real and the embedded server that are intended. docs/testing.md lists their reasons."""

from __future__ import annotations

import json
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
    return "\\u0000" in json.dumps(step.get("body"))


def _has_unused_settings(step: Json, real: Json, embedded: Json) -> bool:
    """Return whether only settings of agents differ that the embedded server does not use."""
    return "/v1/agents/" in step["request"] and _without_settings(real) == _without_settings(embedded)


def _without_settings(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_settings(each) for name, each in value.items() if name not in UNUSED_SETTINGS}
    return [_without_settings(each) for each in value] if isinstance(value, list) else value


def _is_unknown_object(step: Json, real: Json, embedded: Json) -> bool:
    """Return whether a request refers to a model, a folder or a block, which the embedded server does not have."""
    body = json.dumps(step.get("body"))
    names = ("model", "embedding", "folder_ids", "source_ids", "block_ids", "identity_ids", "message_ids")
    return real.get("status") in (400, 404) and embedded.get("status") == 200 and any(name in body for name in names)


def _has_initial_messages(step: Json, real: Json, embedded: Json) -> bool:
    return bool((step.get("body") or {}).get("initial_message_sequence")) if "/v1/agents/" in step["request"] else False


def _is_other_operation(step: Json, real: Json, embedded: Json) -> bool:
    """Return whether the embedded server has no route, and the real one does."""
    return embedded.get("body") == {"detail": "Not Found"} and embedded["status"] == 404 != real.get("status")


LISTED: Final[dict[str, Callable[[Json, Json, Json], bool]]] = {
    "the real server fails": _is_server_failure,
    "a NUL character in a body": _has_nul,
    "unused settings of an agent": _has_unused_settings,
    "the initial messages of an agent": _has_initial_messages,
    "operations that the client does not have": _is_other_operation,
    "models and objects that the embedded server does not know": _is_unknown_object,
}
"""The reasons of differences, and functions that recognize them by the request and both responses."""


def reason_of(step: Json, real: Json, embedded: Json) -> str | None:
    """Return the reason of a difference, or None if it is not listed."""
    return next((reason for reason, applies in LISTED.items() if applies(step, real, embedded)), None)
