"""The HTML of a report, from its view model."""

from __future__ import annotations

from base64 import b64encode
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from .text import cut, visible
from .view import HEIGHT, LENGTH, ReportView

try:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
    from markupsafe import Markup, escape
except ModuleNotFoundError as _error:
    raise ModuleNotFoundError(
        "letta_ext.report needs jinja2, which is not installed: pip install 'letta-ext[report]'", name=_error.name
    ) from None

FOLDER: Final = Path(__file__).parent
LINE: Final = 300
"""Characters of a text that is not the text of a message or an error."""


def render(view: ReportView) -> str:
    """Return the HTML document of a view."""
    template, style, style_hash = _template()
    return template.render(report=view, style=style, style_hash=style_hash, length=LENGTH, height=HEIGHT)


@cache
def _template() -> tuple[Template, Markup, str]:
    """Return the template, its style sheet, and the hash that permits the style sheet in the page."""
    environment = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_finalize,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["whole"] = _whole
    style = (FOLDER / "report.css").read_text(encoding="utf-8")
    digest = b64encode(sha256(style.encode()).digest()).decode("ascii")
    return environment.get_template("report.html.jinja"), Markup(style), f"sha256-{digest}"  # noqa: S704  # our file


def _finalize(value: Any) -> Any:
    """Bound every text of the page, and replace its control characters. The environment escapes it afterwards."""
    if isinstance(value, Markup):
        return value
    text, omitted = cut(str(value), LINE)
    return visible(f"{text}…" if omitted else text)


def _whole(text: str) -> Markup:
    """Return a text of any length, escaped. The view model has cut it."""
    return escape(visible(text))
