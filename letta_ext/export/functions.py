"""`export_steps` and `export_messages`."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

from .._sync.client import Letta
from .client_settings import ClientFactory
from .engine import run_export
from .plan import Time, plan_messages, plan_steps
from .progress import ExportSummary, Progress
from .shards import Format

PAGE_SIZE = 1000
ROWS_PER_PART = 20_000


def export_steps(
    client: Letta | ClientFactory,
    directory: str | os.PathLike[str],
    *,
    start_date: Time | None = None,
    end_date: Time | None = None,
    agent_id: str | Sequence[str] | None = None,
    filters: Mapping[str, Any] | None = None,
    format: Format = "parquet",
    shards: int = 1,
    executor: Executor | None = None,
    progress: Progress | None = None,
    resume: bool = True,
    page_size: int = PAGE_SIZE,
    rows_per_part: int = ROWS_PER_PART,
) -> ExportSummary:
    """Export steps to files of a directory, oldest first, each once. After a kill, call it again to continue.

    Args:
        client: The client, or a function that returns one. A process of an executor gets the settings of the client.
        directory: The directory. It is created, and must not hold other files.
        start_date: Export steps after this date. Defaults to None, for no limit.
        end_date: Export steps before this date. Defaults to None, for no limit.
        agent_id: The id of an agent, or a list of ids, with shards for each. Defaults to None, for all agents.
        filters: Further arguments of `steps.list`, such as `{"model": "gpt-4o"}`. Defaults to none.
        format: `"parquet"`, which needs the extra `export`, or `"jsonl"`. Defaults to `"parquet"`.
        shards: The number of equal periods, each of which is written alone. It needs both dates. Defaults to 1.
        executor: Runs the shards. Defaults to None: one after the other, in this thread.
        progress: Receives the progress. Defaults to None.
        resume: Whether to continue an export in the directory. Defaults to True. One that is complete is returned.
        page_size: The number of steps of a request. Defaults to 1000.
        rows_per_part: The number of rows after which a Parquet file is complete, at the end of a page. Defaults to
            20,000.

    Raises:
        ExportLockedError: If another export writes to the directory.
        ExportMismatchError: If the directory holds an export with other arguments, or other files.
        ExportError: If shards failed. `failures` has their errors, and all written rows are kept.
        TypeError: If an argument is of the wrong type. Nothing is sent.
        ValueError: If an argument has an invalid value. Nothing is sent.
    """
    _check_common(client, executor, progress, resume)
    plan = plan_steps(
        start_date=start_date,
        end_date=end_date,
        agent_id=agent_id,
        filters=filters,
        format=format,
        shards=shards,
        page_size=page_size,
        rows_per_part=rows_per_part,
    )
    return run_export(plan, _path(directory), client=client, executor=executor, progress=progress, resume=resume)


def export_messages(
    client: Letta | ClientFactory,
    directory: str | os.PathLike[str],
    *,
    conversations: str | Sequence[str] | None = None,
    agent_id: str | None = None,
    filters: Mapping[str, Any] | None = None,
    format: Format = "parquet",
    executor: Executor | None = None,
    progress: Progress | None = None,
    resume: bool = True,
    page_size: int = PAGE_SIZE,
    rows_per_part: int = ROWS_PER_PART,
) -> ExportSummary:
    """Export the messages of conversations to files of a directory, each once. After a kill, call it again to continue.

    Each conversation is a shard. Its rows are oldest first, and begin with the column `conversation_id`.

    Args:
        client: The client, or a function that returns one. A process of an executor gets the settings of the client.
        directory: The directory. It is created, and must not hold other files.
        conversations: The ids of conversations. The id of an agent selects its default conversation.
        agent_id: The id of an agent, for all of its conversations, in place of `conversations`.
        filters: Further arguments of `conversations.messages.list`. Defaults to none.
        format: `"parquet"`, which needs the extra `export`, or `"jsonl"`. Defaults to `"parquet"`.
        executor: Runs the shards. Defaults to None: one after the other, in this thread.
        progress: Receives the progress. Defaults to None.
        resume: Whether to continue an export in the directory. Defaults to True. One that is complete is returned.
        page_size: The number of stored messages of a request. Defaults to 1000.
        rows_per_part: The number of rows after which a Parquet file is complete, at the end of a page. Defaults to
            20,000.

    Raises:
        ExportLockedError: If another export writes to the directory.
        ExportMismatchError: If the directory holds an export with other arguments, or other files.
        ExportError: If shards failed. `failures` has their errors, and all written rows are kept.
        TypeError: If an argument is of the wrong type. Nothing is sent.
        ValueError: If an argument has an invalid value. Nothing is sent.
    """
    _check_common(client, executor, progress, resume)
    plan = plan_messages(
        conversations=conversations,
        agent_id=agent_id,
        filters=filters,
        format=format,
        page_size=page_size,
        rows_per_part=rows_per_part,
    )
    return run_export(plan, _path(directory), client=client, executor=executor, progress=progress, resume=resume)


def _check_common(client: object, executor: object, progress: object, resume: object) -> None:
    """Check the arguments that both functions have.

    Raises:
        TypeError: If one is of the wrong type.
    """
    if not isinstance(client, Letta) and (not callable(client) or isinstance(client, type)):
        raise TypeError(f"client must be a Letta client or a function that returns one, got {type(client).__name__}")
    if executor is not None and not callable(getattr(executor, "submit", None)):
        raise TypeError(f"executor must be a concurrent.futures.Executor or None, got {type(executor).__name__}")
    if progress is not None and not callable(progress):
        raise TypeError(f"progress must be callable or None, got {type(progress).__name__}")
    if not isinstance(resume, bool):
        raise TypeError(f"resume must be True or False, got {type(resume).__name__}")


def _path(directory: str | os.PathLike[str]) -> Path:
    """Return the directory.

    Raises:
        TypeError: If it is not a path.
        ValueError: If it is empty.
    """
    if not isinstance(directory, (str, os.PathLike)):
        raise TypeError(f"directory must be a path, got {type(directory).__name__}")
    path = os.fspath(directory)
    if not isinstance(path, str) or not path:
        raise ValueError("directory must be a path that is text and not empty")
    return Path(path)
