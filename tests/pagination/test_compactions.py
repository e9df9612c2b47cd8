"""Lists of messages that compactions move meanwhile: no message is lost or repeated in silence."""

from __future__ import annotations

import os
from collections.abc import Iterator
from random import Random
from typing import Any, Final

import pytest
from attrs import define

from letta_ext._pagination.iterator import ListIterator
from letta_ext._sync.pagination import first_page
from tests.pagination.moving import MOVING, Change, Conversation, Requests

SAMPLE: Final = range(400)
MANY: Final = range(400, 100_000 if os.environ.get("LETTA_STRESS") == "full" else 3_000)


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


@pytest.mark.stress
def test_list_with_many_interleavings_yields_every_message_once() -> None:
    """The same with many more interleavings."""
    assert faults(map(Case.drawn, MANY)) == []
