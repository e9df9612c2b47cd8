"""A server that responds to every documented request with an example of the response's schema."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

from codegen.document import METHODS, Document, load
from codegen.paths import SPEC

SAMPLES: Final = {"string": "string", "integer": 1, "number": 1.5, "boolean": True, "null": None}


@cache
def document() -> Document:
    """Return the document."""
    return Document(load(SPEC))


@cache
def operations() -> list[tuple[str, re.Pattern[str], dict[str, Any]]]:
    """Return the method, the path as a pattern, and the node of each operation."""
    return [
        (method.upper(), re.compile(re.sub(r"\{\w+\}", "[^/]+", path)), item[method])
        for path, item in document().data["paths"].items()
        for method in METHODS
        if method in item
    ]


def example(schema: Any, depth: int = 0) -> Any:
    """Return a value of a schema with all of its properties."""
    schema = document().deref(schema, "#")
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return schema["enum"][0]
    for word in ("oneOf", "anyOf"):
        if word in schema:
            return example(schema[word][0], depth)
    kind = schema.get("type", "object")
    kind = kind[0] if isinstance(kind, list) else kind
    if kind == "object":
        required = schema.get("required", [])
        properties = schema.get("properties", {}).items()
        return {key: example(each, depth + 1) for key, each in properties if key in required or depth < 3}
    if kind == "array":
        return [example(schema.get("items", {"type": "string"}), depth + 1)] if depth < 3 else []
    return "2026-01-01T00:00:00Z" if schema.get("format") == "date-time" else SAMPLES[kind]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def _respond(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        path, query = urlsplit(self.path).path, parse_qs(urlsplit(self.path).query)
        found = [node for method, pattern, node in operations() if method == self.command and pattern.fullmatch(path)]
        unknown = _undocumented(found[0], query, json.loads(body or b"null")) if found else [path]
        if unknown:
            self._send(422, "application/json", json.dumps({"detail": f"not documented: {unknown}"}))
            return
        response = next(each for code, each in found[0]["responses"].items() if code.startswith("2"))
        content = document().deref(response, "#").get("content", {})
        streams = "text/event-stream" in content and json.loads(body or b"{}").get("streaming", True)
        if streams:
            self._send(200, "text/event-stream", "data: [DONE]\n\n")
        else:
            value = example(content["application/json"]["schema"]) if "application/json" in content else None
            self._send(200, "application/json", json.dumps(value))

    def _send(self, status: int, kind: str, text: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(text.encode())))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, format: str, *args: Any) -> None:
        """Write no log."""


def _undocumented(node: dict[str, Any], query: dict[str, Any], body: Any) -> list[str]:
    """Return the query parameters and the keys of the body that an operation does not have."""
    parameters = {document().deref(each, "#")["name"] for each in node.get("parameters", [])}
    content = document().deref(node.get("requestBody", {}), "#").get("content", {})
    schema = document().deref(content.get("application/json", {}).get("schema", {}), "#")
    for each in schema.get("anyOf", []):
        schema = {**schema, **document().deref(each, "#")}
    keys = body.keys() - schema.get("properties", {}).keys() if isinstance(body, dict) else set()
    return sorted({*(query.keys() - parameters), *keys})


for _method in ("GET", "POST", "PUT", "PATCH", "DELETE"):
    setattr(_Handler, f"do_{_method}", _Handler._respond)


@contextmanager
def mock_server() -> Iterator[str]:
    """Run the server on loopback, and yield its base URL."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
