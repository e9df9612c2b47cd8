"""Every task a person runs: `nox -l` lists them, `nox -s NAME` runs one."""

from __future__ import annotations

import os
import shutil
import subprocess
import tomllib
from pathlib import Path

import nox

ROOT = Path(__file__).parent
PYTHONS = ["3.11", "3.12", "3.13", "3.14"]

SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]
TEST_PATHS = SETTINGS["pytest"]["ini_options"]["testpaths"]

nox.needs_version = ">=2024.10"
nox.options.default_venv_backend = "venv"
nox.options.error_on_missing_interpreters = False  # the tests run on every Python that is there
nox.options.sessions = ["tests", "lint", "types", "lowest", "check_generated"]


def offer_every_pyenv_version() -> None:
    """Lets `python3.12` and the like be found where pyenv has them: by itself it offers the selected version only."""
    pyenv = shutil.which("pyenv")
    if pyenv is None or "PYENV_VERSION" in os.environ:
        return

    def ask(*command: str) -> list[str]:
        return subprocess.run([pyenv, *command], capture_output=True, text=True, check=False).stdout.split()

    wanted = tuple(f"{python}." for python in PYTHONS)
    others = [version for version in ask("versions", "--bare") if version.startswith(wanted)]
    os.environ["PYENV_VERSION"] = ":".join(dict.fromkeys([*ask("version-name"), *others]))


offer_every_pyenv_version()


def install(session: nox.Session, extras: str, *more: str) -> None:
    """Installs this project as a user would have it, but from the files that lie here."""
    session.install("-q", "-e", f".[{extras}]", *more)


@nox.session
def demo(session: nox.Session) -> None:
    """The main job: regenerates the package, starts an embedded server, has a streamed talk with its agent."""
    install(session, "testing,codegen")
    session.run("python", "-m", "codegen", "generate")
    session.run("python", "examples/tour.py", *session.posargs)


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """Run the tests on each Python that is installed. They need no network and start the servers that they need.

    The lowest Python runs all of them. The others leave out the slow ones, and of those of the generator run the ones
    that show that it writes the same text on each; what it writes runs in `tests/generated`.
    """
    install(session, "test")
    part = ["-m", "not stress"]
    if session.python != PYTHONS[0]:
        others = [path for path in TEST_PATHS if path != "tests/codegen"]
        part = ["-m", "not stress and not slow", *others, "tests/codegen/test_golden.py"]
    session.run("pytest", "-n", "auto", *part, *session.posargs)


@nox.session(python="3.11")
def lowest(session: nox.Session) -> None:
    """The tests of the library on the lowest versions of its dependencies that are allowed."""
    # httpx 0.27.0 has no extra for zstd.
    tools = ["pytest", "pytest-xdist", "hypothesis", "trio", "trustme", "httpx[brotli,http2,socks]", "zstandard"]
    session.install("-q", "-e", ".[testing]", "-c", "constraints/lowest.txt", *tools)
    # Not what needs more to test with.
    aside = [f"--ignore=tests/embedded_server/test_{name}.py" for name in ("published_client", "schemathesis")]
    part = [
        "-n",
        "auto",
        "-m",
        "not stress and not slow",
        "tests/client",
        "tests/generated",
        "tests/embedded_server",
        *aside,
    ]
    session.run("pytest", *part, *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    """Style, of all that people write."""
    install(session, "codegen")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")


@nox.session
def types(session: nox.Session) -> None:
    """Strict mypy and strict pyright, on all that ships and on what uses it."""
    install(session, "lint")
    session.run("mypy", "letta_ext", "letta_ext_pytest.py", "codegen", "tests", "noxfile.py", "examples")
    session.run("mypy", "generated/letta_api")
    session.run("pyright")


@nox.session
def generate(session: nox.Session) -> None:
    """Makes generated/letta_api from spec/openapi.yaml."""
    install(session, "codegen")
    session.run("python", "-m", "codegen", "generate", *session.posargs)


@nox.session
def check_generated(session: nox.Session) -> None:
    """Fails where generated/letta_api is not what the generator makes of spec/openapi.yaml."""
    install(session, "codegen")
    session.run("python", "-m", "codegen", "check", *session.posargs)


@nox.session
def diff(session: nox.Session) -> None:
    """Says what differs between two documents: `nox -s diff -- OLD [NEW]`; without arguments, from HEAD to the file."""
    install(session, "codegen")
    session.run("python", "-m", "codegen", "diff", *(session.posargs or ["HEAD"]))


@nox.session
def vendor(session: nox.Session) -> None:
    """Copies the package into another code base: `nox -s vendor -- DEST --package a.b.c`; `--check` checks a copy."""
    install(session, "codegen")
    session.run("python", "-m", "codegen", "vendor", *session.posargs)


@nox.session
def stress(session: nox.Session) -> None:
    """The long figures: every cut, every walk, every leave. `-- PATH` runs those of a path.

    LETTA_STRESS=sample takes a sample of each, the same each time. Those of a real server come too where
    LETTA_LIVE_BASE_URL is set.
    """
    # With the type checkers, which whole generated packages have to pass, and what docs/reliability.md compares with.
    install(session, "lint", "letta-client==1.12.1")
    paths = session.posargs or ["tests"]
    aside = () if os.environ.get("LETTA_LIVE_BASE_URL") else ("--ignore=tests/integration",)
    env = {"LETTA_STRESS": os.environ.get("LETTA_STRESS", "full")}
    session.run("pytest", "-s", "-m", "stress", *paths, *aside, env=env)


@nox.session
def bench(session: nox.Session) -> None:
    """Speed and memory against other clients; writes tables and plots into docs/. `-- --quick` takes a sample."""
    install(session, "bench")
    session.run("python", "-m", "tests.bench", *(session.posargs or ["--write"]))


@nox.session
def integration(session: nox.Session) -> None:
    """The tests against a real Letta server, whose address is in LETTA_LIVE_BASE_URL."""
    if not os.environ.get("LETTA_LIVE_BASE_URL"):
        session.skip("LETTA_LIVE_BASE_URL is not set: it names the real Letta server to test against")
    install(session, "test")
    session.run("pytest", "-m", "not stress", "tests/integration", *session.posargs)
