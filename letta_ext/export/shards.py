"""The shards of an export, each of which any process can write."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

from attrs import field, frozen

from letta_api.operations import CONVERSATIONS_MESSAGES_LIST, STEPS_LIST, Operation

from .._pagination.items import item_key
from .._pagination.rows import Columns, flat_row, json_object_of
from .._sync.client import Letta
from .._sync.pagination import SyncPage
from ..errors import ListChangedError
from .client_settings import ClientFactory
from .columns import columns_of_kind
from .errors import ExportError, io_error
from .jsonl import JsonlFile
from .locks import locked
from .parquet import ParquetParts
from .state import Layout, ShardState
from .storage import LOCAL, Storage, read_json

Kind: TypeAlias = Literal["steps", "messages"]
Format: TypeAlias = Literal["parquet", "jsonl"]

LOCK_WAIT: Final = 90.0
"""Seconds to wait for a shard that a worker of a killed export still writes. It stops after its current page."""

OPERATIONS: Final[Mapping[Kind, Operation]] = {"steps": STEPS_LIST, "messages": CONVERSATIONS_MESSAGES_LIST}

OnPage: TypeAlias = Callable[[int, ShardState], object]
"""Receives the number of rows of a shard after each page, and its committed state."""


@frozen(kw_only=True)
class Shard:
    """A part of an export that one process writes from begin to end. It can be pickled.

    Attributes:
        kind: The kind of rows.
        directory: The directory of the export.
        index: The number of the shard, from 0.
        format: The format of the files.
        list_ids: The ids in the path of the list.
        arguments: The arguments of the list.
        labels: Columns with a constant value, before those of the list.
        rows_per_part: The number of rows after which a part of Parquet is complete.
        run: The run of the export that the shard belongs to. A later run invalidates it.
        connect: Returns the client. None if the caller passes one. Not part of the repr: it can contain secrets.
    """

    kind: Kind
    directory: Path
    index: int
    format: Format
    list_ids: tuple[str, ...]
    arguments: Mapping[str, Any]
    labels: Mapping[str, str]
    rows_per_part: int
    run: str
    connect: ClientFactory | None = field(repr=False)

    @property
    def layout(self) -> Layout:
        """The paths of the shard."""
        return Layout(self.directory, self.index)

    @property
    def name(self) -> str:
        """The shard in messages."""
        ids = ", ".join([*self.list_ids, *(str(value) for name, value in self.arguments.items() if name != "limit")])
        return f"shard {self.index} ({ids})"


def run_shard(
    shard: Shard, client: Letta | None = None, storage: Storage = LOCAL, on_page: OnPage | None = None
) -> ShardState:
    """Write a shard, or what is missing of it, and return its final state.

    Args:
        shard: The shard.
        client: The client. Defaults to a new one with the settings of the shard.
        storage: The file operations.
        on_page: Receives the progress.

    Raises:
        ExportError: If a file cannot be written or is damaged, or another run has replaced that of the shard.
        APIError: If a request fails.
        ListChangedError: If the list changes so that items could be lost.
    """
    with locked(shard.layout.lock, f"{shard.name} in {shard.directory}", wait=LOCK_WAIT):
        try:
            writer = _ShardWriter(shard, storage, on_page)
            try:
                if not writer.state.done:
                    _write_all(writer, client)
            finally:
                writer.close()
            return writer.state
        except OSError as error:
            raise io_error("Writing", shard.directory, error) from error


def _write_all(writer: _ShardWriter, client: Letta | None) -> None:
    continued = writer.state.checkpoint is not None
    connected = client
    if connected is None:
        if writer.shard.connect is None:
            raise TypeError("client must not be None for a shard without settings of a client")
        connected = writer.shard.connect()
    try:
        try:
            writer.write(connected)
        except ListChangedError:
            if not continued:
                raise
            # The checkpoint no longer leads on, such as after a compaction. All items are still in the list.
            writer.restart()
            writer.write(connected)
    finally:
        if client is None:
            connected.close()


class _ShardWriter:
    """Writes the pages of a list, and commits them with the checkpoint after them."""

    def __init__(self, shard: Shard, storage: Storage, on_page: OnPage | None) -> None:
        self.shard = shard
        self._storage = storage
        self._on_page = on_page
        self._columns: Columns = {**dict.fromkeys(shard.labels, "string"), **columns_of_kind(shard.kind)}
        self._check_run()
        self.state = ShardState.from_json(read_json(shard.layout.state), shard.layout.state)
        writer = JsonlFile if shard.format == "jsonl" else ParquetParts
        self._files = writer(shard.layout, storage, self._columns, shard.rows_per_part)
        try:
            self._files.restore(self.state)
        except BaseException:
            self.close()
            raise

    def _check_run(self) -> None:
        """Raise an error if a later run exports to the directory, so that two runs never write the same shard."""
        if read_json(self.shard.layout.run) != self.shard.run:
            raise ExportError(f"{self.shard.name} belongs to a run of the export that has ended")

    def write(self, client: Letta) -> None:
        """Write all pages after the last committed one."""
        seen = self._seen_rows() if self.state.checkpoint is not None else None
        page: SyncPage[Any] | None = None
        for page in self._list(client).iter_pages():
            rows = [self._row(item) for item in page.items]
            if seen is not None:
                rows = [row for row in rows if not seen.drops(row)]
            self._check_run()
            if self._files.add(rows):
                self._commit(page.checkpoint())
            if self._on_page is not None:
                self._on_page(self._files.rows, self.state)
        self._commit(None if page is None else page.checkpoint(), done=True)

    def restart(self) -> None:
        """Discard all rows."""
        self._replace_state(ShardState())
        self._files.restore(self.state)

    def close(self) -> None:
        """Close the files."""
        self._files.close()

    def _list(self, client: Letta) -> SyncPage[Any]:
        arguments: dict[str, Any] = {"order": "asc", "prefetch": True, **self.shard.arguments}
        if self.state.checkpoint is not None:
            arguments = {"checkpoint": self.state.checkpoint, "prefetch": True}
        if self.shard.kind == "steps":
            return client.steps.list(**arguments)
        return client.conversations.messages.list(self.shard.list_ids[0], **arguments)

    def _row(self, item: Any) -> dict[str, Any]:
        return {**self.shard.labels, **json_object_of(item)}

    def _commit(self, checkpoint: Mapping[str, Any] | None, *, done: bool = False) -> None:
        parts = self._files.flush(done=done)
        self._replace_state(ShardState(parts=parts, checkpoint=checkpoint, done=done))
        self._files.publish(self.state)

    def _replace_state(self, state: ShardState) -> None:
        self._storage.replace_json(self.shard.layout.state, state.to_json())
        self.state = state

    def _seen_rows(self) -> _SeenRows | None:
        """Return the rows of a list whose records can move, as at a compaction: its checkpoint holds the last ones."""
        facts = OPERATIONS[self.shard.kind].pagination
        if facts is None or facts.cursor_order != "chronological":
            return None
        seen = _SeenRows(facts.item_key, self._columns)
        for row in self._files.read(self.state):
            seen.add(row)
        return seen


class _SeenRows:
    """The rows that an earlier run has written, by the fields that identify them.

    Args:
        item_key: The fields that identify an item.
        columns: The columns of rows.
    """

    def __init__(self, item_key: tuple[str, ...], columns: Columns) -> None:
        self._names = item_key
        self._texts: Columns = {name: column_type for name, column_type in columns.items() if column_type == "string"}
        self._keys: set[int] = set()

    def add(self, row: Mapping[str, Any]) -> None:
        """Add a row."""
        self._keys.add(self._key(row))

    def drops(self, row: Mapping[str, Any]) -> bool:
        """Return whether a row was written before."""
        return self._key(row) in self._keys

    def _key(self, row: Mapping[str, Any]) -> int:
        fields = [row.get(name) for name in self._names]
        if all(isinstance(each, str) for each in fields):
            return item_key(fields)
        texts = flat_row(row, self._texts)  # Letta sends system messages without an otid
        return item_key([repr([texts[name] for name in self._texts])])
