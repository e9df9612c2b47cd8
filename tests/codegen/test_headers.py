"""Header parameters: in requests with a body, through the generated functions and through the client of the library."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from codegen.document import load
from codegen.pipeline import ROOT, SPEC, write_package
from tests.codegen.building import STRING, document, imported, make, obj, operation, responds, takes

TRACE = {"name": "X-Trace", "in": "header", "schema": STRING}
BODY = {"/send": {"post": operation("widgets.send", parameters=[TRACE], requestBody=takes(obj("a", a=STRING)))}}

SCRIPT = """
import asyncio, json, sys, threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from letta_ext import AsyncLetta, Letta, LettaError

seen = []

class Handler(BaseHTTPRequestHandler):
    def do_PATCH(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        seen.append([self.headers.get_all("X-Trace"), json.loads(body)])
        self.send_response(404)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass

server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
address = f"http://127.0.0.1:{server.server_port}"
refused = []

def outcome(call):
    try:
        call()
    except LettaError:
        pass
    except (TypeError, ValueError) as fault:
        refused.append(type(fault).__name__ + ": " + str(fault))

def both(**arguments):
    with Letta(base_url=address, default_headers={"X-Trace": "of the client"}) as client:
        outcome(lambda: client.steps.feedback.create("step-1", feedback="positive", **arguments))

    async def run():
        async with AsyncLetta(base_url=address, default_headers={"X-Trace": "of the client"}) as client:
            await client.steps.feedback.create("step-1", feedback="positive", **arguments)

    outcome(lambda: asyncio.run(run()))

both()
both(x_trace="of the call")
both(x_trace="of the call", extra_headers={"x-trace": "of the caller"})
both(x_trace="two\\nlines")
both(x_trace="\\xe9")
both(x_trace=5)
server.shutdown()
print(json.dumps([seen, refused]))
"""


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Any], list[str]]:
    """Return the requests and errors of a library whose document has a header parameter."""
    data = load(SPEC)
    path = next(path for path in data["paths"] if path.endswith("/feedback"))
    data["paths"][path]["patch"].setdefault("parameters", []).append(TRACE)
    folder = tmp_path_factory.mktemp("library")
    write_package(data, folder / "letta_api", "0" * 64)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(folder), str(ROOT)])}
    done = subprocess.run([sys.executable, "-c", SCRIPT], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    seen, refused = json.loads(done.stdout)
    return seen, refused


def test_client_header_parameter_is_sent_with_the_body(library: tuple[list[Any], list[str]]) -> None:
    """A header parameter overrides the client's header; extra_headers overrides both. Each arrives once."""
    seen, _ = library
    body = {"feedback": "positive"}
    expected = [["of the client"], ["of the call"], ["of the caller"]]
    assert seen == [[values, body] for values in expected for _ in range(2)]


def test_client_invalid_header_parameter_raises(library: tuple[list[Any], list[str]]) -> None:
    """An invalid header value raises an error with the argument's name before sending."""
    _, refused = library
    assert [line.split(":")[0] for line in refused] == ["ValueError"] * 4 + ["TypeError"] * 2
    assert all("x-trace" in line.lower() or "x_trace" in line for line in refused)


def test_request_header_does_not_displace_body(tmp_path: Path) -> None:
    """A request made by position has the same meaning with header parameters in the document and without."""
    package, _ = make(document(paths=BODY), tmp_path)
    with imported(package) as api:
        module = sys.modules[f"{api.__name__}.api.widgets.widgets_send"]
        types = sys.modules[f"{api.__name__}.types"]
        made = module.build_request(a="x", x_trace="t")
        assert made == types.Request("POST", "/send", [], {"a": "x"}, {"X-Trace": "t"})
        assert types.Request("POST", "/send", [], {"a": "x"}).body == {"a": "x"}
        seen: list[httpx.Request] = []

        def handle(request: httpx.Request) -> httpx.Response:
            seen.append(request)
            return httpx.Response(200, json={})

        with httpx.Client(base_url="http://s", transport=httpx.MockTransport(handle)) as client:
            module.sync(client, a="x", x_trace="t")
        assert (seen[0].headers["x-trace"], json.loads(seen[0].content)) == ("t", {"a": "x"})


@pytest.mark.parametrize("name", ["Accept", "content-type", "AUTHORIZATION"])
def test_ignored_header_parameter_is_not_an_argument(name: str, tmp_path: Path) -> None:
    """Headers of media types and security schemes are ignored as parameters."""
    paths = {"/x": {"get": operation(parameters=[TRACE | {"name": name}], responses=responds(STRING))}}
    package, _ = make(document(paths=paths), tmp_path)
    with imported(package) as api:
        module = sys.modules[f"{api.__name__}.api.widgets.widgets_get"]
        assert module.OPERATION.parameters == frozenset()
