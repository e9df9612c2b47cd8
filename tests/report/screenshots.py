"""Make the pictures of docs/report.md: `python -m tests.report.screenshots`. Needs Chromium and Pillow.

The embedded server reports the same duration for every model call. The script replaces the durations with those of a
slow model, so that the time lines are worth a look.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from attrs import evolve
from PIL import Image

from letta_api.models import Run, StepMetrics
from letta_ext import Letta
from letta_ext.report.build import build_view
from letta_ext.report.collect import collect_period, collect_run
from letta_ext.report.data import ReportData, ReportLimits, RunRecord, StepRecord
from letta_ext.report.render import render
from letta_ext.report.requests import run_sync
from letta_ext.testing import EmbeddedServer

from .scenarios import CREATED, PRICES, travel

FOLDER: Final = Path(__file__).parents[2] / "docs" / "_static"
CHROMIUM: Final = shutil.which("chromium") or "chromium"
COLORS: Final = 256
"""Colors of a picture. A page has few, and text stays smooth."""

SCHEMES: Final = {"dark": 0, "light": 1}
SHOTS: Final = [
    ("report-run.png", "run", 1280, 940, "light"),
    ("report-period.png", "period", 1280, 1180, "light"),
    ("report-phone.png", "run", 360, 900, "dark"),
]
"""The file, the report, the width, the height and the color scheme of each picture."""

MS: Final = 1_000_000


def slow(record: RunRecord) -> RunRecord:
    """Return a run with durations that grow with the tokens, and some time outside of its steps."""
    steps = [StepRecord(each.step, _slow_metrics(each)) for each in record.steps]
    total = sum((each.metrics.step_ns or 0 for each in steps if each.metrics is not None), 90 * MS)
    created = record.run.created_at
    end = None if created is None else (created + timedelta(microseconds=total / 1000)).isoformat()
    return evolve(record, run=Run.from_dict({**record.run.to_dict(), "completed_at": end}), steps=steps)


def _slow_metrics(record: StepRecord) -> StepMetrics:
    step, before = record.step, record.metrics
    model = 310 * MS + 14 * MS * (step.completion_tokens or 0) if step.completion_tokens else 0
    tool = 0 if before is None or not before.tool_execution_ns else 640 * MS
    return StepMetrics.from_dict(
        {"id": step.id, "llm_request_ns": model, "tool_execution_ns": tool, "step_ns": model + tool + 70 * MS}
    )


def reports() -> dict[str, str]:
    """Return the page of each report."""
    with EmbeddedServer() as server, Letta(base_url=server.base_url) as client:
        runs = travel(server, client)
        start = datetime.fromisoformat("2026-01-01T00:00:00+00:00")
        limits = ReportLimits()
        works = {
            "run": collect_run(runs["tool"], PRICES, limits, CREATED),
            "period": collect_period(start, start + timedelta(hours=6), None, PRICES, limits, CREATED),
        }
        return {name: render(build_view(_with_slow_runs(run_sync(client, work)))) for name, work in works.items()}


def _with_slow_runs(data: ReportData) -> ReportData:
    return evolve(data, runs=[slow(each) for each in data.runs])


def take(shots: Iterable[tuple[str, str, int, int, str]]) -> None:
    """Write the pictures."""
    pages = reports()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for file, report, width, height, scheme in shots:
            page, picture = folder / "page.html", folder / "page.png"
            page.write_text(pages[report], encoding="utf-8")
            run = [
                CHROMIUM,
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--hide-scrollbars",
                f"--blink-settings=preferredColorScheme={SCHEMES[scheme]}",
                f"--user-data-dir={folder / 'profile'}",
                f"--window-size={width},{height}",
                f"--screenshot={picture}",
                page.as_uri(),
            ]
            subprocess.run(run, check=True, capture_output=True)
            with Image.open(picture) as image:
                image.convert("RGB").quantize(COLORS, method=Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE).save(
                    FOLDER / file, optimize=True
                )
            print(f"{file}: {(FOLDER / file).stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    take(SHOTS)
