"""Check that no definition, import, file or extension key has a name that the style of this project replaced.

Prints each such name with its place and ends with status 1. `RENAMED` is the rename map. A name that is also a common
word (`types`, `client`, `loop`, `line`) is listed only with the package or kind of definition that had it.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1]

FILES: Final = {
    "letta_ext/calls": "letta_ext/_http",
    "letta_ext/sending": "letta_ext/_http",
    "letta_ext/streams": "letta_ext/_streaming",
    "letta_ext/lists": "letta_ext/_pagination",
    "letta_ext/watching": "letta_ext/_instrumentation",
    "letta_ext/raw": "letta_ext/_response",
    "letta_ext/following": "letta_ext/follow",
    "letta_ext/tools/kinds.py": "letta_ext/tools/schema.py",
    "letta_ext/tools/annotations.py": "letta_ext/tools/annotation_compiler.py",
    "letta_ext/tools/loop.py": "letta_ext/tools/state_machine.py",
    "letta_ext/tools/turn.py": "letta_ext/tools/runner.py",
    "letta_ext/shapes.py": "letta_ext/_types.py",
    "letta_ext/not_given.py": "letta_ext/_types.py",
    "letta_ext/unions.py": "letta_ext/types.py",
    "letta_ext/testing/api/wire.py": "letta_ext/testing/api/serializers.py",
    "letta_ext/testing/engine/loop.py": "letta_ext/testing/engine/agent_loop.py",
    "letta_ext/testing/engine/sends.py": "letta_ext/testing/engine/message_service.py",
    "letta_ext/testing/store/records.py": "letta_ext/testing/store/models.py",
    "letta_ext/testing/network/line.py": "letta_ext/testing/network/connection.py",
    "letta_ext/testing/network/faulty.py": "letta_ext/testing/network/fault_middleware.py",
    "letta_ext/testing/network/rewriting.py": "letta_ext/testing/network/response_rewriter.py",
    "letta_ext/testing/network/serving.py": "letta_ext/testing/network/uvicorn_server.py",
    "letta_ext/testing/network/traffic.py": "letta_ext/testing/network/request_log.py",
    "letta_ext/testing/scenarios/reading.py": "letta_ext/testing/scenarios/dataclass_reader.py",
    "letta_ext/testing/scenarios/scenery.py": "letta_ext/testing/scenarios/setup_api.py",
    "letta_ext/testing/scenarios/scenes.py": "letta_ext/testing/scenarios/builtin.py",
    "letta_ext/testing/scene_file.py": "letta_ext/testing/scenario_file.py",
    "tests/integration/scene.py": "tests/integration/server_resources.py",
    "codegen/hoist.py": "codegen/inline_schemas.py",
    "codegen/asked.py": "removed",
    "codegen/likes.py": "codegen/typed_dicts.py",
    "codegen/faults.py": "codegen/errors.py",
    "codegen/shape.py": "codegen/validate.py",
    "codegen/swap.py": "codegen/atomic_replace.py",
    "codegen/views.py": "codegen/template_context.py",
    "codegen/stock.py": "codegen/openapi_client_driver.py",
    "codegen/lenient.py": "codegen/prune.py",
    "codegen/cycles.py": "codegen/import_cycles.py",
    "codegen/docs.py": "codegen/docstrings.py",
    "codegen/differ": "codegen/diff",
    "codegen/diff/alternatives.py": "codegen/diff/variants.py",
    "codegen/diff/origins.py": "codegen/diff/align.py",
    "codegen/runtime/decoding.py": "codegen/runtime/model.py",
    "codegen/runtime/parts.py": "codegen/runtime/structs.py",
    "codegen/runtime/lists.py": "codegen/runtime/lazy_list.py",
    "tests/ext": "tests/client",
    "tests/surface": "tests/public_api",
    "tests/walks": "tests/pagination",
    "tests/proof": "tests/stress",
    "tests/live": "tests/integration",
    "tests/scenarios": "tests/conformance",
    "tests/testing": "tests/embedded_server",
    "tests/recordings": "tests/fixtures/recordings",
    "docs/inside.md": "docs/architecture.md",
    "docs/faults.md": "docs/reliability.md",
    "docs/lists.md": "docs/pagination.md",
    "docs/following.md": "docs/follow.md",
    "docs/speed.md": "docs/benchmarks.md",
}
"""Files and folders: the old name and the new one."""

RENAMED: Final = {
    "Folder": "MessageAccumulator",
    "Walk": "ListIterator",
    "Mark": "Position",
    "Memory": "SeenItems",
    "Watch": "Instrumentation",
    "SILENT": "NOOP",
    "Became": "Outcome",
    "Verbs": "BaseClient",
    "AsyncVerbs": "AsyncBaseClient",
    "View": "RawAccessor",
    "AsyncView": "AsyncRawAccessor",
    "Pace": "Backoff",
    "Toolbox": "ToolRegistry",
    "render": "to_tool_return",
    "plain": "to_jsonable",
    "sendable": "sanitize",
    "Open": "OpenStream",
    "Decide": "RequestApproval",
    "Execute": "RunTools",
    "Await": "PollRun",
    "Collect": "FetchMessages",
    "parse_message": "message_from_dict",
    "parse_event": "stream_event_from_dict",
    "read_message": "message_from_json",
    "read_stream_event": "stream_event_from_json",
    "given": "strip_not_given",
    "check_kind": "ensure_instance",
    "make_config": "resolve_config",
    "chance": "random",
    "Repeat": "Idempotency",
    "Waiting": "BusyWait",
    "in_turn": "send_when_not_busy",
    "recover": "find_existing_run",
    "reopen": "reconnect",
    "Wire": "FieldTable",
    "Tag": "Discriminator",
    "FAULTS": "DECODE_ERRORS",
    "REFUSED": "FALLBACK_ERRORS",
    "MAKERS": "STRUCT_DECODERS",
    "from_parts": "_from_struct",
    "_forms": "_struct_fields",
    "Stage": "Scenario",
    "Side": "ClientDriver",
    "World": "FollowSimulation",
    "Theatre": "ScenarioRunner",
    "Room": "StopAfter",
    "Talk": "ServerClient",
}
"""Definitions: the old name and the new one."""

WITHIN: Final = {
    "given": "letta_ext/config.py",  # hypothesis has a `given`
    "plain": "letta_ext/tools",
    "render": "letta_ext/tools",
    "chance": "letta_ext/retry.py",
    "SILENT": "letta_ext/_instrumentation",
    "FAULTS": "codegen/runtime",
    "REFUSED": "codegen/runtime",
    "Tag": "codegen",
    "Open": "letta_ext/tools",
    "View": "letta_ext/_async",
    "Waiting": "letta_ext/_http",
    "recover": "letta_ext/_async",
}
"""Names that are common words: where the old definition was."""

KEYS: Final = {
    "x-letta-repeat": "x-letta-idempotency",
    "x-letta-page": "x-letta-pagination",
    "x-letta-stream": "x-letta-streaming",
    "x-letta-asks": "ordinary operations",
    "LETTA_PROOF": "LETTA_STRESS",
}
"""Extension keys and environment variables."""


def tracked(*patterns: str) -> list[str]:
    """Return the tracked files that match patterns of git."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--", *patterns],  # noqa: S607  # git is found on the PATH
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return [name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]


def defined(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """Yield each name that code defines or imports, with its line."""
    for node in ast.walk(tree):
        match node:
            case ast.ClassDef() | ast.FunctionDef() | ast.AsyncFunctionDef():
                yield node.name, node.lineno
            case ast.arg():
                yield node.arg, node.lineno
            case ast.Name(ctx=ast.Store()) | ast.Attribute(ctx=ast.Store()):
                yield (node.id if isinstance(node, ast.Name) else node.attr), node.lineno
            case ast.alias(name=imported):
                yield (node.asname or imported.rpartition(".")[2]), node.lineno


def faults() -> Iterator[str]:
    """Yield each old name with its place."""
    files = tracked(".")
    for old, new in FILES.items():
        if any(name == old or name.startswith(f"{old}/") for name in files):
            yield f"{old}: is called {new} now"
    for name in tracked("*.py", ":!generated", ":!letta_ext/types", ":!tests/codegen/golden"):
        for found, place in defined(ast.parse((ROOT / name).read_text("utf-8"))):
            if found in RENAMED and name.startswith(WITHIN.get(found, "")):
                yield f"{name}:{place}: {found} is called {RENAMED[found]} now"
    keys = re.compile("|".join(rf"{key}(?![\w-])" for key in KEYS))
    for name in tracked("*.py", "*.md", "*.jinja", "*.yaml", "*.toml", ":!tests/names.py"):
        for number, text in enumerate((ROOT / name).read_text("utf-8").splitlines(), 1):
            for key in keys.findall(text):
                yield f"{name}:{number}: {key} is called {KEYS[key]} now"


if __name__ == "__main__":
    found_faults = list(faults())
    print("\n".join(found_faults) or f"names: none of {len(FILES) + len(RENAMED) + len(KEYS)} old names is in use")
    sys.exit(1 if found_faults else 0)
