"""The differences between letta-client and this client that remain, each with its reason and a remedy.

`NAMES` explains each difference that `reflection.py` finds. `BEHAVIOR` has those of calls that look the same. Both are
the tables of docs/migration.md.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final

from attrs import frozen


@frozen
class Difference:
    """A difference.

    Attributes:
        subject: The names or the calls of letta-client, as a user writes them.
        here: What this client has or does, and why.
        instead: What to write.
        found: The paths of the differences that it explains, where `*` is any text.
    """

    subject: str
    here: str
    instead: str
    found: tuple[str, ...] = ()

    def explains(self, path: str) -> bool:
        """Return whether a path is one of those."""
        return any(_matches(pattern, path) for pattern in self.found)


def _matches(pattern: str, path: str) -> bool:
    return re.fullmatch(re.escape(pattern).replace(r"\*", ".*"), path) is not None


def unexplained(paths: Iterable[str]) -> Iterator[str]:
    """Yield the paths that no difference explains."""
    return (path for path in paths if not any(each.explains(path) for each in NAMES))


def stale(paths: Iterable[str]) -> Iterator[str]:
    """Yield the patterns of differences that no path matches."""
    found = list(paths)
    patterns = [pattern for each in NAMES for pattern in each.found]
    return (pattern for pattern in patterns if not any(_matches(pattern, path) for path in found))


def _below(path: str, names: str) -> tuple[str, ...]:
    return tuple(f"{path}.{name}" for name in names.split())


AGENT_FIELDS: Final = ("AgentState.llm_config", "AgentState.memory", "AgentState.sources", "Source.id", "Identity.id")

NAMES: Final = (
    Difference(
        "`agents.messages.create`, `create_async`, `list` and `stream`, `runs.messages.stream`",
        "The methods of conversations do the same. The error of an absent method names the other one.",
        '`client.conversations.messages.create("default", agent_id=…)`, with `streaming=False` for one response, '
        '`list("default", agent_id=…)`, `stream(conversation_id, run_id=…)`',
        (*_below("agents.messages", "create create_async list stream"), "runs.messages.stream"),
    ),
    Difference(
        "`client.tools`, `client.blocks`, `agents.passages` and other operations, with types such as `BlockResponse`",
        "Methods exist for the operations of agents, conversations, runs and steps that the specification has.",
        '`client.get("/v1/tools/")`, `client.post("/v1/blocks/", body={…})`: every path is available, '
        "or `client.call` with types",
        (
            *_below(
                "client",
                "access_tokens archives blocks environments folders mcp_servers messages models passages tags "
                "templates tools",
            ),
            *_below(
                "agents",
                "archives blocks export_file files folders identities import_file passages recompile schedule tools",
            ),
            *_below("agents.messages", "compact reset"),
            *_below("conversations", "fork recompile"),
            *_below("runs", "trace usage"),
        ),
    ),
    Difference(
        "`pagination.SyncObjectPage`, `SyncNextFilesPage` and their async versions",
        "No operation that this client has returns them.",
        "`SyncPage`, `AsyncPage`",
        _below("letta_ext.pagination", "SyncObjectPage AsyncObjectPage SyncNextFilesPage AsyncNextFilesPage"),
    ),
    Difference(
        "`agent.llm_config.model`, `agent.memory.blocks`, `tool.id` without a check for None",
        "Fields that are deprecated, or that the server does not promise, may be None for a type checker.",
        "`agent.model`, `agent.blocks`, or a check",
        (
            *(f"types.agent_state.{name} can be None" for name in AGENT_FIELDS),
            "types.tool.Tool.id can be None",
        ),
    ),
    Difference(
        "pages as models of pydantic: `build()`, iteration over the fields of an async page",
        "Pages are not models, but have `model_dump()`, `to_dict()` and their JSON. An async page is iterated with "
        "`async for`.",
        "`page.items`",
        ("page.build",),
    ),
    Difference(
        "`letta_client.BaseModel`",
        "Models are attrs classes, and pydantic is optional.",
        "`attrs.define` or `pydantic.BaseModel` for classes of your own",
        ("letta_ext.BaseModel",),
    ),
    Difference(
        "`model_fields`, `model_config`, `model_json_schema()` and the other class-level members of pydantic",
        "Models are attrs classes. They have pydantic's methods that convert, copy and inspect an object.",
        "`attrs.fields(cls)`; `pydantic.TypeAdapter(cls)` for a schema",
        _below(
            "model",
            "model_computed_fields model_config model_fields model_json_schema model_parametrized_name "
            "model_post_init model_rebuild model_validate_strings model_dump(exclude_computed_fields) "
            "model_dump(polymorphic_serialization) to_dict(warnings)",
        ),
    ),
    Difference(
        "`dict()`, `json()`, `copy()`, `construct()`, `parse_obj()` and the other methods of pydantic 1",
        "pydantic 2 has deprecated them.",
        "`model_dump()`, `model_dump_json()`, `model_copy()`, `model_construct()`, `model_validate()`",
        _below(
            "model",
            "construct copy dict from_orm json parse_file parse_obj parse_raw schema schema_json update_forward_refs "
            "validate",
        ),
    ),
    Difference(
        "`letta_client.Transport`, `ProxiesTypes`, `NoneType`, `file_from_path`, `__title__`",
        "They are names of httpx or of Python, or serve operations that this client does not have.",
        "`httpx.BaseTransport`, `types.NoneType`",
        _below("letta_ext", "__title__ NoneType Transport ProxiesTypes file_from_path"),
    ),
    Difference(
        "`letta_client._client`, `_streaming`, `_models`, `_base_client` and other private modules",
        "Of the private modules, only `_exceptions` exists for programs.",
        "the package itself, which has `Letta`, `Stream`, `AsyncPaginator` and the others",
    ),
    Difference(
        "`client.auth_headers`, `custom_auth`, `default_headers`, `default_query`, `platform_headers`, `qs`, "
        "`user_agent`",
        "The client does not show its headers: they hold the API key.",
        "the arguments of `Letta` and `client.copy`; a hook or a span shows a request without secrets",
        _below("client", "auth_headers custom_auth default_headers default_query platform_headers qs user_agent"),
    ),
    Difference(
        "`client.request`, `client.get_api_list`, and of `client.get` and the like `cast_to=`, `options=`, `content=`, "
        "`files=`, `stream=`, `stream_cls=`",
        "They take or return objects that are internal to letta-client.",
        "`query=`, `body=` and request options; the result is the decoded JSON, which `Model.from_dict` reads",
        (
            *_below("client", "request get_api_list"),
            *(f"client.*({name})" for name in ("cast_to", "options", "content", "files", "stream", "stream_cls")),
        ),
    ),
    Difference(
        "`MessageCreateParams` with `streaming`",
        "`streaming` selects the type of the result: it is an argument of the method, not a key of the TypedDict.",
        "`client.conversations.messages.create(id, streaming=False, **params)`",
        ("types.*message_create_params.MessageCreateParams*[streaming]",),
    ),
)
"""The differences in names, signatures, fields and methods."""

BEHAVIOR: Final = (
    Difference(
        "409 is sent again twice",
        "A 409 raises `ConversationBusyError` or `PendingApprovalError` at once: repeating the request does not help.",
        '`when_busy="wait"` waits for the active run; a pending approval needs a decision',
    ),
    Difference(
        "A lost response, 5xx or a timeout sends a message again",
        "A foreground send is repeated only if it cannot have reached the server, because it would be stored twice.",
        "`background=True`: the send is repeated with the same idempotency keys",
    ),
    Difference(
        "A redirected POST becomes GET, and the message is lost",
        "A redirect that changes the method, the body or the origin raises `APIStatusError`.",
        "the final address as `base_url`",
    ),
    Difference(
        "`Retry-After` over a minute is ignored",
        "The error is raised at once, with the header.",
        "`RetryPolicy(max_delay=…)`",
    ),
    Difference(
        "Iterating a list of messages ends early, after 3 of 25",
        "Iteration yields the items of all pages; `limit` is the size of a page.",
        "`max_items=` for a total, `.items` for one page",
    ),
    Difference(
        "`conversations.list()` returns a list",
        "It returns a page, as the other lists do. Its length, index and slices are those of its items, and iterating "
        "it yields the items of all pages.",
        "`.items` for a list; `async for` with `AsyncLetta`",
    ),
    Difference(
        "`streaming=False` returns an empty stream",
        "It returns a `LettaResponse` with messages, stop reason and usage.",
        "`response.messages`",
    ),
    Difference(
        "A stream that breaks raises an error of httpx, or looks complete",
        "A background stream resumes; a foreground stream raises `StreamInterrupted`, an `APIConnectionError`.",
        "`except APIConnectionError`; a mocked body ends with `data: [DONE]`",
    ),
    Difference(
        "A stream that was iterated or left yields the rest, or nothing, if it is iterated again",
        "It raises `LettaError`: a stream can be iterated once, and a loop that is left closes it.",
        "`next(stream)` for single events before the loop, or a list of the events",
    ),
    Difference(
        "A run that fails raises `APIStatusError` with status 200",
        "It raises `RunError`, an `APIError`, with `error_type`, `detail` and `run_id`.",
        "`except RunError`",
    ),
    Difference(
        "An event of an unknown type is a `SystemMessage`",
        "It is an `UnknownStreamEvent`, or an `UnknownMessage` in a list, with the raw JSON.",
        "`is_unknown(event)`, or a comparison of `event.message_type`",
    ),
    Difference(
        "`agents.retrieve()` and `agents.list()` omit blocks, tools and tags unless `include` names them",
        "Letta omits them for clients whose headers are those of letta-client. Here agents have them.",
        '`include=["agent.blocks"]`, which has the same result with both clients',
    ),
    Difference(
        "An argument that the server refuses is sent",
        "Values that the server refuses, or that leave a run running, raise `ValueError` or `TypeError` before a "
        "request: `input` beside `messages`, `batch_size=0`, `max_steps=0`, an empty id, a `datetime` without a time "
        "zone, `None` where it is not documented.",
        "the value that the message of the error names",
    ),
    Difference(
        "`extra_query` replaces an argument of a list",
        "Its keys must differ from the arguments of the list, which change from page to page.",
        "the argument, such as `limit=`",
    ),
    Difference(
        "`AssistantMessage(**data)` keeps unknown keys",
        "It raises a `TypeError`, so that misspellings are found.",
        "`AssistantMessage.model_validate(data)`, or `from_dict`",
    ),
    Difference(
        '`message.note = "x"` adds an attribute',
        "It raises an `AttributeError`, so that misspellings are found.",
        '`message.model_copy(update={"note": "x"})`',
    ),
    Difference(
        "`model_validate` raises `pydantic.ValidationError`",
        "It raises `letta_api.errors.DecodeError`. Both are a `ValueError`.",
        "`except ValueError`",
    ),
    Difference(
        "`to_dict()` has `datetime` objects",
        "It has JSON values.",
        '`to_dict(mode="python")`, or `model_dump()`',
    ),
    Difference(
        '`model_dump()["api_model_handle"]`, and other keys that letta-client renames',
        "The keys are the names of the JSON. Attributes have both names.",
        '`model_dump()["model_handle"]`',
    ),
    Difference(
        "A model is a parameter of a FastAPI function without more",
        "FastAPI takes it for a query parameter.",
        "`Annotated[AssistantMessage, Body()]`",
    ),
    Difference(
        "A closed client raises `APIConnectionError`",
        "It raises `LettaError`.",
        "`except LettaError`, or a new client",
    ),
    Difference(
        "`_strict_response_validation`",
        "Responses are always checked: a value that does not match raises `APIResponseValidationError`.",
        "omit it",
    ),
    Difference(
        "`X-Stainless-…` headers",
        "They are not sent.",
        "`default_headers=`, if a proxy needs them",
    ),
)
"""The differences in what calls do that look the same."""


def table(differences: Iterable[Difference], first: str) -> str:
    """Return differences as a table of Markdown."""
    rows = [f"| {each.subject} | {each.here} | {each.instead} |" for each in differences]
    return "\n".join([f"| {first} | letta_ext | instead |", "|---|---|---|", *rows])
