"""Lists: orders, limits, cursors of either meaning, filters, and what a compaction does to them."""

from __future__ import annotations

from typing import Any

import pytest

from .conftest import ServerClient

NOBODY = "00000000-0000-4000-8000-000000000000"


@pytest.fixture
def ids(talk: ServerClient) -> list[str]:
    """The ids of seven messages: the system's, and three of a user's with their answers."""
    for number in range(3):
        talk.answer(f"m{number}")
    return [message["id"] for message in talk.messages(order="asc")]


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ({}, [6, 5, 4, 3, 2, 1, 0]),
        ({"order": "asc"}, [0, 1, 2, 3, 4, 5, 6]),
        ({"limit": 2}, [6, 5]),
        ({"limit": 0}, []),
        ({"order": "asc", "after": 2}, [3, 4, 5, 6]),
        ({"order": "desc", "after": 2}, [6, 5, 4, 3]),
        ({"order": "asc", "before": 4}, [0, 1, 2, 3]),
        ({"order": "desc", "before": 4, "limit": 2}, [3, 2]),
        ({"order": "desc", "after": 2, "limit": 2}, [6, 5]),
        ({"order": "asc", "before": 4, "limit": 2}, [0, 1]),
        ({"order": "asc", "after": 1, "before": 5}, [2, 3, 4]),
    ],
)
def test_a_conversations_cursors_mean_the_time(
    talk: ServerClient, ids: list[str], query: dict[str, Any], wanted: list[int]
) -> None:
    for cursor in ("before", "after"):
        if cursor in query:
            query = {**query, cursor: ids[query[cursor]]}
    assert [ids.index(message["id"]) for message in talk.messages(**query)] == wanted


def test_cursors_can_follow_the_order_instead(talk: ServerClient, ids: list[str]) -> None:
    talk.server.state.order_relative_cursors = True
    assert [ids.index(each["id"]) for each in talk.messages(after=ids[4], limit=2)] == [3, 2]
    assert [ids.index(each["id"]) for each in talk.messages(after=ids[4], order="asc")] == [5, 6]


def test_an_unknown_cursor_restarts_a_conversation(talk: ServerClient, ids: list[str]) -> None:
    assert talk.messages(after=f"message-{NOBODY}", limit=2) == talk.messages(limit=2)
    assert len(ids) == 7


def test_an_agents_default_conversation(talk: ServerClient) -> None:
    agent = talk.server.agent_id
    for path in ("/v1/conversations/default", f"/v1/conversations/{agent}"):
        assert talk.send("d", path=path, agent_id=agent, streaming=False).status_code == 200
    path = "/v1/conversations/default"
    ids = [message["id"] for message in talk.messages(path, agent_id=agent, order="asc")]
    assert len(ids) == 5

    def found(**query: Any) -> list[int]:
        return [ids.index(each["id"]) for each in talk.messages(path, agent_id=agent, **query)]

    # The newest, but told in the order of time.
    assert found(limit=2) == [3, 4]
    assert found(before=ids[3], limit=1) == [2]
    assert found(after=ids[1]) == [2, 3, 4]
    unknown = talk.http.get(f"{path}/messages", params={"agent_id": agent, "after": f"message-{NOBODY}"})
    assert unknown.status_code == 404
    assert unknown.json()["detail"] == f"No message found with id 'message-{NOBODY}' for agent '{agent}'."


def test_a_type_is_chosen_after_the_limit(talk: ServerClient, ids: list[str]) -> None:
    assert talk.messages(limit=1, include_return_message_types="user_message") == []
    found = talk.messages(include_return_message_types=["user_message", "system_message"])
    assert [ids.index(each["id"]) for each in found] == [5, 3, 1, 0]


def test_a_limit_counts_stored_messages(talk: ServerClient) -> None:
    talk.answer("REASON")
    assert [each["message_type"] for each in talk.messages(limit=1)] == ["reasoning_message", "assistant_message"]


def test_compaction(talk: ServerClient, ids: list[str]) -> None:
    path = f"{talk.conversation}/compact"
    everything = {"compaction_settings": {"mode": "all"}}
    compacted = talk.post(path, **everything)
    assert compacted.json() == {
        "summary": "word0 word1 word2 word3 word4 word5",
        "num_messages_before": 7,
        "num_messages_after": 2,
    }
    again = talk.post(path, **everything)
    assert again.status_code == 400
    assert again.json()["detail"].startswith("Summarization failed to reduce the number of messages.")
    assert talk.post(path, compaction_settings={"mode": "sideways"}).status_code == 422

    summary = talk.messages(order="asc")[2]
    assert summary["message_type"] == "user_message"
    assert '"type": "system_alert"' in summary["content"]
    talk.answer("after")
    # New messages take places that old ones have, so that a plain walk by cursors loses some.
    order = [ids.index(each["id"]) if each["id"] in ids else "new" for each in talk.messages(order="asc")]
    assert order == [0, 1, "new", 2, "new", 3, "new", 4, 5, 6]
    assert len(talk.messages(order="asc", after=ids[1])) == 7


def test_a_sliding_window_keeps_the_newest(talk: ServerClient) -> None:
    for _ in range(5):
        talk.answer("hello")
    answer = talk.post(f"{talk.conversation}/compact").json()
    assert (answer["num_messages_before"], answer["num_messages_after"]) == (11, 9)


def test_steps_follow_the_order(talk: ServerClient) -> None:
    for _ in range(6):
        talk.answer("hello")
    ids = [step["id"] for step in talk.steps(order="asc")]

    def found(**query: Any) -> list[int]:
        return [ids.index(step["id"]) for step in talk.steps(**query)]

    assert found() == [5, 4, 3, 2, 1, 0]
    assert found(order="asc", after=ids[2], limit=2) == [3, 4]
    assert found(order="desc", after=ids[4], limit=2) == [3, 2]
    assert found(order="asc", before=ids[3], limit=2) == [0, 1]
    assert found(order="desc", before=ids[3]) == [5, 4]
    assert found(order="desc", after=ids[1], before=ids[4]) == [3, 2]
    assert talk.http.get("/v1/steps/", params={"after": ids[4], "before": ids[1]}).status_code == 400
    unknown = talk.http.get("/v1/steps/", params={"after": f"step-{NOBODY}"})
    assert unknown.status_code == 404
    assert unknown.json() == {"detail": f"No Step found with id step-{NOBODY}"}


def test_steps_are_filtered(talk: ServerClient) -> None:
    for _ in range(3):
        talk.answer("hello")
    first, second, third = [step["id"] for step in talk.steps(order="asc")]
    talk.http.patch(f"/v1/steps/{second}/feedback", json={"feedback": "negative"})

    def found(**query: Any) -> list[str]:
        return [step["id"] for step in talk.steps(order="asc", **query)]

    assert found(feedback="negative") == found(has_feedback=True) == [second]
    assert found(has_feedback=False) == [first, third]
    assert found(model="gpt-4o-mini") == found(agent_id=talk.server.agent_id) == [first, second, third]
    assert found(model="other") == found(agent_id=f"agent-{NOBODY}") == found(trace_ids=["x"]) == []
    assert found(project_id="p") == found(end_date="2020-01-01T00:00:00") == found(start_date="2030-01-01") == []
    assert found(start_date="2020-01-01T00:00:00Z") == [first, second, third]
    assert talk.http.get("/v1/steps/", params={"start_date": "yesterday"}).json() == {
        "detail": "Invalid isoformat string: 'yesterday'"
    }


def test_a_steps_messages_show_what_was_said_as_reasoning(talk: ServerClient) -> None:
    talk.answer("REASON")
    (step,) = talk.steps()
    asked, said, thought = talk.messages(f"/v1/steps/{step['id']}")
    assert asked["message_type"] == "user_message"
    assert (said["message_type"], said["source"]) == ("reasoning_message", "non_reasoner_model")
    assert (thought["message_type"], thought["source"]) == ("reasoning_message", "reasoner_model")
    assert talk.messages(f"/v1/steps/{step['id']}", order="desc") == [said, thought, asked]
    assert talk.messages(f"/v1/steps/{step['id']}", after=asked["id"], limit=1) == [said, thought]
    unknown = talk.http.get(f"/v1/steps/{step['id']}/messages", params={"before": f"message-{NOBODY}"})
    assert unknown.status_code == 404


def test_feedback(talk: ServerClient) -> None:
    talk.answer("hello")
    path = f"/v1/steps/{talk.steps()[0]['id']}"
    assert talk.http.patch(f"{path}/feedback", json={"feedback": "positive", "tags": ["a"]}).status_code == 200
    step = talk.http.get(path).json()
    assert (step["feedback"], step["tags"]) == ("positive", ["a"])
    cleared = talk.http.patch(f"{path}/feedback", json={}).json()
    assert (cleared["feedback"], cleared["tags"]) == (None, ["a"])
    assert talk.http.patch(f"{path}/feedback").status_code == 422
    assert talk.http.patch(f"{path}/feedback", json={"feedback": "meh"}).status_code == 422


def test_what_is_asked_about_a_step_that_is_not_there(talk: ServerClient) -> None:
    path = f"/v1/steps/step-{NOBODY}"
    assert talk.http.get(path).status_code == 404
    assert talk.http.get(f"{path}/metrics").json()["detail"].startswith("StepMetrics not found")
    assert talk.http.get(f"{path}/trace").text == "null"
    assert talk.http.get(f"{path}/messages").json() == []
    assert talk.http.patch(f"{path}/feedback", json={}).status_code == 404
