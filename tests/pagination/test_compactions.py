"""Lists of messages that compactions move meanwhile: no message is lost or repeated in silence."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from functools import partial
from itertools import chain, count, islice
from random import Random
from typing import Any, Final

import pytest
from attrs import define

from letta_ext import Letta, ListChangedError
from letta_ext._pagination.iterator import ListIterator
from letta_ext._sync.pagination import first_page
from letta_ext.testing import EmbeddedServer
from tests.client.helpers import ClientDriver
from tests.pagination.moving import MOVING, Change, Conversation, Requests

SAMPLE: Final = range(400)
MANY: Final = range(400, 20_000 if os.environ.get("LETTA_STRESS") == "full" else 3_000)


@define
class Case:
    """A list, the history of its conversation, and the changes between its requests."""

    seed: int
    requests: Requests
    arguments: dict[str, Any]
    kinds: list[str] | None
    max_items: int | None

    @classmethod
    def drawn(cls, seed: int) -> Case:
        """Return a random case."""
        draw = Random(seed)

        def change() -> Change:
            if draw.random() < 0.5:
                return "compact", draw.choice([0, 10, 30, 50, 60, 70, 80, 90, 95])
            return "send", draw.choice([1, 2, 3, 10])

        hidden = draw.choice([0, 0, 0, 2, 3, 5])  # each reply whose number is a multiple of it is hidden
        conversation = Conversation(
            Random(seed), lambda m: hidden > 0 and m.role == "assistant" and int(m.id[1:]) % hidden == 0
        )
        conversation.change(("send", draw.choice([1, 3, 10, 20, 40])))
        for _ in range(draw.choice([0, 0, 1, 2, 5, 12])):
            conversation.change(change())
        share = draw.choice([0.2, 0.5])
        during = [
            [change() for _ in range(draw.choice([1, 1, 2, 3]))] if draw.random() < share else []
            for _ in range(draw.choice([1, 2, 5, 20]))
        ]
        kinds = draw.choice([None, None, ["user_message"], ["summary_message"]])
        passed = {
            "order": draw.choice(["asc", "desc"]),
            "limit": draw.choice([1, 2, 3, 4, 5, 7, 10, 20, 50, 100, None]),
            "include_return_message_types": kinds,
        }
        arguments = {name: value for name, value in passed.items() if value is not None}
        return cls(seed, Requests(conversation, during), arguments, kinds, draw.choice([None, None, None, 5, 17, 60]))

    def iterator(self) -> ListIterator:
        """Return the iterator of the list."""
        iterator = ListIterator(MOVING, self.arguments)
        iterator.remaining = self.max_items
        return iterator

    def missing(self, found: list[str]) -> set[str]:
        """Return the messages that exist all the time, pass the filter, and were not found."""
        roles = {each.message.id: f"{each.message.role}_message" for each in self.requests.conversation.thread.stored}
        expected = {id for id in self.requests.states[0] if self.kinds is None or roles[id] in self.kinds}
        if self.max_items is None or len(found) < self.max_items:
            return expected.difference(found)
        # The list ended early. At its last request, each message before its last one was found.
        positions = self.requests.states[-1]
        last, ascending = positions[found[-1]], self.arguments["order"] == "asc"
        return {
            id for id in expected.difference(found) if (positions[id] < last if ascending else positions[id] > last)
        }


def keys(items: Iterable[Any]) -> list[tuple[str, str]]:
    """Return the identity of each message."""
    return [(item.id, item.message_type) for item in items]


def faults(cases: Iterator[Case]) -> list[str]:
    """Return a line for each list that loses or repeats messages."""
    lines: list[str] = []
    for case in cases:
        found = [item.id for item in first_page(case.iterator(), case.requests)]
        lost, repeated = len(case.missing(found)), len(found) - len(set(found))
        if lost or repeated:
            lines.append(f"seed {case.seed}: {case.arguments} loses {lost}, repeats {repeated}")
    return lines


def test_list_with_compactions_between_requests_yields_every_message_once() -> None:
    """A list yields each message that exists all the time once, without an error."""
    assert faults(map(Case.drawn, SAMPLE)) == []


def faults_of_checkpoints(seeds: Iterable[int]) -> list[str]:
    """Return a line for each list that another iterator continues from a checkpoint with lost or repeated messages.

    An error is a fault if the conversation has not changed since the first request.
    """
    lines: list[str] = []
    for seed in seeds:
        case = Case.drawn(seed)
        case.max_items = None
        found: list[str] = []
        try:
            pages = [*islice(first_page(case.iterator(), case.requests).iter_pages(), 1 + seed % 5)]
            checkpoint = json.loads(json.dumps(pages[-1].checkpoint()))
            rest = first_page(ListIterator.resumed(MOVING, checkpoint), case.requests)
            found = [item.id for item in chain(*(page.items for page in pages), rest)]
        except ListChangedError:
            states = case.requests.states
            if any(state != states[0] for state in states):
                continue
            lines.append(f"seed {seed}: {case.arguments} raises")
            continue
        lost, repeated = len(case.missing(found)), len(found) - len(set(found))
        if lost or repeated:
            lines.append(f"seed {seed}: {case.arguments} loses {lost}, repeats {repeated}")
    return lines


def test_checkpoint_with_compactions_loses_and_repeats_no_message_in_silence() -> None:
    """A list that another process continues yields each message once, or raises `ListChangedError`."""
    assert faults_of_checkpoints(SAMPLE) == []


@pytest.mark.parametrize("order", ["asc", "desc"])
def test_checkpoint_in_long_list_without_compaction_yields_the_remaining_messages(order: str) -> None:
    """The evidence of a checkpoint is kept to the end of a long list."""
    conversation = Conversation(Random(0))
    conversation.change(("send", 1_000))
    requests = Requests(conversation, [])
    page = first_page(ListIterator(MOVING, {"order": order, "limit": 100}), requests)
    rest = list(first_page(ListIterator.resumed(MOVING, page.checkpoint()), requests))
    assert len({item.id for item in [*page.items, *rest]}) == len(page.items) + len(rest) == 2_001


@pytest.mark.stress
def test_many_checkpoints_with_compactions_lose_and_repeat_no_message_in_silence() -> None:
    """The same with many more interleavings."""
    assert faults_of_checkpoints(MANY) == []


@pytest.mark.stress
def test_list_with_many_interleavings_yields_every_message_once() -> None:
    """The same with many more interleavings."""
    assert faults(map(Case.drawn, MANY)) == []


@pytest.mark.parametrize(
    ("order", "prefetch", "pages"), [("asc", False, 2), ("asc", True, 1), ("desc", False, 3), ("desc", True, 2)]
)
def test_compaction_after_page_of_client_loses_no_message(
    driver: ClientDriver, server: EmbeddedServer, order: str, prefetch: bool, pages: int
) -> None:
    """Both clients list each message once if a compaction follows a page."""
    client = driver.client(base_url=server.base_url, max_retries=0)
    id, messages = server.conversation_id, client.conversations.messages
    for turn in range(15):
        driver.run(messages.create(id, input=f"Message {turn}", streaming=False))
    before = keys(driver.run(messages.list(id)).items)
    fetched = count(1)

    def compact_after(page: Any) -> bool:
        if next(fetched) == pages:
            with Letta(base_url=server.base_url) as other:
                other.conversations.messages.compact(id)
        return False

    listed = messages.list(id, limit=5, order=order, prefetch=prefetch)
    found, fault = driver.drain(listed.iter_pages(), compact_after)
    assert fault is None
    listed_keys = keys(item for page in found for item in page.items)
    assert len(set(listed_keys)) == len(listed_keys)
    assert set(before) <= set(listed_keys)


def test_list_without_compaction_sends_at_most_one_more_request(server: EmbeddedServer) -> None:
    """Oldest first, a list of several pages sends one request more than its pages and the end need."""
    lists: list[tuple[dict[str, Any], int]] = [
        ({"order": "asc", "limit": 100}, 2),
        ({"order": "asc", "limit": 10}, 6),
        ({"order": "desc", "limit": 100}, 2),
        ({"order": "desc", "limit": 10}, 5),
        ({"order": "asc", "limit": 10, "max_items": 5}, 1),
        ({"order": "asc", "limit": 10, "max_items": 15}, 3),
        ({"order": "desc", "limit": 10, "max_items": 15}, 2),
    ]
    with Letta(base_url=server.base_url) as client:
        for turn in range(15):
            client.conversations.messages.create(server.conversation_id, input=f"Message {turn}", streaming=False)
        for arguments, requests in lists:
            sent = len(server.requests)
            found = list(client.conversations.messages.list(server.conversation_id, **arguments))
            assert len(found) == arguments.get("max_items", 31)
            assert len(server.requests) - sent == requests, arguments


def test_lists_that_do_not_move_send_no_more_requests(server: EmbeddedServer) -> None:
    """Lists of steps, and of an agent's default conversation, send no request for evidence of a compaction."""
    with Letta(base_url=server.base_url) as client:
        for turn in range(15):
            client.conversations.messages.create(
                "default", agent_id=server.agent_id, input=f"Message {turn}", streaming=False
            )
        steps = partial(client.steps.list, agent_id=server.agent_id, limit=10)
        messages = partial(client.conversations.messages.list, "default", agent_id=server.agent_id, limit=10)
        # One more request shows at which end of a newest-first page of equal dates the newest message is.
        lists: list[tuple[Any, str, int, int]] = [
            (steps, "asc", 15, 3),
            (steps, "desc", 15, 3),
            (messages, "asc", 31, 5),
            (messages, "desc", 31, 6),
        ]
        for list_, order, length, requests in lists:
            sent = len(server.requests)
            assert len(list(list_(order=order))) == length
            assert len(server.requests) - sent == requests, order
