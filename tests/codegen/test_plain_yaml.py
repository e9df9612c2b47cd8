"""The fast loader of YAML returns what ruamel.yaml returns, or leaves the text to it."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from codegen.document import MAX_DEPTH, make_loader, parse
from codegen.errors import SpecError
from codegen.pipeline import SPEC
from codegen.plain_yaml import load_plain
from tests.codegen.building import stress_in_full
from tests.stress.figures import FULL

DOCUMENTS = sorted(Path(__file__).parent.glob("*.yaml"))

PIECES = [
    *("a", "b c", "é", "\U0001f600", "\xa0", "true", "yes", "null", "~", "", "0o17", "017", "1e3", "-1", "1_0", ".5"),
    *("2024-01-01", "12:30", "=", "<<", "http://x/y", "a:b", "a#b", "a #b", "x]", "text over\n  lines", "'it''s'"),
    *('"q\\n\\u00e9\\/"', '"fold\n  ed\\\n  x"', "''", "|\n  x\n\n   y\n", ">-\n  x\n\n  y\n   z\n", "|2\n   x\n"),
    *("[a, {b: 1}]", '{"a":1, b: [x,\n y]}', "{a:b}", "{a}", "[?a, b]", "[a: b]", "? a\n: b\n", "- ", "? ", ": ", "\t"),
    *("&x a", "*x", "!x a", "!!str 1", "%", "@", "`", "---", "...", "\n---\n", "\n...\n", "#", " # c\n", "'", '"'),
    *(
        "\\",
        "|",
        ">",
        "{",
        "}",
        "[",
        "]",
        ",",
        "\r\n",
        "\x85",
        "\u2028",
        "\ufeff",
        "\n",
        "\n  ",
        "\n    ",
        "\n \n",
        " ",
    ),
    *("\na: ", "\n  b: ", "\n  - ", "\n- ", "\n- - c: ", "a: ", "b:\n  c: ", "<<: {a: 1}\n", "? [a]\n: b", "#\n"),
]

TEXTS = st.lists(st.sampled_from(PIECES), max_size=14).map("".join)
"""Texts of YAML syntax. Most are not valid."""

IN_AN_OBJECT = st.one_of(
    TEXTS, TEXTS.map("a: {}".format), TEXTS.map(lambda text: "r:\n  " + text.replace("\n", "\n  "))
)


def with_ruamel(text: str) -> Any:
    """Return the value of a text, or the exception that ruamel.yaml raises."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of digits that YAML 1.1 would read otherwise
        try:
            return make_loader().load(text)
        except Exception as error:  # noqa: BLE001  # compared
            return error


@stress_in_full
@settings(max_examples=20_000 if FULL else 400, deadline=None)
@example("a: |#\n  b")
@example("a: |\n \n  b\n")
@example("a: b\n...\n...\n")
@example("a: [b,?:]")
@example(">\n#x\n")
@example("a: '\x85b'")
@example("a: 1\na: 2")
@example("1: a\ntrue: b")
@given(IN_AN_OBJECT)
def test_plain_yaml_is_loaded_as_ruamel_does(text: str) -> None:
    """A text that the fast loader loads has the value that ruamel.yaml returns."""
    found = load_plain(text, make_loader(), MAX_DEPTH)
    if found is not None:
        assert repr(found) == repr(with_ruamel(text))


@pytest.mark.parametrize(
    "text",
    [
        "a: yes\nb: [on, 0o17, 017, 1_000, 1e3, .5, ~, True]\n2024-01-01: 12:30\n200: {no: n, '1': \"1\"}\n",
        "# c\n---\na: |\n  x\n\n   y\nb: >-\n  x\n  y\nc: plain\n  text # c\nd: \"\\u00e9\\n\"\n'e': \U0001f600\n",
        SPEC.read_text(encoding="utf-8"),
        *(path.read_text(encoding="utf-8") for path in DOCUMENTS),
    ],
    ids=["scalars", "styles", SPEC.name, *(path.name for path in DOCUMENTS)],
)
def test_plain_yaml_loads_usual_documents(text: str) -> None:
    """Documents without anchors, tags and merge keys are loaded by the fast loader, with the values of ruamel.yaml."""
    found = load_plain(text, make_loader(), MAX_DEPTH)
    assert found is not None
    assert repr(found) == repr(with_ruamel(text))


@pytest.mark.parametrize(
    "text",
    [
        "a: 1\na: 2",
        "a: &x 1\nb: *x",
        "a: !!str 1",
        "<<: {a: 1}",
        "%YAML 1.1\n---\na: yes",
        "a: 1\n---\nb: 2",
        "? [a]\n: b",
        "a: [",
        "a:\tb",
        "a: =",
        "a: " + "[" * 200 + "]" * 200,
        "- a",
        "",
    ],
)
def test_unusual_yaml_is_left_to_ruamel(text: str) -> None:
    """Invalid text, repeated keys, anchors, tags, merge keys, directives and several documents are not plain."""
    assert load_plain(text, make_loader(), MAX_DEPTH) is None


@pytest.mark.parametrize("text", ["openapi: 3.1.0\na: 1\nb:\n  c: 1\n  c: 2\n", "openapi: 3.1.0\na: [1,\nb: {\n"])
def test_errors_in_yaml_name_the_line(text: str) -> None:
    """Errors in YAML are those of ruamel.yaml, with the line."""
    with pytest.raises(SpecError, match=r"line [45]"):
        parse(text, "openapi.yaml")


def test_json_in_yaml_is_loaded_alike() -> None:
    """JSON after a comment is YAML, with the same values."""
    value = {"openapi": "3.1.0", "a": [1, 2.5, None, True, "é\n"], "b": {"c": {}}}
    assert parse(f"# c\n{json.dumps(value, indent=2)}\n", "openapi.yaml") == value
