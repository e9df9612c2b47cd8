"""A replay of a recorded session: responses equal those of Letta except for ids, dates and durations.

The session has one agent. Its requests are sent to an embedded server in the same order. Ids in later requests are
those of the embedded server, taken from the earlier responses.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from letta_ext.testing import Call, EmbeddedServer, Script, Turn

RECORDINGS = Path(__file__).parents[1] / "fixtures" / "recordings"
AGENT = "agent-1d128ecc-9116-442d-87dc-eef29612b581"
CONVERSATION = "conv-5528b959-3bd1-4fcb-8500-4c187e2c43d7"

UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
ID = re.compile(rf"([a-z_]+-)?{UUID}|call_[0-9a-f]{{12}}|chatcmpl-[0-9a-f]{{32}}")
INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{6})?(\+00:00|Z)")
SPOKEN = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d [AP]M")

# Fields that depend on the machine, or on the embedded server.
IGNORED_FIELDS = {"llm_request_ns", "step_ns", "tool_execution_ns", "traceback", "model_endpoint", "location"}

BEFORE_LISTS = [
    "send_steps_stream",
    "send_tokens_stream",
    "send_reasoning_stream",
    "send_json",
    "send_parts_json",
    "send_tool_tokens_stream",
    "send_tool_steps_stream",
    "send_tool_json",
    "send_parallel_tools_stream",
    "send_max_steps_json",
    "send_filtered_json",
    "background_pings_stream",
    "resume_by_otid_stream",
    "resume_by_otid_after_5_stream",
    "resume_after_last_stream",
    "background_same_otid_again_stream",
    "resume_unknown_otid_404",
    "resume_no_active_run_400",
    "client_tool_request_stream",
    "client_tool_return_stream",
    "client_tool_request_json",
    "client_tool_return_json",
    "approval_request_json",
    "send_while_pending_409",
    "approval_grant_json",
    "approval_request_stream",
    "approval_deny_stream",
    "model_error_stream",
    "model_error_json_500",
    "model_rate_limit_json",
    "model_bad_request_stream",
    "list_asc",
    "list_desc_page1",
    "list_by_type",
    "agent_direct_stream",
    "agent_direct_list",
]
WHILE_BUSY = ["send_while_busy_409", "resume_active_after_20_stream"]
AFTER_CANCEL = [
    "resume_cancelled_stream",
    "steps_list",
    "step_retrieve",
    "step_metrics",
    "step_trace",
    "step_messages",
    "step_feedback",
    "step_feedback_null",
    "step_retrieve_failed",
    "step_trace_failed",
    "step_404",
    "step_bad_id_422",
    "compact",
    "compact_bad_422",
    "list_after_compact",
    "send_with_compaction_messages_json",
    "send_empty_422",
    "send_bad_id_422",
    "send_bad_role_422",
    "send_missing_404",
    "steps_without_slash_307",
]

TOOL = '''def {name}(city: str) -> str:
    """Look something up.

    Args:
        city (str): the city
    """
    print("looking up " + city)
    return "sunny in " + city
'''


WORDS = "word0 word1 word2 word3 word4 word5"
"""The text of the recorded model if a message has no command."""


def record_like(script: Script) -> None:
    """Let the agent respond as the model of the recorded session."""
    words = Turn(text=WORDS, streamed_text=f"{WORDS} ")
    script.when(re.compile("^CALL "), lambda text: Turn(calls=[Call(name) for name in text.split()[1:]]), words)
    script.when("REASON", replace(words, reasoning="thinking about it"))
    script.when(re.compile("^(?!LONG|FAIL|CALL)"), words)


class Replay:
    """The session so far: the embedded server's ids for the recorded ones."""

    def __init__(self, http: httpx.Client, known: dict[str, str]) -> None:
        self.http = http
        self.known = known

    def run(self, name: str) -> None:
        """Send a recorded request, and compare the response."""
        request = json.loads((RECORDINGS / f"{name}.json").read_text())
        recorded = (RECORDINGS / f"{name}.body").read_text()
        ours = self.translate_ids(request)
        response = self.http.request(
            ours["method"], ours["path"], params=ours["params"], json=ours["body"] if ours["body"] is not None else None
        )
        assert response.status_code == request["status"], f"{name}: {response.text}"
        assert response.headers.get("content-type") == request["headers"].get("content-type"), name
        if "text/event-stream" in response.headers.get("content-type", ""):
            self.compare_streams(recorded, response.text, name)
        elif name == "list_after_compact":
            self.compare_lists(json.loads(recorded), response.json(), name)
        elif recorded:
            self.compare(json.loads(recorded), response.json(), name)

    def translate_ids(self, recorded: Any) -> Any:
        """Return a recorded request with the ids of the embedded server."""
        text = json.dumps(recorded)
        return json.loads(ID.sub(lambda match: self.known.get(match.group(), match.group()), text))

    def compare_streams(self, recorded: str, ours: str, name: str) -> None:
        """Compare event by event. A cancelled stream ends where it was cancelled."""
        expected, actual = recorded.split("\n\n"), ours.split("\n\n")
        if name == "resume_cancelled_stream":
            length = min(len(expected), len(actual))
            expected, actual = (blocks[: length - 3] + blocks[-3:] for blocks in (expected, actual))
        assert len(actual) == len(expected), f"{name}: {ours}"
        for number, (expected_value, actual_value) in enumerate(zip(expected, actual, strict=True)):
            place = f"{name}[{number}]"
            head, _, data = expected_value.partition("data: ")
            our_head, _, our_data = actual_value.partition("data: ")
            assert our_head == head, place
            if data.startswith("{"):
                self.compare(json.loads(data), json.loads(our_data), place)
                # The whitespace after the brace must match as well.
                assert our_data.startswith(data[:3]), place
            else:
                assert our_data == data, place

    def compare_lists(self, recorded: list[Any], ours: list[Any], name: str) -> None:
        """Compare lists whose order is undefined: after a compaction messages can share a position."""

        def shown(messages: list[Any]) -> list[str]:
            return sorted(normalize(json.dumps(message)) for message in messages)

        assert shown(ours) == shown(recorded), name

    def compare(self, recorded: Any, ours: Any, place: str) -> None:
        """Compare two JSON values with ordered keys."""
        if isinstance(recorded, dict):
            assert isinstance(ours, dict), place
            assert list(ours) == list(recorded), place
            for key in recorded:
                if key not in IGNORED_FIELDS:
                    self.compare(recorded[key], ours[key], f"{place}.{key}")
                else:
                    assert (ours[key] is None) == (recorded[key] is None), f"{place}.{key}"
        elif isinstance(recorded, list):
            assert isinstance(ours, list), place
            assert len(ours) == len(recorded), f"{place}: {ours}"
            for number, (expected_value, actual_value) in enumerate(zip(recorded, ours, strict=True)):
                self.compare(expected_value, actual_value, f"{place}[{number}]")
        elif isinstance(recorded, str):
            assert isinstance(ours, str), f"{place}: {ours}"
            self.compare_texts(recorded, ours, place)
        else:
            assert ours == recorded, place

    def compare_texts(self, recorded: str, ours: str, place: str) -> None:
        """Compare two texts. Their ids must correspond one to one throughout the session."""
        expected_value = list(ID.finditer(recorded))
        actual_value = list(ID.finditer(ours))
        assert len(actual_value) == len(expected_value), f"{place}: {ours}"
        for their_id, my_id in zip(expected_value, actual_value, strict=True):
            assert my_id.group(1) == their_id.group(1), place
            assert self.known.setdefault(their_id.group(), my_id.group()) == my_id.group(), place
        if place.startswith("step_trace_failed.response_json"):
            # The number of words before a cancellation depends on timing.
            ours = re.sub(r"(word46 )(word\d+ )*", r"\1", ours)
        assert normalize(ours) == normalize(recorded), place


def normalize(text: str) -> str:
    """Replace ids, dates and message counts by placeholders."""
    text = INSTANT.sub(lambda match: "<instant>" + (match.group(2) if not match.group(1) else "micro"), text)
    text = SPOKEN.sub("<spoken>", ID.sub("<id>", text))
    text = re.sub(r"datetime\.datetime\([^)]*\)\)", "<datetime>", text)
    return re.sub(r"- \d+ previous messages", "- n previous messages", text)


@pytest.fixture
def replay() -> Iterator[tuple[EmbeddedServer, Replay]]:
    with EmbeddedServer() as server, httpx.Client(base_url=server.base_url, timeout=10) as http:
        record_like(server.script)
        server.state.tools.clear()
        tools = [
            http.post(
                "/v1/tools/",
                json={"source_code": TOOL.format(name=name), "default_requires_approval": name == "guarded"},
            ).json()["id"]
            for name in ("get_weather", "get_time", "guarded")
        ]
        agent = http.post(
            "/v1/agents/",
            json={
                "model": "openai-proxy/gpt-4o-mini",
                "system": "You are a test agent.",
                "agent_type": "letta_v1_agent",
                "include_base_tools": False,
                "memory_blocks": [{"label": "human", "value": "x"}],
                "tool_ids": tools,
            },
        ).json()["id"]
        conversation = http.post("/v1/conversations/", params={"agent_id": agent}).json()["id"]
        yield server, Replay(http, {AGENT: agent, CONVERSATION: conversation})


def test_recorded_session_gets_recorded_responses(replay: tuple[EmbeddedServer, Replay]) -> None:
    """Each recorded request gets the recorded response."""
    server, session = replay
    for name in BEFORE_LISTS:
        session.run(name)

    conversation = session.known[CONVERSATION]
    path = f"/v1/conversations/{conversation}"
    server.state.delay = 0.002
    with background(session, "LONG 100", f"busy-{conversation}") as events:
        next(events)
        for name in WHILE_BUSY:
            session.run(name)
    with background(session, "LONG 200", f"cancel-{conversation}") as events:
        for event in events:
            if "word46 " in event:
                break
        assert list(session.http.post(f"{path}/cancel").json().values()) == ["cancelled"]
        assert [event for event in events if event][-1] == "data: [DONE]"
    server.state.delay = 0.0

    for name in AFTER_CANCEL:
        session.run(name)


def test_all_recordings_are_replayed() -> None:
    """The replay uses every recording."""
    assert sorted(BEFORE_LISTS + WHILE_BUSY + AFTER_CANCEL) == sorted(path.stem for path in RECORDINGS.glob("*.json"))


@contextmanager
def background(session: Replay, text: str, otid: str) -> Iterator[Iterator[str]]:
    """Read a background stream."""
    body = {
        "messages": [{"role": "user", "content": text, "otid": otid}],
        "background": True,
        "stream_tokens": True,
    }
    path = f"/v1/conversations/{session.known[CONVERSATION]}/messages"
    with session.http.stream("POST", path, json=body) as response:
        yield response.iter_lines()
