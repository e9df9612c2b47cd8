"""Pages are tables in notebooks and in rich, and have a line per item in IPython."""

from __future__ import annotations

import io
import re
from html.parser import HTMLParser
from typing import Any

import httpx
import pytest
from rich.console import Console

from letta_ext import Letta, SyncPage

STEPS = [{"id": f"step-{number}", "model": "a/b", "status": "success", "new": 1} for number in range(3)]
HOSTILE = {"id": "<script>alert(1)</script>", "model": '"><img src=x onerror=alert(1)>', "tags": ["[bold]</td>"]}
MESSAGE = {"id": "message-1", "message_type": "user_message", "date": "2026-01-01T00:00:00Z", "content": "hi"}


def page_of(items: list[dict[str, Any]], path: str = "steps") -> SyncPage[Any]:
    """Return a page of a list."""
    http = httpx.Client(transport=httpx.MockTransport(lambda _: httpx.Response(200, json=items)))
    with Letta(api_key="key", base_url="http://letta.test", http_client=http) as client:
        if path == "steps":
            return client.steps.list()
        return client.conversations.messages.list("conv-1", order="asc")


class Tags(HTMLParser):
    """A parser that counts tags and collects texts."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.texts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        assert not attrs

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def parsed(html: str) -> Tags:
    """Return the tags and texts of HTML."""
    parser = Tags()
    parser.feed(html)
    return parser


def printed(value: object) -> str:
    """Return the text that rich prints."""
    console = Console(file=io.StringIO(), width=200)
    console.print(value)
    text = console.file.getvalue()  # type: ignore[attr-defined]  # of StringIO
    return str(text)


def test_page_is_a_table_with_a_row_per_item() -> None:
    """A page is an HTML table with a row per item and a column per field."""
    found = parsed(page_of(STEPS)._repr_html_())
    assert found.tags.count("tr") == 4
    assert [text for text in found.texts if text in ("id", "model", "status")] == ["id", "model", "status"]
    assert "SyncPage with 3 items" in found.texts
    assert {"step-0", "step-1", "step-2", "a/b"} <= {*found.texts}


def test_page_in_a_notebook_escapes_everything() -> None:
    """No text of an item becomes a tag."""
    unknown = {**MESSAGE, "message_type": "<b>new</b>", "<i>key</i>": "</table>"}
    for page in (page_of([HOSTILE]), page_of([MESSAGE, unknown], "messages")):
        assert {*parsed(page._repr_html_()).tags} == {"table", "caption", "tr", "th", "td"}
    html = page.items[0]._repr_html_()
    assert {*parsed(html).tags} == {"table", "caption", "tr", "th", "td"}


@pytest.mark.parametrize("count", [0, 1, 250])
def test_page_of_any_size_has_at_most_one_hundred_rows(count: int) -> None:
    """A large page shows its first items, and a short text for a long value."""
    items = [{"id": f"step-{number}", "model": "m" * 10_000} for number in range(count)]
    page = page_of(items)
    html = page._repr_html_()
    assert parsed(html).tags.count("tr") == 1 + min(count, 100)
    assert len(html) < 100_000
    assert f"SyncPage with {count} item" in html
    assert ("first 100" in html) is (count > 100)


def test_page_in_rich_is_a_table_without_markup() -> None:
    """rich prints a table, in which brackets of a text are not markup."""
    text = printed(page_of([{**step, "model": "[red]x[/red]"} for step in STEPS]))
    assert "SyncPage with 3 items" in text
    assert text.count("[red]x[/red]") == 3
    assert len(re.findall("step-[012]", text)) == 3


def test_model_in_rich_is_its_fields() -> None:
    """rich prints a model by its fields that are present."""
    text = printed(page_of(STEPS).items[0])
    assert text.startswith("Step(id='step-0', model='a/b', status='success')")


class Printer:
    """The part of IPython's printer that models and pages use."""

    def __init__(self) -> None:
        self.out = ""

    def text(self, text: str) -> None:
        self.out += text

    def breakable(self, sep: str) -> None:
        self.out += "\n"

    def pretty(self, value: Any) -> None:
        value._repr_pretty_(self, cycle=False)

    def group(self, indent: int, opening: str, closing: str) -> Printer:
        self.out += opening
        self.closing = closing
        return self

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        self.out += self.closing


def test_page_and_model_in_ipython_have_several_lines() -> None:
    """IPython prints a line per item of a page, and a line per field of a model."""
    page, printer = page_of(STEPS), Printer()
    page._repr_pretty_(printer, cycle=False)
    assert len(printer.out.splitlines()) == 4
    printer = Printer()
    printer.pretty(page.items[0])
    assert printer.out.splitlines() == ["Step(", "id='step-0',", "model='a/b',", "status='success',)"]
