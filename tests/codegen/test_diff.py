"""Each kind of change is reported with its level and the roles it affects."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from codegen.__main__ import main
from codegen.diff.align import comparable
from codegen.diff.change import READER, SENDER, Change, Level
from codegen.diff.compare import compare
from codegen.diff.report import as_markdown, as_text, bump
from codegen.pipeline import read
from tests.codegen.building import NULL, STRING, document, obj, operation, ref, responds, tagged, takes
from tests.codegen.hostile import HOSTILE

INTEGER = {"type": "integer"}
Edit = Callable[[dict[str, Any]], Any]


def base() -> dict[str, Any]:
    """Return a document with one operation and every kind of part that can change."""
    schemas = {
        "Widget": obj(
            "id kind",
            id=STRING,
            kind={"type": "string", "const": "widget"},
            size=INTEGER,
            note={"anyOf": [STRING, NULL]},
            at={"type": "string", "format": "date-time"},
            colour=ref("Colour"),
            pet=ref("Pet"),
            rows={"type": "array", "items": STRING},
        )
        | {"description": "A widget."},
        "Colour": {"type": "string", "enum": ["red", "blue"]},
        "Cat": obj("kind", kind={"const": "cat"}),
        "Dog": obj("kind", kind={"const": "dog"}),
        "Pet": tagged("kind", cat="Cat", dog="Dog"),
        "Send": obj("name", name=STRING, size=INTEGER | {"default": 1}, mode={"enum": ["a", "b"]}, part=ref("Part")),
        "Part": obj("", text=STRING),
        "Apart": obj("", x=STRING),
    }
    query = {"name": "limit", "in": "query", "schema": INTEGER | {"default": 50}, "description": "How many."}
    send = operation(
        "widgets.send",
        parameters=[{"name": "id", "in": "path", "required": True, "schema": STRING}, query],
        requestBody=takes(ref("Send")),
        responses=responds(ref("Widget")),
        summary="Send",
    )
    return copy.deepcopy(
        document(schemas, {"/widgets/{id}": {"post": send}, "/old": {"get": operation("widgets.old")}})
    )


def widget(data: dict[str, Any]) -> Any:
    return data["components"]["schemas"]["Widget"]


def send(data: dict[str, Any]) -> Any:
    return data["components"]["schemas"]["Send"]


def limit(data: dict[str, Any]) -> Any:
    return call(data)["parameters"][1]


def call(data: dict[str, Any]) -> Any:
    return next(iter(data["paths"].values()))["post"]


def add_member(data: dict[str, Any]) -> None:
    data["components"]["schemas"] |= {
        "Eel": obj("kind", kind={"const": "eel"}),
        "Pet": tagged("kind", cat="Cat", dog="Dog", eel="Eel"),
    }


def drop_member(data: dict[str, Any]) -> None:
    data["components"]["schemas"]["Pet"] = tagged("kind", cat="Cat")


def move_path(data: dict[str, Any]) -> None:
    data["paths"]["/v2/widgets/{id}"] = data["paths"].pop("/widgets/{id}")


def rename(data: dict[str, Any], old: str, new: str) -> None:
    data["components"]["schemas"][new] = data["components"]["schemas"].pop(old)


def rename_part(data: dict[str, Any]) -> None:
    rename(data, "Part", "Piece")
    send(data)["properties"]["part"] = ref("Piece")


B, A, C = Level.BREAKING, Level.ADDITIVE, Level.COSMETIC

PAIRS: dict[str, tuple[Edit, Level, str, tuple[str, ...]]] = {
    # operations
    "operation added": (lambda d: d["paths"].update({"/n": {"get": operation("widgets.new")}}), A, "widgets.new", ()),
    "operation removed": (lambda d: d["paths"].pop("/old"), B, "widgets.old", (SENDER, READER)),
    "operation renamed": (
        lambda d: d["paths"]["/old"]["get"].update(operationId="widgets.x"),
        B,
        "widgets.old",
        (SENDER, READER),
    ),
    "path moved": (move_path, B, "widgets.send", (SENDER,)),
    "summary": (lambda d: call(d).update(summary="Send it"), C, "widgets.send", ()),
    "repeat": (lambda d: call(d).update({"x-letta-idempotency": "idempotent"}), A, "widgets.send", (SENDER,)),
    "response removed": (lambda d: call(d).update(responses=responds(None)), B, "widgets.send response", (READER,)),
    "response of another type": (
        lambda d: call(d).update(responses=responds(STRING)),
        B,
        "widgets.send response",
        (READER,),
    ),
    # parameters
    "optional parameter added": (
        lambda d: call(d)["parameters"].append({"name": "q", "in": "query", "schema": STRING}),
        A,
        "widgets.send(q)",
        (SENDER,),
    ),
    "required parameter added": (
        lambda d: call(d)["parameters"].append({"name": "q", "in": "query", "required": True, "schema": STRING}),
        B,
        "widgets.send(q)",
        (SENDER,),
    ),
    "parameter removed": (lambda d: call(d)["parameters"].pop(1), B, "widgets.send(limit)", (SENDER,)),
    "parameter required": (lambda d: limit(d).update(required=True), B, "widgets.send(limit)", (SENDER,)),
    "parameter moved": (lambda d: limit(d).update({"in": "header"}), B, "widgets.send(limit)", (SENDER,)),
    "parameter default": (lambda d: limit(d)["schema"].update(default=100), B, "widgets.send(limit)", (SENDER,)),
    "parameter widened": (
        lambda d: limit(d).update(schema={"anyOf": [INTEGER, STRING], "default": 50}),
        A,
        "widgets.send(limit)",
        (SENDER,),
    ),
    "parameter of another type": (
        lambda d: limit(d)["schema"].update(type="string"),
        B,
        "widgets.send(limit)",
        (SENDER,),
    ),
    "parameter described": (lambda d: limit(d).update(description="At most."), C, "widgets.send(limit)", ()),
    "parameter deprecated": (lambda d: limit(d).update(deprecated=True), A, "widgets.send(limit)", ()),
    # fields of the body
    "optional body field added": (lambda d: send(d)["properties"].update(x=STRING), A, "widgets.send(x)", (SENDER,)),
    "required body field added": (
        lambda d: (send(d)["properties"].update(x=STRING), send(d)["required"].append("x")),
        B,
        "widgets.send(x)",
        (SENDER,),
    ),
    "body field optional": (lambda d: send(d)["required"].clear(), A, "widgets.send(name)", (SENDER,)),
    "body literal added": (
        lambda d: send(d)["properties"]["mode"]["enum"].append("c"),
        A,
        "widgets.send(mode)",
        (SENDER,),
    ),
    "body literal removed": (lambda d: send(d)["properties"]["mode"]["enum"].pop(), B, "widgets.send(mode)", (SENDER,)),
    "body literals opened": (lambda d: send(d)["properties"].update(mode=STRING), A, "widgets.send(mode)", (SENDER,)),
    "field of a sent object required": (
        lambda d: d["components"]["schemas"]["Part"].update(required=["text"]),
        B,
        "Part.text",
        (SENDER,),
    ),
    "sent object renamed": (rename_part, B, "Part", (SENDER, READER)),
    # fields of the response
    "field added": (lambda d: widget(d)["properties"].update(x=STRING), A, "Widget.x", (READER,)),
    "field removed": (lambda d: widget(d)["properties"].pop("size"), B, "Widget.size", (READER,)),
    "field optional": (lambda d: widget(d)["required"].remove("id"), B, "Widget.id", (READER,)),
    "field required": (lambda d: widget(d)["required"].append("size"), A, "Widget.size", (READER,)),
    "field nullable": (
        lambda d: widget(d)["properties"].update(size={"anyOf": [INTEGER, NULL]}),
        B,
        "Widget.size",
        (READER,),
    ),
    "field not nullable": (lambda d: widget(d)["properties"].update(note=STRING), A, "Widget.note", (READER,)),
    "instant to text": (lambda d: widget(d)["properties"].update(at=STRING), B, "Widget.at", (READER,)),
    "item of another type": (
        lambda d: widget(d)["properties"]["rows"].update(items=INTEGER),
        B,
        "Widget.rows[]",
        (READER,),
    ),
    "literal added": (
        lambda d: d["components"]["schemas"]["Colour"]["enum"].append("green"),
        A,
        "Widget.colour",
        (READER,),
    ),
    "tag changed": (lambda d: widget(d)["properties"]["kind"].update(const="widgets"), B, "Widget.kind", (READER,)),
    "model described": (lambda d: widget(d).update(description="A good widget."), C, "Widget", ()),
    # unions
    "member added": (add_member, A, "Pet", (READER,)),
    "member removed": (drop_member, B, "Pet", (READER,)),
    # what no operation reaches
    "unreached model removed": (lambda d: d["components"]["schemas"].pop("Apart"), B, "Apart", (READER,)),
    "model added": (lambda d: d["components"]["schemas"].update(New=obj("", x=STRING)), A, "New", ()),
    "unreached field removed": (
        lambda d: d["components"]["schemas"]["Apart"].update(properties={"y": STRING}),
        B,
        "Apart.x",
        (READER,),
    ),
}


def changes(edit: Edit) -> list[Change]:
    data = base()
    edit(data)
    return compare(read(base()), read(data))


@pytest.mark.parametrize("name", PAIRS)
def test_compare_change_reports_level_and_roles(name: str) -> None:
    """Each change is reported with its level and the roles it affects."""
    edit, level, place, hits = PAIRS[name]
    found = changes(edit)
    at = [change for change in found if change.place == place]
    assert [(c.level, c.hits) for c in at] == [(level, hits)], found
    assert max(c.level for c in found) is level, found


def test_pairs_cover_at_least_thirty_changes() -> None:
    """At least 30 kinds of change are tested."""
    assert len(PAIRS) >= 30


def test_compare_equal_documents_reports_none() -> None:
    """Equal documents have no changes."""
    assert changes(lambda _: None) == []
    assert bump([]) == "none"
    assert "No difference" in as_text([])


def test_compare_reordered_document_reports_none() -> None:
    """The order of schemas, properties and parameters is not a change."""

    def shuffle(data: dict[str, Any]) -> None:
        schemas = data["components"]["schemas"]
        data["components"]["schemas"] = dict(reversed(schemas.items()))
        widget(data)["properties"] = dict(reversed(widget(data)["properties"].items()))
        call(data)["parameters"].reverse()

    assert changes(shuffle) == []


@pytest.mark.parametrize(
    ("name", "version"), [("member removed", "major"), ("literal added", "minor"), ("summary", "patch")]
)
def test_bump_follows_highest_level(name: str, version: str) -> None:
    """The recommended version follows from the highest level."""
    found = changes(PAIRS[name][0])
    assert bump(found) == version
    assert f"calls for a {version} version" in as_text(found)
    assert f"calls for a {version} version" in as_markdown(found)


def test_report_groups_equal_changes() -> None:
    """Equal changes in several places are one entry of the report."""

    def edit(data: dict[str, Any]) -> None:
        for name in ("Widget", "Send"):
            data["components"]["schemas"][name]["properties"]["size"]["description"] = "How big."
        widget(data)["properties"]["rows"]["description"] = "All of them."
        for name in ("one", "other"):
            call(data)["parameters"].append({"name": name, "in": "query", "schema": {"type": "array", "items": STRING}})

    def edit_items(data: dict[str, Any]) -> None:
        edit(data)
        for parameter in call(data)["parameters"][2:]:
            parameter["schema"]["items"] = INTEGER

    before, after = base(), base()
    edit(before)
    edit_items(after)
    assert "  one[], other[] of widgets.send: was string, is integer [sender]" in as_text(
        compare(read(before), read(after))
    )
    text, table = as_text(changes(edit)), as_markdown(changes(edit))
    assert text.count("its documentation reads differently") == 1
    assert len([line for line in table.splitlines() if "its documentation reads differently" in line]) == 1
    assert "size, rows of Widget" in text
    assert "widgets.send(size)" in text
    assert "Cosmetic (3)" in text


@pytest.mark.parametrize(
    ("name", "surface"),
    [
        ("parameter of another type", "`int` is `str`"),
        ("parameter widened", "`int` is `int | str`"),
        ("optional parameter added", "new keyword `q`"),
        ("body literal removed", "its `Literal`"),
        ("field of a sent object required", "`NotRequired[str]` is `str`"),
        ("field removed", "no attribute `size`"),
        ("field optional", "also `None`"),
        ("field nullable", ""),  # an optional field reads as None anyway
        ("instant to text", "`datetime | None` is `str | None`"),
        ("item of another type", "`str` is `int`"),
        ("response of another type", "`Widget` is `str`"),
        ("member removed", "it reads as `UnknownPet`"),
        ("operation removed", "no module `api.….widgets_old`"),
    ],
)
def test_compare_change_names_package_surface(name: str, surface: str) -> None:
    """A change names the part of the package that it affects."""
    edit, _, place, _ = PAIRS[name]
    assert [change.surface for change in changes(edit) if change.place == place] == [surface]


def foreign() -> dict[str, Any]:
    """Return a foreign document: other names, more operations, events without extensions, a nullable query."""
    data = base()
    call(data)["operationId"] = "send_widget_widgets__id__post"
    limit(data)["schema"] = {"anyOf": [INTEGER, NULL], "default": 50}
    rename(data, "Pet", "PetUnion")
    widget(data)["properties"]["pet"] = ref("PetUnion")
    data["paths"]["/more"] = {"get": operation("more", responses=responds(ref("More")))}
    data["components"]["schemas"]["More"] = obj("", odd={"not": {}})
    return data


def test_compare_foreign_document_reports_real_changes_only() -> None:
    """Naming and layout of a foreign document are not changes."""
    ours, theirs = base(), foreign()
    call(ours)["x-letta-idempotency"] = "idempotent"
    ours["paths"]["/old"]["get"]["operationId"] = "widgets.elsewhere"
    sides = comparable(ours, theirs), comparable(theirs, ours)
    assert "More" not in sides[1]["components"]["schemas"]
    assert compare(*map(read, sides), shared=True) == []
    widget(theirs)["properties"]["size"] = STRING
    (found,) = compare(read(comparable(ours, theirs)), read(comparable(theirs, ours)), shared=True)
    assert (found.place, found.what, found.level) == ("Widget.size", "was integer, is string", B)


@pytest.mark.parametrize(
    ("schema", "what"),
    [
        ({"oneOf": [ref("Cat"), ref("Dog")]}, None),
        ({"oneOf": [ref("Cat")]}, "no longer Dog (object)"),
        ({}, "was Pet (union), is any JSON"),
        (None, "was Pet (union), is any JSON"),
    ],
)
def test_compare_foreign_events_uses_our_event_schema(schema: Any, what: str | None) -> None:
    """Events compare if only our document has the streaming extension."""
    ours, theirs = base(), base()
    for data, printed in ((ours, ref("Pet")), (theirs, schema)):
        content = {"text/event-stream": {} if printed is None else {"schema": printed}}
        call(data)["responses"] = {"200": {"description": "", "content": content}}
    event = "#/components/schemas/Pet"
    call(ours)["x-letta-streaming"] = {"event": event, "terminator": "[DONE]", "resume-operation": "widgets.send"}
    call(theirs)["operationId"] = "send"
    found = compare(read(comparable(ours, theirs)), read(comparable(theirs, ours)), shared=True)
    assert [change.what for change in found] == ([what] if what else [])


def test_markdown_escapes_cells() -> None:
    """Pipes, HTML and mentions in a change are escaped."""
    text = as_markdown([Change(B, "a|b\n| c |", "<script>`[x](javascript:1)` @everyone", (SENDER,))])
    rows = [line for line in text.splitlines() if line.startswith("| a")]
    assert len(rows) == 1
    assert rows[0].replace("\\|", "").count("|") == 5
    assert "<script" not in text
    assert "@everyone" not in text


def test_markdown_hostile_text_keeps_table_columns() -> None:
    """Hostile text in a document does not add columns or markup to the table."""
    ours, theirs = base(), base()
    for n, text in enumerate(HOSTILE):
        send(ours)["properties"][f"f{n}"] = {"enum": [text]}
        send(theirs)["properties"][f"f{n}"] = {"enum": [f"{text}!", "z"]}
    lines = as_markdown(compare(read(ours), read(theirs))).splitlines()
    cells = [line for line in lines if line.startswith("| widgets.send(f")]
    assert len(cells) == len(HOSTILE)
    assert {len(re.findall(r"(?<!\\)(?:\\\\)*\|", line)) for line in cells} == {5}
    assert not any("<" in line or "@" in line.replace("@\u200b", "") for line in cells if "`" not in line)


def test_diff_command_exit_status_follows_fail_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The diff command prints changes and its exit status follows --fail-on."""

    old, new = tmp_path / "old.json", tmp_path / "new.json"
    data = base()
    old.write_text(json.dumps(data))
    widget(data)["properties"].pop("size")
    new.write_text(json.dumps(data))
    assert main(["diff", str(old), str(new)]) == 0
    assert "Widget.size: the field is gone [reader]" in capsys.readouterr().out
    assert main(["diff", str(old), str(new), "--format", "markdown", "--fail-on", "breaking"]) == 1
    assert "| Widget.size | the field is gone | reader |" in capsys.readouterr().out
    assert main(["diff", str(old), str(tmp_path / "none.yaml")]) == 2
    assert "neither a file nor a revision" in capsys.readouterr().err


def test_diff_command_invalid_foreign_document_needs_lenient(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An invalid foreign document ends with status 2, unless --lenient is given."""
    ours, theirs = tmp_path / "ours.json", tmp_path / "theirs.json"
    ours.write_text(json.dumps(base()))
    data = foreign()
    data["paths"]["/faulty"] = {"get": {"responses": []}}
    data["paths"]["/nameless"] = {"get": {"responses": responds(STRING)}}
    theirs.write_text(json.dumps(data))
    assert main(["diff", str(ours), str(theirs), "--shared"]) == 2
    assert "#/paths/~1faulty/get/responses" in capsys.readouterr().err
    assert main(["diff", str(ours), str(theirs), "--shared", "--lenient"]) == 0
    printed = capsys.readouterr()
    assert "No difference in what was compared; 2 places were not compared." in printed.out
    assert "#/paths/~1faulty/get" in printed.out
    assert "#/paths/~1nameless/get" in printed.out


def test_diff_command_option_like_revision_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """A revision that looks like a git option is refused."""
    assert main(["diff", "--", "--output=/tmp/pwned", "HEAD"]) == 2
    assert "neither a file nor a revision" in capsys.readouterr().err
