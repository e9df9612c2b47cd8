"""An export that is killed, or meets a full disk, continues with the same files as one that was not."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from letta_ext import Letta
from letta_ext.export import ExportError, ExportSummary
from letta_ext.export.engine import run_export
from letta_ext.export.plan import plan_steps
from letta_ext.export.shards import Format
from letta_ext.export.storage import Storage
from letta_ext.testing import EmbeddedServer

from .conftest import STEPS
from .faulty_storage import FaultyStorage, Killed
from .files import contents_of, ids_of

FORMATS: Final[Sequence[Format]] = ["jsonl", "parquet"]


def export(client: Letta, directory: Path, format: Format, storage: Storage | None = None) -> ExportSummary:
    """Export with few rows in each request and part."""
    plan = plan_steps(
        start_date=None,
        end_date=None,
        agent_id=None,
        filters=None,
        format=format,
        shards=1,
        page_size=7,
        rows_per_part=10,
    )
    return run_export(plan, directory, client=client, storage=storage or FaultyStorage())


@dataclass(frozen=True)
class Reference:
    """An export without faults.

    Attributes:
        format: The format.
        contents: The files.
        operations: The number of file operations.
    """

    format: Format
    contents: dict[str, bytes] = field(repr=False)
    operations: int


@pytest.fixture(scope="module", params=FORMATS)
def reference(request: pytest.FixtureRequest, stocked: EmbeddedServer) -> Reference:
    counting = FaultyStorage()
    with TemporaryDirectory() as root, Letta(base_url=stocked.base_url) as client:
        assert export(client, Path(root), request.param, counting).rows == STEPS
        assert len(set(ids_of(Path(root)))) == STEPS
        return Reference(request.param, contents_of(Path(root)), counting.operations)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(moments=st.lists(st.integers(0, 999), min_size=1, max_size=4), torn=st.floats(0, 1), power_loss=st.booleans())
def test_export_killed_at_any_operations_continues_with_equal_files(
    moments: list[int],
    torn: float,
    power_loss: bool,
    client: Letta,
    reference: Reference,
) -> None:
    """Kills at any file operations, also torn writes and power losses, change nothing about the files."""
    format, expected, operations = reference.format, reference.contents, reference.operations
    with TemporaryDirectory() as root:
        directory = Path(root) / "steps"
        for moment in moments:
            storage = FaultyStorage(1 + moment * operations // 1000, torn=torn, power_loss=power_loss)
            with suppress(Killed):
                export(client, directory, format, storage)
            # A reader meets complete parts only, before the export is continued too.
            found = contents_of(directory) if directory.exists() else {}
            assert found.items() <= expected.items()
        assert export(client, directory, format).rows == STEPS
        assert contents_of(directory) == expected


def test_each_operation_that_fails_raises_export_error_and_is_continued(client: Letta, reference: Reference) -> None:
    """A full disk at any operation is an `ExportError` with a remedy, after which the export continues."""
    format, expected, operations = reference.format, reference.contents, reference.operations
    for fail_at in range(1, operations + 1, 5):
        with TemporaryDirectory() as root:
            storage = FaultyStorage(fail_at, kill=False, torn=0.5)
            with pytest.raises(ExportError, match=r"No space left on device.*same arguments to continue") as caught:
                export(client, Path(root), format, storage)
            assert str(caught.value).count("to continue") == 1
            assert export(client, Path(root), format).rows == STEPS
            assert contents_of(Path(root)) == expected
