"""The built distributions work without the checkout."""

from __future__ import annotations

import email
import re
import subprocess
import sys
import tarfile
import venv
import zipfile
from collections.abc import Iterator
from email.message import Message
from pathlib import Path

import pytest

from letta_ext._version import __version__

ROOT = Path(__file__).parents[2]
STEM = f"letta_ext-{__version__}"

CALL = """
import json, threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from letta_ext import Letta

class Server(BaseHTTPRequestHandler):
    def do_GET(self):
        body = json.dumps({"status": "ok", "version": "1"}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass

server = HTTPServer(("127.0.0.1", 0), Server)
threading.Thread(target=server.serve_forever, daemon=True).start()
with Letta(base_url=f"http://127.0.0.1:{server.server_port}") as client:
    print(client.health().status)
"""


def run(*command: str | Path, cwd: Path) -> str:
    """Run a command outside the checkout and return its output."""
    done = subprocess.run([str(part) for part in command], cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def distributions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sdist and the wheel that was built from it."""
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--outdir", folder, ROOT, cwd=folder)
    return folder


@pytest.fixture(scope="module")
def source(distributions: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The unpacked sdist."""
    folder = tmp_path_factory.mktemp("source")
    with tarfile.open(distributions / f"{STEM}.tar.gz") as archive:
        archive.extractall(folder, filter="data")
    return folder / STEM


@pytest.fixture(scope="module")
def wheel(distributions: Path) -> Iterator[zipfile.ZipFile]:
    """The opened wheel."""
    with zipfile.ZipFile(distributions / f"{STEM}-py3-none-any.whl") as archive:
        yield archive


@pytest.fixture(scope="module")
def metadata(wheel: zipfile.ZipFile) -> Message:
    """The metadata of the wheel."""
    return email.message_from_bytes(wheel.read(f"{STEM}.dist-info/METADATA"))


@pytest.fixture(scope="module")
def installed(distributions: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an empty environment with the wheel and its runtime dependencies."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=True)
    python = folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    run(python, "-m", "pip", "install", "-q", distributions / f"{STEM}-py3-none-any.whl", cwd=folder)
    return python


def test_sdist_regenerates_every_generated_file(source: Path) -> None:
    """The generator of the sdist writes the files that the sdist has, byte for byte."""
    assert "0 differences" in run(sys.executable, "-m", "codegen", "check", cwd=source)


def test_wheel_has_each_module_of_the_checkout(wheel: zipfile.ZipFile) -> None:
    """The wheel that is built from the sdist has each committed file of its packages."""
    listed = run("git", "ls-files", "letta_ext", "generated/letta_api", cwd=ROOT).splitlines()
    expected = {name.removeprefix("generated/") for name in listed} | {"letta_ext_pytest.py"}
    names = set(wheel.namelist())
    assert expected <= names
    unexpected = {name for name in names - expected if not name.startswith(f"{STEM}.dist-info/")}
    assert unexpected == {"letta_ext/testing/openapi.yaml"}


def test_wheel_is_typed(wheel: zipfile.ZipFile) -> None:
    """Both packages have a marker for type checkers."""
    assert {"letta_ext/py.typed", "letta_api/py.typed"} <= set(wheel.namelist())


def test_description_has_absolute_links_only(distributions: Path, metadata: Message) -> None:
    """A package index renders the description, and each of its links has a host."""
    description = metadata.get_payload()
    assert isinstance(description, str)
    links = re.findall(r"\]\(([^)]+)\)", description)
    assert links
    assert [link for link in links if not link.startswith("https://")] == []
    run(sys.executable, "-m", "twine", "check", "--strict", *distributions.iterdir(), cwd=distributions)


def test_extras_are_those_of_users(metadata: Message) -> None:
    """The wheel has no extra for maintainers."""
    assert set(metadata.get_all("Provides-Extra", [])) == {"aiohttp", "cli", "export", "otel", "report", "testing"}


def test_installed_wheel_sends_request(installed: Path, tmp_path: Path) -> None:
    """The wheel sends a request with its runtime dependencies alone, which do not conflict."""
    assert run(installed, "-W", "error", "-c", CALL, cwd=tmp_path) == "ok\n"
    run(installed, "-m", "pip", "check", cwd=tmp_path)


def test_installed_wheel_names_missing_extra(installed: Path, tmp_path: Path) -> None:
    """Without the extra `testing`, the embedded server names the command that installs it."""
    command = [str(installed), "-c", "import letta_ext.testing; letta_ext.testing.EmbeddedServer"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "pip install 'letta-ext[testing]'" in done.stderr.replace('"', "'")
