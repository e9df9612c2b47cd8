"""Bodies and responses of other content types, several success codes, and event streams without extensions."""

from __future__ import annotations

import asyncio
import io
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import httpx
import pytest

from codegen.errors import SpecError
from codegen.paths import MIXINS
from codegen.pipeline import read
from codegen.resources import read_resources
from tests.codegen.building import (
    STRING,
    Schema,
    checked,
    document,
    imported,
    make,
    obj,
    operation,
    ref,
    stress_in_full,
    takes,
)

FILE: Final[Schema] = {"type": "string", "format": "binary"}
A, B = obj("x", x=STRING), obj("y", y={"type": "string", "format": "date-time"})
FORM = obj("name", name=STRING, tags={"type": "array", "items": STRING}, size={"type": "integer"}, a=ref("A"))
UPLOAD = FORM | {
    "properties": FORM["properties"] | {"file": FILE, "files": {"type": "array", "items": FILE}},
    "required": ["file"],
}


def replies_with(**codes: Any) -> dict[str, Any]:
    """Return the responses of an operation: their content by status code, such as `_200`."""
    return {
        code.strip("_"): {"description": "", **({} if content is None else {"content": content})}
        for code, content in codes.items()
    }


def json(schema: Any, media: str = "application/json") -> dict[str, Any]:
    """Return the content of JSON."""
    return {media: {"schema": schema}}


def sends(media: str, schema: Any, *, required: bool = True) -> dict[str, Any]:
    """Return a request body of one content type."""
    return {"requestBody": {"required": required, "content": {media: {"schema": schema}}}}


OPERATIONS: Final[dict[str, dict[str, Any]]] = {
    "codes.same": {"responses": replies_with(_200=json(ref("A")), _201=json(ref("A")))},
    "codes.empty": {"responses": replies_with(_200=json(ref("A")), _204=None)},
    "codes.differ": {"responses": replies_with(_200=json(ref("A")), _202=json(ref("B")), _204=None)},
    "codes.default": {"responses": replies_with(default=json(ref("A")))},
    "codes.none": {"responses": replies_with(_404=json(ref("B")))},
    "media.charset": {"responses": replies_with(_200=json(ref("A"), "application/json; charset=utf-8"))},
    "media.suffix": {"responses": replies_with(_200=json(ref("A"), "application/vnd.a+json"))},
    "media.any": {"responses": replies_with(_200=json(ref("A"), "*/*"))},
    "media.csv": {"responses": replies_with(_200=json(STRING, "text/csv"))},
    "media.zip": {"responses": replies_with(_200=json(FILE, "application/zip"))},
    "media.both": {"responses": replies_with(_200={"text/csv": {}} | json(ref("A")))},
    "body.form": sends("application/x-www-form-urlencoded", FORM),
    "body.multipart": sends("multipart/form-data", UPLOAD),
    "body.optional": sends("multipart/form-data", obj("", file=FILE), required=False),
    "body.fields": sends("multipart/form-data", {}),
    "body.bytes": sends("application/octet-stream", FILE),
    "body.text": sends("text/plain", STRING, required=False),
    "body.patch": sends("application/merge-patch+json", ref("A")),
    "body.array": {"requestBody": takes({"type": "array", "items": ref("A")})},
    "body.union": {"requestBody": takes({"oneOf": [ref("A"), ref("B")]})},
    "body.several": {
        "requestBody": {"content": json(ref("A")) | {"application/x-www-form-urlencoded": {"schema": ref("A")}}}
    },
    "styles.all": {
        "parameters": [
            {"name": "joined", "in": "query", "explode": False, "schema": {"type": "array", "items": STRING}},
            {"name": "object", "in": "query", "schema": ref("A")},
            {"name": "deep", "in": "query", "style": "deepObject", "required": True, "schema": ref("A")},
            {"name": "json", "in": "query", "content": json(ref("A"))},
            {"name": "X-List", "in": "header", "schema": {"type": "array", "items": STRING}},
        ]
    },
    "events.typed": {"responses": replies_with(_200=json(ref("B"), "text/event-stream"))},
    "events.text": {"responses": replies_with(_200={"text/event-stream": {}})},
    "events.both": {"responses": replies_with(_200=json(ref("B"), "text/event-stream") | json(ref("A")))},
}


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A package with every operation."""
    paths = {f"/{id_}": {"post": operation(id_, tags=["t"], **parts)} for id_, parts in OPERATIONS.items()}
    unnamed = {key: value for key, value in operation(tags=["t"]).items() if key != "operationId"}
    paths["/unnamed/{id}"] = {
        "get": unnamed | {"parameters": [{"name": "id", "in": "path", "required": True, "schema": STRING}]}
    }
    return make(document({"A": A, "B": B}, paths), tmp_path_factory.mktemp("contents"))[0]


@pytest.fixture(scope="module")
def api(package: Path) -> Iterator[ModuleType]:
    """The imported package."""
    with imported(package) as module:
        yield module


def call(api: ModuleType, id_: str, response: httpx.Response, **arguments: Any) -> tuple[Any, httpx.Request]:
    """Call an operation, sync and async, and return its result and the request."""
    endpoint = sys.modules[f"{api.__name__}.api.t.{id_.replace('.', '_')}"]
    requests: list[httpx.Request] = []

    def respond(request: httpx.Request) -> httpx.Response:
        request.read()
        requests.append(request)
        return httpx.Response(response.status_code, content=response.content, headers=response.headers)

    async def respond_async(request: httpx.Request) -> httpx.Response:
        await request.aread()
        return httpx.Response(response.status_code, content=response.content, headers=response.headers)

    async def call_async() -> Any:
        async with httpx.AsyncClient(base_url="http://t", transport=httpx.MockTransport(respond_async)) as client:
            return await endpoint.asyncio(client, **arguments)

    with httpx.Client(base_url="http://t", transport=httpx.MockTransport(respond)) as client:
        result = endpoint.sync(client, **arguments)
    for value in arguments.values():
        if isinstance(value, io.BytesIO):
            value.seek(0)
    assert asyncio.run(call_async()) == result
    return result, requests[0]


OK_A, OK_B = httpx.Response(200, json={"x": "1"}), httpx.Response(202, json={"y": "2026-01-02T03:04:05Z"})


@pytest.mark.parametrize(
    ("id_", "response", "kind", "accept"),
    [
        ("codes.same", OK_A, "A", "application/json"),
        ("codes.empty", OK_A, "A", "application/json"),
        ("codes.empty", httpx.Response(204), "NoneType", "application/json"),
        ("codes.differ", OK_A, "A", "application/json"),
        ("codes.differ", OK_B, "B", "application/json"),
        ("codes.differ", httpx.Response(204), "NoneType", "application/json"),
        ("codes.default", OK_A, "A", "application/json"),
        ("codes.none", httpx.Response(200, text="?"), "NoneType", "application/json"),
        ("media.charset", OK_A, "A", "application/json; charset=utf-8"),
        ("media.suffix", OK_A, "A", "application/vnd.a+json"),
        ("media.any", OK_A, "A", "*/*"),
        ("media.csv", httpx.Response(200, text="ä,1"), "str", "text/csv"),
        ("media.zip", httpx.Response(200, content=b"\xff"), "bytes", "application/zip"),
        ("media.both", OK_A, "A", "application/json"),
    ],
)
def test_response_is_decoded_by_documented_content_type(
    api: ModuleType, id_: str, response: httpx.Response, kind: str, accept: str
) -> None:
    """The request accepts the documented content type, and every successful response decodes."""
    result, request = call(api, id_, response)
    assert type(result).__name__ == kind
    assert request.headers["Accept"] == accept


@pytest.mark.parametrize(
    ("id_", "arguments", "media", "content"),
    [
        (
            "body.form",
            {"name": "n &", "tags": ["a", "b"], "size": 2, "a": {"x": "1"}},
            "application/x-www-form-urlencoded",
            b"name=n+%26&tags=a&tags=b&size=2&a=%7B%22x%22%3A+%221%22%7D",
        ),
        ("body.bytes", {"body": b"\x00"}, "application/octet-stream", b"\x00"),
        ("body.text", {"body": "hi"}, "text/plain", b"hi"),
        ("body.text", {}, "text/plain", b""),
        ("body.patch", {"x": "1"}, "application/merge-patch+json", b'{"x":"1"}'),
        ("body.array", {"body": [{"x": "1"}]}, "application/json", b'[{"x":"1"}]'),
        ("body.union", {"body": {"x": "1"}}, "application/json", b'{"x":"1"}'),
        ("body.several", {"x": "1"}, "application/json", b'{"x":"1"}'),
    ],
)
def test_request_body_is_sent_as_documented_content_type(
    api: ModuleType, id_: str, arguments: dict[str, Any], media: str, content: bytes
) -> None:
    """A body is encoded as its content type."""
    _, request = call(api, id_, httpx.Response(200, json=None), **arguments)
    assert request.headers["Content-Type"] == media
    assert request.content.replace(b": ", b":") == content.replace(b": ", b":")


def test_multipart_body_sends_fields_and_files(api: ModuleType) -> None:
    """Files and fields are parts, arrays repeat their part, and objects are JSON."""
    arguments = {"file": io.BytesIO(b"\x01"), "files": [("a.txt", b"2", "text/a"), b"3"], "name": "n", "a": {"x": "1"}}
    _, request = call(api, "body.multipart", httpx.Response(200, json=None), **arguments)
    assert request.headers["Content-Type"].startswith("multipart/form-data; boundary=")
    for part in (
        b'name="file"; filename="upload"\r\nContent-Type: application/octet-stream\r\n\r\n\x01\r\n',
        b'name="files"; filename="a.txt"\r\nContent-Type: text/a\r\n\r\n2\r\n',
        b'name="files"; filename="files"\r\nContent-Type: application/octet-stream\r\n\r\n3\r\n',
        b'name="name"\r\n\r\nn\r\n',
        b'name="a"\r\n\r\n{"x": "1"}\r\n',
    ):
        assert part in request.content
    _, empty = call(api, "body.optional", httpx.Response(200, json=None))
    assert empty.content == b""


def test_multipart_body_without_schema_sends_fields_and_files(api: ModuleType) -> None:
    """Bytes, open files and tuples with them are files, and other values are fields."""
    body = {"a": "n", "b": [1, 2], "c": b"3", "d": io.BytesIO(b"4"), "e": [("e.txt", b"5")], "f": ("g", "h", "i")}
    _, request = call(api, "body.fields", httpx.Response(200, json=None), body=body)
    for part in (
        b'name="a"\r\n\r\nn\r\n',
        b'name="b"\r\n\r\n1\r\n',
        b'name="b"\r\n\r\n2\r\n',
        b'name="c"; filename="c"\r\nContent-Type: application/octet-stream\r\n\r\n3\r\n',
        b'name="d"; filename="upload"\r\nContent-Type: application/octet-stream\r\n\r\n4\r\n',
        b'name="e"; filename="e.txt"\r\nContent-Type: text/plain\r\n\r\n5\r\n',
        b'name="f"\r\n\r\nh\r\n',
    ):
        assert part in request.content
    with pytest.raises(TypeError, match="body must be an object, got str"):
        call(api, "body.fields", httpx.Response(200, json=None), body="text")


@pytest.mark.parametrize(
    ("id_", "content", "values"),
    [
        ("events.typed", b'data: {"y": "2026-01-02T03:04:05Z"}\n\n', ["B"]),
        ("events.typed", b'data: {"y": "2026-01-02T03:04:05Z"}\n\ndata: [DONE]\n\n', ["B"]),
        ("events.text", b"data: no JSON\n\n", ["str"]),
        ("events.both", b'data: {"y": "2026-01-02T03:04:05Z"}\n\n', ["B"]),
    ],
)
def test_events_without_extension_end_with_response(
    api: ModuleType, id_: str, content: bytes, values: list[str]
) -> None:
    """A documented event stream yields events until the response ends, or until `[DONE]`."""
    endpoint = sys.modules[f"{api.__name__}.api.t.{id_.replace('.', '_')}"]
    respond = httpx.MockTransport(
        lambda _: httpx.Response(200, content=content, headers={"Content-Type": "text/event-stream"})
    )
    with httpx.Client(base_url="http://t", transport=respond) as client:
        assert [type(event).__name__ for event in endpoint.events(client)] == values


def test_operation_without_id_is_named_by_method_and_path(api: ModuleType) -> None:
    """An operation without an operationId has the name of its method and path."""
    assert sys.modules[f"{api.__name__}.api.t.get_unnamed_id"].build_request("7").path == "/unnamed/7"


@stress_in_full
@pytest.mark.parametrize("tool", ["mypy", "pyright"])
def test_package_of_other_content_types_passes_strict_type_checks(package: Path, tool: str) -> None:
    """The package has no type errors."""
    checked(tool, package.parent)


def test_read_successful_responses_of_different_content_types_reports_place() -> None:
    """JSON beside text, of another status code, is an error."""
    responses = replies_with(_200=json(ref("A")), _202=json(STRING, "text/csv"))
    with pytest.raises(SpecError, match="has another content type") as caught:
        read(document({"A": A}, {"/x": {"get": operation(responses=responses)}}))
    assert caught.value.place == "#/paths/~1x/get/responses/202"


@pytest.mark.parametrize("id_", ["media.csv", "body.form", "body.multipart", "body.bytes", "events.typed"])
def test_read_resources_operation_that_client_does_not_support_reports_place(id_: str) -> None:
    """The client has methods for JSON and for streams that resume; other operations are an error."""
    parsed = read(document({"A": A, "B": B}, {"/x": {"post": operation(id_, **OPERATIONS[id_])}}))
    with pytest.raises(SpecError) as caught:
        read_resources(parsed.document, parsed.operations, MIXINS)
    assert caught.value.place == "#/paths/~1x/post"
