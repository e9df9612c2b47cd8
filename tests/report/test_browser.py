"""Reports in headless Chromium, at the widths of a phone, a tablet and a desk, in both color schemes."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path
from typing import Any, Final

import pytest

from letta_ext.report.build import build_view
from letta_ext.report.render import render

from .drawn import make_data
from .page import Element, parse
from .test_escaping import HOSTILE

CHROMIUM: Final = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
WIDTHS: Final = (360, 768, 1280)
SCHEMES: Final = {"dark": 0, "light": 1}
"""Values of the setting `preferredColorScheme`."""

POLICY: Final = re.compile(r'<meta http-equiv="Content-Security-Policy"[^>]*>')
TIMEOUT: Final = 120
"""Seconds for one start of the browser on a busy machine."""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed"),
]


def chromium(profile: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run headless Chromium with a new profile and without access to other hosts."""
    command = [
        CHROMIUM or "chromium",
        "--headless",
        "--no-sandbox",  # Chromium refuses to run as root with it
        "--disable-gpu",
        "--hide-scrollbars",
        "--disable-dev-shm-usage",  # it is too small in containers
        "--disable-background-networking",
        "--host-resolver-rules=MAP * ~NOTFOUND",
        f"--user-data-dir={profile}",
        *arguments,
    ]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=TIMEOUT)


def measured(page: str, scheme: str, folder: Path) -> list[dict[str, Any]]:
    """Return the measurements of a page at each width. The frames are without the policy, which forbids the script."""
    frame = html.escape(POLICY.sub("", page))
    frames = "".join(f'<iframe width="{width}" height="800" srcdoc="{frame}"></iframe>' for width in WIDTHS)
    script = Path(__file__).with_name("browser.js").read_text("utf-8")
    harness = folder / "harness.html"
    harness.write_text(
        f'<!doctype html><meta charset="utf-8"><style>iframe {{border: 0}}</style>{frames}'
        f'<pre id="result"></pre><script>{script}</script>',
        encoding="utf-8",
    )
    setting = f"--blink-settings=preferredColorScheme={SCHEMES[scheme]}"
    done = chromium(folder / "profile", setting, "--dump-dom", harness.as_uri())
    found = re.search(r'<pre id="result">(.*?)</pre>', done.stdout, re.DOTALL)
    assert found is not None, done.stderr
    result = json.loads(html.unescape(found[1]))
    assert isinstance(result, list), result
    return result


def hostile_page() -> str:
    texts = cycle([*HOSTILE, "W" * 400, "x" * 5_000])
    return render(build_view(make_data(lambda: next(texts), steps=8)))


def tags(page: Element) -> Iterator[str]:
    for child in page.children:
        yield child.tag
        yield from tags(child)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_page_fits_each_width_with_sufficient_contrast(day: str, scheme: str, tmp_path: Path) -> None:
    """No element is wider than the page, and each text and bar has the contrast of WCAG AA, with all details open."""
    found = measured(day, scheme, tmp_path)

    assert [each["width"] for each in found] == list(WIDTHS)
    assert {each["dark"] for each in found} == {scheme == "dark"}
    assert [(each["scrollWidth"], each["overflowing"]) for each in found] == [(width, []) for width in WIDTHS]
    assert [each["faint"] for each in found] == [[], [], []]
    assert all(each["texts"] > 100 for each in found)


def test_hostile_texts_fit_each_width_and_add_no_element(tmp_path: Path) -> None:
    """With any texts, the browser finds the same elements as the parser of Python, and long words wrap."""
    page = hostile_page()

    found = measured(page, "light", tmp_path)

    expected = " ".join(tags(parse(POLICY.sub("", page))))
    for each in found:
        assert each["tags"] == expected
        assert (each["scrollWidth"], each["overflowing"]) == (each["width"], [])


def test_page_sends_no_request_and_logs_no_error(tmp_path: Path) -> None:
    """The page as it is written loads nothing but itself, also with texts that try to, and the console is empty."""
    page = tmp_path / "report.html"
    page.write_text(hostile_page(), encoding="utf-8")
    log = tmp_path / "network.json"

    done = chromium(
        tmp_path / "profile", "--enable-logging=stderr", f"--log-net-log={log}", "--dump-dom", page.as_uri()
    )

    assert "</html>" in done.stdout
    assert [line for line in done.stderr.splitlines() if "CONSOLE" in line] == []
    requested = re.findall(r'"url":"([^"]+)"', log.read_text("utf-8"))
    assert [url for url in requested if "example.com" in url] == []
