"""Build the documentation site in `.site/html`: `python docs/_site/build.py`. Warnings are errors.

Its pages are those of `docs/`, documents of other directories, and a reference that is derived from the public names
and the operations of the document.
"""

from __future__ import annotations

import inspect
import os
import posixpath
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Final

import yaml

import letta_api.models
import letta_ext
import letta_ext.export
import letta_ext.report
import letta_ext.testing
import letta_ext.tools

ROOT: Final = Path(__file__).parents[2]
DOCUMENTS: Final = {
    "README.md": "index.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security.md",
    "codegen/README.md": "generator.md",
    "spec/README.md": "specification.md",
}
"""Documents outside `docs/`, and the names of their pages."""

PAGES: Final = {f"docs/{page.name}": page.name for page in (ROOT / "docs").glob("*.md")} | DOCUMENTS
CLIENTS: Final = ["Letta", "AsyncLetta"]
METHODS: Final = {"get", "put", "post", "delete", "patch", "head"}


def write(folder: Path) -> None:
    """Write all pages and static files of the site into a folder, which is replaced."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(ROOT / "docs", folder, ignore=shutil.ignore_patterns("_site", "*.json", "*.md"))
    pages = {page: rewrite_links((ROOT / source).read_text("utf-8"), source) for source, page in PAGES.items()}
    for name, text in (pages | {"examples.md": examples()} | reference()).items():
        page = folder / name
        page.parent.mkdir(exist_ok=True)
        page.write_text(text, "utf-8")


def rewrite_links(markdown: str, source: str) -> str:
    """Return the text with its relative links leading to pages of the site."""

    def replace(link: re.Match[str]) -> str:
        target, separator, anchor = link[1].partition("#")
        path = posixpath.normpath(posixpath.join(posixpath.dirname(source), target))
        if path in PAGES:
            return f"]({PAGES[path]}{separator}{anchor})"
        if path.startswith("examples/"):
            return f"](examples.md#{posixpath.basename(path).removesuffix('.py').replace('_', '-')})"
        if path == "LICENSE":
            return "](https://www.apache.org/licenses/LICENSE-2.0)"
        return link[0]

    return re.sub(r"\]\((?!https?:|#)([^)\s]+)\)", replace, markdown)


def examples() -> str:
    """Return the page of the programs in `examples/`."""
    found = [
        f"## {path.stem.replace('_', ' ').capitalize()} {{#{path.stem.replace('_', '-')}}}\n\n"
        f"`examples/{path.name}`\n\n```python\n{path.read_text('utf-8').strip()}\n```\n"
        for path in sorted((ROOT / "examples").glob("*.py"))
    ]
    return "# Examples\n\nComplete programs, which run from a checkout.\n\n" + "\n".join(found)


def reference() -> dict[str, str]:
    """Return the pages of the reference, derived from the public names of the packages."""
    values = {name: getattr(letta_ext, name) for name in letta_ext.__all__ if not name.startswith("__")}
    names = [name for name, value in values.items() if getattr(value, "__module__", "letta").startswith("letta")]
    errors = [name for name, value in values.items() if inspect.isclass(value) and issubclass(value, Exception)]
    constants = [name for name, value in values.items() if name.isupper() or not callable(value)]
    others = [name for name in names if name not in {*CLIENTS, *errors, *constants}]
    responses = [name for name in others if re.search("Page|Paginator|Stream$|Response|Context", name)]
    settings = [name for name in others if name not in responses]
    resources = [f"letta_ext.resources.{path.stem}" for path in sorted((ROOT / "letta_ext/resources").glob("*.py"))]
    resources = [name for name in resources if name.rsplit(".", 1)[1] in resource_modules()]
    return {
        "reference/clients.md": section("Clients", [f"letta_ext.{name}" for name in CLIENTS]),
        "reference/operations.md": operations(),
        "reference/resources.md": section("Resources", resources, heading="show_root_full_path: true"),
        "reference/responses.md": section("Responses, streams and lists", [f"letta_ext.{name}" for name in responses]),
        "reference/errors.md": section("Errors", [f"letta_ext.{name}" for name in errors]),
        "reference/settings.md": section("Settings", [f"letta_ext.{name}" for name in settings]),
        "reference/tools.md": section("Tools", public(letta_ext.tools)),
        "reference/export.md": section("Export", public(letta_ext.export)),
        "reference/report.md": section("Report", public(letta_ext.report)),
        "reference/testing.md": section("Testing", public(letta_ext.testing)),
        "reference/models.md": section("Models", public(letta_api.models), heading="inherited_members: false"),
    }


def resource_modules() -> set[str]:
    """Return the names of the modules of resources, which are the top-level parts of operation names."""
    return {operation["operationId"].split(".")[0] for _, _, operation in specified()}


def public(module: ModuleType) -> list[str]:
    """Return the qualified public names of a module."""
    return [f"{module.__name__}.{name}" for name in module.__all__]


def section(title: str, names: list[str], heading: str = "") -> str:
    """Return a page that documents names."""
    options = f"\n    options:\n      {heading}" if heading else ""
    return f"# {title}\n\n" + "\n".join(f"::: {name}{options}\n" for name in names)


def specified() -> list[tuple[str, str, dict[str, str]]]:
    """Return the method, path and description of each operation of the document."""
    paths = yaml.safe_load((ROOT / "spec/openapi.yaml").read_text("utf-8"))["paths"]
    return [(method, path, item[method]) for path, item in paths.items() for method in item if method in METHODS]


def operations() -> str:
    """Return the table of operations: client method, HTTP request and summary."""
    rows = [
        f"| `client.{operation['operationId']}` | `{method.upper()} {path}` | {operation.get('summary', '')} |"
        for method, path, operation in sorted(specified(), key=lambda each: each[2]["operationId"])
    ]
    head = "# Operations\n\nEach method of the client and the request that it sends.\n\n"
    return f"{head}| method | request | summary |\n|---|---|---|\n" + "\n".join(rows) + "\n"


def build() -> int:
    """Build the site; return its status, which is not 0 if a link, a docstring or a page is faulty."""
    write(ROOT / ".site/pages")
    command = [sys.executable, "-m", "mkdocs", "build", "--quiet", "--strict", "--clean"]
    quiet = os.environ | {"NO_MKDOCS_2_WARNING": "1"}  # an announcement of the theme
    return subprocess.run(command, cwd=ROOT, env=quiet, check=False).returncode


if __name__ == "__main__":
    sys.exit(build())
