"""Parsed and validated requests. Invalid requests raise Letta's 422."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from letta_api.enums import MessageType

from ..store.ids import UUID4, IdSource
from ..store.models import Approval, Json, ToolReturn
from . import content, errors
from .validation import NOT_AN_OBJECT, Fields, Location, Problems, is_object

Order = Literal["asc", "desc"]
InputRole = Literal["user", "system", "assistant"]
COMPACTION_MODES = ("all", "sliding_window", "self_compact_all", "self_compact_sliding_window")
MAX_STEPS = 50

# Names of the three message types in pydantic's locations.
_MESSAGE = "function-after[generate_otid_if_missing(), MessageCreate]"
_APPROVAL = "function-after[migrate_deprecated_fields(), function-after[generate_otid_if_missing(), ApprovalCreate]]"
_TOOL_RETURN = "function-after[generate_otid_if_missing(), ToolReturnCreate]"
_INPUT_ROLES: dict[str, InputRole] = {"user": "user", "system": "system", "assistant": "assistant"}


@dataclass(frozen=True, slots=True)
class InputMessage:
    """A message in a request."""

    role: InputRole
    content: str | list[Json]
    otid: str
    name: str | None = None
    sender_id: str | None = None


@dataclass(frozen=True, slots=True)
class ApprovalInput:
    """Approvals, denials and tool returns in a request."""

    approvals: Sequence[Approval | ToolReturn]
    otid: str


@dataclass(frozen=True, slots=True)
class Send:
    """A request to send messages."""

    messages: Sequence[InputMessage | ApprovalInput]
    agent_id: str | None = None
    streaming: bool = True
    stream_tokens: bool = False
    background: bool = False
    include_pings: bool = True
    include_compaction_messages: bool = False
    max_steps: int = MAX_STEPS
    types: Sequence[str] | None = None
    client_tools: Sequence[str] = ()
    override_model: str | None = None

    @property
    def otids(self) -> list[str]:
        """The otids of all messages in order."""
        return [message.otid for message in self.messages]


@dataclass(frozen=True, slots=True)
class Resume:
    """A request to resume a stream."""

    agent_id: str | None = None
    run_id: str | None = None
    otid: str | None = None
    starting_after: int = 0
    include_pings: bool = True
    batch_size: int | None = 100


@dataclass(frozen=True, slots=True)
class Compact:
    """A request to compact a conversation."""

    agent_id: str | None = None
    mode: str | None = None


@dataclass(frozen=True, slots=True)
class Feedback:
    """A request to set the feedback of a step."""

    feedback: str | None = None
    tags: Sequence[str] | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """The page of a list."""

    order: Order
    limit: int
    before: str | None = None
    after: str | None = None


@dataclass(frozen=True, slots=True)
class StepFilter:
    """The filters of a list of steps. Letta accepts ``tags`` and ignores it."""

    start_date: str | None = None
    end_date: str | None = None
    model: str | None = None
    agent_id: str | None = None
    trace_ids: Sequence[str] | None = None
    feedback: str | None = None
    has_feedback: bool | None = None
    project_id: str | None = None


def check_conversation_path(conversation_id: str, problems: Problems) -> None:
    """Validate the conversation id in a path."""
    pattern = f"^(default|conv-{UUID4}|agent-{UUID4})$"
    problems.pattern(("path", "conversation_id"), conversation_id, pattern, f"String should match pattern '{pattern}'")


def check_step_path(step_id: str) -> None:
    """Validate the step id in a path. The 422 contains an example."""
    problems = Problems()
    problems.pattern(("path", "step_id"), step_id, f"^step-{UUID4}$", "String should match pattern 'step-{uuid4}'")
    if problems.found:
        raise errors.validation(problems.found, "step-123e4567-e89b-42d3-8456-426614174000")


def page(fields: Fields, *, default_order: Order, default_limit: int) -> Page:
    """Read the query parameters of a page."""
    before = fields.optional_text("before")
    after = fields.optional_text("after")
    limit = fields.integer("limit", default_limit)
    order = fields.choice("order", default_order, ("asc", "desc"))
    fields.choice("order_by", "created_at", ("created_at",))
    return Page("asc" if order == "asc" else "desc", limit, before, after)


def step_filter(fields: Fields) -> StepFilter:
    """Read the filters of a list of steps."""
    feedback = fields.optional_choice("feedback", ("positive", "negative"))
    return StepFilter(
        start_date=fields.optional_text("start_date"),
        end_date=fields.optional_text("end_date"),
        model=fields.optional_text("model"),
        agent_id=fields.optional_text("agent_id"),
        trace_ids=fields.optional_texts("trace_ids"),
        feedback=feedback,
        has_feedback=fields.optional_boolean("has_feedback"),
        project_id=fields.optional_text("project_id"),
    )


def message_types(fields: Fields) -> Sequence[str] | None:
    """Read the message types to return. None returns all."""
    return fields.optional_choices("include_return_message_types", get_args(MessageType))


def send(fields: Fields, ids: IdSource, *, allow_empty: bool) -> Send:
    """Read a request to send messages.

    Args:
        fields: The body.
        ids: Source of missing otids.
        allow_empty: Whether an empty body sends a greeting, as in the examples of the documentation.
    """
    messages = _messages(fields, ids)
    text = _input(fields, ids)
    max_steps = fields.integer("max_steps", MAX_STEPS)
    types = message_types(fields)
    tools = _client_tools(fields)
    compaction = fields.boolean("include_compaction_messages", False)
    agent_id = fields.optional_text("agent_id")
    _check_ignored(fields)
    override_model = fields.optional_text("override_model")
    streaming = fields.boolean("streaming", True)
    stream_tokens = fields.boolean("stream_tokens", False)
    include_pings = fields.boolean("include_pings", True)
    background = fields.boolean("background", False)
    if not fields.problems.found:
        if messages is not None and text is not None:
            fields.add_value_error("Cannot specify both 'input' and 'messages'. Use one or the other.")
        elif messages is None and text is None and not allow_empty:
            fields.add_value_error("Must specify either 'input' or 'messages'.")
    fields.problems.raise_if_any()
    if messages is None:
        messages = [text or InputMessage("user", "hello", ids.uuid())]
    if not messages:
        raise errors.plain(422, "Messages must not be empty")
    return Send(
        messages=messages,
        agent_id=agent_id,
        streaming=streaming,
        stream_tokens=stream_tokens,
        background=background,
        include_pings=include_pings,
        include_compaction_messages=compaction,
        max_steps=max_steps,
        types=types,
        client_tools=tools,
        override_model=override_model,
    )


def _input(fields: Fields, ids: IdSource) -> InputMessage | None:
    value = fields.get("input")
    if value is None:
        return None
    return InputMessage("user", content.read(value, (*fields.location, "input"), fields.problems, ids), ids.uuid())


def _check_ignored(fields: Fields) -> None:
    """Validate the fields that this server ignores."""
    fields.boolean("use_assistant_message", True)
    for name in ("assistant_message_tool_name", "assistant_message_tool_kwarg", "enable_thinking"):
        if name in fields.values:
            fields.text(name)
    for skill in fields.objects("client_skills"):
        for name in ("name", "description", "location"):
            skill.text(name)
    fields.optional_text("override_system")
    fields.boolean("return_logprobs", False)
    fields.optional_integer("top_logprobs")
    fields.boolean("return_token_ids", False)


def _client_tools(fields: Fields) -> list[str]:
    names: list[str] = []
    for tool in fields.objects("client_tools"):
        names.append(tool.text("name"))
        tool.optional_text("description")
        tool.optional_dict("parameters")
    return names


def _messages(fields: Fields, ids: IdSource) -> list[InputMessage | ApprovalInput] | None:
    items = fields.items("messages")
    if items is None:
        return None
    location = (*fields.location, "messages")
    messages = [_message(item, (*location, index), fields.problems, ids) for index, item in enumerate(items)]
    return [message for message in messages if message is not None]


def _message(
    item: object, location: Location, problems: Problems, ids: IdSource
) -> InputMessage | ApprovalInput | None:
    """Read a message as the first matching type. If no type matches, record the problems of all."""
    if is_object(item) and item.get("type") is None:
        is_deprecated = "approval_request_id" in item or "approve" in item
        item = {**item, "type": "approval" if is_deprecated else "message"}
    found: list[dict[str, object]] = []
    for label, read_as in ((_MESSAGE, _input_message), (_APPROVAL, _approvals), (_TOOL_RETURN, _tool_returns)):
        candidate = Problems()
        if is_object(item):
            otid = item.get("otid")
            value = otid if isinstance(otid, str) and otid else ids.uuid()
            message = read_as(Fields(item, (*location, label), candidate), value, ids=ids)
            if not candidate.found:
                return message
        else:
            candidate.add("model_attributes_type", (*location, label), NOT_AN_OBJECT, item)
        found += candidate.found
    problems.extend(found)
    return None


def _check_type(fields: Fields, message_type: str) -> None:
    kind = fields.get("type")
    if kind != message_type:
        expected = f"<MessageCreateType.{message_type}: '{message_type}'>"
        fields.problems.literal((*fields.location, "type"), kind, expected)


def _approvals(fields: Fields, otid: str, *, ids: IdSource) -> ApprovalInput:
    _check_type(fields, "approval")
    fields.optional_text("otid")
    approvals: list[Approval | ToolReturn] = []
    for each in fields.objects("approvals"):
        # The location of a problem contains the type of the item.
        tag = each.get("type")
        if tag is None:
            problem = "Unable to extract tag using discriminator 'type'"
            each.problems.add("union_tag_not_found", each.location, problem, dict(each.values), discriminator="'type'")
            continue
        each.location = (*each.location, "tool" if tag == "tool" else "approval")
        approvals.append(_tool_return(each, ids) if tag == "tool" else _approval(each))
    request_id = fields.get("approval_request_id")
    if not approvals and isinstance(request_id, str):
        # The deprecated form without a list.
        approve = fields.boolean("approve", False)
        approvals.append(Approval(tool_call_id=request_id, approve=approve, reason=fields.optional_text("reason")))
    return ApprovalInput(approvals, otid)


def _approval(fields: Fields) -> Approval:
    return Approval(
        tool_call_id=fields.text("tool_call_id"),
        approve=fields.boolean("approve", None),
        reason=fields.optional_text("reason"),
    )


def _tool_returns(fields: Fields, otid: str, *, ids: IdSource) -> ApprovalInput:
    _check_type(fields, "tool_return")
    fields.optional_text("otid")
    if "tool_returns" not in fields.values:
        fields.problems.missing((*fields.location, "tool_returns"), dict(fields.values))
    return ApprovalInput([_tool_return(each, ids) for each in fields.objects("tool_returns")], otid)


def _tool_return(fields: Fields, ids: IdSource) -> ToolReturn:
    text, parts = content.read_return(fields, ids)
    status = fields.choice("status", None, ("success", "error"))
    return ToolReturn(
        tool_call_id=fields.text("tool_call_id"),
        text=text,
        status=status,
        stdout=fields.optional_texts("stdout"),
        stderr=fields.optional_texts("stderr"),
        parts=parts,
    )


def _input_message(fields: Fields, otid: str, *, ids: IdSource) -> InputMessage:
    _check_type(fields, "message")
    fields.optional_text("otid")
    location, problems = fields.location, fields.problems
    role = fields.get("role")
    input_role = _INPUT_ROLES.get(role) if isinstance(role, str) else None
    if "role" not in fields.values:
        problems.missing((*location, "role"), dict(fields.values))
    elif input_role is None:
        roles = "<MessageRole.user: 'user'>, <MessageRole.system: 'system'> or <MessageRole.assistant: 'assistant'>"
        problems.literal((*location, "role"), role, roles)
    if "content" not in fields.values:
        problems.missing((*location, "content"), dict(fields.values))
        return InputMessage("user", "", otid)
    return InputMessage(
        role=input_role or "user",
        content=content.read(fields.values["content"], (*location, "content"), problems, ids),
        otid=otid,
        name=fields.optional_text("name"),
        sender_id=fields.optional_text("sender_id"),
    )


def resume(fields: Fields) -> Resume:
    """Read a request to resume a stream."""
    request = Resume(
        agent_id=fields.optional_text("agent_id"),
        run_id=fields.optional_text("run_id"),
        otid=fields.optional_text("otid"),
        starting_after=fields.integer("starting_after", 0),
        include_pings=fields.optional_boolean("include_pings", True) or False,
        batch_size=fields.optional_integer("batch_size", 100),
    )
    fields.optional_number("poll_interval")  # the poll interval affects only the latency of Letta
    fields.problems.raise_if_any()
    return request


def compact(fields: Fields) -> Compact:
    """Read a request to compact a conversation."""
    agent_id = fields.optional_text("agent_id")
    settings = fields.optional_object("compaction_settings")
    if settings is not None:
        settings.optional_text("model")
    mode = settings.optional_choice("mode", COMPACTION_MODES) if settings else None
    fields.problems.raise_if_any()
    return Compact(agent_id, mode)


def feedback(fields: Fields) -> Feedback:
    """Read a request to set the feedback of a step."""
    value = fields.optional_choice("feedback", ("positive", "negative"), kind="enum")
    tags = fields.optional_texts("tags")
    fields.problems.raise_if_any()
    return Feedback(value, tags)
