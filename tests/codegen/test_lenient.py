"""A document that is not understood in full: what is left out is listed with its place, the rest is generated."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from codegen.__main__ import main
from codegen.lenient import is_schema, relax
from codegen.pipeline import read
from tests.codegen.building import STRING, answers, document, imported, make, obj, operation, ref, takes
from tests.codegen.refused import REFUSED

SCHEMA_FREE = {"no operationId", "operationId twice", "operationIds alike", "properties that are a list"}


@pytest.mark.parametrize("name", [name for name in REFUSED if name not in SCHEMA_FREE])
def test_what_is_refused_can_be_left_out(name: str) -> None:
    data, place = REFUSED[name]
    before = json.dumps(data)
    left, skips = relax(data, read)
    read(left)
    assert any(place.startswith(skip.place) or skip.place.startswith(place) for skip in skips)
    assert json.dumps(data) == before


def test_the_smallest_piece_goes(tmp_path: Path) -> None:
    data = document(
        {
            "T": obj("id", id=STRING, odd={"not": {}}, list={"type": "array", "items": {"if": {}}}),
            "U": obj("", t=ref("T")),
        },
        {
            "/a": {
                "get": operation(
                    "things.a",
                    responses=answers(ref("U")),
                    parameters=[
                        {"name": "odd", "in": "cookie", "schema": STRING},
                        {"name": "q", "in": "query", "schema": {"not": {}}},
                        {"name": "r", "in": "query", "schema": STRING},
                    ],
                )
            },
            "/b": {"post": operation("things.b", requestBody=takes({"type": "array", "items": STRING}))},
        },
    )
    package, result = make(data, tmp_path, lenient=True)
    assert sorted((skip.place, skip.what) for skip in result.skips) == [
        ("#/components/schemas/T/properties/list/items", "read as any JSON"),
        ("#/components/schemas/T/properties/odd", "read as any JSON"),
        ("#/paths/~1a/get/parameters/0", "the parameter is left out"),
        ("#/paths/~1a/get/parameters/1/schema", "read as any JSON"),
        ("#/paths/~1b/post", "the operation is left out"),
    ]
    with imported(package) as api:
        module = sys.modules[f"{api.__name__}.api.things.things_a"]
        assert list(module.build_request.__kwdefaults__) == ["q", "r"]
        found = module.decode_response({"t": {"id": "1", "odd": [1], "list": [{}]}})
        assert found.t.odd == [1]


def test_the_command_lists_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec = tmp_path / "openapi.json"
    spec.write_text(json.dumps(REFUSED["unknown word"][0]))
    out = tmp_path / "api"
    assert main(["generate", "--spec", str(spec), "--out", str(out)]) == 2
    assert main(["generate", "--spec", str(spec), "--out", str(out), "--lenient"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("read as any JSON, because it uses if")
    assert lines[1].strip() == "#/components/schemas/T/properties/a"


@pytest.mark.parametrize(
    ("place", "schema"),
    [
        ("#/components/schemas/T", True),
        ("#/components/schemas/T/properties/properties/items/anyOf/0", True),
        ("#/components/schemas/T/required", False),
        ("#/components/schemas/T/discriminator/mapping", False),
        ("#/paths/~1x/get/parameters/0", False),
        ("#/paths/~1x/get/parameters/0/schema", True),
        ("#/paths/~1x/get/responses/200/content/application~1json/schema/items", True),
        ("#/paths/~1x/get", False),
    ],
)
def test_where_schemas_stand(place: str, schema: bool) -> None:
    assert is_schema(place) is schema
