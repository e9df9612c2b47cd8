"""The built documentation site works in a browser, without a server and without a network.

`nox -s browser` builds the site first, and leaves screenshots in `.site/screenshots`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

SITE = Path(__file__).parents[2] / ".site"
# Without the page of a server for unknown addresses, whose links begin at the root of a host.
PAGES = sorted({path.relative_to(SITE / "html").as_posix() for path in (SITE / "html").rglob("*.html")} - {"404.html"})
WIDTHS = [360, 768, 1280]
SCREENSHOTS = {"index.html", "quickstart.html", "reference/clients.html"}


@pytest.fixture
def problems() -> list[str]:
    """What the page wrote to the console, and the addresses outside the file system that it requested."""
    return []


@pytest.fixture(params=["light", "dark"])
def page(browser: Browser, request: pytest.FixtureRequest, problems: list[str]) -> Iterator[Page]:
    """A page in one of the color schemes."""
    context = browser.new_context(color_scheme=request.param, reduced_motion="reduce")
    page = context.new_page()
    page.on("console", lambda message: problems.append(message.text) if message.type in {"error", "warning"} else None)
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on(
        "request",
        lambda sent: None if sent.url.startswith(("file:", "data:", "blob:")) else problems.append(sent.url),
    )
    yield page
    context.close()


@pytest.mark.parametrize("name", PAGES)
def test_page_fits_every_width(page: Page, problems: list[str], name: str) -> None:
    """A page fits phones, tablets and desktops, and loads nothing from other hosts."""
    page.goto((SITE / "html" / name).as_uri())
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 800})
        page.wait_for_function("document.documentElement.scrollWidth <= innerWidth", timeout=3_000)
        if name in SCREENSHOTS:
            scheme = page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches ? 'dark' : 'light'")
            path = SITE / "screenshots" / f"{name.removesuffix('.html').replace('/', '-')}-{scheme}-{width}.png"
            page.screenshot(path=path)
    assert problems == []


@pytest.mark.parametrize("name", [*(name for name in PAGES if "/" not in name), "reference/clients.html"])
def test_page_is_readable(page: Page, name: str) -> None:
    """Texts have enough contrast, and images and links have names. The pages of the reference are alike."""
    page.goto((SITE / "html" / name).as_uri())
    found = Axe().run(page, options={"runOnly": ["color-contrast", "image-alt", "link-name", "document-title"]})
    assert [line for violation in found.response["violations"] for line in summaries(violation)] == []


def summaries(violation: dict[str, Any]) -> list[str]:
    """Return the elements that break a rule, and how."""
    return sorted({f"{node['html'][:90]}: {node['failureSummary'].splitlines()[-1]}" for node in violation["nodes"]})


def test_search_finds_page_without_server(page: Page, problems: list[str]) -> None:
    """The search finds a word in the file system, without a server."""
    page.goto((SITE / "html/index.html").as_uri())
    page.locator(".md-search__input").fill("checkpoint")
    result = page.locator(".md-search-result__item a").first
    expect(result).to_contain_text("Pagination", ignore_case=True)
    assert problems == []
