"""Exports in processes: killed with SIGKILL, and divided among workers."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from letta_ext import Letta
from letta_ext.export import ExportLockedError, export_steps
from letta_ext.testing import EmbeddedServer, Slow, Stall

from .conftest import STEPS
from .files import contents_of, ids_of

START = datetime(2026, 1, 1, tzinfo=UTC)
PROGRAM = Path(__file__).with_name("killed_program.py")

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="Windows has no SIGKILL")


@contextmanager
def started(server: EmbeddedServer, directory: Path, format: str, **options: int) -> Iterator[subprocess.Popen[str]]:
    """Yield a program that exports. It is killed at the end with the workers that have survived it."""
    numbers = [str(options.get(name, default)) for name, default in (("rows", 0), ("processes", 0), ("page_size", 5))]
    command = [sys.executable, str(PROGRAM), server.base_url, str(directory), format, *numbers]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
        try:
            yield process
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


@pytest.mark.parametrize("format", ["jsonl", pytest.param("parquet", marks=pytest.mark.slow)])
def test_export_killed_by_signal_is_continued(format: Any, stocked: EmbeddedServer, tmp_path: Path) -> None:
    """SIGKILL in the middle leaves complete files only, and the next export has each row once."""
    with started(stocked, tmp_path, format, rows=25) as process:
        assert process.wait(60) == -signal.SIGKILL
    assert 0 <= len(ids_of(tmp_path)) < STEPS
    with Letta(base_url=stocked.base_url) as client:
        summary = export_steps(client, tmp_path, format=format, page_size=5, rows_per_part=15)
        export_steps(client, tmp_path / "whole", format=format, page_size=5, rows_per_part=15)
    assert summary.rows == STEPS
    assert contents_of(tmp_path) == contents_of(tmp_path / "whole")


def test_directory_of_running_process_is_refused_until_it_is_killed(tmp_path: Path) -> None:
    """The lock of a process ends with it, also if it was killed in the middle."""
    arguments: dict[str, Any] = {"format": "jsonl", "page_size": 5, "rows_per_part": 15}
    with EmbeddedServer(check=False) as server, Letta(base_url=server.base_url) as client:
        server.state.add_steps(server.agent_id, STEPS)
        server.faults.add(None, None, None, Stall(bytes=1), on="steps.list")
        with started(server, tmp_path, "jsonl") as process:
            assert process.stdout is not None
            assert process.stdout.readline()  # it holds the lock, and never gets its fourth page
            with pytest.raises(ExportLockedError):
                export_steps(client, tmp_path, **arguments)
            process.kill()
            process.wait(60)
        server.faults.clear()
        assert export_steps(client, tmp_path, **arguments).rows == STEPS


@pytest.mark.slow
def test_workers_of_killed_process_are_replaced(tmp_path: Path) -> None:
    """Workers survive their process. They hold no lock of its export, and the next one takes their shards over."""
    with EmbeddedServer(check=False) as server, Letta(base_url=server.base_url) as client:
        server.state.add_steps(server.agent_id, 400)
        server.faults.add(Slow(size=4096, pause=0.01), on="steps.list", times=None)
        with started(server, tmp_path, "jsonl", rows=1, processes=2, page_size=20) as process:
            assert process.wait(60) == -signal.SIGKILL
        arguments: dict[str, Any] = {"format": "jsonl", "page_size": 20, "rows_per_part": 60}
        export_steps(client, tmp_path, start_date=START, end_date="2026-01-01T00:10", shards=4, **arguments)
        assert sorted(ids_of(tmp_path)) == sorted(server.state.steps)
