"""`letta_ext.types` has every type of the API, at the import paths of the published client, and imports it lazily."""

from __future__ import annotations

import ast
import importlib
import inspect
import subprocess
import sys
from pathlib import Path
from typing import Any, get_args

import pytest

import letta_ext.types
from letta_api import enums, models, params, unions
from letta_ext import AsyncStream, Stream, hooks, types
from letta_ext.tools import runner

DOCUMENTATION = Path(__file__).parents[2] / "docs"
ABOUT_GENERATED_CODE = {"vendoring.md"}


def public_names(module: Any) -> list[str]:
    """Return the names that a module of the generated package defines or exports."""
    exported = getattr(module, "__all__", None)
    if exported is not None:
        return [name for name in exported if not inspect.ismodule(getattr(module, name))]
    tree = ast.parse(inspect.getsource(module))
    imported = {
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    return [name for name in vars(module) if name[0].isupper() and name not in imported]


@pytest.mark.parametrize("module", [models, unions, enums, params], ids=lambda module: str(module.__name__))
def test_types_package_exports_every_name_of_generated_package(module: Any) -> None:
    """Every model, union, enum and TypedDict is importable from `letta_ext.types`."""
    names = public_names(module)
    assert len(names) > 5
    assert [name for name in names if getattr(letta_ext.types, name, None) is not getattr(module, name)] == []


@pytest.mark.parametrize(
    ("path", "name", "target"),
    [
        ("types", "Step", models.Step),
        ("types.step", "Step", models.Step),
        ("types.agents", "AssistantMessage", models.AssistantMessage),
        ("types.agents", "LettaStreamingResponse", unions.StreamEvent),
        ("types.agents.letta_streaming_response", "LettaStreamingResponse", unions.StreamEvent),
        ("types.agents.letta_response", "Usage", models.LettaUsageStatistics),
        ("types.agents.message_create_params", "ClientTool", params.ClientToolParam),
        ("types.conversations", "MessageCreateParams", params.ConversationsMessagesCreateParams),
        ("types.conversations.message_list_params", "MessageListParams", params.ConversationsMessagesListParams),
        ("types.steps", "MessageListParams", params.StepsMessagesListParams),
        ("types.steps", "MetricRetrieveResponse", models.StepMetrics),
        ("types", "StepListParams", params.StepsListParams),
        ("types", "MessageCreateParam", params.MessageCreateParam),
        ("types", "ConversationListResponse", list[models.Conversation]),
        ("types.runs.step_list_params", "StepListParams", params.RunsStepsListParams),
        ("types.openai_model_settings", "OpenAIModelSettings", models.OpenAIModelSettings),
        ("pagination", "SyncArrayPage", letta_ext.SyncArrayPage),
        ("pagination", "AsyncArrayPage", letta_ext.AsyncArrayPage),
        ("_exceptions", "NotFoundError", letta_ext.NotFoundError),
    ],
)
def test_path_of_published_client_leads_to_type(path: str, name: str, target: object) -> None:
    """A path that programs use with the published client has the type of this client."""
    assert getattr(importlib.import_module(f"letta_ext.{path}"), name) == target


@pytest.mark.parametrize(
    ("name", "target"),
    [
        ("AttemptReport", hooks.AttemptReport),
        ("BusyReport", hooks.BusyReport),
        ("ResumeReport", hooks.ResumeReport),
        ("ToolCall", models.ToolCall),
        ("Approve", runner.Approve),
        ("AsyncApprove", runner.AsyncApprove),
    ],
)
def test_types_of_callbacks_are_exported(name: str, target: object) -> None:
    """The reports of hooks, and the argument and the type of `approve`, are public."""
    assert getattr(types, name) is target


@pytest.mark.parametrize("module", ["types", "pagination"])
def test_module_is_attribute_of_package(module: str) -> None:
    """A program that imports the package only can use its public modules."""
    code = f"import letta_ext\nprint(letta_ext.{module}.__name__)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == f"letta_ext.{module}"


def test_unknown_name_of_types_raises_attribute_error() -> None:
    """A name that does not exist raises `AttributeError`, which names it."""
    with pytest.raises(AttributeError, match="Stepp"):
        getattr(types, "Stepp")  # noqa: B009  # a type checker rejects the attribute


def test_stream_classes_are_generic_at_run_time() -> None:
    """Annotations such as `Stream[StreamEvent]` evaluate."""
    assert get_args(Stream[types.StreamEvent]) == (types.StreamEvent,)
    assert get_args(AsyncStream[types.StreamEvent]) == (types.StreamEvent,)


@pytest.mark.parametrize(
    ("statement", "unused"),
    [
        ("import letta_ext", ["letta_ext.types", "letta_api.models", "letta_api.params", "httpx"]),
        ("import letta_ext.types", ["letta_api.models", "letta_api.unions", "letta_api.params", "httpx"]),
        ("from letta_ext.types import HealthResponse", ["letta_api.models.step", "letta_api.params", "httpx"]),
        ("from letta_ext.types.agents import ToolCall", ["letta_api.models.step", "letta_api.unions", "httpx"]),
    ],
)
def test_import_of_types_loads_only_what_it_names(statement: str, unused: list[str]) -> None:
    """Importing the package, or one type, does not import the other types."""
    code = f"{statement}\nimport sys\nprint([name for name in {unused!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_documentation_imports_types_from_one_package() -> None:
    """The pages for users of the client import no type from the generated package."""
    imports = tuple(f"from letta_api.{module} " for module in ("models", "unions", "enums", "params", "model"))
    found = {
        page.name
        for page in DOCUMENTATION.glob("*.md")
        if any(line.startswith(imports) for line in page.read_text("utf-8").splitlines())
    }
    assert found <= ABOUT_GENERATED_CODE
