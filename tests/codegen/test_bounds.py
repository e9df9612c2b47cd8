"""Documents that cost time or memory are read in seconds or refused with their place."""

from __future__ import annotations

import gc
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from openapi_python_client.parser.properties import model_property

from codegen.document import parse
from codegen.errors import SpecError
from codegen.pipeline import ROOT, read
from tests.codegen.building import STRING, Schema, document, make, obj, operation, ref, responds, stress_in_full, takes
from tests.codegen.features import DATED
from tests.stress.figures import FULL, figure

MEMORY = 1 << 30
"""The memory limit of a run in bytes."""

HEAD = "openapi: 3.1.0\ninfo: {title: T, version: '1'}\npaths: {}\n"


def _bomb(levels: int, width: int) -> str:
    lines = [f"x0: &x0 [{', '.join(['lol'] * width)}]"]
    lines += [f"x{n}: &x{n} [{', '.join([f'*x{n - 1}'] * width)}]" for n in range(1, levels)]
    return HEAD + "\n".join(lines)


def _chain(length: int, link: Any, end: Schema = STRING) -> dict[str, Any]:
    schemas = {f"C{n}": link(ref(f"C{n + 1}")) for n in range(length)} | {f"C{length}": end}
    return document(schemas | {"T": obj("", t=ref("C0"))})


def _nested(levels: int, inside: str) -> Schema:
    schema: Schema = STRING
    for _ in range(levels):
        schema = {"anyOf": [schema, STRING]} if inside == "anyOf" else {"type": "array", "items": schema}
    return schema


def _either(each: Schema) -> Schema:
    return {"anyOf": [{"type": "array", "items": each}, {"type": "object", "additionalProperties": each}]}


UNBOUNDED: dict[str, tuple[str, str]] = {
    "aliases that multiply": (_bomb(9, 10), "#/x"),
    "aliases of objects that multiply": (
        HEAD + "x0: &x0 {a: 1}\n" + "\n".join(f"x{n}: &x{n} {{a: *x{n - 1}, b: *x{n - 1}}}" for n in range(1, 40)),
        "#/x",
    ),
    "an alias of itself": (HEAD + "x: &x [*x]", "#/x/0"),
    "deep JSON": ('{"openapi": "3.1.0",\n"x": ' + "[" * 100_000 + "]" * 100_000 + "}", ":2"),
    "deep YAML": (HEAD + "x: " + "[" * 1_500 + "]" * 1_500, ":4"),
    "a deep value": (
        json.dumps(document({"T": obj("", a=_nested(60, "items"))})),
        "#/components/schemas/T/properties/a/items/",
    ),
    "deep arrays": (
        json.dumps(document({"T": obj("", a=_nested(45, "items"))})),
        "#/components/schemas/T/properties/a/items/",
    ),
    "unions that multiply": (json.dumps(_chain(60, _either)), "#/components/schemas/C"),
    "many properties": (
        json.dumps(document({"T": obj("", **{f"a{n}": STRING for n in range(10_001)})})),
        "#/components/schemas/T: has more than 10,000 properties",
    ),
    "many inherited properties": (
        json.dumps(
            document(
                {
                    f"M{n}": {"allOf": [ref(f"M{n - 1}"), obj("", **{f"a{n}_{m}": STRING for m in range(1_001)})]}
                    for n in range(1, 11)
                }
                | {"M0": obj("", a=STRING)}
            )
        ),
        "#/components/schemas/M10: has more than 10,000 properties",
    ),
    "a chain of arrays": (
        json.dumps(_chain(1_000, lambda each: {"type": "array", "items": each})),
        "#/components/schemas/C",
    ),
    "a chain of unions": (
        json.dumps(_chain(1_000, lambda each: {"anyOf": [each, {"type": "integer"}]}, DATED)),
        "#/components/schemas/C",
    ),
}


@pytest.mark.parametrize("lenient", [False, *([True] if FULL else [])], ids=["strict", *(["lenient"] if FULL else [])])
@pytest.mark.parametrize("name", UNBOUNDED)
def test_generate_unbounded_document_reports_place(name: str, lenient: bool, tmp_path: Path) -> None:
    """A document that costs too much ends with status 2 and a place, in bounded memory."""
    text, place = UNBOUNDED[name]
    spec = tmp_path / "openapi.yaml"
    spec.write_text(text)
    command = [sys.executable, "-m", "codegen", "generate", "--spec", str(spec), "--out", str(tmp_path / "api")]
    done = subprocess.run(
        [*command, *(["--lenient"] if lenient else [])],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY)),
    )
    printed = done.stdout + done.stderr
    assert done.returncode in ((0, 2) if lenient else (2,)), printed[-2000:]
    assert place in printed
    assert "Traceback" not in printed


@pytest.mark.parametrize(
    "data",
    [
        _chain(30_000, lambda each: each),
        _chain(30, lambda each: {"anyOf": [each, each]}),
        _chain(30, lambda each: {"anyOf": [each, {"allOf": [each]}]}),
        document({f"M{n}": obj("", a=ref(f"M{(n + 1) % 2_000}"), b=ref(f"M{n // 2}")) for n in range(2_000)}),
    ],
    ids=[
        "references",
        "unions of one twice",
        "unions of aliases",
        "models in a circle",
    ],
)
def test_read_shared_components_takes_seconds(data: dict[str, Any]) -> None:
    """A shared component is read once."""
    started = time.process_time()
    read(data)
    assert time.process_time() - started < 10


def _wide(size: int) -> dict[str, Any]:
    keys = {f"{'é' * (n % 7)} key {n}!": STRING for n in range(size)} | {
        f"{c}{n}": STRING for n in range(size) for c in "?!"
    }
    widget = {"type": "object", "properties": keys}
    send = operation("widgets.send", requestBody=takes(widget), responses=responds(ref("Widget")))
    return document({"Widget": widget}, {"/x": {"post": send}})


@pytest.fixture
def _without_collections() -> Iterator[None]:
    """Do not collect garbage, which takes longer the more objects other tests have left."""
    gc.disable()
    yield
    gc.enable()


@stress_in_full
@pytest.mark.usefixtures("_without_collections")
def test_read_many_keys_takes_proportional_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Many keys, alike in Python and apart, take time in proportion.

    What openapi-python-client takes to compare each property with each is set apart: it is a reason of
    `MAX_PROPERTIES`, not of this package.
    """
    sizes = (800, 3_200) if FULL else (500, 2_000)
    seconds: list[float] = []
    compared = 0.0
    process = model_property._process_properties

    def timed(**arguments: Any) -> Any:
        nonlocal compared
        begun = time.process_time()
        try:
            return process(**arguments)
        finally:
            compared += time.process_time() - begun

    monkeypatch.setattr(model_property, "_process_properties", timed)
    for size in sizes:
        compared = 0.0
        started = time.process_time()
        if FULL:
            make(_wide(size), tmp_path)
        else:
            read(_wide(size))
        seconds.append(time.process_time() - started - compared)
    figure(
        "a model of many keys", f"{3 * sizes[0]:,} keys in {seconds[0]:.1f} s, {3 * sizes[1]:,} in {seconds[1]:.1f} s"
    )
    assert seconds[1] < 10 * seconds[0] + 0.5  # sixteen times where it grows with the square


def test_parse_duplicate_key_in_large_object_is_fast() -> None:
    """A duplicate among 30,000 keys is reported within seconds."""
    text = "{" + ", ".join(f'"k{n}": 1' for n in range(30_000)) + ', "k29999": 2}'
    started = time.process_time()
    with pytest.raises(SpecError, match="k29999"):
        parse(text, "a document")
    assert time.process_time() - started < 5
