"""The plots, as SVG written by hand: no plotting library, and a diff that can be read."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final
from xml.sax.saxutils import escape

from .growth import Line
from .measuring import BARE, FLOOR, OURS, PUBLISHED, STOCK, Result
from .report import amount, ratio

COLOURS: Final = {OURS: "#2563eb", PUBLISHED: "#94a3b8", STOCK: "#cbd5e1", FLOOR: "#16a34a", BARE: "#f59e0b"}
SERIES: Final = ("#2563eb", "#dc2626", "#16a34a", "#9333ea", "#ea580c")
STYLE: Final = "<style>text{font:12px system-ui,sans-serif;fill:#334155}.t{font-weight:600}.s{fill:#64748b}</style>"


def _page(width: int, height: int, parts: Sequence[str]) -> str:
    size = f'width="{width}" height="{height}" viewBox="0 0 {width} {height}"'
    # Its own ground: where a page is dark, dark letters would not be seen.
    ground = f'<rect width="{width}" height="{height}" rx="6" fill="#ffffff"/>'
    return "\n".join([f'<svg xmlns="http://www.w3.org/2000/svg" {size}>', STYLE, ground, *parts, "</svg>", ""])


def _text(x: float, y: float, text: str, kind: str = "", anchor: str = "start") -> str:
    return f'<text x="{x:.0f}" y="{y:.0f}" class="{kind}" text-anchor="{anchor}">{escape(text)}</text>'


def bars(results: Sequence[Result]) -> str:
    """Draw a bar for each side of each row, on a logarithmic scale of multiples of ours."""
    rows = [r for r in results if r.sides.keys() & {PUBLISHED, STOCK, FLOOR, BARE}]
    left, unit, y = 330, 180, 44
    parts = [_text(16, 24, "Cost against ours, which is 1 (shorter is better; logarithmic)", "t")]
    top = y
    for row in rows:
        word = "x faster" if row.sense == "faster" else "x"
        parts.append(_text(16, y + 12, row.name, "t"))
        parts.append(_text(16, y + 28, f"{ratio(row.figure.median)}{word} against {row.versus}", "s"))
        for name, value in row.sides.items():
            times = max(value / row.sides[OURS], 0.1)
            width = (math.log10(times) + 1) * unit
            parts.append(f'<rect x="{left}" y="{y}" width="{width:.1f}" height="12" fill="{COLOURS[name]}"/>')
            label = f"{name} {amount(value)} {row.unit}"
            parts.append(_text(left + width + 6, y + 11, label, "" if name == OURS else "s"))
            y += 15
        y += max(0, 32 - 15 * len(row.sides)) + 12
    for power in (-1, 0, 1):
        x = left + (power + 1) * unit
        parts.append(f'<line x1="{x}" x2="{x}" y1="{top - 6}" y2="{y}" stroke="#e2e8f0"/>')
        parts.append(_text(x, y + 14, f"{10.0**power:g}x", "s", "middle"))
    return _page(left + 3 * unit, y + 28, parts)


def short(results: Sequence[Result]) -> str:
    """How often ours fits into the published client's time, where that is the figure: a bar for each row."""
    rows = [r for r in results if r.sense == "faster" and r.versus == PUBLISHED and r.reach is not None]
    left, width, y = 360, 360, 44
    most = max((r.figure.median for r in rows), default=1)
    parts = [_text(16, 24, f"Times faster than {PUBLISHED}", "t")]
    for row in rows:
        length = row.figure.median / most * width
        parts.append(_text(16, y + 12, row.name))
        parts.append(f'<rect x="{left}" y="{y}" width="{length:.1f}" height="14" fill="{COLOURS[OURS]}"/>')
        label = f"{ratio(row.figure.median)}x, {amount(row.sides[OURS])} {row.unit}"
        parts.append(_text(left + length + 6, y + 12, label, "s"))
        y += 22
    return _page(left + width + 110, y + 8, parts)


def growth(lines: Sequence[Line]) -> str:
    """Cost against size, both logarithmic: the two kinds of cost side by side."""
    parts = [_text(16, 24, "Cost against size (both logarithmic; a slope of one is in proportion)", "t")]
    for at, (unit, label) in enumerate((("s", "seconds"), ("bytes", "bytes"))):
        parts += _panel([line for line in lines if line.unit == unit], 70 + at * 470, label)
    return _page(960, 460, parts)


def _panel(lines: Sequence[Line], left: float, label: str) -> list[str]:
    width, height, top = 360.0, 300.0, 50.0
    sizes = [x for line in lines for x, _ in line.points]
    values = [y for line in lines for _, y in line.points]
    x0, x1 = math.floor(math.log10(min(sizes))), math.ceil(math.log10(max(sizes)))
    y0, y1 = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))

    def place(x: float, y: float) -> tuple[float, float]:
        across, up = (math.log10(x) - x0) / (x1 - x0), (math.log10(y) - y0) / (y1 - y0)
        return left + across * width, top + height - up * height

    parts = [_text(left, top - 8, label, "s")]
    for power in range(x0, x1 + 1):
        x, _ = place(10.0**power, 10.0**y0)
        parts.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{top}" y2="{top + height}" stroke="#e2e8f0"/>')
        parts.append(_text(x, top + height + 16, f"{10**power:,}", "s", "middle"))
    for power in range(y0, y1 + 1):
        _, y = place(10.0**x0, 10.0**power)
        parts.append(f'<line x1="{left}" x2="{left + width}" y1="{y:.1f}" y2="{y:.1f}" stroke="#e2e8f0"/>')
        parts.append(_text(left - 6, y + 4, f"{10.0**power:g}", "s", "end"))
    for number, (line, colour) in enumerate(zip(lines, SERIES, strict=False)):
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in (place(*point) for point in line.points))
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>'
            for x, y in (place(*point) for point in line.points)
        ]
        below = top + height + 36 + 16 * number
        parts.append(f'<rect x="{left}" y="{below - 9:.0f}" width="12" height="4" fill="{colour}"/>')
        parts.append(_text(left + 18, below - 3, f"{line.name}: exponent {line.slope:.2f}"))
    return parts
