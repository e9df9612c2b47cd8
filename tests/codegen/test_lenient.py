"""Lenient mode skips unsupported parts, lists their places and generates the rest."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from codegen.__main__ import main
from codegen.errors import SpecError, SpecErrors
from codegen.pipeline import read
from codegen.prune import is_schema, relax
from tests.codegen.building import STRING, document, imported, make, obj, operation, ref, responds
from tests.codegen.refused import UNSUPPORTED

SCHEMA_FREE = {"operationId twice", "operationIds alike", "properties that are a list"}


@pytest.mark.parametrize("name", [name for name in UNSUPPORTED if name not in SCHEMA_FREE])
def test_relax_unsupported_part_is_skipped(name: str) -> None:
    """An unsupported part is skipped with its place and the document is not changed."""
    data, place = UNSUPPORTED[name]
    before = json.dumps(data)
    left, skips = relax(data, read)
    read(left)
    assert any(place.startswith(skip.place) or skip.place.startswith(place) or skip.at == place for skip in skips)
    assert json.dumps(data) == before


def test_relax_parameter_after_ignored_one_is_skipped_by_index() -> None:
    """The right parameter is skipped; the operation and the other parameters stay."""
    data, place = UNSUPPORTED["behind a header that has no effect"]
    left, skips = relax(data, read)
    assert [(skip.place, skip.what) for skip in skips] == [(place, "decoded as any JSON value")]
    assert [argument.name for argument in read(left).operations[0].arguments] == ["q"]


def test_relax_skips_smallest_part(tmp_path: Path) -> None:
    """Only the smallest unsupported part is skipped."""
    data = document(
        {
            "T": obj(
                "id",
                id=STRING,
                odd={"not": {}},
                list={"type": "array", "items": {"if": {}}},
                typed=STRING | {"not": {"const": ""}},
            ),
            "U": obj("", t=ref("T")),
        },
        {
            "/a": {
                "get": operation(
                    "widgets.a",
                    responses=responds(ref("U")),
                    parameters=[
                        {"name": "odd", "in": "query", "style": "label", "schema": STRING},
                        {"name": "q", "in": "query", "schema": {"not": {}}},
                        {"name": "r", "in": "query", "schema": STRING},
                    ],
                )
            },
            "/b": {
                "post": operation("widgets.b", requestBody={"content": {"multipart/form-data": {"schema": STRING}}})
            },
        },
    )
    package, result = make(data, tmp_path, lenient=True)
    assert sorted((skip.place, skip.what) for skip in result.skips) == [
        ("#/components/schemas/T/properties/list/items", "decoded as any JSON value"),
        ("#/components/schemas/T/properties/odd", "decoded as any JSON value"),
        ("#/components/schemas/T/properties/typed/not", "the keyword is left out"),
        ("#/paths/~1a/get/parameters/0", "the parameter is left out"),
        ("#/paths/~1a/get/parameters/1/schema", "decoded as any JSON value"),
        ("#/paths/~1b/post", "the operation is left out"),
    ]
    with imported(package) as api:
        module = sys.modules[f"{api.__name__}.api.widgets.widgets_a"]
        assert list(module.build_request.__kwdefaults__) == ["q", "r"]
        found = module.decode_response({"t": {"id": "1", "odd": [1], "list": [{}]}})
        assert found.t.odd == [1]


@pytest.mark.parametrize("name", [name for name in UNSUPPORTED if name.startswith("shared ")])
def test_relax_shared_component_drops_only_operations_that_use_it(name: str) -> None:
    """An invalid shared component is skipped at each use; the rest of the document stays."""
    left, skips = relax(UNSUPPORTED[name][0], read)
    assert [operation.id for operation in read(left).operations] == ["a.z"]
    assert sorted(skip.place for skip in skips) == ["#/paths/~1x/post", "#/paths/~1x/put"]


def test_relax_unknown_keyword_removes_only_keyword(tmp_path: Path) -> None:
    """An unknown schema keyword does not remove the parameter or its operation."""
    by = {"name": "id", "in": "path", "required": True, "schema": STRING | {"patern": "a"}}
    data = document(paths={"/agents/{id}": {"get": operation("agents.get", parameters=[by])}})
    package, result = make(data, tmp_path, lenient=True)
    place = "#/paths/~1agents~1{id}/get/parameters/0/schema/patern"
    assert [(skip.place, skip.what) for skip in result.skips] == [(place, "the keyword is left out")]
    with imported(package) as api:
        assert sys.modules[f"{api.__name__}.api.widgets.agents_get"].build_request("x").path == "/agents/x"


def test_relax_path_parameter_of_unknown_schema_keeps_its_operation(tmp_path: Path) -> None:
    """A path parameter is a string or an integer for any schema."""
    by = {"name": "id", "in": "path", "required": True, "schema": {"const": 0.5}}
    data = document(paths={"/agents/{id}": {"get": operation("agents.get", parameters=[by])}})
    package, result = make(data, tmp_path, lenient=True)
    assert [skip.what for skip in result.skips] == ["decoded as any JSON value"]
    with imported(package) as api:
        assert sys.modules[f"{api.__name__}.api.widgets.agents_get"].build_request(7).path == "/agents/7"


def test_relax_unrecoverable_error_is_raised() -> None:
    """An error that no removal resolves is raised."""

    def refuses(data: dict[str, Any]) -> None:
        raise SpecErrors([SpecError("#/no/such/place", "is not understood")])

    with pytest.raises(SpecError, match="#/no/such/place"):
        relax(UNSUPPORTED["unknown word"][0], refuses)


def test_generate_lenient_lists_skipped_parts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The generate command with --lenient lists the skipped parts."""
    spec = tmp_path / "openapi.json"
    spec.write_text(json.dumps(UNSUPPORTED["unknown word"][0]))
    out = tmp_path / "api"
    assert main(["generate", "--spec", str(spec), "--out", str(out)]) == 2
    assert main(["generate", "--spec", str(spec), "--out", str(out), "--lenient"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("decoded as any JSON value, because it uses if")
    assert lines[1].strip() == "#/components/schemas/T/properties/a (at /if)"


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
def test_is_schema_by_place(place: str, schema: bool) -> None:
    """A place is a schema by the keys that lead to it."""
    assert is_schema(place) is schema
