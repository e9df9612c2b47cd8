"""The generate and check commands: output, errors and untouched files."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import datamodel_code_generator as dcg
import pytest
from openapi_python_client.parser.errors import ParseError
from openapi_python_client.parser.openapi import EndpointCollection
from openapi_python_client.parser.properties import Parameters, Schemas, build_schemas, model_property
from openapi_python_client.schema.untrusted_string import UntrustedString

from codegen import parser
from codegen.__main__ import main
from codegen.errors import GeneratorFailure, SpecError, SpecErrors
from codegen.pipeline import OUT, ROOT, SPEC, drift, generate, read
from tests.codegen.building import STRING, contents, document, make, obj, operation, ref, responds
from tests.codegen.refused import UNSUPPORTED, body

HERE = Path(__file__).parent
GOLDEN = HERE / "golden.yaml"


@pytest.mark.parametrize("name", UNSUPPORTED)
def test_read_unsupported_document_reports_place(name: str) -> None:
    """A document with an unsupported part is refused with its place."""
    data, place = UNSUPPORTED[name]
    with pytest.raises(SpecError) as caught:
        read(data)
    assert caught.value.place == place, str(caught.value)


def test_read_reports_all_errors_at_once() -> None:
    """All errors of a document are reported together."""
    with pytest.raises(SpecErrors) as caught:
        read(document({"A": obj("", a={"if": {}}), "B": obj("", b={"not": {}})}))
    assert [fault.place for fault in caught.value.faults] == [
        "#/components/schemas/A/properties/a/if",
        "#/components/schemas/B/properties/b/not",
    ]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "openapi: 2.0.0",
        "a: {",
        "a: 1\na: 2",
        '{"openapi": "3.1.0", "openapi": "3.1.0"}',
        "a: &x [*x]",
        "\x00",
        "x: !!python/object/apply:os.system [ls]",
    ],
)
def test_generate_invalid_file_writes_nothing(text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file that is not an OpenAPI document ends with status 2 and no output."""
    spec, out = tmp_path / "openapi.yaml", tmp_path / "out"
    spec.write_text(text)
    assert main(["generate", "--spec", str(spec), "--out", str(out)]) == 2
    printed = capsys.readouterr().err
    assert "nothing was written" in printed
    assert "Traceback" not in printed
    assert not out.exists()


def test_generate_invalid_document_keeps_package(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An invalid document leaves the existing package unchanged."""
    out = tmp_path / "api"
    generate(GOLDEN, out)
    before = contents(out)
    broken = tmp_path / "broken.yaml"
    broken.write_text(GOLDEN.read_text().replace("{type: string, description: Unique.}", "{type: strin}"))
    assert main(["generate", "--spec", str(broken), "--out", str(out)]) == 2
    assert "#/components/schemas/Gadget/properties/id/type: " in capsys.readouterr().err
    assert contents(out) == before
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_generate_foreign_folder_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A folder with files of another origin is refused and unchanged."""
    (tmp_path / "mine.py").write_text("x = 1")
    assert main(["generate", "--spec", str(GOLDEN), "--out", str(tmp_path)]) == 2
    assert "were not generated" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["mine.py"]


def test_check_reports_each_different_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The check command reports each missing, foreign and different file."""
    out = tmp_path / "api"
    generate(GOLDEN, out)
    assert main(["check", "--spec", str(GOLDEN), "--out", str(out)]) == 0
    (out / "types.py").write_text("")
    (out / "errors.py").unlink()
    (out / "mine.py").write_text("")
    capsys.readouterr()
    assert main(["check", "--spec", str(GOLDEN), "--out", str(out)]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[:3] == ["errors.py: missing", "mine.py: not made by the generator", "types.py: differs"]


def test_generate_windows_line_endings_are_ignored(tmp_path: Path) -> None:
    """CRLF line endings in the document or the package are not a difference."""
    spec, out = tmp_path / "openapi.yaml", tmp_path / "api"
    spec.write_bytes(GOLDEN.read_bytes().replace(b"\n", b"\r\n"))
    generate(GOLDEN, out)
    assert drift(spec, out) == []
    for path in out.rglob("*.py"):
        path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert drift(GOLDEN, out) == []
    generate(spec, out)
    assert not any(b"\r" in text for text in contents(out).values())


def test_generate_parser_warning_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A warning of openapi-python-client names its place and stops the run."""
    real = EndpointCollection.from_data

    def warns(**arguments: Any) -> Any:
        found, schemas, parameters = real(**arguments)
        for collection in found.values():
            collection.parse_errors.append(ParseError(detail="dubious"))
        return found, schemas, parameters

    monkeypatch.setattr(EndpointCollection, "from_data", warns)
    with pytest.raises(SpecError, match="#/paths/~1x/get: is rejected by openapi-python-client: dubious"):
        make(document(paths={"/x": {"get": operation()}}), tmp_path)


def test_read_parser_exception_reports_operation(monkeypatch: pytest.MonkeyPatch) -> None:
    """An exception that openapi-python-client raises on an operation is reported at that operation."""
    real = EndpointCollection.from_data

    def fails(**arguments: Any) -> Any:
        if UntrustedString("/y") in arguments["data"]:
            raise ZeroDivisionError("dubious")
        return real(**arguments)

    monkeypatch.setattr(EndpointCollection, "from_data", fails)
    paths = {"/x": {"get": operation()}, "/y": {"get": operation("widgets.other")}}
    with pytest.raises(SpecErrors, match="makes openapi-python-client fail: ZeroDivisionError: 'dubious'") as caught:
        read(document(paths=paths))
    assert [fault.place for fault in caught.value.faults] == ["#/paths/~1y/get"]


def test_read_parser_exception_reports_components(monkeypatch: pytest.MonkeyPatch) -> None:
    """An exception of openapi-python-client is reported at the components that cause it."""
    real = build_schemas

    def fails(*, components: Any, **arguments: Any) -> Any:
        if any(UntrustedString(name) in components for name in ("B", "D")):
            raise UnboundLocalError("dubious")
        return real(components=components, **arguments)

    monkeypatch.setattr(parser, "build_schemas", fails)
    schemas = {"A": obj("", b=ref("B"), c=ref("C")), "B": obj("", a=ref("A")), "C": obj("", x=STRING), "D": STRING}
    with pytest.raises(SpecErrors, match="makes openapi-python-client fail: UnboundLocalError: 'dubious'") as caught:
        read(document(schemas))
    assert {fault.place for fault in caught.value.faults} >= {"#/components/schemas/D"}
    assert "#/components/schemas/C" not in {fault.place for fault in caught.value.faults}


def test_generate_dropped_operation_or_component_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Generation fails if openapi-python-client drops operations or components."""
    data = document({"A": obj("", a=STRING)}, {"/x": {"get": operation(responses=responds(ref("A")))}})
    with monkeypatch.context() as patch:
        patch.setattr(EndpointCollection, "from_data", lambda **arguments: ({}, arguments["schemas"], Parameters()))
        with pytest.raises(GeneratorFailure, match=r"dropped widgets\.get"):
            make(data, tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(parser, "build_schemas", lambda **_: Schemas())
        with pytest.raises(SpecError, match="Could not find reference"):
            make(data, tmp_path)


def test_generate_uses_parser_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Models and arguments use the property names of openapi-python-client."""
    real = model_property._process_properties

    def renames(**arguments: Any) -> Any:
        found: Any = real(**arguments)
        for node in found.optional_props:
            node.name = UntrustedString("altered")
        return found

    monkeypatch.setattr(model_property, "_process_properties", renames)
    package, _ = make(body(ref("A"), responses=responds(ref("A"))), tmp_path)
    assert "    altered: str" in (package / "models" / "a.py").read_text()
    assert "altered" in (package / "api" / "widgets" / "a_b.py").read_text()


@pytest.mark.parametrize(
    ("needed", "schemas", "parts"),
    [
        (False, {}, {}),
        (True, {}, {"responses": responds(ref("A"))}),
        (True, {}, {"responses": responds(STRING) | {"409": responds(ref("A"))["200"]}}),
        (True, {"B": obj("", b=ref("A"))}, {}),
    ],
    ids=["body alone", "response", "error", "component"],
)
def test_generate_body_model_only_if_referenced(
    needed: bool, schemas: dict[str, Any], parts: dict[str, Any], tmp_path: Path
) -> None:
    """A body whose properties are arguments has a model only if another schema refers to it."""
    data = body(ref("A"), **parts)
    data["components"]["schemas"] |= {"A": obj("", a=ref("Inner")), "Inner": obj("", x=STRING), **schemas}
    package, _ = make(data, tmp_path)
    assert (package / "models" / "a.py").exists() == needed
    assert (package / "models" / "inner.py").exists()
    assert "a: InnerLike | Unset = UNSET" in (package / "api" / "widgets" / "a_b.py").read_text()


@pytest.mark.parametrize("how", ["warn", "log", "raise"])
def test_generate_typed_dict_generator_warning_fails(how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A warning, log line or exception of datamodel-code-generator fails the run."""
    import logging
    import warnings

    real = dcg.generate

    def warns(*arguments: Any, **options: Any) -> Any:
        if how == "warn":
            warnings.warn("dubious", stacklevel=1)
        elif how == "log":
            logging.getLogger("datamodel_code_generator.parser").warning("dubious")
        else:
            raise ValueError("dubious")
        return real(*arguments, **options)

    monkeypatch.setattr(dcg, "generate", warns)
    with pytest.raises(GeneratorFailure, match="datamodel-code-generator: dubious"):
        make(body(ref("A")), tmp_path)


def test_drift_of_checkout_is_empty() -> None:
    """The package in the checkout equals the generated one."""
    assert drift(SPEC, OUT) == []


def test_manifest_lists_all_files_and_tools(tmp_path: Path) -> None:
    """The manifest lists all files and the tool versions."""
    out = tmp_path / "api"
    generate(GOLDEN, out)
    manifest = json.loads((out / "manifest.json").read_text())
    assert set(manifest["files"]) == set(contents(out)) - {"manifest.json"}
    assert set(manifest["tools"]) == {"openapi-python-client", "datamodel-code-generator", "ruff"}


@pytest.mark.parametrize(
    "arguments", [["--help"], ["generate", "--help"], ["check", "--help"], ["diff", "--help"], ["vendor", "--help"]]
)
def test_help_documents_exit_status(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """The help of each command documents the exit status."""
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 0
    printed = capsys.readouterr().out
    assert "exit status:\n  0  " in printed
    assert "\n  2  the document, a file, a tool or the command line is invalid" in printed
    assert max(map(len, printed.splitlines())) <= 110


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_program_unwritable_output_ends_with_failure(unbuffered: str) -> None:
    """A program whose output cannot be written does not end with the status of a finished command."""
    if not (full := Path("/dev/full")).exists():
        pytest.skip("this system has no file that is always full")
    command = [sys.executable, "-m", "codegen", "vendor", "--check", str(OUT)]
    environment = {**os.environ, "PYTHONUNBUFFERED": unbuffered}
    with full.open("w") as out:
        done = subprocess.run(
            command, cwd=ROOT, env=environment, stdout=out, stderr=subprocess.PIPE, text=True, check=False
        )
    assert done.returncode not in (0, 1)
    assert "No space left on device" in done.stderr
