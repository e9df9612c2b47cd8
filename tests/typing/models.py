"""Models in place of each TypedDict argument, at every depth. Nothing here runs: both checkers read it.

A file of its own: `tests/client/test_models_as_arguments.py` holds that the requests are the same.
"""
# pyright: reportUnnecessaryTypeIgnoreComment=true

from __future__ import annotations

from typing import Literal, assert_type

from letta_api.models import (
    AnthropicModelSettings,
    AnthropicThinking,
    ApprovalCreate,
    ApprovalReturn,
    Base64Image,
    ClientSkill,
    ClientTool,
    CompactionResponse,
    CompactionSettings,
    ImageContent,
    LettaPing,
    LettaResponse,
    MessageCreate,
    Step,
    SummarizedReasoningContent,
    SummarizedReasoningContentPart,
    TextContent,
    TextResponseFormat,
    ToolReturn,
    ToolReturnCreate,
    UrlImage,
)
from letta_api.params import (
    ClientToolParam,
    CompactionSettingsParam,
    MessageCreateLike,
    MessageCreateParam,
    MessageInputParam,
)
from letta_ext import AsyncLetta, Letta, Stream
from letta_ext.tools import ToolTurn

TEXT = TextContent(text="hi")
MESSAGE = MessageCreate(role="user", content=[TEXT])
RETURN = ToolReturn(tool_call_id="call-1", tool_return="done", status="success")
TOOL = ClientTool(name="weather", parameters={"type": "object"})
SKILL = ClientSkill(name="sums", description="adds", location="sums.md")
SETTINGS = CompactionSettings(mode="all", model="a/b")
PING = LettaPing.from_json(b"{}")


def typed_dicts_are_what_they_were() -> None:
    message: MessageCreateParam = {"role": "user", "content": "hi"}
    assert_type(message["role"], Literal["user", "system", "assistant"])
    MessageCreateParam(role="user", content=[TEXT, {"type": "text", "text": "hi"}])
    either: list[MessageCreateLike] = [message, MESSAGE]
    kept: list[MessageInputParam] = [message, *either]
    print(kept)


def calls(client: Letta, id: str) -> None:
    messages = client.conversations.messages
    several = [MessageCreate(role="user", content="hi"), MESSAGE]
    assert_type(messages.create(id, messages=[MESSAGE]), Stream)
    assert_type(messages.create(id, messages=several, streaming=False), LettaResponse)
    assert_type(messages.create(id, messages=(MESSAGE, {"role": "user", "content": [TEXT]})), Stream)
    assert_type(messages.create(id, messages=[ToolReturnCreate(tool_returns=[RETURN])]), Stream)
    assert_type(messages.create(id, messages=[{"type": "tool_return", "tool_returns": [RETURN]}]), Stream)
    approval = ApprovalReturn(tool_call_id="call-1", approve=True)
    assert_type(messages.create(id, messages=[ApprovalCreate(approvals=[approval, RETURN])]), Stream)
    assert_type(messages.create(id, messages=[{"type": "approval", "approvals": [approval, RETURN]}]), Stream)
    image = ImageContent(source=UrlImage(url="https://letta.example/a.png"))
    inner = Base64Image(data="aGk=", media_type="image/png")
    assert_type(messages.create(id, input=[TEXT, image, {"type": "image", "source": inner}]), Stream)
    part = SummarizedReasoningContentPart(index=0, text="so")
    assert_type(messages.create(id, input=[SummarizedReasoningContent(id="rs-1", summary=[part])]), Stream)
    assert_type(messages.create(id, input=[{"type": "summarized_reasoning", "id": "r", "summary": [part]}]), Stream)
    assert_type(messages.create(id, input="hi", client_tools=[TOOL, {"name": "x"}], client_skills=[SKILL]), Stream)
    assert_type(messages.run_tools(id, messages=[MESSAGE], client_skills=[SKILL]), ToolTurn)
    assert_type(messages.compact(id, compaction_settings=SETTINGS), CompactionResponse)
    thinking = AnthropicThinking(type="enabled", budget_tokens=1024)
    assert_type(
        messages.compact(id, compaction_settings={"model_settings": AnthropicModelSettings(thinking=thinking)}),
        CompactionResponse,
    )
    nested: CompactionSettingsParam = {
        "model_settings": {
            "provider_type": "anthropic",
            "thinking": thinking,
            "response_format": TextResponseFormat(),
        }
    }
    assert_type(messages.compact(id, compaction_settings=nested), CompactionResponse)


async def calls_async(client: AsyncLetta, id: str) -> None:
    messages = client.conversations.messages
    await messages.create(id, messages=[MESSAGE, ToolReturnCreate(tool_returns=[RETURN])], client_tools=[TOOL])
    await messages.create(id, input=[TEXT], client_skills=[SKILL], streaming=False)
    await messages.compact(id, compaction_settings=SETTINGS)


def sent_back(client: Letta, id: str, response: LettaResponse, tools: list[ClientToolParam]) -> None:
    """Models of a response are not arguments, except for nested models of the same name."""
    messages = client.conversations.messages
    messages.create(id, messages=response.messages)  # type: ignore[arg-type]
    messages.create(id, messages=[MESSAGE], client_tools=tools)


def refused(client: Letta, id: str, step: Step) -> None:
    messages = client.conversations.messages
    messages.create(id, messages=[PING])  # type: ignore[list-item]
    messages.create(id, messages=[TEXT])  # type: ignore[list-item]
    messages.create(id, messages=MESSAGE)  # type: ignore[arg-type]
    messages.create(id, input=[MESSAGE])  # type: ignore[list-item]
    messages.create(id, messages=[{"role": "user", "content": [step]}])  # type: ignore[list-item]
    messages.create(id, input="hi", client_tools=[SKILL])  # type: ignore[list-item]
    messages.create(id, input="hi", client_skills=[TOOL])  # type: ignore[list-item]
    messages.compact(id, compaction_settings=TOOL)  # type: ignore[arg-type]
    messages.compact(id, compaction_settings={"model_settings": SETTINGS})  # type: ignore[arg-type]
