"""Creates tools, agents and conversations, and renders them and runs as JSON."""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Mapping, Sequence
from hashlib import sha256
from typing import Any, Final

from ..api import errors, serializers
from ..api.request_schema import Record
from ..engine import trace
from ..engine.runs import Run
from ..store.ids import USER_ID
from ..store.models import Agent, CompactionSettings, Conversation, Json, Message, Thread, Tool
from ..store.state import State

_COMPACTION = CompactionSettings()

_JSON_TYPES = {
    "str": "string",
    "int": "integer",
    "float": "number",
    "bool": "boolean",
    "list": "array",
    "dict": "object",
}

_BLOCK_DESCRIPTIONS = {
    "human": "The human block: Stores key details about the person you are conversing with, allowing for more "
    "personalized and friend-like conversation.",
    "persona": "The persona block: Stores details about your current persona, guiding how you behave and respond. "
    "This helps you to maintain consistency and personality in your interactions.",
}


def create_tool(state: State, source_code: str, *, requires_approval: bool) -> Tool:
    """Create a tool from its source, which is parsed and never run.

    Raises:
        errors.ApiError: If the source contains no function, or another tool has its name.
    """
    try:
        functions = [node for node in ast.parse(source_code).body if isinstance(node, ast.FunctionDef)]
        schemas = [_parameters(node, ast.get_docstring(node) or "") for node in functions[-1:]]
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:  # the last two for deeply nested sources
        raise errors.plain(400, f"Failed to parse source code: {error}") from None
    if not functions:
        raise errors.plain(400, "No functions found in source code")
    function = functions[-1]
    if any(tool.name == function.name for tool in state.tools.values()):
        detail = f"Tool with name '{function.name}' already exists in your organization"
        raise errors.plain(409, detail)
    docstring = ast.get_docstring(function)
    tool = Tool(
        id=state.ids.new("tool"),
        name=function.name,
        description=docstring.splitlines()[0] if docstring else None,
        source_code=source_code,
        parameters=schemas[-1],
        requires_approval=requires_approval,
    )
    state.tools[tool.id] = tool
    return tool


def _parameters(function: ast.FunctionDef, docstring: str) -> Json:
    """Return the JSON schema of a function's parameters, with descriptions from its docstring."""
    properties: Json = {}
    for argument in function.args.args:
        annotation = ast.unparse(argument.annotation) if argument.annotation else "str"
        described = re.search(rf"^[ \t]*{argument.arg}[ \t]*(?:\([^)\n]*\))?:[ \t]*(.+)$", docstring, re.MULTILINE)
        properties[argument.arg] = {
            "type": _JSON_TYPES.get(annotation.partition("[")[0], "string"),
            "description": described.group(1) if described else None,
        }
    required = list(properties)[: len(properties) - len(function.args.defaults)]
    return {"type": "object", "properties": properties, "required": required}


def create_agent(state: State, *, blocks: Sequence[Mapping[str, Any]], tools: Sequence[Tool], **fields: Any) -> Agent:
    """Create an agent with its default conversation. Empty fields have the defaults of `Agent`."""
    agent_id, now = state.ids.new("agent"), state.clock.now()
    given: dict[str, Any] = {"name": f"Agent{len(state.agents) + 1}"} | {
        name: value for name, value in fields.items() if value
    }
    agent = Agent(
        id=agent_id,
        created_at=now,
        updated_at=now,
        blocks=[_block(state, block) for block in blocks],
        tools=list(tools),
        guarded=[tool.name for tool in tools if tool.requires_approval],
        thread=Thread(agent_id=agent_id, label="default"),
        **given,
    )
    state.agents[agent.id] = agent
    _begin(state, agent, agent.thread)
    return agent


def _block(state: State, requested: Mapping[str, Any]) -> dict[str, Any]:
    """Return the JSON of a block with the fields of a request. As Letta, ignore its metadata and tags."""
    kept = {name: value for name, value in requested.items() if value is not None and name not in ("metadata", "tags")}
    return {
        "value": "",
        "limit": 100_000,
        **serializers.nulls("project_id", "template_name"),
        "is_template": False,
        **serializers.nulls("template_id", "base_template_id", "deployment_id", "entity_id"),
        "preserve_on_migration": False,
        "label": requested["label"],
        "read_only": False,
        "description": _BLOCK_DESCRIPTIONS.get(requested["label"]),
        "metadata": {},
        "hidden": None,
        "id": state.ids.new("block"),
        "created_by_id": None,
        "last_updated_by_id": None,
        "tags": [],
        **kept,
    }


def create_conversation(state: State, agent_id: str, summary: str | None = None) -> Conversation:
    """Create a conversation with an agent."""
    if agent_id not in state.agents:
        raise errors.agent_not_found()
    agent = state.agents[agent_id]
    conversation_id, now = state.ids.new("conv"), state.clock.now()
    conversation = Conversation(
        id=conversation_id,
        created_at=now,
        updated_at=now,
        summary=summary,
        thread=Thread(agent_id=agent_id, label=conversation_id),
    )
    state.conversations[conversation.id] = conversation
    _begin(state, agent, conversation.thread)
    return conversation


def _begin(state: State, agent: Agent, thread: Thread) -> None:
    """Store the system message of a thread: the system prompt, the memory blocks and metadata."""
    now = state.clock.now()
    lines = [agent.system, ""]
    if agent.blocks:
        lines += ["<memory_blocks>", "The following memory blocks are currently engaged in your core memory unit:", ""]
    for block in agent.blocks:
        lines += [f"<{block['label']}>", "<description>", block["description"] or "", "</description>", "<metadata>"]
        lines += ["- read_only=true"] if block["read_only"] else []
        lines += [f"- chars_current={len(block['value'])}", f"- chars_limit={block['limit']}", "</metadata>"]
        lines += ["<value>", block["value"], "</value>", f"</{block['label']}>", ""]
    # Letta counts the agent's messages in other conversations.
    count = 0 if thread.is_default else state.count_messages(agent.id)
    lines += [
        "</memory_blocks>" if agent.blocks else "",
        "",
        "<memory_metadata>",
        f"- AGENT_ID: {agent.id}",
        f"- CONVERSATION_ID: {thread.label}",
        f"- System prompt last recompiled: {serializers.spoken_instant(now)}",
        f"- {count} previous messages between you and the user are stored in recall memory",
        "</memory_metadata>",
    ]
    thread.store(Message(id=state.ids.new("message"), role="system", created_at=now, content="\n".join(lines)))


def agent_from(state: State, body: Record) -> Agent:
    """Create the agent of a request."""
    parallel = body.parallel_tool_calls
    if parallel is None and body.model_settings is not None:
        parallel = body.model_settings.parallel_tool_calls
    if body.llm_config is None:
        if body.model is None:
            raise errors.invalid_argument("Must specify either model or llm_config in request")
        reasoning, tokens = body.max_reasoning_tokens, body.max_tokens
        if reasoning is not None and (not tokens or reasoning > tokens):
            detail = f"Max reasoning tokens ({reasoning}) must be less than max tokens ({tokens})"
            raise errors.invalid_argument(detail)
    if body.model == "":
        raise errors.unknown_handle("")
    tool_ids = {*(body.tool_ids or ())}
    if unknown := tool_ids - state.tools.keys():
        raise errors.plain(400, f"Tools not found by id:   {unknown}")
    tools = {tool.name: tool for tool in state.tools.values()}
    if missing := {name for name in body.tools or () if name not in tools}:
        raise errors.plain(400, f"Tools not found by name: {missing}")
    tool_ids |= {tools[name].id for name in body.tools or ()}
    agent = create_agent(
        state,
        # Of several blocks with one label, Letta attaches any one.
        blocks=list({block.label: vars(block) for block in reversed(body.memory_blocks or ())}.values())[::-1],
        tools=_selected(state, tool_ids),
        name=body.name,
        system=body.system,
        parallel_tool_calls=parallel,
        model_handle=body.model,
        context_window=body.context_window_limit,
        compaction=compaction_from(body.compaction_settings),
        agent_type=body.agent_type,
    )
    agent.guarded = list(dict.fromkeys([*_approvals(body), *agent.guarded]))
    _set_plain(agent, body)
    return agent


def _approvals(body: Record) -> list[str]:
    """Return the names of the tools for which the rules of a request demand an approval."""
    return [rule.tool_name for rule in body.tool_rules or () if rule.type == "requires_approval"]


def _selected(state: State, tool_ids: Collection[str]) -> list[Tool]:
    """Return the tools with these ids, each once and in the order of their creation."""
    return [tool for tool in state.tools.values() if tool.id in tool_ids]


_PLAIN: Final = (
    *("description", "timezone", "project_id", "template_id", "base_template_id", "max_files_open"),
    *("per_file_view_window_char_limit", "message_buffer_autoclear", "enable_sleeptime", "metadata"),
)
"""Fields without further effect."""


def _set_plain(agent: Agent, body: Record) -> None:
    """Store the fields without further effect, unless they are null."""
    agent.settings |= {name: getattr(body, name) for name in _PLAIN if getattr(body, name) is not None}
    agent.tags = agent.tags if body.tags is None else list(dict.fromkeys(body.tags))


def compaction_from(settings: Record | None, defaults: CompactionSettings = _COMPACTION) -> CompactionSettings:
    """Return the compaction settings of a request, with defaults for those that it does not contain."""
    if settings is None:
        return defaults
    mode = settings.mode if settings.has("mode") else defaults.mode
    share = settings.sliding_window_percentage if settings.has("sliding_window_percentage") else defaults.share
    return CompactionSettings(mode, share)


def update_agent(state: State, agent: Agent, body: Record) -> None:
    """Update an agent. Null and absent fields are unchanged."""
    if any(tool_id not in state.tools for tool_id in body.tool_ids or ()):
        raise errors.plain(409, "(sqlalchemy.dialects.postgresql.asyncpg.IntegrityError) <class 'IntegrityError'>")
    _set_plain(agent, body)
    agent.name = agent.name if body.name is None else body.name
    agent.system = agent.system if body.system is None else body.system
    agent.model_handle = body.model or agent.model_handle
    agent.context_window = body.context_window_limit or agent.context_window
    agent.compaction = (
        agent.compaction if body.compaction_settings is None else compaction_from(body.compaction_settings)
    )
    agent.tools = agent.tools if body.tool_ids is None else _selected(state, body.tool_ids)
    agent.guarded = agent.guarded if body.tool_rules is None else _approvals(body)
    agent.last_stop_reason = body.last_stop_reason or agent.last_stop_reason
    for name in ("last_run_duration_ms", "hidden"):
        if getattr(body, name) is not None:
            agent.settings[name] = getattr(body, name)
    if body.last_run_completion is not None:
        agent.settings["last_run_completion"] = body.last_run_completion.isoformat().replace("+00:00", "Z")
    agent.updated_at = state.clock.now()


def tool_json(tool: Tool) -> Json:
    """Return the JSON of a tool."""
    return {
        "id": tool.id,
        "tool_type": "custom",
        "description": tool.description,
        "source_type": "json",
        "name": tool.name,
        "tags": [],
        "source_code": tool.source_code,
        "json_schema": trace.json_schema(tool),
        "args_json_schema": {},
        "return_char_limit": 50000,
        "pip_requirements": None,
        "npm_requirements": None,
        "default_requires_approval": tool.requires_approval,
        "enable_parallel_execution": False,
        "created_by_id": USER_ID,
        "last_updated_by_id": USER_ID,
        "metadata_": {"tool_hash": sha256(tool.source_code.encode()).hexdigest()},
        "project_id": None,
    }


def agent_json(agent: Agent) -> Json:
    """Return the JSON of an agent."""
    return {
        **serializers.audit(agent.created_at, agent.updated_at),
        "id": agent.id,
        "name": agent.name,
        "tool_rules": [
            {"tool_name": name, "type": "requires_approval", "prompt_template": None} for name in agent.guarded
        ],
        "message_ids": [message.id for message in agent.thread.context],
        "system": agent.system,
        "agent_type": agent.agent_type,
        "llm_config": trace.llm_config(agent),
        "embedding_config": None,
        "model": agent.model_handle,
        "embedding": None,
        "model_settings": {
            "max_output_tokens": 16384,
            "parallel_tool_calls": True,
            "provider_type": "openai",
            "temperature": 1.0,
            "reasoning": {"reasoning_effort": "minimal"},
            "response_format": None,
            "strict": False,
        },
        "compaction_settings": {
            "model": "openai/gpt-5-mini",
            "model_settings": None,
            "prompt": "Write a detailed summary of these messages.",
            "prompt_acknowledgement": False,
            "clip_chars": 50000,
            "mode": agent.compaction.mode,
            "sliding_window_percentage": agent.compaction.share,
        },
        **serializers.nulls("response_format", "description", "metadata"),
        "memory": {
            "agent_type": agent.agent_type,
            "git_enabled": False,
            "blocks": agent.blocks,
            "file_blocks": [],
            "prompt_template": "",
        },
        "blocks": agent.blocks,
        "tools": [tool_json(tool) for tool in agent.tools],
        "sources": [],
        "tags": list(agent.tags),
        "tool_exec_environment_variables": [],
        "secrets": [],
        **serializers.nulls("project_id", "template_id", "base_template_id", "deployment_id", "entity_id"),
        "identity_ids": [],
        "identities": [],
        "pending_approval": None,
        "message_buffer_autoclear": False,
        **serializers.nulls(
            "enable_sleeptime", "multi_agent_group", "managed_group", "last_run_completion", "last_run_duration_ms"
        ),
        "last_stop_reason": agent.last_stop_reason,
        "timezone": "UTC",
        "max_files_open": 10,
        "per_file_view_window_char_limit": 25000,
        "hidden": None,
        **agent.settings,
    }


def conversation_json(conversation: Conversation, *, with_messages: bool = True) -> Json:
    """Return the JSON of a conversation. New conversations and lists omit the message ids."""
    last = conversation.last_message_at
    return {
        **serializers.audit(conversation.created_at, conversation.updated_at),
        "id": conversation.id,
        "agent_id": conversation.thread.agent_id,
        "summary": conversation.summary,
        "in_context_message_ids": [message.id for message in conversation.thread.context] if with_messages else [],
        "isolated_block_ids": list(conversation.isolated_block_ids),
        "model": conversation.model,
        "model_settings": conversation.model_settings,
        "last_message_at": last.isoformat().replace("+00:00", "Z") if last else None,
    }


def run_json(run: Run) -> Json:
    """Return the JSON of a run. Without streaming, Letta does not update it after its creation."""
    updated = run.tracked or run.cancelled
    metadata: Json = {"run_type": run.kind}
    if run.error is not None and updated:
        metadata["error"] = run.error
    ended = run.completed_at if updated else None
    return {
        "id": run.id,
        "status": run.status if updated else "created",
        "created_at": serializers.precise_instant(run.created_at),
        # Letta omits the time zone.
        "completed_at": ended.replace(tzinfo=None).isoformat(timespec="microseconds") if ended else None,
        "agent_id": run.agent_id,
        "conversation_id": run.conversation_id,
        "base_template_id": None,
        "background": run.background,
        "metadata": metadata,
        "request_config": {
            "use_assistant_message": True,
            "assistant_message_tool_name": "send_message",
            "assistant_message_tool_kwarg": "message",
            "include_return_message_types": None,
            **run.config,
        },
        "stop_reason": run.stop_reason if updated else None,
        **serializers.nulls(
            "callback_url", "callback_sent_at", "callback_status_code", "callback_error", "ttft_ns", "total_duration_ns"
        ),
    }
