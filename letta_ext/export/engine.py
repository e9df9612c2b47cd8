"""The run of an export: its directory, its shards, and what became of them."""

from __future__ import annotations

import json
from collections.abc import Generator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, CancelledError, Executor, Future, wait
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

from attrs import frozen

from .._http.errors_from_response import one_line
from .._sync.client import Letta
from ..errors import APIConnectionError, AuthenticationError, PermissionDeniedError
from .client_settings import ClientFactory, factory_of
from .errors import CONTINUE, ExportError, ExportMismatchError, ExportStorageError, io_error
from .locks import locked
from .plan import Plan, ShardSpec
from .progress import ExportProgress, ExportSummary, Progress
from .shards import Shard, run_shard
from .state import STATE_DIRECTORY, Layout, ShardState, manifest_path
from .storage import LOCAL, Storage, read_json

MANIFEST_VERSION: Final = 1

POLL: Final = 0.5
"""Seconds between two readings of the states of shards, for the progress."""

COMMON_ERRORS: Final = (APIConnectionError, AuthenticationError, PermissionDeniedError, ExportStorageError)
"""The errors that other shards would have too. Shards that have not begun are left for the next run."""


def run_export(
    plan: Plan,
    directory: Path,
    *,
    client: Letta | ClientFactory,
    executor: Executor | None = None,
    progress: Progress | None = None,
    resume: bool = True,
    storage: Storage = LOCAL,
) -> ExportSummary:
    """Write an export, or what is missing of it.

    Raises:
        ExportLockedError: If another export writes to the directory.
        ExportMismatchError: If the directory holds an export with other arguments, or other files.
        ExportError: If a shard failed.
    """
    directory = directory.resolve()
    connect = None if executor is None else factory_of(client) if isinstance(client, Letta) else client
    with _opened(directory, storage), _connected(client) as connected:
        manifest = _Manifest.open(plan, directory, connected, resume=resume, storage=storage)
        run, run_file = uuid4().hex, Layout(directory, 0).run
        storage.replace_json(run_file, run)
        outcome = _Outcome(directory, manifest.make_shards(plan, directory, run, connect), progress)
        try:
            if executor is None:
                _run_here(outcome, connected, storage)
            else:
                _run_in(executor, outcome)
        except BaseException:
            with suppress(ExportError):
                storage.replace_json(run_file, None)  # shards that still run end at their next page
            raise
        summary = outcome.summary()
        manifest.store(directory, storage, summary)
        return summary


@contextmanager
def _opened(directory: Path, storage: Storage) -> Generator[None]:
    """Create the directory, and lock it."""
    state_directory = directory / STATE_DIRECTORY
    try:
        _check_content(directory)
        storage.make_directory(state_directory)
    except OSError as error:
        raise io_error("Creating", state_directory, error) from error
    with locked(state_directory / "lock", str(directory)):
        yield


def _check_content(directory: Path) -> None:
    """Check that a directory has no files, unless it holds an export.

    Raises:
        ExportMismatchError: If it has other files.
    """
    if not directory.exists():
        return
    if not directory.is_dir():
        raise ExportMismatchError(f"{directory} must be a directory, but it is a file. Export to another directory.")
    names = [path.name for path in directory.iterdir()]
    if names and STATE_DIRECTORY not in names:
        raise ExportMismatchError(
            f"{directory} must be empty or hold an export, but it has {names[0]!r}. Export to another directory."
        )


@contextmanager
def _connected(client: Letta | ClientFactory) -> Generator[Letta]:
    """Yield the client, or a new one, which is closed."""
    if isinstance(client, Letta):
        yield client
    else:
        with client() as made:
            yield made


@frozen
class _Manifest:
    """The arguments and the shards of the export in a directory.

    Attributes:
        parameters: The arguments that determine the content of the directory.
        shards: The shards.
    """

    parameters: Mapping[str, Any]
    shards: Sequence[ShardSpec]

    @classmethod
    def open(cls, plan: Plan, directory: Path, client: Letta, *, resume: bool, storage: Storage) -> _Manifest:
        """Return the stored manifest, or create it."""
        path = manifest_path(directory)
        parameters = json.loads(json.dumps({"base_url": client.base_url, "project": client.project, **plan.parameters}))
        stored = read_json(path)
        if stored is None:
            if found := [*directory.glob("part-*"), *directory.glob(f"{STATE_DIRECTORY}/0*")]:
                raise ExportMismatchError(f"{path} is missing beside {found[0].name}. Export to another directory.")
            manifest = cls(parameters, plan.list_shards(client))
            manifest.store(directory, storage)
            return manifest
        if not resume:
            raise ExportMismatchError(f"{directory} holds an export already, and resume is False")
        try:
            if stored["version"] != MANIFEST_VERSION:
                raise ValueError(f"its version is {stored['version']}")
            _check_equal(directory, stored["parameters"], parameters)
            shards = [ShardSpec(tuple(each["ids"]), each["arguments"], each["labels"]) for each in stored["shards"]]
        except (KeyError, TypeError, ValueError) as error:
            if isinstance(error, ExportError):
                raise
            raise ExportError(f"{path} is not a manifest: {error}. Export to another directory.") from error
        return cls(parameters, shards)

    def store(self, directory: Path, storage: Storage, summary: ExportSummary | None = None) -> None:
        """Replace the manifest, which is complete with a summary."""
        shards = [
            {"ids": [*spec.list_ids], "arguments": dict(spec.arguments), "labels": dict(spec.labels)}
            for spec in self.shards
        ]
        totals = None if summary is None else {"rows": summary.rows, "parts": summary.parts, "bytes": summary.bytes}
        content = {"version": MANIFEST_VERSION, "complete": totals, "parameters": self.parameters, "shards": shards}
        storage.replace_json(manifest_path(directory), content)

    def make_shards(self, plan: Plan, directory: Path, run: str, connect: ClientFactory | None) -> list[Shard]:
        """Return the shards for a run."""
        return [
            Shard(
                kind=plan.kind,
                directory=directory,
                index=index,
                format=plan.format,
                list_ids=spec.list_ids,
                arguments=spec.arguments,
                labels=spec.labels,
                rows_per_part=plan.rows_per_part,
                run=run,
                connect=connect,
            )
            for index, spec in enumerate(self.shards)
        ]


def _check_equal(directory: Path, stored: Mapping[str, Any], given: Mapping[str, Any]) -> None:
    """Check that an export has the arguments of the one that it continues.

    Raises:
        ExportMismatchError: If an argument differs.
    """
    for name in [*stored, *(name for name in given if name not in stored)]:
        if stored.get(name) != given.get(name):
            raise ExportMismatchError(
                f"{directory} holds an export with {name}={one_line(repr(stored.get(name)), 200)}, "
                f"got {one_line(repr(given.get(name)), 200)}. Pass the same arguments, or another directory."
            )


class _Outcome:
    """The states and failures of the shards, and the progress."""

    def __init__(self, directory: Path, shards: Sequence[Shard], progress: Progress | None) -> None:
        self.directory = directory
        self.shards = shards
        self.failures: dict[int, BaseException] = {}
        self.skipped = 0
        self.has_progress = progress is not None
        self._progress = progress
        self._states = [stored_state(shard) for shard in shards]

    def set_state(self, index: int, state: ShardState) -> None:
        """Record the state of a shard."""
        self._states[index] = state

    def read_states(self) -> None:
        """Read the states of the shards that are not done."""
        self._states = [
            state if state.done else stored_state(shard) for state, shard in zip(self._states, self.shards, strict=True)
        ]

    def report(self, pending_rows: int = 0) -> None:
        """Report the progress.

        Args:
            pending_rows: The rows that are written and not yet in a state. Defaults to 0.
        """
        if self._progress is not None:
            self._progress(
                ExportProgress(
                    rows=sum(state.rows for state in self._states) + pending_rows,
                    parts=sum(len(state.parts) for state in self._states),
                    bytes=sum(state.bytes for state in self._states),
                    shards_done=sum(state.done for state in self._states),
                    shards=len(self.shards),
                )
            )

    def fail(self, shard: Shard, error: BaseException) -> bool:
        """Record the failure of a shard. Return whether other shards would fail too."""
        self.failures[shard.index] = error
        return isinstance(error, COMMON_ERRORS)

    def summary(self) -> ExportSummary:
        """Return the result.

        Raises:
            ExportError: If a shard failed.
        """
        summary = ExportSummary(
            directory=self.directory,
            rows=sum(state.rows for state in self._states),
            parts=sum(len(state.parts) for state in self._states),
            bytes=sum(state.bytes for state in self._states),
            shards=len(self.shards),
        )
        if not self.failures:
            return summary
        shown = [
            f"{self.shards[index].name}: {type(error).__name__}: {one_line(_without_remedy(error), 300).rstrip('.')}"
            for index, error in [*self.failures.items()][:3]
        ]
        not_begun = f", {self.skipped} were not begun" if self.skipped else ""
        found = ExportError(
            f"{len(self.failures)} of {len(self.shards)} shards failed{not_begun}: {'; '.join(shown)}. {CONTINUE}"
        )
        found.summary, found.failures = summary, tuple(self.failures.values())
        raise found from found.failures[0]


def _without_remedy(error: BaseException) -> str:
    return str(error).removesuffix(CONTINUE).rstrip()


def stored_state(shard: Shard) -> ShardState:
    """Return the stored state of a shard."""
    return ShardState.from_json(read_json(shard.layout.state), shard.layout.state)


def _run_here(outcome: _Outcome, client: Letta, storage: Storage) -> None:
    """Write the shards one after the other."""
    outcome.report()
    for shard in outcome.shards:

        def on_page(rows: int, state: ShardState, index: int = shard.index) -> None:
            outcome.set_state(index, state)
            outcome.report(rows - state.rows)

        try:
            outcome.set_state(shard.index, run_shard(shard, client, storage, on_page))
        except Exception as error:  # noqa: BLE001  # raised at the end, after the other shards
            if outcome.fail(shard, error):
                outcome.skipped = len(outcome.shards) - shard.index - 1
                return
        outcome.report()


def _run_in(executor: Executor, outcome: _Outcome) -> None:
    """Write the shards in an executor."""
    outcome.report()
    futures: dict[Future[ShardState], Shard] = {}
    try:
        for shard in outcome.shards:
            futures[executor.submit(run_shard, shard)] = shard
        pending = set(futures)
        while pending:
            done, pending = wait(pending, POLL if outcome.has_progress else None, FIRST_COMPLETED)
            for future in done:
                _take(outcome, futures[future], future)
            if any(isinstance(error, COMMON_ERRORS) for error in outcome.failures.values()):
                for future in pending:
                    future.cancel()
            if outcome.has_progress:
                outcome.read_states()
                outcome.report()
    except BaseException:
        for future in futures:
            future.cancel()
        raise


def _take(outcome: _Outcome, shard: Shard, future: Future[ShardState]) -> None:
    """Record the result of a shard."""
    try:
        outcome.set_state(shard.index, future.result())
    except CancelledError:
        outcome.skipped += 1
    except Exception as error:  # noqa: BLE001  # raised at the end, after the other shards
        outcome.fail(shard, error)
