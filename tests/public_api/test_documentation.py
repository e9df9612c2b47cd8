"""Tests of the README and of the pages in `docs/`: every example runs as pasted, every link leads somewhere."""

from __future__ import annotations

import ast
import dataclasses
import logging
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import cache
from inspect import Parameter, signature
from pathlib import Path
from typing import Any, Final, get_args

import attrs
import pytest

import letta_ext
from letta_api.operations import OPERATIONS
from letta_ext import BusyPolicy, Hooks, Letta, RequestOptions, ResponseLimits, RetryPolicy, StreamLimits, errors
from letta_ext.report import ModelPrice, ReportLimits, write_report
from letta_ext.resources.conversations import ConversationsMessages
from letta_ext.testing import EmbeddedServer, Fault, Turn

ROOT: Final = Path(__file__).parents[2]
PAGES: Final = ["README.md", *sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "docs").glob("*.md"))]
LINKING: Final = [*PAGES, "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "codegen/README.md", "spec/README.md"]
FENCE: Final = re.compile(r'^```(\w+)(?: title="([^"]+)")?\n(.*?)^```$', re.MULTILINE | re.DOTALL)
LINK: Final = re.compile(r"\]\(([^)\s]+)\)")
TEST: Final = re.compile(r"(?<![\w/.])((?:\w+/)*\w+\.py)(?:::(\w+))?")
UNRELATED: Final = ("schemathesis", "hypothesispytest", "cacheprovider", "xdist")
"""Plugins of pytest that the examples do not need."""

DEMO: Final = "python3 -m venv .venv && .venv/bin/pip install -q nox && .venv/bin/nox -s demo\n"
TESTS: Final = DEMO.replace("demo", "tests")


def read(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def fences(page: str) -> list[tuple[str, str, str, int]]:
    """Return the language, the title, the code and the first line of each code block of a page."""
    text = read(page)
    return [(found[1], found[2] or "", found[3], text[: found.start(3)].count("\n")) for found in FENCE.finditer(text)]


def examples() -> list[tuple[str, int, str, str | None]]:
    """Return the page, the line, the code and the documented output of each Python example."""
    found: list[tuple[str, int, str, str | None]] = []
    for page in PAGES:
        blocks = fences(page)
        outputs = [code if title == "Output" else None for _, title, code, _ in blocks]
        for (language, _, code, line), output in zip(blocks, [*outputs[1:], None], strict=False):
            if language == "python":
                found.append((page, line, code, output))
    return found


EXAMPLES: Final = examples()
SCRIPTS: Final = [pytest.param(*each, id=f"{each[0]}:{each[1]}") for each in EXAMPLES if "def test_" not in each[2]]


def write_files(page: str, folder: Path) -> None:
    """Write the files that a page shows under the names that it gives them."""
    for _, title, code, _ in fences(page):
        if re.fullmatch(r"[\w-]+\.\w+", title):
            (folder / title).write_text(code, encoding="utf-8")


@pytest.fixture(autouse=True)
def _logging_is_restored() -> Iterator[None]:
    """Restore the levels and handlers of loggers, which an example may configure."""
    loggers = [logging.getLogger(name) for name in (None, "httpx", "letta_ext")]
    saved = [(logger.level, [*logger.handlers]) for logger in loggers]
    yield
    for logger, (level, handlers) in zip(loggers, saved, strict=True):
        logger.setLevel(level)
        logger.handlers[:] = handlers


@pytest.mark.parametrize(("page", "line", "code", "output"), SCRIPTS)
def test_example_runs_in_an_empty_module(
    page: str,
    line: int,
    code: str,
    output: str | None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """An example needs nothing but its own lines, and prints the output that the page shows."""
    write_files(page, tmp_path)
    monkeypatch.chdir(tmp_path)
    with EmbeddedServer() as server:
        monkeypatch.setenv("LETTA_BASE_URL", server.base_url)
        monkeypatch.delenv("LETTA_API_KEY", raising=False)
        lines = "\n" * line  # tracebacks name the line of the page
        exec(compile(lines + code, page, "exec"), {"__name__": "__main__"})  # noqa: S102  # pages of this repository
    printed = capsys.readouterr().out
    if output is not None:
        assert [each.rstrip() for each in printed.splitlines()] == output.splitlines()


@pytest.mark.slow
def test_examples_for_pytest_pass(tmp_path: Path) -> None:
    """The examples that define tests pass with the fixtures of the plugin."""
    count = 0
    for number, (page, _, code, _) in enumerate(EXAMPLES):
        if "def test_" in code:
            write_files(page, tmp_path)
            (tmp_path / f"test_example_{number}.py").write_text(code, encoding="utf-8")
            count += len(re.findall(r"^(?:async )?def test_", code, re.MULTILINE))
    assert count >= 3
    without = [argument for name in UNRELATED for argument in ("-p", f"no:{name}")]
    command = [sys.executable, "-m", "pytest", "-q", "-W", "error", *without, str(tmp_path)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert f"{count} passed" in done.stdout, done.stdout


def named_in_first_column(page: str, heading: str) -> set[str]:
    """Return the names in the first column of the table whose first column has this heading."""
    _, found, rest = read(page).partition(f"| {heading} |")
    assert found, heading
    rows = [line.split("|")[1].strip() for line in rest.partition("\n\n")[0].splitlines()[2:]]
    return {name.strip("`") for row in rows if re.fullmatch(r"`\w+`(, `\w+`)*", row) for name in row.split(", ")}


def parameters(function: Callable[..., Any]) -> set[str]:
    kinds = (Parameter.POSITIONAL_ONLY, Parameter.VAR_KEYWORD)
    found = {name for name, each in signature(function).parameters.items() if each.kind not in kinds}
    return found - {"self", "conversation_id"}


def fields(cls: type[Any]) -> set[str]:
    return set(attrs.fields_dict(cls)) if attrs.has(cls) else {each.name for each in dataclasses.fields(cls)}


@pytest.mark.parametrize(
    ("page", "heading", "names"),
    [
        ("docs/configuration.md", "option of `Letta`", parameters(Letta.__init__)),
        ("docs/configuration.md", "option of a request", set(RequestOptions.__annotations__)),
        ("docs/configuration.md", "field of `ResponseLimits`", fields(ResponseLimits)),
        ("docs/configuration.md", "hook", fields(Hooks)),
        ("docs/streaming.md", "field of `StreamLimits`", fields(StreamLimits)),
        ("docs/retries.md", "field of `RetryPolicy`", fields(RetryPolicy)),
        ("docs/retries.md", "field of `BusyPolicy`", fields(BusyPolicy)),
        ("docs/follow.md", "option of `follow`", parameters(ConversationsMessages.follow)),
        ("docs/tools.md", "option of `run_tools`", {*parameters(ConversationsMessages.run_tools), "background"}),
        ("docs/report.md", "option of `write_report`", parameters(write_report) - {"client", "path"}),
        ("docs/report.md", "field of `ModelPrice`", fields(ModelPrice)),
        ("docs/report.md", "field of `ReportLimits`", fields(ReportLimits)),
        ("docs/testing.md", "option of `EmbeddedServer`", parameters(EmbeddedServer.__init__)),
        ("docs/testing.md", "field of `Turn`", fields(Turn)),
    ],
)
def test_options_table_is_complete(page: str, heading: str, names: set[str]) -> None:
    """A table of options has a row for each option that there is, and no other."""
    assert named_in_first_column(page, heading) == names


def test_table_of_faults_is_complete() -> None:
    """The table of faults has each fault that can be injected."""
    _, _, table = read("docs/testing.md").partition("| fault | effect |")
    shown = set(re.findall(r"`(\w+)\(", table.partition("\n\n")[0]))
    assert shown >= {each.__name__ for each in get_args(Fault)}


def test_tree_of_exceptions_is_complete() -> None:
    """The table of exceptions has each exception that the library exports."""
    _, _, table = read("docs/errors.md").partition("| exception | raised when |")
    shown = set(re.findall(r"`(\w+)` \|", table.partition("\n\n")[0]))
    assert shown >= {each.__name__ for each in vars(errors).values() if isinstance(each, type)} & set(letta_ext.__all__)


def test_table_of_methods_has_each_operation() -> None:
    """The table of methods in the quickstart shows each operation."""
    table = read("docs/quickstart.md").partition("## Methods")[2].partition("## ")[0]
    for operation in OPERATIONS:
        resource, _, method = operation.rpartition(".")
        name = rf"{re.escape(resource)}\.{method}\(" if resource else rf"`{method}\("
        row = rf"`{re.escape(resource)}\.\w+\(.*`\.{method}\("
        assert re.search(f"{name}|{row}", table), operation


def anchors(page: Path) -> set[str]:
    """Return the fragments that the headings of a page can be linked by."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", LINKING)
def test_relative_link_leads_to_a_file_and_a_heading(page: str) -> None:
    """A link to a file of the repository names one that exists, and a fragment names one of its headings."""
    for link in LINK.findall(read(page)):
        if link.startswith(("http://", "https://")):
            continue
        name, _, fragment = link.partition("#")
        target = (ROOT / page).parent / name if name else ROOT / page
        assert target.exists(), link
        if fragment:
            assert fragment in anchors(target), link


def test_readme_begins_with_the_commands_and_shows_python_early() -> None:
    """The first two shell blocks are the demo and the tests, and the first Python is within 35 lines."""
    blocks = fences("README.md")
    assert [code for language, _, code, _ in blocks if language == "sh"][:2] == [DEMO, TESTS]
    assert next(line for language, _, _, line in blocks if language == "python") <= 35
    assert len(read("README.md").splitlines()) <= 150


def measured(name: str) -> tuple[float, dict[str, float]]:
    """Return the figure of a row of the benchmarks, and the value of each implementation."""
    [row] = [line for line in read("docs/benchmarks.md").splitlines() if line.startswith(f"| {name} |")]
    cells = row.split(" | ")
    found = re.findall(r"([a-z][a-z -]*[a-z]) ([\d.,]+)", cells[-1])
    values = {key: float(value.replace(",", "")) for key, value in found}
    return float(cells[1].split("x")[0]), {**values, "letta_ext": float(cells[-2].split()[0])}


def test_readme_has_the_figures_of_the_benchmarks() -> None:
    """The figures of the comparison in the README are those of the table that the benchmark writes."""
    text = read("README.md")
    for name, row in (("decode a stream event", "a stream event"), ("decode a step", "a step")):
        figure, values = measured(row)
        theirs, ours = values["letta-client"], values["letta_ext"]
        assert f"| {name} | {theirs:.1f} µs | {ours:.2f} µs ({int(figure)} times faster) |" in text
    figure, values = measured("one small call over loopback")
    assert f"relative to httpx | {values['letta-client'] / values['httpx']:.2f} | {figure:.2f} |" in text
    values = measured("import the client")[1]
    assert f"| import the client | {values['letta-client']:.0f} ms | {values['letta_ext']:.0f} ms |" in text


def test_readme_links_to_every_page() -> None:
    """The documentation index of the README is complete."""
    missing = [page for page in PAGES if page != "README.md" and f"]({page})" not in read("README.md")]
    assert missing == []


@pytest.mark.parametrize("page", ["docs/architecture.md", "spec/README.md"])
def test_named_path_exists(page: str) -> None:
    """Each path of the repository that the page names in backticks exists."""
    named = re.findall(r"`((?:letta_ext|codegen|generated|spec|tests)/[\w./-]+)`", read(page))
    assert len(named) >= 3
    assert [path for path in named if not (ROOT / path).exists()] == []


def test_architecture_names_functions_and_classes_that_exist() -> None:
    """The names in parentheses after a path are defined, or are keys, in that file."""
    found = re.findall(
        r"`((?:letta_ext|codegen|spec)/[\w./-]+)` \(((?:`[\w.-]+`(?:, )?)+)\)", read("docs/architecture.md")
    )
    named = [(path, name) for path, names in found for name in re.findall(r"`([\w.-]+)`", names)]
    assert len(named) >= 5
    for path, name in named:
        assert re.search(rf"\b{re.escape(name.rpartition('.')[2])}\b", read(path)), f"{path}: {name}"


@cache
def defined(file: Path) -> set[str]:
    return {node.name for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))) if hasattr(node, "name")}


def test_reliability_page_names_tests_that_exist() -> None:
    """Each test that the fault tables name is a function of the file that they name."""
    missing: list[str] = []
    count = 0
    for line in read("docs/reliability.md").splitlines():
        if not line.startswith("| ") or line.count("|") < 5:
            continue
        for cell in line.split("|")[3:]:
            for name, function in TEST.findall(cell):
                count += 1
                file = ROOT / "tests" / name
                if not file.is_file() or (function and function not in defined(file)):
                    missing.append(f"{name}::{function}")
    assert count > 80
    assert missing == []
