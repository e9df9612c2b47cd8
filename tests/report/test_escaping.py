"""Texts of users, models and tools do not change the structure of the page, and load nothing."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from itertools import cycle

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from letta_ext.report.build import build_view
from letta_ext.report.render import render
from letta_ext.report.text import visible

from .drawn import make_data
from .page import Element, parse

HOSTILE = [
    "<script>alert(1)</script>",
    "</pre></div></li></ol></main><h1>Injected</h1>",
    "\" onmouseover=\"alert(1)\" style='x' href='",
    "' autofocus onfocus=alert(1) x='",
    "<img src=https://example.com/pixel.png>",
    "javascript:alert(1)",
    "</style><style>body{background:url(https://example.com/)}</style>",
    "</title><meta http-equiv=refresh content='0;url=https://example.com'>",
    "<!-- comment", "]]>", "<![CDATA[", "<?php", "&lt;b&gt; &amp;amp; &#x3c;i&#x3e; &notanentity",
    "{{ 7 * 7 }}{% raw %}${7*7}#{7}",
    "\x00\x01\x1b[31mred\x1b[0m\x7f\x9b31m",
    "\u202ereversed\u2066\u2069\u200f\u061c",
    "\ud800 lone \udfff surrogates",
    "\ufffe\uffff\u2028\u2029\x85",
    "a\r\nb\rc\x0bd\x0ce",
    '{"a": "</pre><script>x</script>", "b": [1, 2]}',
    "שלום עולם مرحبا",
    "🏛️" * 30,
]  # fmt: skip
TEXTS = st.one_of(st.sampled_from(HOSTILE), st.text(st.characters(), min_size=1, max_size=60))
"""Any characters, with lone surrogates."""

CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""Control characters, characters that override the direction of text, and surrogates."""

ALLOWED = {
    "aria-hidden", "aria-label", "aria-labelledby", "charset", "class", "content", "data-label", "dir", "focusable",
    "height", "href", "http-equiv", "id", "lang", "name", "preserveaspectratio", "rel", "role", "scope", "tabindex",
    "viewbox", "width", "x", "y",
}  # fmt: skip
"""The attributes of the template."""


def drawing(texts: list[str]) -> Callable[[], str]:
    """Return a function that returns the texts one after the other, again and again."""
    endless = cycle(texts)
    return lambda: next(endless)


def page_of(text: Callable[[], str], *, is_period: bool) -> Element:
    html = render(build_view(make_data(text, is_period=is_period)))
    assert not CONTROL.search(html)
    return parse(html)


def elements(page: Element) -> Iterator[Element]:
    for child in page.children:
        yield child
        yield from elements(child)


def harmless(texts: list[str]) -> list[str]:
    """Return words with the same number of lines. Equal texts have equal words, and different ones differ."""
    words: dict[str, str] = {}
    return [words.setdefault(text, f"word{len(words)}" + "\n" * text.count("\n")) for text in texts]


@settings(max_examples=8, deadline=None)
@given(st.lists(TEXTS, min_size=1, max_size=12), st.booleans())
@example(HOSTILE, True)
@example(HOSTILE, False)
def test_texts_leave_the_structure_of_the_page(texts: list[str], is_period: bool) -> None:
    """The elements and attributes equal those of a page with harmless texts, and none of them acts or loads."""
    page = page_of(drawing(texts), is_period=is_period)

    assert page.shape() == page_of(drawing(harmless(texts)), is_period=is_period).shape()
    for element in elements(page):
        assert set(element.attributes) <= ALLOWED
        assert element.tag not in {"script", "img", "iframe", "object", "embed", "form", "base"}
        target = element.attributes.get("href", "#") or ""
        assert target.startswith("#") or (element.tag, target) == ("link", "data:,")


@settings(max_examples=8, deadline=None)
@given(TEXTS)
def test_texts_are_shown_unchanged_but_for_control_characters(text: str) -> None:
    """A reader of the page sees each text of a message, with signs in place of control characters."""
    shown = [
        "".join(each.raw_texts()).strip(" ")
        for each in page_of(lambda: text, is_period=False).all("div", class_="text")
    ]

    assert visible(text).strip(" ") in shown


@pytest.mark.parametrize("text", ["<b>\u202e" * 250_000, "[" * 100_000])
def test_long_texts_are_cut(text: str) -> None:
    """A text of a megabyte is cut to the limit, with the number of the omitted characters."""
    html = render(build_view(make_data(lambda: text, is_period=False)))

    assert len(html) < 60 * 20_000 * 8  # 60 texts, and 8 characters for one that is replaced
    assert f"{len(text) - 20_000:,} more characters are not shown." in html


def test_style_sheet_is_permitted_by_its_hash() -> None:
    """The policy of the page permits the style sheet of the page and nothing else."""
    page = page_of(lambda: "x", is_period=True)

    (policy,) = (each.attributes["content"] for each in page.all("meta") if "http-equiv" in each.attributes)
    assert re.fullmatch(
        r"default-src 'none'; style-src 'sha256-[\w+/]{43}='; img-src data:; base-uri 'none'; form-action 'none'",
        policy or "",
    )
    assert [each.attributes for each in elements(page) if "style" in each.attributes] == []
