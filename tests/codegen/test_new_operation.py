"""Adding operations: with the document alone edited and both packages generated anew, both clients have the methods."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import pytest

from codegen.document import load
from codegen.pipeline import ROOT, SPEC, generate
from tests.codegen.building import STRING, checked, obj, operation, ref, responds, takes

BOXES: Final = [{"id": f"box-{n}", "label": f"number {n}"} for n in range(1, 6)]

EVENTS: Final[list[dict[str, Any]]] = [
    {"message_type": "assistant_message", "id": "message-1", "date": "2026-01-01T00:00:00Z", "content": "hi"},
    {"message_type": "stop_reason", "stop_reason": "end_turn"},
    {"message_type": "usage_statistics", "step_count": 1},
]

CALLS: Final = '''\
"""Calls of a resource that only the edited document defines."""

import asyncio
import json
import sys
from typing import assert_type

from letta_api.models import Box
from letta_ext import AsyncLetta, AsyncPaginator, AsyncStream, Letta, Stream, SyncPage
from letta_ext import AsyncRawResponse, RawResponse


def calls(address: str) -> list[object]:
    with Letta(base_url=address, api_key="key") as client:
        page = client.boxes.list(limit=2)
        assert_type(page, SyncPage[Box])
        box = client.boxes.retrieve("box-3")
        assert_type(box, Box)
        made = client.boxes.create(label="new")
        assert_type(made, Box)
        replaced = client.boxes.replace(body=[made, {"id": "box-7", "label": "newer"}])
        assert_type(replaced, list[Box])
        stream = client.boxes.events.stream("box-1")
        assert_type(stream, Stream)
        watched = client.boxes.watch("box-1")
        assert_type(watched, Box)
        watching = client.boxes.watch("box-1", live=True)
        assert_type(watching, Stream)
        seen = [type(event).__name__ for event in watching]
        refused = ""
        try:
            client.boxes.replace(body=[], extra_body={"a": 1})
        except TypeError as fault:
            refused = str(fault)
        raw = client.boxes.with_raw_response.retrieve("box-3")
        assert_type(raw, RawResponse[Box])
        with client.with_streaming_response.boxes.retrieve("box-3") as unread:
            parsed = unread.parse()
            assert_type(parsed, Box)
        raw_page = client.with_raw_response.boxes.list(limit=2).parse()
        assert_type(raw_page, SyncPage[Box])
        events = [type(event).__name__ for event in stream]
        found: list[object] = [[each.id for each in page], box.label, [each.label for each in replaced], events]
        ids = [each.id for each in raw_page]
        return [*found, raw.http_response.status_code, raw.parse().id, parsed.id, ids, refused, watched.id, seen]


async def async_calls(address: str) -> list[object]:
    async with AsyncLetta(base_url=address, api_key="key") as client:
        page = client.boxes.list(limit=2)
        assert_type(page, AsyncPaginator[Box])
        box = await client.boxes.retrieve("box-3")
        assert_type(box, Box)
        made = await client.boxes.create(label="new")
        assert_type(made, Box)
        replaced = await client.boxes.replace(body=[made, {"id": "box-7", "label": "newer"}])
        assert_type(replaced, list[Box])
        stream = await client.boxes.events.stream("box-1")
        assert_type(stream, AsyncStream)
        watched = await client.boxes.watch("box-1")
        assert_type(watched, Box)
        watching = await client.boxes.watch("box-1", live=True)
        assert_type(watching, AsyncStream)
        seen = [type(event).__name__ async for event in watching]
        refused = ""
        try:
            await client.boxes.replace(body=[], extra_body={"a": 1})
        except TypeError as fault:
            refused = str(fault)
        raw = await client.boxes.with_raw_response.retrieve("box-3")
        assert_type(raw, AsyncRawResponse[Box])
        async with client.with_streaming_response.boxes.retrieve("box-3") as unread:
            parsed = await unread.parse()
            assert_type(parsed, Box)
        raw_page = await (await client.with_raw_response.boxes.list(limit=2)).parse()
        events = [type(event).__name__ async for event in stream]
        found: list[object] = [[each.id async for each in page], box.label, [each.label for each in replaced], events]
        ids = [each.id async for each in raw_page]
        more = [raw.http_response.status_code, (await raw.parse()).id, parsed.id, ids, refused, watched.id, seen]
        return [*found, *more]


if __name__ == "__main__":
    print(json.dumps([calls(sys.argv[1]), asyncio.run(async_calls(sys.argv[1]))]))
'''


def with_boxes() -> dict[str, Any]:
    """The document with one more resource: a list with pages, an item, a new item, all items, and two streams.

    One stream has to be asked for and is resumed by the other.
    """
    data = load(SPEC)
    id_ = {"name": "box_id", "in": "path", "required": True, "schema": STRING}
    queries = {"after": STRING, "before": STRING, "limit": {"type": "integer"}, "order": {"enum": ["asc", "desc"]}}
    page = {
        "cursor": "id",
        "item-key": ["id"],
        **{word: word for word in queries},
        "default-order": "asc",
        "cursor-order": "order",
        "limit-unit": "items",
        "post-filters": [],
    }
    data["components"]["schemas"]["Box"] = obj("id label", id=STRING, label=STRING) | {"title": "Box"}
    data["paths"]["/v1/boxes"] = {
        "get": operation(
            "boxes.list",
            tags=["boxes"],
            parameters=[{"name": name, "in": "query", "schema": each} for name, each in queries.items()],
            responses=responds({"type": "array", "items": ref("Box")}),
        )
        | {"x-letta-pagination": page, "x-letta-idempotency": "idempotent"},
        "post": operation("boxes.create", tags=["boxes"], requestBody=takes(obj("label", label=STRING)))
        | {"responses": responds(ref("Box"))},
        "put": operation("boxes.replace", tags=["boxes"], requestBody=takes({"type": "array", "items": ref("Box")}))
        | {"responses": responds({"type": "array", "items": ref("Box")})},
    }
    get = operation("boxes.retrieve", tags=["boxes"], parameters=[id_], responses=responds(ref("Box")))
    data["paths"]["/v1/boxes/{box_id}"] = {"get": get | {"x-letta-idempotency": "idempotent"}}
    event = ref("StreamEvent")
    behind = takes(obj(run_id=STRING, starting_after={"type": "integer"})) | {"required": False}
    stream = operation("boxes.events.stream", tags=["boxes.events"], parameters=[id_], requestBody=behind)
    data["paths"]["/v1/boxes/{box_id}/events"] = {
        "post": stream
        | {
            "responses": {"200": {"description": "events", "content": {"text/event-stream": {"schema": event}}}},
            "x-letta-streaming": {
                "event": event["$ref"],
                "terminator": "[DONE]",
                "resume-operation": "boxes.events.stream",
            },
        }
    }
    live = takes(obj(live={"type": "boolean"})) | {"required": False}
    watch = operation("boxes.watch", tags=["boxes"], parameters=[id_], requestBody=live, responses=responds(ref("Box")))
    watch["x-letta-idempotency"] = "idempotent"
    watch["responses"]["200"]["content"]["text/event-stream"] = {"schema": event}
    facts = {"event": event["$ref"], "stream-condition": "live", "default": False, "terminator": "[DONE]"}
    data["paths"]["/v1/boxes/{box_id}/watch"] = {
        "post": watch | {"x-letta-streaming": {**facts, "resume-operation": "boxes.events.stream"}}
    }
    return data


class _Boxes(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        url = urlsplit(self.path)
        if url.path != "/v1/boxes":
            return self._answer(next(box for box in BOXES if box["id"] == url.path.rpartition("/")[2]))
        query = {key: values[0] for key, values in parse_qs(url.query).items()}
        start = [box["id"] for box in BOXES].index(query["after"]) + 1 if "after" in query else 0
        return self._answer(BOXES[start : start + int(query["limit"])])

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path.endswith("/watch"):
            if not json.loads(body or b"{}").get("live"):
                return self._answer(BOXES[0])
            first = {**EVENTS[0], "run_id": "run-1", "seq_id": 1}
            return self._answer(f"data: {json.dumps(first)}\n\n".encode(), "text/event-stream")  # and no end
        if not self.path.endswith("/events"):
            return self._answer({"id": "box-6", **json.loads(body)})
        events = "".join(f"data: {json.dumps(event)}\n\n" for event in EVENTS) + "data: [DONE]\n\n"
        return self._answer(events.encode(), "text/event-stream")

    def do_PUT(self) -> None:
        self._answer(self.rfile.read(int(self.headers["Content-Length"])))

    def _answer(self, value: Any, kind: str = "application/json") -> None:
        body = value if isinstance(value, bytes) else json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Print nothing."""


@pytest.fixture
def address() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Boxes) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of both packages with regenerated modules."""
    folder = tmp_path_factory.mktemp("tree")
    skip = shutil.ignore_patterns("__pycache__", "resources")
    shutil.copytree(ROOT / "letta_ext", folder / "letta_ext", ignore=skip)
    (folder / "openapi.yaml").write_text(json.dumps(with_boxes()), encoding="utf-8")
    generate(folder / "openapi.yaml", folder / "letta_api", folder / "letta_ext" / "resources")
    (folder / "calls.py").write_text(CALLS, encoding="utf-8")
    return folder


def test_new_operations_are_methods_of_both_clients(tree: Path, address: str) -> None:
    """Both clients list, retrieve, create and stream, with raw variants, from the document alone."""
    done = subprocess.run(
        [sys.executable, "calls.py", address],
        cwd=tree,
        env=os.environ | {"PYTHONPATH": str(tree)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    ids, events = [box["id"] for box in BOXES], ["AssistantMessage", "LettaStopReason", "LettaUsageStatistics"]
    refused = "extra_body is not supported: the body of boxes.replace() is not an object. Omit it."
    resumed = [events[0], *events]  # the events of the second stream have no numbers: none is a repetition
    side = [ids, "number 3", ["new", "newer"], events, 200, "box-3", "box-3", ids, refused, "box-1", resumed]
    assert json.loads(done.stdout) == [side, side]


@pytest.mark.stress
@pytest.mark.parametrize("tool", ["mypy", "pyright"])
def test_new_operations_are_typed(tool: str, tree: Path) -> None:
    """Strict type checkers know the types of the arguments, items, events and raw responses of new operations."""
    checked(tool, tree, "calls.py", "letta_ext/resources", "letta_api")
