"""Rows of Parquet and of `to_dicts` hold all that the server sent, in the same columns each."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from letta_api.models import Step
from letta_api.unions import UnknownMessage, message_from_dict
from letta_api.unions.message import MEMBERS
from letta_ext import AsyncLetta, Letta
from letta_ext._pagination.rows import EXTRA, Columns, columns_of, flat_row, json_object_of, to_dicts, to_json_text
from letta_ext.export import arrow
from letta_ext.testing import EmbeddedServer, ExtraFields
from letta_ext.testing import UnknownMessage as UnknownMessageFault

from .conftest import STEPS

STEP_COLUMNS = columns_of([Step])
MESSAGE_COLUMNS = columns_of(MEMBERS.values())

TEXTS = st.text(st.characters(), max_size=5) | st.sampled_from(["\ud800", "2026-01-01T00:00:00.123456Z", "[]"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)
TIMES = st.datetimes(timezones=st.just(UTC)).map(datetime.isoformat)


def restored(row: Mapping[str, Any], columns: Columns) -> dict[str, Any]:
    """Return the JSON object of a row without its fields that are null."""
    found = {} if row[EXTRA] is None else json.loads(row[EXTRA])
    for name, value in row.items():
        if name != EXTRA and value is not None:
            found[name] = json.loads(value) if columns[name] == "json" else value
            if isinstance(value, datetime):
                found[name] = value.isoformat()
    return without_nulls(found)


def without_nulls(value: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: datetime.fromisoformat(each).isoformat() if name == "date" and is_time(each) else each
        for name, each in value.items()
        if each is not None
    }


def is_time(value: Any) -> bool:
    try:
        return datetime.fromisoformat(value).utcoffset() is not None
    except (TypeError, ValueError):
        return False


@pytest.mark.parametrize("columns", [STEP_COLUMNS, MESSAGE_COLUMNS], ids=["steps", "messages"])
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_parquet_row_of_any_json_object_holds_all_values(data: st.DataObject, columns: Columns) -> None:
    """Values of any type under any names come back from Parquet, with one schema for all."""
    names = st.sampled_from([*columns]) | TEXTS
    values = data.draw(st.lists(st.dictionaries(names, VALUES | TIMES, max_size=6), min_size=1, max_size=3))
    schema = arrow.schema_of({**columns, EXTRA: "json"})
    batch = arrow.batch_of([flat_row(value, columns) for value in values], schema)
    rows = batch.to_pylist()
    assert batch.schema == schema
    assert [restored(row, columns) for row in rows] == [without_nulls(value) for value in values]


def test_columns_of_steps_and_messages_have_types_of_their_annotations() -> None:
    """Scalars have columns of their type, and structures are JSON text."""
    assert {**STEP_COLUMNS}.items() >= {
        "id": "string",
        "status": "string",
        "total_tokens": "integer",
        "tags": "strings",
        "messages": "json",
        "completion_tokens_details": "json",
    }.items()
    assert {**MESSAGE_COLUMNS}.items() >= {
        "content": "string",
        "date": "time",
        "is_err": "boolean",
        "message_type": "string",
        "tool_calls": "json",
        "stdout": "strings",
    }.items()


def test_json_text_of_values_without_json_form_is_valid() -> None:
    """Surrogates are escaped, numbers that are not finite are null, and deep values are truncated."""
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    assert to_json_text(["\ud800", float("nan"), float("inf"), "ü"]) == '["\\ud800",null,null,"\\u00fc"]'
    assert "…" in to_json_text(deep)


def test_item_that_is_not_an_object_is_a_row_with_extra() -> None:
    """An unknown item of any JSON type has a row."""
    hologram, number = {"message_type": "hologram", "id": "message-1"}, 7
    items = [message_from_dict(hologram), UnknownMessage(number, "is a number")]
    assert [json_object_of(item) for item in items] == [hologram, {"raw": number}]
    assert [json.loads(row[EXTRA]) for row in to_dicts(items)] == [hologram, {"raw": number}]


def test_to_dicts_of_list_is_a_frame_with_all_items(client: Letta, stocked: EmbeddedServer) -> None:
    """The rows of a list are those of all pages, and make a frame."""
    rows = client.steps.list(limit=20).to_dicts()
    frame = polars.DataFrame(rows, infer_schema_length=None)
    assert frame.height == STEPS
    assert frame.columns == [*STEP_COLUMNS, EXTRA]
    assert frame["id"].to_list() == [step.id for step in client.steps.list()]
    assert frame["total_tokens"].sum() == 112 * STEPS
    assert json.loads(frame["completion_tokens_details"][0]) == {"reasoning_tokens": 0}


@pytest.mark.anyio
async def test_to_dicts_of_async_list_equals_sync_one(client: Letta, stocked: EmbeddedServer) -> None:
    """The rows of the async client, of a list and of a page, are those of the sync one."""
    async with AsyncLetta(base_url=stocked.base_url) as other:
        assert await other.steps.list(limit=20).to_dicts() == client.steps.list().to_dicts()
        assert await (await other.steps.list(limit=20)).to_dicts() == client.steps.list().to_dicts()


def test_to_dicts_of_messages_has_the_columns_of_all_types(server: EmbeddedServer) -> None:
    """Rows of messages of several types, also unknown ones, have the same columns."""
    with Letta(base_url=server.base_url) as client:
        messages = client.conversations.messages
        messages.create(server.conversation_id, input="CALL get_weather", streaming=False)
        for fault in (UnknownMessageFault("hologram"), ExtraFields({"light": [1]})):
            server.faults.add(fault, on="conversations.messages.list", times=None)
            rows = messages.list(server.conversation_id, order="asc").to_dicts()
            server.faults.clear()
            polars.DataFrame(rows, infer_schema_length=None)
            assert len({tuple(row) for row in rows}) == 1
            assert {"tool_calls", "content", "date", EXTRA} <= rows[0].keys()
        assert json.loads(rows[0][EXTRA])["light"] == [1]


def test_exported_parquet_equals_rows_of_to_dicts(client: Letta, tmp_path: Path) -> None:
    """A file has the columns and rows of `to_dicts`."""
    from letta_ext.export import export_steps

    export_steps(client, tmp_path / "steps")
    rows = polars.read_parquet(tmp_path / "steps" / "*.parquet").to_dicts()
    assert rows == client.steps.list(order="asc").to_dicts()
