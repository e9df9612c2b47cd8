"""Exports on a Dask cluster."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from letta_ext import Letta
from letta_ext.export import ExportError, export_messages, export_steps
from letta_ext.testing import EmbeddedServer, Respond

from .conftest import STEPS
from .files import ids_of

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def dask() -> Iterator[Any]:
    """Return the client of a cluster of two processes on loopback."""
    distributed = import_module("distributed")  # has no type information
    options = {"n_workers": 2, "threads_per_worker": 1, "processes": True, "host": "127.0.0.1"}
    with distributed.LocalCluster(**options, dashboard_address=None) as cluster, distributed.Client(cluster) as client:
        yield client


@pytest.mark.parametrize("format", [pytest.param("jsonl", marks=pytest.mark.stress), "parquet"])
def test_steps_divided_among_workers_are_exported_once(
    format: Any, dask: Any, stocked: EmbeddedServer, tmp_path: Path
) -> None:
    """The shards of a period run in two processes, and the rows are those of the list."""
    start, end = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, 0, 0, 1, tzinfo=UTC)
    with Letta(base_url=stocked.base_url, api_key="sk-hidden") as client, dask.get_executor() as executor:
        arguments: dict[str, Any] = {"start_date": start, "end_date": end, "shards": 8, "format": format}
        summary = export_steps(client, tmp_path, executor=executor, page_size=5, **arguments)
        expected = [step.id for step in client.steps.list(order="asc")]
    assert (summary.rows, summary.shards) == (STEPS, 8)
    assert ids_of(tmp_path) == expected


def test_failed_shard_on_worker_leaves_others_finished(dask: Any, server: EmbeddedServer, tmp_path: Path) -> None:
    """The exception of a worker is in the error, and the next export writes that shard."""
    with Letta(base_url=server.base_url, max_retries=0) as client, dask.get_executor() as executor:
        ids = [client.conversations.create(agent_id=server.agent_id).id for _ in range(4)]
        server.faults.add(Respond(500), on=f"GET /v1/conversations/{ids[2]}/messages")
        with pytest.raises(ExportError, match="1 of 4 shards failed: shard 2") as caught:
            export_messages(client, tmp_path, conversations=ids, executor=executor)
        assert [type(each).__name__ for each in caught.value.failures] == ["InternalServerError"]
        assert export_messages(client, tmp_path, conversations=ids, executor=executor).rows == 4
