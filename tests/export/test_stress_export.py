"""Large exports that are killed with SIGKILL at drawn moments and continued, and their speed and memory."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Iterator
from datetime import timedelta
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import pyarrow.parquet  # type: ignore[import-untyped]  # has no type information
import pytest

from letta_ext import Letta
from letta_ext.export import ExportProgress, export_steps
from letta_ext.testing import EmbeddedServer, Slow

from ..stress.figures import FULL, SEED, figure

STEPS: Final = 100_000 if FULL else 3_000
KILLS: Final = 5 if FULL else 3
PAGE_SIZE: Final = STEPS // 50
PROGRAM: Final = """
import sys
from letta_ext import Letta
from letta_ext.export import export_steps

base_url, directory, format, page_size = sys.argv[1:]
with Letta(base_url=base_url) as client:
    export_steps(
        client,
        directory,
        format=format,
        page_size=int(page_size),
        rows_per_part=4 * int(page_size),
        progress=lambda found: (print(found.rows, flush=True), sys.stdin.readline()),
    )
"""

pytestmark = [
    pytest.mark.stress,
    pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="Windows has no SIGKILL"),
]


@pytest.fixture(scope="module")
def server() -> Iterator[EmbeddedServer]:
    with EmbeddedServer(check=False) as server:
        server.state.add_steps(server.agent_id, STEPS)
        yield server


def ids_of(directory: Path) -> list[str]:
    """Return the ids of all rows, which can exceed memory as whole rows."""
    ids: list[str] = []
    for path in sorted(directory.glob("part-*")):
        if path.suffix == ".jsonl":
            with path.open("rb") as file:
                ids += [json.loads(line)["id"] for line in file]
        else:
            ids += pyarrow.parquet.read_table(path, columns=["id"])["id"].to_pylist()
    return ids


def run_until(rows: int, delay: float, command: list[str]) -> int:
    """Run an export, and kill it some time after it has reported this number of rows. Return its status.

    It waits for a line after each report, so that it cannot end before it is killed.
    """
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for line in process.stdout:
            process.stdin.write("\n")
            process.stdin.flush()
            if int(line) >= rows:
                time.sleep(delay)
                process.kill()
                break
        return process.wait()


@pytest.mark.parametrize("format", ["jsonl", "parquet"])
def test_export_killed_repeatedly_has_each_row_once(format: str, server: EmbeddedServer, tmp_path: Path) -> None:
    """Kills at drawn moments lose and repeat no row."""
    draw = random.Random(f"{SEED} {format}")
    command = [sys.executable, "-c", PROGRAM, server.base_url, str(tmp_path), format, str(PAGE_SIZE)]
    moments = sorted(draw.randrange(1, STEPS * 9 // 10) for _ in range(KILLS))
    killed = [run_until(rows, draw.uniform(0, 0.02), command) for rows in moments]
    assert run_until(2 * STEPS, 0, command) == 0
    found = ids_of(tmp_path)
    lost, repeated = len(set(server.state.steps) - set(found)), len(found) - len(set(found))
    kills = killed.count(-signal.SIGKILL)
    figure(
        f"export of {STEPS} steps as {format}, {kills} kills", f"{len(found)} rows, lost {lost}, repeated {repeated}"
    )
    assert (len(found), lost, repeated, kills) == (STEPS, 0, 0, KILLS)


@pytest.mark.parametrize("format", ["jsonl", "parquet"] if FULL else ["parquet"])
def test_export_divided_on_dask_has_each_row_once(format: Any, server: EmbeddedServer, tmp_path: Path) -> None:
    """Two processes of Dask, one of which is killed at a drawn moment, lose and repeat no row."""
    draw = random.Random(f"{SEED} {format} dask")
    distributed = import_module("distributed")  # has no type information
    victims: list[int] = []

    def progress(found: ExportProgress) -> None:
        if found.rows > at and not victims:
            victims.append(draw.choice(workers))
            os.kill(victims[0], signal.SIGKILL)

    at = draw.randrange(STEPS // 2)
    arguments: dict[str, Any] = {"shards": 16, "format": format, "page_size": PAGE_SIZE}
    arguments |= {"start_date": server.state.clock.now() - timedelta(milliseconds=STEPS + 10), "progress": progress}
    arguments |= {"end_date": server.state.clock.now()}
    options = {"n_workers": 2, "threads_per_worker": 1, "processes": True, "host": "127.0.0.1"}
    if not FULL:
        server.faults.add(Slow(size=16_384, pause=0.02), on="steps.list", times=None)  # longer than the polls
    with (
        Letta(base_url=server.base_url) as client,
        distributed.LocalCluster(**options, dashboard_address=None, silence_logs=50) as cluster,
        distributed.Client(cluster) as dask,
        dask.get_executor() as executor,
    ):
        workers = [int(pid) for pid in dask.run(os.getpid).values()]
        summary = export_steps(client, tmp_path, executor=executor, **arguments)
    server.faults.clear()
    found = ids_of(tmp_path)
    lost, repeated = len(set(server.state.steps) - set(found)), len(found) - len(set(found))
    figure(
        f"export of {STEPS} steps as {format}, 2 workers of Dask, {len(victims)} killed",
        f"{summary.rows} rows in {summary.shards} shards, lost {lost}, repeated {repeated}",
    )
    assert (len(found), lost, repeated, len(victims)) == (STEPS, 0, 0, 1)


def test_export_writes_all_rows_at_the_speed_of_the_figure(server: EmbeddedServer, tmp_path: Path) -> None:
    """Both formats have all rows. The figure compares their speed with that of the list alone."""
    with Letta(base_url=server.base_url) as client:
        begin = time.perf_counter()
        assert sum(1 for _ in client.steps.list(order="asc", limit=PAGE_SIZE, prefetch=True)) == STEPS
        seconds = {"list": time.perf_counter() - begin}
        formats: list[Any] = ["jsonl", "parquet"]
        for format in formats:
            begin = time.perf_counter()
            assert export_steps(client, tmp_path / format, format=format, page_size=PAGE_SIZE).rows == STEPS
            seconds[format] = time.perf_counter() - begin
    rates = [f"{name} {STEPS / each:,.0f}" for name, each in seconds.items()]
    figure(f"rows per second, {STEPS} steps, server in the same process", ", ".join(rates))


@pytest.mark.parametrize("format", ["jsonl", "parquet"])
def test_memory_does_not_grow_with_the_number_of_rows(format: Any, server: EmbeddedServer, tmp_path: Path) -> None:
    """The largest memory of a whole export is that of its first quarter."""
    peaks: list[int] = []

    def progress(found: ExportProgress) -> None:
        if found.rows and len(peaks) < 4 * found.rows // STEPS:
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.reset_peak()

    with Letta(base_url=server.base_url) as client:
        arguments: dict[str, Any] = {"page_size": STEPS // 40, "rows_per_part": STEPS // 20, "format": format}
        tracemalloc.start()
        try:
            export_steps(client, tmp_path, progress=progress, **arguments)
        finally:
            tracemalloc.stop()
    figure(f"memory per quarter of {STEPS} steps as {format}", ", ".join(f"{peak / 1e6:.1f} MB" for peak in peaks))
    assert peaks[-1] < 2 * peaks[0]
