"""Exports of steps and messages, compared with the lists."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet  # type: ignore[import-untyped]  # has no type information
import pytest

from letta_ext import Letta
from letta_ext._pagination.rows import to_dicts
from letta_ext.export import export_messages, export_steps

from .server_resources import Agent, ServerResources

MICROSECOND = timedelta(microseconds=1)


@pytest.fixture
def letta(address: str) -> Iterator[Letta]:
    with Letta(base_url=address, timeout=180) as client:
        yield client


@pytest.fixture(scope="module")
def exported_agent(resources: ServerResources) -> Agent:
    """Return an agent of this module."""
    return resources.agent()


@pytest.fixture(scope="module")
def conversations(address: str, resources: ServerResources, exported_agent: Agent) -> list[str]:
    """Return two conversations of the agent, with 2 turns each, which no test changes."""
    ids = [resources.conversation(exported_agent.id) for _ in range(2)]
    with Letta(base_url=address, timeout=180) as client:
        for conversation in ids:
            for _ in range(2):
                client.conversations.messages.create(conversation, input="REASON", streaming=False)
    return ids


def json_rows(directory: Path) -> list[dict[str, Any]]:
    paths = sorted(directory.glob("part-*.jsonl"))
    return [json.loads(line) for path in paths for line in path.read_text("utf-8").splitlines()]


def creation_time(letta: Letta, agent_id: str, number: int) -> datetime:
    """Return the time of a step, which the API does not send: that before which this many steps were created."""
    lowest, highest = datetime.now(UTC) - timedelta(hours=1), datetime.now(UTC) + timedelta(minutes=1)
    while highest - lowest > MICROSECOND:
        middle = lowest + (highest - lowest) // 2
        before = len(letta.steps.list(agent_id=agent_id, end_date=middle, limit=50).items)
        lowest, highest = (lowest, middle) if before > number else (middle, highest)
    return lowest


@pytest.mark.usefixtures("conversations")
def test_exported_steps_of_agent_equal_the_list(letta: Letta, exported_agent: Agent, tmp_path: Path) -> None:
    """Both formats have the steps of the list, with each field, in its order."""
    expected = [*letta.steps.list(agent_id=exported_agent.id, order="asc")]
    assert len(expected) == 4
    for page_size in (1, 4, 1000):
        arguments: dict[str, Any] = {"agent_id": exported_agent.id, "page_size": page_size, "rows_per_part": 2}
        export_steps(letta, tmp_path / f"json{page_size}", format="jsonl", **arguments)
        export_steps(letta, tmp_path / f"parquet{page_size}", **arguments)
        assert json_rows(tmp_path / f"json{page_size}") == [step.to_dict() for step in expected]
        table = pyarrow.parquet.read_table(tmp_path / f"parquet{page_size}")
        assert table.to_pylist() == to_dicts(expected)


@pytest.mark.usefixtures("conversations")
def test_step_at_the_bound_of_two_shards_is_exported_once(letta: Letta, exported_agent: Agent, tmp_path: Path) -> None:
    """The server excludes both bounds of a period, and compares microseconds."""
    expected = [step.id for step in letta.steps.list(agent_id=exported_agent.id, order="asc")]
    middle = creation_time(letta, exported_agent.id, 2)
    for offset in (-MICROSECOND, timedelta(0), MICROSECOND):
        bound, hour = middle + offset, timedelta(hours=1)
        directory = tmp_path / str(offset.microseconds)
        period: dict[str, Any] = {"start_date": bound - hour, "end_date": bound + hour, "shards": 2}
        export_steps(letta, directory, agent_id=exported_agent.id, format="jsonl", **period)
        assert [row["id"] for row in json_rows(directory)] == expected
    inside = letta.steps.list(
        agent_id=exported_agent.id, start_date=middle - MICROSECOND, end_date=middle + MICROSECOND
    )
    assert [step.id for step in inside] == [expected[2]]


def test_exported_messages_of_conversations_equal_their_lists(
    letta: Letta, exported_agent: Agent, conversations: list[str], tmp_path: Path
) -> None:
    """Messages of two conversations, and of all of an agent, are those of the lists, oldest first."""
    listed = {
        each: [message.to_dict() for message in letta.conversations.messages.list(each, order="asc")]
        for each in (exported_agent.id, *conversations)
    }
    rows = [{"conversation_id": each, **message} for each, messages in listed.items() for message in messages]
    for page_size in (1, 3, 1000):
        chosen, every = tmp_path / f"chosen{page_size}", tmp_path / f"every{page_size}"
        export_messages(letta, chosen, conversations=conversations, format="jsonl", page_size=page_size)
        export_messages(letta, every, agent_id=exported_agent.id, format="jsonl", page_size=page_size)
        assert json_rows(chosen) == [row for row in rows if row["conversation_id"] in conversations]
        assert sorted(map(str, json_rows(every))) == sorted(map(str, rows))


def test_messages_of_conversation_compacted_meanwhile_are_exported_once(
    letta: Letta, conversation: str, tmp_path: Path
) -> None:
    """A compaction before or during the export loses and repeats no message."""
    compacted = list[bool]()
    for number in range(4):
        letta.conversations.messages.create(conversation, input=f"message {number}", streaming=False)
    before = {message.to_dict()["id"] for message in letta.conversations.messages.list(conversation)}

    def compact(progress: Any) -> None:
        if progress.rows >= 3 and not compacted:
            compacted.append(True)
            letta.conversations.messages.compact(conversation)

    for name in ("during", "after"):
        export_messages(
            letta, tmp_path / name, conversations=conversation, format="jsonl", page_size=3, progress=compact
        )
        rows = json_rows(tmp_path / name)
        keys = {(row["id"], row["message_type"], row.get("otid")) for row in rows}
        assert before <= {row["id"] for row in rows}
        assert len(keys) == len(rows)
    assert compacted
