"""The shards of an export, each of which any process can write."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

from attrs import field, frozen

from letta_api.operations import CONVERSATIONS_MESSAGES_LIST, STEPS_LIST, Operation, Pagination

from .._pagination.items import item_key
from .._pagination.rows import Columns, flat_row, json_object_of
from .._sync.client import Letta
from .._sync.pagination import SyncPage
from ..errors import ListChangedError, NotFoundError
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

MAX_PASSES: Final = 10
"""The number of times that a list is read whose items move meanwhile."""

FIRST_ITEMS: Final = 100
"""The lowest limit of the request that shows whether a compaction has moved messages: its summary comes first."""

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
        selection = [*self.list_ids, *(str(value) for name, value in self.arguments.items() if name != "limit")]
        return f"shard {self.index}" + (f" ({', '.join(selection)})" if selection else "")


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
    connected = client
    if connected is None:
        if writer.shard.connect is None:
            raise TypeError("client must not be None for a shard without settings of a client")
        connected = writer.shard.connect()
    try:
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
        """Write all pages after the last committed one. Read the list again if other items have come before them.

        A compaction moves messages to positions that were read already, and the items of a checkpoint can be deleted.
        """
        seen = self._seen_rows() if self._moves or self.state.repeated else None
        for _ in range(MAX_PASSES):
            try:
                complete = self._write_pass(client, seen)
            except (ListChangedError, NotFoundError):
                # Letta lists no messages of a deleted conversation.
                if self._files.rows == 0 or not self._list(client, ShardState()).items:
                    raise
                complete = False
            if complete:
                self._commit(self.state.checkpoint, done=True)
                return
            self._commit(None, repeated=True)
            seen = seen or self._seen_rows()
        raise ListChangedError(f"The list of {self.shard.name} has changed each of the {MAX_PASSES} times it was read.")

    def _write_pass(self, client: Letta, seen: _SeenRows | None) -> bool:
        """Write the pages from the checkpoint to the end. Return whether the list begins with the same items then."""
        number, continued = 0, self.state.checkpoint is not None
        for number, page in enumerate(self._list(client, self.state).iter_pages(), 1):  # noqa: B007  # counts the pages
            rows = self._new_rows(page, seen)
            self._check_run()
            if self._files.add(rows):
                self._commit(page.checkpoint())
            if self._on_page is not None:
                self._on_page(self._files.rows, self.state)
        if seen is None or not (continued or number > 1):
            return True
        first = self._list(client, ShardState(), limit=max(FIRST_ITEMS, self.shard.arguments["limit"]))
        return not self._new_rows(first, seen, add=False)

    def _new_rows(self, page: SyncPage[Any], seen: _SeenRows | None, *, add: bool = True) -> list[dict[str, Any]]:
        """Return the rows of a page that were not seen before, and add them to those seen."""
        rows = [{**self.shard.labels, **json_object_of(item)} for item in page.items]
        if seen is None:
            return rows
        new = [row for row in rows if row not in seen]
        if add:
            for row in new:
                seen.add(row)
        return new

    def close(self) -> None:
        """Close the files."""
        self._files.close()

    def _list(self, client: Letta, state: ShardState, **changed: Any) -> SyncPage[Any]:
        """Return the first page after a state."""
        arguments: dict[str, Any] = {"order": "asc", "prefetch": True, **self.shard.arguments, **changed}
        if state.checkpoint is not None:
            arguments = {"checkpoint": state.checkpoint, "prefetch": True}
        if self.shard.kind == "steps":
            return client.steps.list(**arguments)
        return client.conversations.messages.list(self.shard.list_ids[0], **arguments)

    def _commit(self, checkpoint: Mapping[str, Any] | None, *, done: bool = False, repeated: bool = False) -> None:
        parts = self._files.flush(done=done)
        state = ShardState(parts, checkpoint, repeated or self.state.repeated, done)
        self._storage.replace_json(self.shard.layout.state, state.to_json())
        self.state = state
        self._files.publish(state)

    @property
    def _moves(self) -> bool:
        """Whether records of the list can move, as messages do at a compaction."""
        return self._pagination.cursor_order == "chronological"

    @property
    def _pagination(self) -> Pagination:
        facts = OPERATIONS[self.shard.kind].pagination
        assert facts is not None  # noqa: S101  # each of these operations is a list
        return facts

    def _seen_rows(self) -> _SeenRows:
        """Return the committed rows."""
        seen = _SeenRows(self._pagination.item_key, self._columns)
        for row in self._files.read(self.state):
            seen.add(row)
        return seen


class _SeenRows:
    """The rows that were written, by the fields that identify them.

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

    def __contains__(self, row: Mapping[str, Any]) -> bool:
        return self._key(row) in self._keys

    def _key(self, row: Mapping[str, Any]) -> int:
        fields = [row.get(name) for name in self._names]
        if all(isinstance(each, str) for each in fields):
            return item_key(fields)
        texts = flat_row(row, self._texts)  # Letta sends system messages without an otid
        return item_key([repr([texts[name] for name in self._texts])])
