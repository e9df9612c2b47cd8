"""The structure of an HTML page, as the parser of the standard library reads it."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Final

from attrs import define, field

DASH: Final = "\N{EN DASH}"
INLINE: Final = {"a", "bdi", "span"}
VOID: Final = {"meta", "link", "br", "rect"}


@define
class Element:
    """An element with its attributes and content: elements and texts."""

    tag: str
    attributes: dict[str, str | None] = field(factory=dict)
    content: list[Element | str] = field(factory=list)

    @property
    def children(self) -> list[Element]:
        """The elements of the content."""
        return [each for each in self.content if isinstance(each, Element)]

    def all(self, tag: str, **attributes: str) -> list[Element]:
        """Return the elements below this one with a tag and these attributes, in the order of the page."""
        wanted = {name.rstrip("_").replace("_", "-"): value for name, value in attributes.items()}
        found: list[Element] = []
        for child in self.children:
            if child.tag == tag and wanted.items() <= child.attributes.items():
                found.append(child)
            found += child.all(tag, **attributes)
        return found

    @property
    def text(self) -> str:
        """The text of this element and of those below it, as one line."""
        return " ".join("".join(self.raw_texts()).split())

    def raw_texts(self) -> list[str]:
        """Return the texts in the order of the page."""
        gap = "" if self.tag in INLINE else " "
        texts = [text for each in self.content for text in ([each] if isinstance(each, str) else each.raw_texts())]
        return [gap, *texts, gap]

    def shape(self) -> object:
        """Return the tags and the names of attributes of this element and of those below it."""
        return (self.tag, sorted(self.attributes), [child.shape() for child in self.children])


class _Builder(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open = [Element("page")]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len({name for name, _ in attrs}) == len(attrs), "an attribute is repeated"
        element = Element(tag, dict(attrs))
        self.open[-1].content.append(element)
        if tag not in VOID:
            self.open.append(element)

    def handle_endtag(self, tag: str) -> None:
        if tag in VOID:
            return
        assert self.open.pop().tag == tag, f"</{tag}> closes another element"

    def handle_data(self, data: str) -> None:
        self.open[-1].content.append(data)

    def handle_comment(self, data: str) -> None:
        raise AssertionError(f"a comment: {data!r}")


def parse(html: str) -> Element:
    """Return the page, in which each element must be closed by its own tag."""
    builder = _Builder()
    builder.feed(html)
    builder.close()
    (page,) = builder.open
    return page


def facts(page: Element) -> dict[str, str]:
    """Return the figures of the summary with their remarks, by label."""
    (summary,) = page.all("dl", class_="facts")
    return {each.all("dt")[0].text: each.all("dd")[0].text for each in summary.all("div")}


def step_rows(page: Element) -> list[list[str]]:
    """Return the cells of the steps of all time lines."""
    return [
        [cell.text for cell in row.children]
        for table in page.all("table", class_="steps stacking")
        for body in table.all("tbody")
        for row in body.all("tr")
    ]


def headings(page: Element) -> list[str]:
    """Return the headings of the sections."""
    return [each.text for each in page.all("h2")]
