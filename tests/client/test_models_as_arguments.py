"""A model as an argument makes the same request as its TypedDict."""

from __future__ import annotations

import json
import sys
import typing
from importlib import import_module
from pathlib import Path
from subprocess import run
from typing import Any, is_typeddict

import pytest

import letta_api
from letta_api import params
from letta_api.models import (
    AnthropicModelSettings,
    AnthropicThinking,
    ApprovalCreate,
    ApprovalReturn,
    ClientSkill,
    ClientTool,
    CompactionSettings,
    ImageContent,
    MessageCreate,
    TextContent,
    ToolReturn,
    ToolReturnCreate,
    UrlImage,
)
from letta_api.operations import OPERATIONS

from .helpers import CONVERSATION, ClientDriver, recording, respond_with

RETURN = ToolReturn(tool_call_id="call-1", tool_return="done", status="success")
RETURN_KEYS = {"type": "tool", "tool_call_id": "call-1", "tool_return": "done", "status": "success"}
IMAGE_KEYS = {"type": "image", "source": {"type": "url", "url": "https://letta.example/a.png"}}

CREATE: list[tuple[dict[str, Any], dict[str, Any]]] = [
    (
        {"messages": [MessageCreate(role="user", content="hi")]},
        {"messages": [{"role": "user", "content": "hi", "type": "message"}]},
    ),
    (
        {"messages": [{"role": "user", "content": [TextContent(text="hi")]}]},
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "hi"}]}]},
    ),
    (
        {"messages": [ToolReturnCreate(tool_returns=[RETURN])]},
        {"messages": [{"type": "tool_return", "tool_returns": [RETURN_KEYS]}]},
    ),
    (
        {"messages": [{"type": "tool_return", "tool_returns": [RETURN]}]},
        {"messages": [{"type": "tool_return", "tool_returns": [RETURN_KEYS]}]},
    ),
    (
        {"messages": [ApprovalCreate(approvals=[ApprovalReturn(tool_call_id="call-1", approve=True), RETURN])]},
        {
            "messages": [
                {
                    "type": "approval",
                    "approvals": [{"type": "approval", "tool_call_id": "call-1", "approve": True}, RETURN_KEYS],
                }
            ]
        },
    ),
    (
        {"input": [ImageContent(source=UrlImage(url="https://letta.example/a.png"))]},
        {"input": [IMAGE_KEYS]},
    ),
    (
        {
            "input": "hi",
            "client_tools": [ClientTool(name="weather", parameters={"type": "object"})],
            "client_skills": [ClientSkill(name="sums", description="adds", location="sums.md")],
        },
        {
            "input": "hi",
            "client_tools": [{"name": "weather", "parameters": {"type": "object"}}],
            "client_skills": [{"name": "sums", "description": "adds", "location": "sums.md"}],
        },
    ),
]
THINKING = AnthropicThinking(type="enabled", budget_tokens=1024)
COMPACT: list[tuple[dict[str, Any], dict[str, Any]]] = [
    (
        {"compaction_settings": CompactionSettings(mode="all", model="a/b")},
        {"compaction_settings": {"mode": "all", "model": "a/b"}},
    ),
    (
        {"compaction_settings": {"model_settings": AnthropicModelSettings(thinking=THINKING)}},
        {
            "compaction_settings": {
                "model_settings": {
                    "provider_type": "anthropic",
                    "thinking": {"type": "enabled", "budget_tokens": 1024},
                }
            }
        },
    ),
]


def without_otids(content: bytes) -> dict[str, Any]:
    """Return a request body without its random idempotency keys."""
    body: dict[str, Any] = json.loads(content)
    for message in body.get("messages") or []:
        message.pop("otid", None)
    return body


@pytest.mark.parametrize(("given", "keys"), CREATE)
def test_create_with_model_equals_create_with_typed_dict(
    driver: ClientDriver, given: dict[str, Any], keys: dict[str, Any]
) -> None:
    """A model anywhere in `create` makes the request of its TypedDict."""
    handler = respond_with(recording("send_json").response)
    create = driver.client(handler).conversations.messages.create
    for arguments in (given, keys):
        driver.run(create(CONVERSATION, **arguments, streaming=False))
    one, other = (without_otids(request.content) for request in handler.requests)
    assert one == other
    assert one.items() >= keys.items()


@pytest.mark.parametrize(("given", "keys"), COMPACT)
def test_compact_with_model_equals_compact_with_typed_dict(
    driver: ClientDriver, given: dict[str, Any], keys: dict[str, Any]
) -> None:
    """A model anywhere in `compact` makes the request of its TypedDict."""
    handler = respond_with(recording("compact").response)
    compact = driver.client(handler).conversations.messages.compact
    for arguments in (given, keys):
        driver.run(compact(CONVERSATION, **arguments))
    one, other = (json.loads(request.content) for request in handler.requests)
    assert one == other == keys


def test_parameter_annotations_are_typed_dicts_at_run_time() -> None:
    """`get_type_hints` returns the TypedDict classes."""
    hints = typing.get_type_hints(params.ConversationsMessagesCompactParams)
    assert hints["compaction_settings"] == params.CompactionSettingsParam | None
    assert params.MessageInputParam == (
        params.MessageCreateParam | params.ApprovalCreateParam | params.ToolReturnCreateParam
    )


def test_all_parameter_annotations_resolve() -> None:
    """Each annotation of every TypedDict and request function resolves."""
    found = [value for value in vars(params).values() if is_typeddict(value)]
    assert len(found) > 50
    root = Path(letta_api.__path__[0])
    modules = [path for path in sorted((root / "api").glob("*/*.py")) if path.stem != "__init__"]
    assert len(modules) == len(OPERATIONS)
    names = [".".join(path.relative_to(root).with_suffix("").parts) for path in modules]
    found += [import_module(f"letta_api.{name}").build_request for name in names]
    for value in found:
        assert typing.get_type_hints(value)


def test_import_of_params_does_not_import_models() -> None:
    """`import letta_api.params` imports no model."""
    code = "import sys, letta_api.params; print([name for name in sys.modules if name.startswith('letta_api.models')])"
    assert run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
