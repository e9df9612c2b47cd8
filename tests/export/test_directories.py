"""The directory of an export: what it accepts, and how it is protected."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event
from typing import Any

import pyarrow.parquet  # type: ignore[import-untyped]  # has no type information
import pytest

from letta_ext import AsyncLetta, Letta, LettaError
from letta_ext.export import (
    ExportError,
    ExportLockedError,
    ExportMismatchError,
    ExportProgress,
    export_messages,
    export_steps,
)
from letta_ext.testing import EmbeddedServer

from .conftest import STEPS
from .files import contents_of, ids_of

WITH_OTHER_ARGUMENTS: list[tuple[dict[str, Any], str]] = [
    ({"format": "parquet"}, "format='jsonl', got 'parquet'"),
    ({"start_date": "2026-01-01"}, "start_date=None, got '2026-01-01T00:00:00"),
    ({"agent_id": "agent-1"}, "agent_id=None, got .'agent-1'"),
    ({"filters": {"model": "other"}}, "filters={}, got {'model': 'other'}"),
    ({"page_size": 11}, "page_size=10, got 11"),
]


@pytest.mark.parametrize(("changed", "message"), WITH_OTHER_ARGUMENTS)
def test_export_with_other_arguments_is_refused(
    changed: dict[str, Any], message: str, client: Letta, tmp_path: Path
) -> None:
    """An argument that determines the content must be equal, and the files stay as they are."""
    arguments: dict[str, Any] = {"format": "jsonl", "page_size": 10}
    export_steps(client, tmp_path, **arguments)
    before = contents_of(tmp_path)
    with pytest.raises(ExportMismatchError, match=message):
        export_steps(client, tmp_path, **{**arguments, **changed})
    with pytest.raises(ExportMismatchError, match="kind='steps', got 'messages'"):
        export_messages(client, tmp_path, conversations="conv-1", **arguments)
    assert contents_of(tmp_path) == before


def test_export_from_another_server_is_refused(client: Letta, tmp_path: Path) -> None:
    """Checkpoints are those of one server."""
    export_steps(client, tmp_path, format="jsonl")
    with Letta(base_url="http://127.0.0.1:9") as other, pytest.raises(ExportMismatchError, match="base_url"):
        export_steps(other, tmp_path, format="jsonl")


def test_complete_export_is_returned_without_requests(client: Letta, stocked: EmbeddedServer, tmp_path: Path) -> None:
    """Exporting again returns the summary, or raises an error with `resume=False`."""
    summary = export_steps(client, tmp_path)
    requests = len(stocked.requests)
    assert export_steps(client, tmp_path) == summary
    assert len(stocked.requests) == requests
    with pytest.raises(ExportMismatchError, match="resume is False"):
        export_steps(client, tmp_path, resume=False)


def test_directory_with_other_files_is_refused(client: Letta, tmp_path: Path) -> None:
    """Files that are not of an export are never touched."""
    (tmp_path / "notes.txt").write_text("keep")
    with pytest.raises(ExportMismatchError, match=r"must be empty or hold an export, but it has 'notes\.txt'"):
        export_steps(client, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_file_in_place_of_directory_is_refused(client: Letta, tmp_path: Path) -> None:
    """A file is not replaced by a directory."""
    (tmp_path / "steps").write_text("keep")
    with pytest.raises(ExportMismatchError, match="must be a directory, but it is a file"):
        export_steps(client, tmp_path / "steps")
    assert (tmp_path / "steps").read_text() == "keep"


def test_export_without_its_manifest_is_refused(client: Letta, tmp_path: Path) -> None:
    """Parts whose arguments are unknown are neither continued nor replaced."""
    export_steps(client, tmp_path, format="jsonl")
    before = contents_of(tmp_path)
    (tmp_path / "_export" / "manifest.json").unlink()
    with pytest.raises(ExportMismatchError, match=r"manifest\.json is missing beside part-00000\.jsonl"):
        export_steps(client, tmp_path, format="jsonl", agent_id="agent-1")
    assert contents_of(tmp_path) == before


def test_second_export_to_directory_is_refused_while_first_runs(client: Letta, tmp_path: Path) -> None:
    """The lock is held until the export has ended."""
    inside, leave = Event(), Event()

    def progress(_: ExportProgress) -> None:
        inside.set()
        assert leave.wait(60)

    with ThreadPoolExecutor(1) as threads:
        running = threads.submit(export_steps, client, tmp_path, format="jsonl", progress=progress)
        try:
            assert inside.wait(60)
            with pytest.raises(ExportLockedError, match="locked by another export"):
                export_steps(client, tmp_path, format="jsonl")
        finally:
            leave.set()
        assert running.result().rows == STEPS
    assert export_steps(client, tmp_path, format="jsonl").rows == STEPS


def test_error_of_progress_is_raised_and_export_continues(client: Letta, tmp_path: Path) -> None:
    """An exception of the caller's function passes through, and the lock is released."""

    def progress(found: ExportProgress) -> None:
        if found.rows >= 20:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        export_steps(client, tmp_path, format="jsonl", page_size=10, progress=progress)
    export_steps(client, tmp_path, format="jsonl", page_size=10)
    assert len(set(ids_of(tmp_path))) == len(ids_of(tmp_path)) == STEPS


@pytest.mark.parametrize("name", ["manifest.json", "00000.json"])
@pytest.mark.parametrize("content", ["", "{", "[]", "7", '{"version": 99}'])
def test_damaged_state_raises_export_error_that_names_the_file(
    name: str, content: str, client: Letta, tmp_path: Path
) -> None:
    """State that was changed by another program is never taken for valid."""
    export_steps(client, tmp_path, format="jsonl")
    (tmp_path / "_export" / name).write_text(content)
    with pytest.raises(ExportError, match=name):
        export_steps(client, tmp_path, format="jsonl")


@pytest.mark.parametrize("format", ["jsonl", "parquet"])
def test_missing_or_changed_part_raises_export_error(format: Any, client: Letta, tmp_path: Path) -> None:
    """A part that was removed or changed after its commit is reported."""
    export_steps(client, tmp_path, format=format)
    [part] = tmp_path.glob("part-*")
    part.write_bytes(part.read_bytes()[:-1])
    with pytest.raises(ExportError, match=rf"{part.name} must have \d+ bytes"):
        export_steps(client, tmp_path, format=format)
    part.unlink()
    with pytest.raises(ExportError, match=f"{part.name} must have .* is missing"):
        export_steps(client, tmp_path, format=format)


@pytest.mark.parametrize("format", ["jsonl", "parquet"])
def test_export_without_rows_has_one_readable_part(format: Any, client: Letta, tmp_path: Path) -> None:
    """An empty export is a file that readers accept."""
    summary = export_steps(client, tmp_path, format=format, end_date="2020-01-01")
    assert (summary.rows, summary.parts) == (0, 1)
    assert ids_of(tmp_path) == []


def test_schema_is_the_same_in_each_part(client: Letta, tmp_path: Path) -> None:
    """All parts of an export, and those of an empty one, have one schema."""
    export_steps(client, tmp_path / "full", page_size=10, rows_per_part=10)
    export_steps(client, tmp_path / "empty", end_date="2020-01-01")
    parts = [*tmp_path.glob("*/part-*")]
    assert len(parts) == 6
    assert len({pyarrow.parquet.read_schema(part).to_string() for part in parts}) == 1
    assert pyarrow.parquet.read_table(tmp_path / "full").num_rows == STEPS


INVALID: list[tuple[dict[str, Any], str]] = [
    ({"format": "csv"}, "format must be 'parquet' or 'jsonl'"),
    ({"shards": 0}, "shards must be 1 or more"),
    ({"shards": 2}, "shards must be 1 without start_date and end_date"),
    ({"shards": 2, "start_date": "2026-01-02", "end_date": "2026-01-01"}, "start_date must be before end_date"),
    ({"shards": 2, "start_date": "soon", "end_date": "2026-01-01"}, "start_date must be an ISO date"),
    ({"shards": True}, "shards must be an integer"),
    ({"page_size": 0}, "page_size must be 1 or more"),
    ({"rows_per_part": "1"}, "rows_per_part must be an integer"),
    ({"agent_id": []}, "agent_id must not be empty"),
    ({"agent_id": 7}, "agent_id must be an id or a list of ids"),
    ({"filters": {"limit": 1}}, "filters must have keys among .*model.*got 'limit'"),
    ({"filters": ["model"]}, "filters must be a mapping"),
    ({"start_date": 7}, "start_date"),
    ({"executor": "threads"}, "executor must be"),
    ({"progress": 1}, "progress must be callable"),
    ({"resume": 1}, "resume must be True or False"),
]


@pytest.mark.parametrize(("arguments", "message"), INVALID)
def test_invalid_argument_raises_error_naming_it(
    arguments: dict[str, Any], message: str, client: Letta, stocked: EmbeddedServer, tmp_path: Path
) -> None:
    """Nothing is sent and nothing is written."""
    requests = len(stocked.requests)
    with pytest.raises((TypeError, ValueError), match=message) as caught:
        export_steps(client, tmp_path / "steps", **arguments)
    assert not isinstance(caught.value, LettaError)
    assert len(stocked.requests) == requests
    assert not (tmp_path / "steps").exists()


def test_invalid_selection_of_messages_or_client_raises_error(client: Letta, tmp_path: Path) -> None:
    """Exactly one selection is required, and a client of the sync class."""
    selections: list[dict[str, Any]] = [{}, {"conversations": "conv-1", "agent_id": "agent-1"}]
    for selection in selections:
        with pytest.raises(ValueError, match="conversations and agent_id are mutually exclusive"):
            export_messages(client, tmp_path, **selection)
    other: Any = AsyncLetta(base_url="http://127.0.0.1:9")
    with pytest.raises(TypeError, match="client must be a Letta client or a function"):
        export_steps(other, tmp_path)
    path: Any = 7
    with pytest.raises(TypeError, match="directory must be a path"):
        export_steps(client, path)


def test_manifest_of_complete_export_has_totals_and_no_secret(stocked: EmbeddedServer, tmp_path: Path) -> None:
    """The manifest has the totals of a complete export, and no file has the API key."""
    with Letta(base_url=stocked.base_url, api_key="sk-hidden") as client:
        summary = export_steps(client, tmp_path, format="jsonl")
    manifest = json.loads((tmp_path / "_export" / "manifest.json").read_text())
    assert manifest["complete"] == {"rows": STEPS, "parts": 1, "bytes": summary.bytes}
    assert not any(b"sk-hidden" in path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
