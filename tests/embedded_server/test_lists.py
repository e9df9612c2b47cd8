"""Lists: order, limit, both kinds of cursors, filters and compaction."""

from __future__ import annotations

from typing import Any

import pytest

from .conftest import ServerClient

UNKNOWN_ID = "00000000-0000-4000-8000-000000000000"


@pytest.fixture
def ids(api: ServerClient) -> list[str]:
    """Return the ids of seven messages: the system message and three exchanges."""
    for number in range(3):
        api.send_json(f"m{number}")
    return [message["id"] for message in api.messages(order="asc")]


@pytest.mark.parametrize(
    ("query", "expected"),
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
def test_conversation_cursors_refer_to_time(
    api: ServerClient, ids: list[str], query: dict[str, Any], expected: list[int]
) -> None:
    """Cursors of a conversation refer to time, independent of the order."""
    for cursor in ("before", "after"):
        if cursor in query:
            query = {**query, cursor: ids[query[cursor]]}
    assert [ids.index(message["id"]) for message in api.messages(**query)] == expected


def test_order_relative_cursors_follow_order(api: ServerClient, ids: list[str]) -> None:
    """With `order_relative_cursors`, cursors follow the sort order."""
    api.server.state.order_relative_cursors = True
    assert [ids.index(each["id"]) for each in api.messages(after=ids[4], limit=2)] == [3, 2]
    assert [ids.index(each["id"]) for each in api.messages(after=ids[4], order="asc")] == [5, 6]


def test_unknown_cursor_restarts_list(api: ServerClient, ids: list[str]) -> None:
    """An unknown cursor restarts the list of a conversation."""
    assert api.messages(after=f"message-{UNKNOWN_ID}", limit=2) == api.messages(limit=2)
    assert len(ids) == 7


def test_default_conversation_list_is_ascending(api: ServerClient) -> None:
    """A default conversation lists the newest messages in ascending order and rejects unknown cursors."""
    agent = api.server.agent_id
    for path in ("/v1/conversations/default", f"/v1/conversations/{agent}"):
        assert api.send("d", path=path, agent_id=agent, streaming=False).status_code == 200
    path = "/v1/conversations/default"
    ids = [message["id"] for message in api.messages(path, agent_id=agent, order="asc")]
    assert len(ids) == 5

    def found(**query: Any) -> list[int]:
        return [ids.index(each["id"]) for each in api.messages(path, agent_id=agent, **query)]

    # The newest messages, in ascending order.
    assert found(limit=2) == [3, 4]
    assert found(before=ids[3], limit=1) == [2]
    assert found(after=ids[1]) == [2, 3, 4]
    unknown = api.http.get(f"{path}/messages", params={"agent_id": agent, "after": f"message-{UNKNOWN_ID}"})
    assert unknown.status_code == 404
    assert unknown.json()["detail"] == f"No message found with id 'message-{UNKNOWN_ID}' for agent '{agent}'."


def test_type_filter_applies_after_limit(api: ServerClient, ids: list[str]) -> None:
    """The type filter applies after the limit."""
    assert api.messages(limit=1, include_return_message_types="user_message") == []
    found = api.messages(include_return_message_types=["user_message", "system_message"])
    assert [ids.index(each["id"]) for each in found] == [5, 3, 1, 0]


def test_limit_counts_stored_messages(api: ServerClient) -> None:
    """The limit counts stored messages, which can be rendered as several."""
    api.send_json("REASON")
    assert [each["message_type"] for each in api.messages(limit=1)] == ["reasoning_message", "assistant_message"]


def test_compaction_leaves_summary(api: ServerClient, ids: list[str]) -> None:
    """A compaction leaves a summary, and new messages repeat positions of old ones."""
    path = f"{api.conversation}/compact"
    everything = {"compaction_settings": {"mode": "all"}}
    compacted = api.post(path, **everything)
    assert compacted.json() == {
        "summary": "The user and the agent exchanged greetings.",
        "num_messages_before": 7,
        "num_messages_after": 2,
    }
    again = api.post(path, **everything)
    assert again.status_code == 400
    assert again.json()["detail"].startswith("Summarization failed to reduce the number of messages.")
    assert api.post(path, compaction_settings={"mode": "sideways"}).status_code == 422

    summary = api.messages(order="asc")[2]
    assert summary["message_type"] == "user_message"
    assert '"type": "system_alert"' in summary["content"]
    api.send_json("after")
    # New messages take places that old ones have, so that a plain walk by cursors loses some.
    order = [ids.index(each["id"]) if each["id"] in ids else "new" for each in api.messages(order="asc")]
    assert order == [0, 1, "new", 2, "new", 3, "new", 4, 5, 6]
    assert len(api.messages(order="asc", after=ids[1])) == 7


def test_sliding_window_keeps_newest_messages(api: ServerClient) -> None:
    """A sliding window keeps the newest messages."""
    for _ in range(5):
        api.send_json("hello")
    summary_response = api.post(f"{api.conversation}/compact").json()
    assert (summary_response["num_messages_before"], summary_response["num_messages_after"]) == (11, 9)


def test_step_cursors_follow_order(api: ServerClient) -> None:
    """Cursors of steps follow the sort order, and unknown cursors are rejected."""
    for _ in range(6):
        api.send_json("hello")
    ids = [step["id"] for step in api.steps(order="asc")]

    def found(**query: Any) -> list[int]:
        return [ids.index(step["id"]) for step in api.steps(**query)]

    assert found() == [5, 4, 3, 2, 1, 0]
    assert found(order="asc", after=ids[2], limit=2) == [3, 4]
    assert found(order="desc", after=ids[4], limit=2) == [3, 2]
    assert found(order="asc", before=ids[3], limit=2) == [0, 1]
    assert found(order="desc", before=ids[3]) == [5, 4]
    assert found(order="desc", after=ids[1], before=ids[4]) == [3, 2]
    assert api.http.get("/v1/steps/", params={"after": ids[4], "before": ids[1]}).status_code == 400
    unknown = api.http.get("/v1/steps/", params={"after": f"step-{UNKNOWN_ID}"})
    assert unknown.status_code == 404
    assert unknown.json() == {"detail": f"No Step found with id step-{UNKNOWN_ID}"}


def test_step_filters_select_steps(api: ServerClient) -> None:
    """Steps are filtered by feedback, model, agent, trace, project and date."""
    for _ in range(3):
        api.send_json("hello")
    first, second, third = [step["id"] for step in api.steps(order="asc")]
    api.http.patch(f"/v1/steps/{second}/feedback", json={"feedback": "negative"})

    def found(**query: Any) -> list[str]:
        return [step["id"] for step in api.steps(order="asc", **query)]

    assert found(feedback="negative") == found(has_feedback=True) == [second]
    assert found(has_feedback=False) == [first, third]
    assert found(model="gpt-4o-mini") == found(agent_id=api.server.agent_id) == [first, second, third]
    assert found(model="other") == found(agent_id=f"agent-{UNKNOWN_ID}") == found(trace_ids=["x"]) == []
    assert found(project_id="p") == found(end_date="2020-01-01T00:00:00") == found(start_date="2030-01-01") == []
    assert found(start_date="2020-01-01T00:00:00Z") == [first, second, third]
    assert api.http.get("/v1/steps/", params={"start_date": "yesterday"}).json() == {
        "detail": "Invalid isoformat string: 'yesterday'"
    }


def test_step_messages_contain_text_as_reasoning(api: ServerClient) -> None:
    """The messages of a step contain the model's text as reasoning."""
    api.send_json("REASON")
    (step,) = api.steps()
    user_message, text_part, reasoning_part = api.messages(f"/v1/steps/{step['id']}")
    assert user_message["message_type"] == "user_message"
    assert (text_part["message_type"], text_part["source"]) == ("reasoning_message", "non_reasoner_model")
    assert (reasoning_part["message_type"], reasoning_part["source"]) == ("reasoning_message", "reasoner_model")
    assert api.messages(f"/v1/steps/{step['id']}", order="desc") == [text_part, reasoning_part, user_message]
    assert api.messages(f"/v1/steps/{step['id']}", after=user_message["id"], limit=1) == [text_part, reasoning_part]
    unknown = api.http.get(f"/v1/steps/{step['id']}/messages", params={"before": f"message-{UNKNOWN_ID}"})
    assert unknown.status_code == 404


def test_feedback_is_set_and_cleared(api: ServerClient) -> None:
    """Feedback sets and clears the feedback of a step and keeps its tags."""
    api.send_json("hello")
    path = f"/v1/steps/{api.steps()[0]['id']}"
    assert api.http.patch(f"{path}/feedback", json={"feedback": "positive", "tags": ["a"]}).status_code == 200
    step = api.http.get(path).json()
    assert (step["feedback"], step["tags"]) == ("positive", ["a"])
    cleared = api.http.patch(f"{path}/feedback", json={}).json()
    assert (cleared["feedback"], cleared["tags"]) == (None, ["a"])
    assert api.http.patch(f"{path}/feedback").status_code == 422
    assert api.http.patch(f"{path}/feedback", json={"feedback": "meh"}).status_code == 422


def test_unknown_step_gets_status_of_letta(api: ServerClient) -> None:
    """Requests about an unknown step get a 404, null or an empty list, as in Letta."""
    path = f"/v1/steps/step-{UNKNOWN_ID}"
    assert api.http.get(path).status_code == 404
    assert api.http.get(f"{path}/metrics").json()["detail"].startswith("StepMetrics not found")
    assert api.http.get(f"{path}/trace").text == "null"
    assert api.http.get(f"{path}/messages").json() == []
    assert api.http.patch(f"{path}/feedback", json={}).status_code == 404
