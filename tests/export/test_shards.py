"""Shards: how an export is divided, and how any executor runs them."""

from __future__ import annotations

import pickle
from concurrent.futures import Executor, ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from letta_ext import Letta
from letta_ext.export import ExportError, ExportProgress, export_messages, export_steps
from letta_ext.export.client_settings import factory_of
from letta_ext.export.engine import run_export
from letta_ext.export.plan import Plan, divide_period, plan_steps
from letta_ext.export.shards import Shard, run_shard
from letta_ext.testing import EmbeddedServer, LostRequest, Respond, TickingClock

from .conftest import STEPS
from .faulty_storage import FaultyStorage
from .files import contents_of, ids_of, rows_of

START = datetime(2026, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


class RecordingExecutor(ThreadPoolExecutor):
    """Threads that get their shards as bytes, as processes do, and record the text of each."""

    def __init__(self) -> None:
        super().__init__(2)
        self.texts: list[str] = []

    def submit(self, function: Any, /, *args: Any, **options: Any) -> Any:
        self.texts.append(repr(args))
        return super().submit(function, *pickle.loads(pickle.dumps(args)), **options)


@given(microseconds=st.integers(1, 10**7), number=st.integers(1, 40), offsets=st.lists(st.integers(1, 10**7)))
def test_divided_period_has_each_instant_once(microseconds: int, number: int, offsets: list[int]) -> None:
    """Periods whose bounds are exclusive, as those of the server, meet without a gap or an overlap."""
    periods: Any = divide_period(START, START + microseconds * MICROSECOND, number)
    assert len(periods) == number
    bounds = [START + microseconds * index // number * MICROSECOND for index in range(number)]
    for instant in [*(START + offset * MICROSECOND for offset in offsets), *bounds]:
        inside = [each for each in periods if each["start_date"] < instant < each["end_date"]]
        assert len(inside) == int(START < instant < START + microseconds * MICROSECOND)


@pytest.mark.parametrize("tick", [timedelta(milliseconds=1), timedelta(0), MICROSECOND])
@pytest.mark.parametrize("shards", [1, 2, 7])
def test_shards_of_a_period_have_each_step_once(tick: timedelta, shards: int, tmp_path: Path) -> None:
    """Steps at equal times, and at the bounds of shards, are exported once."""
    server = EmbeddedServer(clock=TickingClock(START, tick), check=False)
    with server, Letta(base_url=server.base_url) as client:
        created = server.state.add_steps(server.agent_id, 20)
        end = max(step.created_at for step in server.state.steps.values())
        export_steps(
            client,
            tmp_path,
            start_date=START - MICROSECOND,
            end_date=end + MICROSECOND,
            shards=shards,
            page_size=5,
            format="jsonl",
        )
    assert sorted(ids_of(tmp_path)) == sorted(created)


@pytest.mark.parametrize("format", ["jsonl", "parquet"])
def test_executor_writes_the_same_rows_without_secrets_in_texts(
    format: Any, stocked: EmbeddedServer, tmp_path: Path
) -> None:
    """Shards that were pickled write the rows of one thread, and their repr has no API key."""
    period: dict[str, Any] = {"start_date": START, "end_date": START + timedelta(seconds=1), "shards": 3}
    reported: list[ExportProgress] = []
    with Letta(base_url=stocked.base_url, api_key="sk-hidden") as client, RecordingExecutor() as executor:
        export_steps(client, tmp_path / "a", format=format, executor=executor, progress=reported.append, **period)
        export_steps(client, tmp_path / "b", format=format, **period)
    assert contents_of(tmp_path / "a") == contents_of(tmp_path / "b")
    assert len(ids_of(tmp_path / "a")) == STEPS
    assert (reported[0].shards_done, reported[-1].shards_done, reported[-1].rows) == (0, 3, STEPS)
    assert len(executor.texts) == 3
    assert not any("hidden" in text for text in executor.texts)


def test_agents_and_periods_are_shards(server: EmbeddedServer, tmp_path: Path) -> None:
    """Each of the agents has a shard for each period."""
    with Letta(base_url=server.base_url) as client:
        other = client.agents.create(name="other", model="openai/gpt-4o-mini")
        for agent in (server.agent_id, other.id):
            server.state.add_steps(agent, 3)
        client.agents.create(name="third", model="openai/gpt-4o-mini")
        period: dict[str, Any] = {"start_date": START, "end_date": "2027-01-01", "shards": 2}
        summary = export_steps(client, tmp_path, agent_id=[server.agent_id, other.id], **period)
    assert (summary.rows, summary.shards) == (6, 4)
    assert {row["agent_id"] for row in rows_of(tmp_path)} == {server.agent_id, other.id}


def test_messages_of_agent_are_those_of_all_its_conversations(server: EmbeddedServer, tmp_path: Path) -> None:
    """The default conversation is included, and each row has the id of its conversation."""
    with Letta(base_url=server.base_url) as client:
        messages = client.conversations.messages
        second = client.conversations.create(agent_id=server.agent_id).id
        for conversation in (server.conversation_id, second):
            messages.create(conversation, input="Hello", streaming=False)
        messages.create("default", agent_id=server.agent_id, input="Hello", streaming=False)
        export_messages(client, tmp_path, agent_id=server.agent_id, format="jsonl", page_size=2)
        expected = [
            {"conversation_id": conversation, **message.to_dict()}
            for conversation in (server.agent_id, server.conversation_id, second)
            for message in messages.list(conversation, order="asc")
        ]
    assert rows_of(tmp_path) == expected


def test_failed_shard_leaves_others_finished_and_is_continued(server: EmbeddedServer, tmp_path: Path) -> None:
    """The error names the failed shard and has its exception. The next export writes that shard alone."""
    with Letta(base_url=server.base_url, max_retries=0) as client:
        ids = [client.conversations.create(agent_id=server.agent_id).id for _ in range(3)]
        server.faults.add(Respond(500), on=f"GET /v1/conversations/{ids[1]}/messages")
        message = rf"1 of 3 shards failed: shard 1 \({ids[1]}\).*InternalServerError"
        with pytest.raises(ExportError, match=message) as caught:
            export_messages(client, tmp_path, conversations=ids)
        assert [type(each).__name__ for each in caught.value.failures] == ["InternalServerError"]
        assert caught.value.summary is not None
        assert caught.value.summary.rows == 2
        assert sorted({row["conversation_id"] for row in rows_of(tmp_path)}) == sorted([ids[0], ids[2]])
        assert export_messages(client, tmp_path, conversations=ids).rows == 3


@pytest.mark.parametrize("fault", [LostRequest(), Respond(401)])
def test_error_that_all_shards_would_have_ends_the_export(fault: Any, server: EmbeddedServer, tmp_path: Path) -> None:
    """Without a connection or a valid key, the other shards are not begun."""
    with Letta(base_url=server.base_url, max_retries=0) as client:
        ids = [client.conversations.create(agent_id=server.agent_id).id for _ in range(3)]
        server.faults.add(fault, on="conversations.messages.list")
        with pytest.raises(ExportError, match="1 of 3 shards failed, 2 were not begun"):
            export_messages(client, tmp_path, conversations=ids)
        assert export_messages(client, tmp_path, conversations=ids).rows == 3


def test_client_of_caller_is_used_and_needs_a_function_in_an_executor(stocked: EmbeddedServer, tmp_path: Path) -> None:
    """An `http_client` cannot be sent to a worker. A function returns a client there, which is closed."""
    made: list[Letta] = []

    def connect() -> Letta:
        made.append(Letta(base_url=stocked.base_url, http_client=http))
        return made[-1]

    with httpx.Client() as http, ThreadPoolExecutor(1) as threads:
        assert export_steps(connect(), tmp_path / "a").rows == STEPS
        with pytest.raises(TypeError, match="Pass a function that returns the client"):
            export_steps(made[0], tmp_path / "b", executor=threads)
        assert export_steps(connect, tmp_path / "c", executor=threads).rows == STEPS
        assert export_steps(connect, tmp_path / "d").rows == STEPS
        assert [client.is_closed() for client in made] == [False, True, True, True]


def test_worker_ignores_the_environment(stocked: EmbeddedServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client without a key has none in a worker either."""
    with Letta(base_url=stocked.base_url) as client:
        connect = pickle.loads(pickle.dumps(factory_of(client)))
    monkeypatch.setenv("LETTA_API_KEY", "sk-other")
    monkeypatch.setenv("LETTA_BASE_URL", "http://127.0.0.1:9")
    with connect() as worker_client:
        assert (worker_client.api_key, worker_client.base_url) == (None, stocked.base_url)


def test_shard_of_ended_run_writes_nothing(client: Letta, tmp_path: Path) -> None:
    """A worker that has survived its export cannot write after another run has begun."""
    shards: list[Shard] = []

    class Collecting(Executor):
        def submit(self, function: Any, /, *args: Any, **options: Any) -> Any:
            shards.extend(args)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        export_steps(client, tmp_path, format="jsonl", executor=Collecting())
    export_steps(client, tmp_path, format="jsonl")
    before = contents_of(tmp_path)
    with pytest.raises(ExportError, match="belongs to a run of the export that has ended"):
        run_shard(shards[0])
    assert contents_of(tmp_path) == before


def steps_plan() -> Plan:
    return plan_steps(
        start_date=None,
        end_date=None,
        agent_id=None,
        filters=None,
        format="jsonl",
        shards=1,
        page_size=10,
        rows_per_part=10,
    )


def test_list_that_cannot_continue_is_read_again_and_keeps_its_rows(tmp_path: Path) -> None:
    """If the steps at the checkpoint were deleted, all others are exported once, and those written before stay."""
    with EmbeddedServer(check=False) as server, Letta(base_url=server.base_url) as client:
        doomed = client.agents.create(name="doomed", model="openai/gpt-4o-mini")
        ids = [
            *server.state.add_steps(server.agent_id, 5),
            *server.state.add_steps(doomed.id, 25),
            *server.state.add_steps(server.agent_id, 25),
        ]
        server.faults.add(None, None, Respond(400), on="steps.list")
        with pytest.raises(ExportError):
            run_export(steps_plan(), tmp_path, client=client, storage=FaultyStorage())
        client.agents.delete(doomed.id)
        run_export(steps_plan(), tmp_path, client=client, storage=FaultyStorage())
    assert ids_of(tmp_path) == [*ids[:20], *ids[30:]]


def test_rows_of_deleted_conversation_are_kept(server: EmbeddedServer, tmp_path: Path) -> None:
    """A list that no longer exists fails its shard, and what was written of it stays."""
    with Letta(base_url=server.base_url, max_retries=0) as client:
        for text in ("one", "two", "three"):
            client.conversations.messages.create(server.conversation_id, input=text, streaming=False)
        arguments: dict[str, Any] = {"conversations": server.conversation_id, "page_size": 2, "rows_per_part": 1}
        server.faults.add(None, None, Respond(500), on="conversations.messages.list")
        with pytest.raises(ExportError):
            export_messages(client, tmp_path, **arguments)
        before = contents_of(tmp_path)
        client.conversations.delete(server.conversation_id)
        with pytest.raises(ExportError, match="ListChangedError"):
            export_messages(client, tmp_path, **arguments)
    assert contents_of(tmp_path) == before
    assert before


@pytest.mark.parametrize("format", ["jsonl", pytest.param("parquet", marks=pytest.mark.slow)])
@pytest.mark.parametrize("killed_at", [None, 3])
def test_messages_of_conversation_compacted_meanwhile_are_exported_once(
    killed_at: int | None, format: Any, server: EmbeddedServer, tmp_path: Path
) -> None:
    """A compaction during the export moves messages. None is lost or repeated, with and without a kill."""
    arguments: dict[str, Any] = {"conversations": server.conversation_id, "page_size": 10, "rows_per_part": 20}

    def compact_after_first_page(progress: ExportProgress) -> None:
        if progress.rows == 10 and not last:
            messages.compact(server.conversation_id)
            last.append(messages.create(server.conversation_id, input="after", streaming=False).messages[-1])

    with Letta(base_url=server.base_url, max_retries=0) as client:
        messages, last = client.conversations.messages, list[Any]()
        for number in range(45):  # more messages than a checkpoint holds
            messages.create(server.conversation_id, input=f"message {number}", streaming=False)
        before = {message.to_dict()["id"] for message in messages.list(server.conversation_id)}
        if killed_at is not None:
            server.faults.add(*[None] * killed_at, Respond(500), on="conversations.messages.list")
            with pytest.raises(ExportError):
                export_messages(client, tmp_path, format=format, progress=compact_after_first_page, **arguments)
        export_messages(client, tmp_path, format=format, progress=compact_after_first_page, **arguments)
    found = ids_of(tmp_path)
    assert len(found) == len(set(found))
    assert before | {last[0].to_dict()["id"]} <= set(found)
