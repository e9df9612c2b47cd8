"""Output of `diff`: document text stays text, and parts that were not compared are neither removed nor added."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codegen.__main__ import main
from codegen.diff.change import BOTH, READER, Change, Level
from codegen.diff.compare import compare
from codegen.diff.report import as_markdown, as_text
from codegen.pipeline import read
from codegen.printable import printable
from codegen.prune import Skip
from tests.codegen.building import STRING, document, obj, operation, ref, responds, takes
from tests.codegen.hostile import HOSTILE

FORGED = "n\x1b[2J\x1b[HNo difference: no new version is called for.\n::warning::forged\n\x1b[8m"
COMMANDS = [
    "::warning::x",
    "##[error]x",
    "##vso[task.setvariable variable=a]b",
    "\r::set-output name=a::b",
    "\u2028::x",
]
TEXTS = [FORGED, *COMMANDS, *HOSTILE, "\x9b2J", "\u202egnp", "a\u200bb", "\x00", "\x7f", "\u0085x", "a::b##c"]


def is_harmless(printed: str) -> bool:
    """Return whether a text has no control characters and no CI commands."""
    lines = printed.split("\n")
    return all(line.isprintable() for line in lines) and "::" not in printed and "##" not in printed.replace("###", "")


def named(text: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return two documents that differ in a field, a literal, a tag and a description."""
    before = document(
        {
            "T": obj("", a=STRING, mode={"enum": ["x"]}),
            "Cat": obj("kind", kind={"const": "cat"}),
            "P": {"oneOf": [ref("Cat")], "discriminator": {"propertyName": "kind", "mapping": {}}},
        },
        {"/t": {"get": operation("t.get", responses=responds(ref("T")))}},
    )
    before["components"]["schemas"]["P"]["discriminator"]["mapping"] = {"cat": "#/components/schemas/Cat"}
    after = copy.deepcopy(before)
    properties = after["components"]["schemas"]["T"]["properties"]
    properties[text] = STRING
    properties["mode"]["enum"].append(text)
    properties["a"] = {**STRING, "pattern": text, "default": text}
    return before, after


@pytest.mark.parametrize("text", TEXTS)
def test_output_hostile_name_stays_in_its_line(text: str) -> None:
    """A name cannot end a line, move the cursor or start a CI command."""
    before, after = named(text)
    changes = compare(read(before), read(after))
    plain = compare(*map(read, named("harmless")))
    printed = as_text(changes)
    assert is_harmless(printed)
    shown = [line for line in printed.split("\n") if not line.startswith("      ")]  # without what is wrapped
    assert len(shown) == len([line for line in as_text(plain).split("\n") if not line.startswith("      ")])
    assert shown[-1] == as_text(plain).split("\n")[-1]
    assert is_harmless(as_markdown(changes).replace("@\u200b", "@"))


@settings(max_examples=200)
@given(st.text(max_size=60))
def test_printable_any_text_is_one_line(text: str) -> None:
    """Any text prints in one line; different texts without backslash stay different."""
    assert is_harmless(printable(text))
    change = Change(Level.BREAKING, f"T.{text}", text, BOTH, f"`{text}`")
    left = [("new.json", Skip(f"#/{text}", text, text, f"#/{text}/x"))]
    printed = as_text([change], left)
    assert is_harmless(printed)
    assert (
        printed.split("\n")[-1]
        == "1 breaking, 0 additive, 0 cosmetic: calls for a major version; 1 place was not compared."
    )
    rows = [line for line in as_markdown([change], left).split("\n") if line.startswith("|")]
    assert len(rows) == 6
    assert {len(re.findall(r"(?<!\\)(?:\\\\)*\|", row)) for row in rows} == {5, 3}


@pytest.mark.parametrize(
    ("text", "shown"), [("a\nb", r"a\nb"), ("\x1b[0m", r"\x1b[0m"), ("é", "é"), ("::x", r":\x3ax")]
)
def test_printable_control_characters_are_escaped(text: str, shown: str) -> None:
    """Control characters are escaped as in Python; letters of all scripts are kept."""
    assert printable(text) == shown


def test_output_forged_report_is_escaped(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A property name that imitates a report or a CI command is escaped."""
    before = document(
        {"T": obj("", id=STRING, gone=STRING)}, {"/x": {"get": operation("t.x", responses=responds(ref("T")))}}
    )
    after = copy.deepcopy(before)
    after["components"]["schemas"]["T"]["properties"] = {"id": STRING, FORGED: STRING}
    paths = [tmp_path / "a.json", tmp_path / "b.json"]
    for path, data in zip(paths, (before, after), strict=True):
        path.write_text(json.dumps(data))
    assert main(["diff", *map(str, paths), "--fail-on", "breaking"]) == 1
    printed = capsys.readouterr().out
    assert is_harmless(printed)
    assert "T.gone: the field is gone" in printed
    assert "No difference" not in [line.strip()[:13] for line in printed.splitlines()]


def test_error_output_hostile_place_stays_in_its_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Places in a document are escaped on every channel."""
    path = tmp_path / "a.json"
    path.write_text(json.dumps(document({"T": obj("", **{FORGED: {"not": {}}})})))
    for command in (
        ["generate", "--spec", str(path), "--out", str(tmp_path / "x")],
        ["generate", "--lenient", "--spec", str(path), "--out", str(tmp_path / "x")],
        ["diff", str(path), str(path)],
        ["diff", "--lenient", str(path), str(path)],
    ):
        main(command)
        printed = capsys.readouterr()
        assert is_harmless(printed.out)
        assert is_harmless(printed.err)
        assert r"n\x1b[2J" in printed.out + printed.err


# What is understood in part


def base() -> dict[str, Any]:
    schemas = {
        "T": obj(
            "id", id=STRING, rows={"type": "array", "items": STRING}, part={"anyOf": [STRING, {"type": "integer"}]}
        ),
        "S": obj("name", name=STRING, more=STRING),
        "Apart": obj("", x=STRING),
    }
    parameters = [
        {"name": "a", "in": "query", "schema": STRING},
        {"name": "b", "in": "query", "schema": {"type": "integer"}},
    ]
    paths = {
        "/t/{id}": {
            "parameters": [{"name": "id", "in": "path", "required": True, "schema": STRING}],
            "post": operation(
                "t.send", parameters=parameters, requestBody=takes(ref("S")), responses=responds(ref("T"))
            ),
            "get": operation("t.get", responses=responds(ref("T"))),
        },
        "/other": {"get": operation("other", responses=responds(STRING))},
    }
    found: dict[str, Any] = json.loads(json.dumps(document(schemas, paths)))
    return found


def post(data: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = next(item for path, item in data["paths"].items() if path.startswith("/t/"))["post"]
    return found


def properties(data: dict[str, Any], name: str) -> dict[str, Any]:
    found: dict[str, Any] = data["components"]["schemas"][name]["properties"]
    return found


FAULTS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "a field": lambda d: properties(d, "T").update(id={"not": {}}),
    "a field of a body": lambda d: properties(d, "S").update(more={"not": {}}),
    "items": lambda d: properties(d, "T")["rows"].update(items={"not": {}}),
    "an alternative": lambda d: properties(d, "T")["part"]["anyOf"].append({"not": {}}),
    "a component": lambda d: d["components"]["schemas"].update(Apart={"not": {}}),
    "a parameter": lambda d: post(d)["parameters"][1].update({"in": "matrix"}),
    "a parameter at another place": lambda d: post(d)["parameters"].insert(
        0, post(d)["parameters"].pop() | {"in": "matrix"}
    ),
    "a parameter's schema": lambda d: post(d)["parameters"][1].update(schema={"not": {}}),
    "a response": lambda d: post(d)["responses"]["200"]["content"]["application/json"].update(schema={"not": {}}),
    "two responses": lambda d: post(d)["responses"].update({"201": {"description": "", "content": {"text/csv": {}}}}),
    "a body": lambda d: post(d).update(requestBody={"content": {"multipart/form-data": {"schema": STRING}}}),
    "a fact": lambda d: post(d).update({"x-letta-idempotency": "sometimes"}),
}


@pytest.mark.parametrize("sides", [(True, False), (False, True), (True, True)], ids=["old", "new", "both"])
@pytest.mark.parametrize("name", FAULTS)
def test_diff_unsupported_part_is_not_a_change(
    name: str, sides: tuple[bool, bool], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An unsupported part is reported as not compared, not as a change."""
    documents = [base(), base()]
    for data, faulty in zip(documents, sides, strict=True):
        if faulty:
            FAULTS[name](data)
    documents[1]["paths"]["/other"]["get"]["summary"] = "Another"
    paths = [tmp_path / "old.json", tmp_path / "new.json"]
    for path, data in zip(paths, documents, strict=True):
        path.write_text(json.dumps(data))
    assert main(["diff", *map(str, paths), "--lenient", "--fail-on", "additive"]) == 0
    printed = capsys.readouterr().out
    assert "other: its documentation reads differently" in printed
    assert "0 breaking, 0 additive, 1 cosmetic" in printed
    assert re.search(r"^Not compared \(\d\)$", printed, re.MULTILINE)
    for path, faulty in zip(paths, sides, strict=True):
        assert (f"  {path}: " in printed) == faulty


def test_diff_moved_unsupported_operation_is_not_a_change(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Operations match by path, with any placeholder names, or by operation id."""
    for move in (lambda path: path.replace("{id}", "{other}"), lambda path: f"/v2{path}"):
        before, after = base(), base()
        post(before)["x-letta-idempotency"] = "sometimes"
        after["paths"] = {move(path): item for path, item in after["paths"].items()}
        for item in after["paths"].values():
            for parameter in item.get("parameters", []):
                parameter["name"] = "other" if any("{other}" in path for path in after["paths"]) else "id"
        paths = [tmp_path / "old.json", tmp_path / "new.json"]
        for path, data in zip(paths, (before, after), strict=True):
            path.write_text(json.dumps(data))
        main(["diff", *map(str, paths), "--lenient"])
        printed = capsys.readouterr().out
        assert "Not compared (1)" in printed
        assert "t.send" not in printed


def test_diff_new_unsupported_field_is_reported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A new unsupported field is reported as new; its schema is not compared."""
    before, after = base(), base()
    properties(after, "T")["fresh"] = {"not": {}}
    paths = [tmp_path / "old.json", tmp_path / "new.json"]
    for path, data in zip(paths, (before, after), strict=True):
        path.write_text(json.dumps(data))
    assert main(["diff", *map(str, paths), "--lenient", "--format", "markdown"]) == 0
    printed = capsys.readouterr().out
    assert "| T.fresh | a new optional field | reader | new attribute `fresh` |" in printed
    assert "### Not compared (1)" in printed
    assert READER in printed
