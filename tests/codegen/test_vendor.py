"""A vendored copy works with attrs and httpx alone, checks itself and reports when it is stale."""

from __future__ import annotations

import ast
import json
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from codegen.__main__ import main
from codegen.pipeline import OUT
from tests.codegen.building import stress_in_full

PACKAGE = "acme.clients.letta"
STEP = {"id": "step-1", "status": "success"}

SERVICE = f'''\
"""A service that has vendored the client."""

import sys

import httpx

from {PACKAGE} import models
from {PACKAGE}.api.steps import steps_retrieve


def step(server: str, step_id: str) -> models.Step:
    with httpx.Client(base_url=server) as client:
        return steps_retrieve.sync(client, step_id)


if __name__ == "__main__":
    found = step(sys.argv[1], sys.argv[2])
    print(found.id, found.status)
    needed = {{name.split(".")[0] for name in sys.modules}}
    print(sorted(needed & {{"letta_api", "letta_ext", "codegen", "openapi_python_client", "pydantic"}}))
'''


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        found = self.path == "/v1/steps/step-1"
        body = json.dumps(STEP if found else {"detail": "no"}).encode()
        self.send_response(200 if found else 404)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Print nothing."""


@pytest.fixture
def server() -> Iterator[str]:
    httpd = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=httpd.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{httpd.server_port}"
    httpd.shutdown()
    thread.join()
    httpd.server_close()


@pytest.fixture
def service(tmp_path: Path) -> Path:
    (tmp_path / "service.py").write_text(SERVICE)
    assert main(["vendor", str(tmp_path), "--package", PACKAGE]) == 0
    return tmp_path


def copy_of(service: Path) -> Path:
    return service.joinpath(*PACKAGE.split("."))


def run(service: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=service, capture_output=True, text=True, check=False)


def test_vendored_client_sends_requests(service: Path, server: str) -> None:
    """A vendored client decodes responses and raises error responses."""
    done = run(service, "service.py", server, "step-1")
    assert done.stdout.splitlines() == ["step-1 success", "[]"], done.stderr
    refused = run(service, "service.py", server, "step-2")
    assert "the server returned 404" in refused.stderr


def test_vendored_copy_imports_only_attrs_and_httpx(service: Path) -> None:
    """A vendored copy imports only attrs, httpx and the standard library."""
    needed = set()
    for path in copy_of(service).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                needed |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                needed.add(str(node.module).split(".")[0])
    assert needed - sys.stdlib_module_names == {"attrs", "httpx"}


@stress_in_full
def test_vendored_copy_passes_strict_mypy(service: Path) -> None:
    """A vendored copy passes strict mypy."""
    pytest.importorskip("mypy")
    done = run(service, "-m", "mypy", "--strict", "--no-incremental", "--explicit-package-bases", "--config-file=", ".")
    assert done.returncode == 0, done.stdout


def test_vendored_copy_checks_itself_without_dependencies(service: Path) -> None:
    """A vendored copy checks itself with only the standard library."""
    # -S: nothing that was installed can be imported.
    done = run(service, "-S", "-m", PACKAGE, "--check")
    assert (done.returncode, done.stdout) == (0, "all files are unchanged\n"), done.stderr
    assert run(service, "-S", "-m", PACKAGE).returncode == 2


@pytest.mark.parametrize("name", ["types.py", "models/step.py", "__main__.py", "py.typed", "api/steps/__init__.py"])
def test_vendor_check_reports_edited_file(service: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A file with one changed byte is reported as edited."""
    path = copy_of(service) / name
    path.write_bytes(path.read_bytes() + b" ")
    done = run(service, "-S", "-m", PACKAGE, "--check")
    assert done.returncode == 1
    assert f"{name}: edited" in done.stdout.splitlines()
    capsys.readouterr()
    assert main(["vendor", "--check", str(service)]) == 1
    assert f"{name}: edited" in capsys.readouterr().out


def test_vendor_check_reports_missing_and_foreign_files(service: Path) -> None:
    """Missing and foreign files are reported."""
    (copy_of(service) / "errors.py").unlink()
    (copy_of(service) / "models" / "mine.py").write_text("")
    done = run(service, "-S", "-m", PACKAGE, "--check")
    assert "errors.py: missing" in done.stdout
    assert "models/mine.py: not part of the copy" in done.stdout


def test_vendor_check_ignores_line_endings(service: Path) -> None:
    """CRLF line endings are not a difference."""
    for path in copy_of(service).rglob("*.py"):
        path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert run(service, "-S", "-m", PACKAGE, "--check").returncode == 0
    assert main(["vendor", "--check", str(service)]) == 0


def test_vendor_check_invalid_manifest_ends_with_status_two(service: Path) -> None:
    """An invalid manifest ends with status 2."""
    (copy_of(service) / "manifest.json").write_text("{")
    done = run(service, "-S", "-m", PACKAGE, "--check")
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert main(["vendor", "--check", str(service), "--package", PACKAGE]) == 2


def test_vendor_check_reports_stale_copy(service: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A copy of an older package is reported as stale."""
    assert main(["vendor", "--check", str(service)]) == 0
    newer = tmp_path / "newer" / "letta_api"
    spec = tmp_path / "openapi.json"
    spec.write_text('{"openapi": "3.1.0", "info": {"title": "T", "version": "2"}}')
    assert main(["generate", "--spec", str(spec), "--out", str(newer)]) == 0
    capsys.readouterr()
    assert main(["vendor", "--check", str(copy_of(service)), "--source", str(newer)]) == 1
    printed = capsys.readouterr().out
    assert "stale: made from another version of the document" in printed
    assert "steps_list.py: stale: gone in this checkout" in printed


def test_vendor_force_replaces_only_copies(service: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """--force replaces an edited copy and never a foreign folder."""
    (copy_of(service) / "types.py").write_text("edited")
    assert main(["vendor", str(service), "--package", PACKAGE]) == 2
    assert (copy_of(service) / "types.py").read_text() == "edited"
    assert main(["vendor", str(service), "--package", PACKAGE, "--force"]) == 0
    assert main(["vendor", "--check", str(service), "--package", PACKAGE]) == 0
    mine = service / "acme" / "mine"
    mine.mkdir()
    (mine / "x.py").write_text("")
    assert main(["vendor", str(service), "--package", "acme.mine"]) == 2
    assert "were not generated" in capsys.readouterr().err
    assert [path.name for path in mine.iterdir()] == ["x.py"]


@pytest.mark.parametrize("name", ["", "a..b", "../x", "a/b", "a-b", "1a", ".a"])
def test_vendor_invalid_package_name_is_refused(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An invalid package name is refused."""
    assert main(["vendor", str(tmp_path / "x"), "--package", name]) == (2 if name else 0)
    assert ("must be a dotted name" in capsys.readouterr().err) == bool(name)
    assert not (tmp_path / "x").exists() or not name


def test_vendor_edited_source_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An edited source package is not copied."""
    source = tmp_path / "letta_api"
    shutil.copytree(OUT, source)
    (source / "types.py").write_text("edited")
    assert main(["vendor", str(tmp_path / "x"), "--source", str(source)]) == 2
    assert "types.py: edited" in capsys.readouterr().err
