"""Calls that another process has left: they are found, continued and rejected."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import count
from typing import Any, Final

import httpx
import pytest
from attrs import define, field
from hypothesis import given, settings
from hypothesis import strategies as st

from letta_ext import LettaError, NotFoundError, PendingApprovalError, RetryPolicy
from letta_ext.testing import Call, Cut, EmbeddedServer, LostRequest, LostResponse, Turn
from letta_ext.tools import PendingRequest

from ..client.helpers import CONVERSATION, make_response, respond_with
from ..stress.figures import FULL
from .killed_program import run_until_killed
from .turns import ClientDriver, Weather, returns

NUMBERS: Final = count()
KILLED: Final = 400 if FULL else 8
"""Random programs that are killed."""

PARALLEL: Final = "CALL weather guarded"


def leave(driver: ClientDriver, client: Any, conversation: str, text: str = PARALLEL, **arguments: Any) -> None:
    """Send a message whose calls are left pending."""
    turn = client.conversations.messages.run_tools(conversation, tools=[Weather().weather], input=text, **arguments)
    driver.drain(turn, lambda event: event.message_type == "stop_reason")


@pytest.fixture(params=["conversation", "default", "agent"])
def place(request: pytest.FixtureRequest, server: EmbeddedServer) -> tuple[str, dict[str, Any]]:
    """Return the id of a conversation, and the arguments that belong to it."""
    places: dict[str, tuple[str, dict[str, Any]]] = {
        "conversation": (server.conversation_id, {}),
        "default": ("default", {"agent_id": server.agent_id}),
        "agent": (server.agent_id, {}),
    }
    return places[request.param]


def test_pending_returns_calls_until_they_are_answered(
    driver: ClientDriver, server: EmbeddedServer, place: tuple[str, dict[str, Any]]
) -> None:
    """The pending calls are those of the last approval request, and none after their results."""
    conversation, given = place
    client = driver.client(base_url=server.base_url)
    messages = client.conversations.messages
    assert driver.run(messages.pending(conversation, **given)) is None
    leave(driver, client, conversation, **given)
    found = driver.run(messages.pending(conversation, **given))
    assert isinstance(found, PendingRequest)
    assert [call.name for call in found.calls] == ["weather", "guarded"]
    newest = driver.items(messages.list(conversation, order="asc", **given))[-1]
    assert (found.id, found.run_id) == (newest.id, newest.run_id)
    driver.run(messages.run_tools(conversation, tools=[Weather().weather], approve=lambda _: True, **given).result())
    assert driver.run(messages.pending(conversation, **given)) is None


def test_run_tools_without_input_continues_pending_calls(
    driver: ClientDriver, server: EmbeddedServer, place: tuple[str, dict[str, Any]]
) -> None:
    """Another turn runs the pending client tools, decides about the others, and ends the agent's turn."""
    conversation, given = place
    client = driver.client(base_url=server.base_url)
    leave(driver, client, conversation, **given)
    tool = Weather()
    turn = client.conversations.messages.run_tools(
        conversation, tools=[tool.weather], approve=lambda call: call.name == "guarded", **given
    )
    result = driver.run(turn.result())
    assert (tool.cities, result.rounds, result.stop_reason.stop_reason) == (["Paris"], 1, "end_turn")
    assert [run.name for run in result.tool_runs] == ["weather"]
    assert [decision.approve for decision in result.decisions] == [True]
    assert result.messages[0].message_type == "approval_request_message"
    assert result.messages[-1].message_type == "assistant_message"


def test_run_tools_without_input_is_empty_if_nothing_is_pending(driver: ClientDriver, server: EmbeddedServer) -> None:
    """Without input and without pending calls a turn is empty, and sends no message."""
    turn = driver.client(base_url=server.base_url).conversations.messages.run_tools(server.conversation_id)
    result = driver.run(turn.result())
    assert (result.messages, result.tool_runs, result.rounds) == ([], [], 0)
    assert result.stop_reason.stop_reason == "end_turn"
    assert {request.method for request in server.requests} == {"GET"}


def test_run_tools_without_input_waits_for_active_run(driver: ClientDriver, server: EmbeddedServer) -> None:
    """A run that holds the conversation ends before its pending calls are continued."""
    server.script.when("slow", Turn(calls=[Call("weather", {"city": "Rome"})], delay=0.3), "done")
    client, tool = driver.client(base_url=server.base_url), Weather()
    messages = client.conversations.messages
    first = messages.run_tools(server.conversation_id, tools=[tool.weather], input="slow")
    driver.drain(first, lambda _: True)  # the ping of the run
    result = driver.run(messages.run_tools(server.conversation_id, tools=[tool.weather]).result())
    assert (tool.cities, result.messages[-1].content) == (["Rome"], "done")


def test_pending_calls_without_tool_or_decision_raise_and_stay_pending(
    driver: ClientDriver, server: EmbeddedServer
) -> None:
    """A turn that cannot handle the calls names them, and leaves them pending."""
    client = driver.client(base_url=server.base_url)
    leave(driver, client, server.conversation_id)
    messages = client.conversations.messages
    with pytest.raises(PendingApprovalError, match=r"requires approval of weather \(call_\w+\), guarded") as caught:
        driver.run(messages.run_tools(server.conversation_id).result())
    found = driver.run(messages.pending(server.conversation_id))
    assert (caught.value.pending_request_id, caught.value.calls) == (found.id, found.calls)


@pytest.mark.parametrize("how", [{"streaming": False}, {}, {"background": True}])
def test_rejected_send_carries_pending_calls(
    driver: ClientDriver, server: EmbeddedServer, place: tuple[str, dict[str, Any]], how: dict[str, Any]
) -> None:
    """The error of a send names the pending request, its calls and the remedy, also as an event of a stream."""
    conversation, given = place
    client = driver.client(base_url=server.base_url)
    leave(driver, client, conversation, **given)
    found = driver.run(client.conversations.messages.pending(conversation, **given))

    with pytest.raises(PendingApprovalError) as caught:
        _ = driver.items(driver.run(client.conversations.messages.create(conversation, input="hi", **how, **given)))
    assert (caught.value.pending_request_id, caught.value.calls) == (found.id, found.calls)
    assert "run_tools without input" in str(caught.value)
    assert "deny_pending" in str(caught.value)


def test_pending_calls_that_cannot_be_found_leave_error_as_it_is(driver: ClientDriver) -> None:
    """If the requests for the pending calls fail, the original error is raised."""
    detail = {"code": "PENDING_APPROVAL", "message": "Decide first.", "pending_request_id": "message-7"}
    handler = respond_with(make_response(409, json={"detail": detail}), 500)
    with pytest.raises(PendingApprovalError, match="Decide first") as caught:
        driver.run(driver.client(handler).conversations.messages.create(CONVERSATION, input="hi", streaming=False))
    assert (caught.value.pending_request_id, caught.value.calls) == ("message-7", ())


def test_deny_pending_rejects_calls_and_frees_conversation(
    driver: ClientDriver, server: EmbeddedServer, place: tuple[str, dict[str, Any]]
) -> None:
    """After a denial the conversation accepts messages, and the agent has the reason."""
    conversation, given = place
    client = driver.client(base_url=server.base_url)
    messages = client.conversations.messages
    leave(driver, client, conversation, **given)
    result = driver.run(messages.deny_pending(conversation, reason="the program has ended", **given))
    assert [(each.name, each.approve, each.reason) for each in result.decisions] == [
        (name, False, "the program has ended") for name in ("weather", "guarded")
    ]
    stored = returns(driver.items(messages.list(conversation, order="asc", **given)))
    assert [(status, "the program has ended" in text) for status, text in stored] == [("error", True)] * 2
    again = driver.run(messages.deny_pending(conversation, **given))
    assert (again.decisions, again.rounds) == ([], 0)
    driver.run(messages.create(conversation, input="hi", streaming=False, **given))


@pytest.mark.parametrize(
    ("name", "ids", "arguments", "error", "message"),
    [
        ("pending", ("default",), {}, ValueError, "agent_id must be given"),
        ("run_tools", ("default",), {}, ValueError, "agent_id must be given"),
        ("deny_pending", ("default",), {}, ValueError, "agent_id must be given"),
        ("pending", ("a/b",), {}, ValueError, "conversation_id must be an id"),
        ("pending", (CONVERSATION,), {"agent_id": 1}, TypeError, "agent_id must be a string"),
        ("pending", (CONVERSATION,), {"mood": 1}, TypeError, "has no argument 'mood'"),
        ("deny_pending", (CONVERSATION,), {"reason": 1}, TypeError, "reason must be a string"),
        ("deny_pending", (CONVERSATION,), {"input": "x"}, ValueError, "input must not be given to deny_pending"),
    ],
)
def test_invalid_argument_raises_before_sending(
    driver: ClientDriver,
    name: str,
    ids: tuple[str, ...],
    arguments: dict[str, Any],
    error: type[Exception],
    message: str,
) -> None:
    """An invalid argument is named, and nothing is sent."""
    handler = respond_with(404)
    with pytest.raises(error, match=message):
        driver.run(getattr(driver.client(handler).conversations.messages, name)(*ids, **arguments))
    assert handler.requests == []


def test_pending_in_unknown_conversation_raises_not_found(driver: ClientDriver, server: EmbeddedServer) -> None:
    """An unknown conversation is an error, not an empty one."""
    with pytest.raises(NotFoundError):
        driver.run(driver.client(base_url=server.base_url).conversations.messages.pending(CONVERSATION))


# Kill points


class Killed(BaseException):
    """The end of the process, at this point."""


@define
class Work:
    """The tools of a program that is killed at some of its effects.

    Args:
        kills: The numbers of the effects before and after which the program ends.
    """

    kills: set[int]
    done: Counter[str] = field(factory=Counter[str])
    _effects: Iterator[int] = field(factory=count)

    def _point(self) -> None:
        if next(self._effects) in self.kills:
            raise Killed

    def weather(self, city: str) -> str:
        """Look up the weather."""
        self._point()
        self.done[city] += 1
        self._point()
        return f"sunny in {city}"

    def approve(self, _: Any) -> bool:
        self._point()
        return True


FAULTS: Final = [LostRequest(), LostResponse(), Cut(events=1), Cut(events=3), Cut(events=3, how="end"), None]


@pytest.fixture(scope="module")
def shared() -> Iterator[EmbeddedServer]:
    with EmbeddedServer() as server:
        yield server


@settings(max_examples=KILLED, deadline=None)
@given(
    rounds=st.lists(st.lists(st.sampled_from(["weather", "guarded"]), min_size=1, max_size=3), min_size=1, max_size=3),
    kills=st.sets(st.integers(0, 8), max_size=3),
    faults=st.lists(st.sampled_from(FAULTS), max_size=5),
    is_async=st.booleans(),
)
def test_program_killed_at_any_point_is_continued_by_the_next(
    shared: EmbeddedServer, rounds: list[list[str]], kills: set[int], faults: list[Any], is_async: bool
) -> None:
    """Programs that end at any effect or request are followed by others: no reported tool runs again, none is lost."""
    text, cities = f"go{next(NUMBERS)}.", (f"city{number}" for number in count())
    turns = [Turn(calls=[Call(name, {"city": next(cities)}) for name in names]) for names in rounds]
    shared.script.when(text, *turns, "that is all")
    shared.faults.clear()
    if faults:
        shared.faults.add(*faults, on="conversations.messages.create")
    work, content = Work(kills), {"input": text}
    driver = ClientDriver(is_async=is_async)
    http = driver.httpx_client(base_url=shared.base_url)
    conversation = driver.run(http.post("/v1/conversations/", params={"agent_id": shared.agent_id})).json()["id"]

    def stored() -> list[Any]:
        client = driver.client(base_url=shared.base_url)
        return driver.items(client.conversations.messages.list(conversation, order="asc"))

    def reported() -> list[str]:
        return [text.removeprefix("sunny in ") for _, text in returns(stored())]

    for _ in range(len(kills) + len(faults) + 2):
        before = {city: work.done[city] for city in reported()}
        client = driver.client(base_url=shared.base_url, retry=RetryPolicy(max_retries=0))
        turn = client.conversations.messages.run_tools(
            conversation, tools=[work.weather], approve=work.approve, **content
        )
        content = {}
        try:
            driver.run(turn.result())
        except (Killed, LettaError, httpx.HTTPError):
            pass
        else:
            assert {city: work.done[city] for city in before} == before
            break
        assert {city: work.done[city] for city in before} == before
    else:
        pytest.fail("the turn did not end")
    shared.faults.clear()
    messages = stored()
    requested = [call for m in messages if m.message_type == "approval_request_message" for call in m.tool_calls]
    assert len(returns(messages)) == len(requested)
    assert all(status == "success" for status, _ in returns(messages))
    client = driver.client(base_url=shared.base_url)
    assert driver.run(client.conversations.messages.pending(conversation)) is None
    driver.run(client.conversations.messages.create(conversation, input="hi", streaming=False))
    driver.close()


def test_program_killed_by_signal_in_tool_is_continued(driver: ClientDriver, server: EmbeddedServer) -> None:
    """A process that is killed while its tool runs leaves a conversation that another process continues."""
    run_until_killed(server.base_url, server.conversation_id)
    client, tool = driver.client(base_url=server.base_url), Weather()
    result = driver.run(client.conversations.messages.run_tools(server.conversation_id, tools=[tool.weather]).result())
    assert (tool.cities, result.stop_reason.stop_reason) == (["Paris"], "end_turn")
