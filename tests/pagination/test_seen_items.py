"""The record of seen items: of items in any form, of pages that the caller modifies, and in checkpoints."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from letta_ext._pagination.iterator import ListIterator
from letta_ext._sync.pagination import first_page
from letta_ext.types import UnknownMessage
from tests.pagination.servers import MESSAGES, STEPS, Item, Server
from tests.pagination.test_iteration import open_page, records

FORMS = st.sampled_from(["whole", "without otid", "unknown", "two items", "two equal items"])


def items_in(form: str, name: str) -> list[Any]:
    """Return the items of a record in one of the forms that servers send."""
    forms: dict[str, list[Any]] = {
        "whole": [Item(name, otid=f"{name}.0")],
        "without otid": [Item(name)],
        "unknown": [UnknownMessage({"id": name, "message_type": "new"}, "unknown type")],
        "two items": [Item(name, "reasoning_message", f"{name}.0"), Item(name, otid=f"{name}.1")],
        "two equal items": [Item(name, "reasoning_message"), Item(name, "reasoning_message")],
    }
    return forms[form]


@pytest.mark.parametrize("facts", [MESSAGES, STEPS], ids=["messages", "steps"])
@given(forms=st.lists(FORMS, max_size=12), limit=st.sampled_from([1, 2, 3, 5, 50]), pages=st.integers(0, 4))
def test_items_of_any_form_are_yielded_once(facts: Any, forms: list[str], limit: int, pages: int) -> None:
    """No item is lost or repeated, from the first page on and from a checkpoint, for any mixture of forms."""
    if facts is STEPS:  # whose id identifies an item alone
        forms = [form for form in forms if not form.startswith("two")]
    stored = [(f"m{n}", items_in(form, f"m{n}")) for n, form in enumerate(forms)]
    names = [name for name, _ in stored]

    def fetch(arguments: Mapping[str, Any]) -> list[Any]:
        begin = names.index(arguments["after"]) + 1 if "after" in arguments else 0
        return [item for _, items in stored[begin : begin + arguments["limit"]] for item in items]

    page = first_page(ListIterator(facts, {"order": "asc", "limit": limit}), fetch)
    whole = [item for _, items in stored for item in items]
    assert list(page) == whole
    seen = [*page.items]
    for _ in range(pages):
        page = page.get_next_page()
        seen += page.items
    if seen:
        assert seen + list(first_page(ListIterator.resumed(facts, page.checkpoint()), fetch)) == whole


@pytest.mark.parametrize("repeated", [0, 2])
def test_item_repeated_in_the_first_page_is_yielded_once(repeated: int) -> None:
    """An item that a response has twice is yielded once."""
    server = Server(records(range(6)))

    def fetch(arguments: Mapping[str, Any]) -> list[Any]:
        found = server(arguments)
        return found if "after" in arguments else [*found, found[repeated]]

    page = first_page(ListIterator(MESSAGES, {"order": "asc", "limit": 3}), fetch)
    assert list(page) == server.all_items("asc")


@pytest.mark.parametrize("facts", [MESSAGES, STEPS], ids=["messages", "steps"])
def test_modified_pages_do_not_change_the_iteration(facts: Any) -> None:
    """The caller may modify a page and its items before the next page is requested."""
    server = Server(records(range(9)))

    def fetch(arguments: Mapping[str, Any]) -> list[Any]:
        return [
            SimpleNamespace(id=item.id, message_type=item.message_type, otid=item.otid) for item in server(arguments)
        ]

    page = first_page(ListIterator(facts, {"order": "asc", "limit": 3}), fetch)
    found: list[str] = []
    while page.items:
        found += [item.id for item in page.items]
        for item in page.items:
            item.id = item.otid = item.message_type = "modified"
        page.items.append(page.items.pop(0))
        page.items[0] = None
        page = page.get_next_page()
    assert found == [f"m{n}" for n in range(9)]


@pytest.mark.parametrize("limit", [3, 100])
def test_checkpoint_of_the_first_page_does_not_depend_on_the_iteration(limit: int) -> None:
    """The checkpoint of a page is the same before and after the next pages are requested, and if never requested."""
    pages = [open_page(Server(records(range(200))), order="asc", limit=limit) for _ in range(3)]
    before = pages[0].checkpoint()
    list(pages[0])
    list(pages[1])
    assert pages[0].checkpoint() == pages[1].checkpoint() == pages[2].checkpoint() == before
    assert pages[1].next_page_info() == {"after": f"m{limit - 1}"}


def test_checkpoint_keys_are_those_of_earlier_versions() -> None:
    """A stored checkpoint stays valid: the key of an item never changes."""
    items: list[Any] = [
        Item("m0", "user_message", "0.0"), Item("m1", "user_message"),
        UnknownMessage({"id": "m2", "message_type": "new"}, "unknown type"),
    ]  # fmt: skip
    page = first_page(ListIterator(MESSAGES, {"order": "asc"}), lambda _: items)
    assert page.checkpoint()["seen"] == ["31b3a76e150c3a4", "6e2768727054845", "b4f669f4b4b41af"]
