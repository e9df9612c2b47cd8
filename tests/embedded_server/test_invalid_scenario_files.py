"""Invalid scenario files are rejected when they are loaded, with the file, the line and the key."""

from __future__ import annotations

import json
import os
import random
import re
import time
import tracemalloc
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from letta_ext.testing import EmbeddedServer, create_app

from .test_scripts import FILE_TEXT

PAGE: Final = (Path(__file__).parents[2] / "docs" / "testing.md").read_text(encoding="utf-8")
DOCUMENTED: Final = re.findall(r"^```yaml[^\n]*\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
"""The files that the documentation shows."""

DRAWN: Final = 3_000 if os.environ.get("LETTA_STRESS") == "full" else 400


def load_error(path: Path, text: str | bytes) -> str:
    """Return the error message of a file."""
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ValueError) as caught:  # noqa: PT011  # the caller looks at the message
        create_app(path)
    assert type(caught.value) is ValueError
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    return message.removeprefix(f"{path}: ")


@pytest.mark.parametrize(
    ("text", "problem", "line"),
    [
        ("delay: -1", "delay must be a finite number of seconds and not negative, got -1.0", 1),
        ("# a\n\ndelay: .nan", "delay must be a finite number of seconds and not negative, got nan", 3),
        ("delay: .inf", "delay must be a finite number", 1),
        ("delay: 1e999", "delay: expected a number, got '1e999'", 1),
        ("delay: " + "9" * 400, "delay: expected a number", 1),
        ("delay: " + "9" * 5000, "expected a value of type int, got", 1),
        ("delay: 1\ndelay: 2", "duplicate key 'delay' in lines 1 and 2", 2),
        ("agent:\n  name: a\n  system: b\n  name: c", "agent: duplicate key 'name' in lines 2 and 4", 4),
        ("agent:\n  nam: a", "agent: unknown key 'nam', expected name, system", 2),
        ("agent:\n  compaction_mode: nope", "agent.compaction_mode: expected one of 'all'", 2),
        ("agent:\n  context_window: -1", "agent: context_window must be between 1 and", 2),
        ("kept_events: -5", "kept_events must be at least 0, got -5", 1),
        ("kept_events: 1.5", "kept_events: expected an integer, got 1.5", 1),
        ("kept_events: !!int ''", "kept_events: expected a value of type int, got ''", 1),
        ("order_relative_cursors: yes", "order_relative_cursors: expected true or false, got 'yes'", 1),
        ("say:\n  - a\n  - 5", "say[1]: expected a string, got 5", 3),
        ("say:\n- fail: 200", "say[0]: fail must be between 400 and 599, got 200", 2),
        (
            "say:\n- text: x\n  usage:\n    prompt: -5",
            "say[0].usage: prompt must be between 0 and 2147483647, got -5",
            4,
        ),
        ("say:\n- text: x\n  delay: -1", "say[0]: delay must be a finite number", 3),
        ("say:\n- text: x\n  token_delay: -1", "say[0]: token_delay must be a finite number", 3),
        (
            "say:\n- calls:\n  - name: x\n    arguments: {city: !!set {a}}",
            "unsupported type 'tag:yaml.org,2002:set",
            4,
        ),
        ("say:\n- calls:\n  - name: x\n    arguments: &a {a: *a}", "alias *a is undefined or recursive", 4),
        ("say:\n- calls:\n  - name: x\n    arguments: {a: .nan}", "say[0].calls[0]: arguments must be JSON", 4),
        ("say: [*nothing]", "say[0]: alias *nothing is undefined or recursive", 1),
        ("say: ['a\\0']\nsay: b", "duplicate key 'say'", 2),
        ('say: ["a\\0b"]', "say[0] must not contain NUL", 1),
        ("say: [!!python/object:os.system x]", "unsupported type 'tag:yaml.org,2002:python/object:os.system'", 1),
        ("when:\n- message: a\n  responses: []", "when[0]: responses must contain at least one response", 3),
        ("when:\n- message: a", "when[0]: missing key 'responses'", 2),
        ("when:\n- message: a\n  response: [b]", "when[0]: unknown key 'response'", 3),
        (
            "tools:\n- name: get_weather\n  returns: x\n  status: eror",
            "tools[0].status: expected one of 'success'",
            4,
        ),
        ("tools:\n- name: get_weather\n  status: error", "tools[0]: status requires returns", 3),
        ("tools:\n- name: a\n- name: a", "tools[1].name: duplicate tool name 'a'", 3),
        (
            "tools:\n- name: a\n  source: 'def b(): pass'",
            "name must be 'b', the last function of the source",
            2,
        ),
        ("tools:\n- name: a\n  source: 'def'", "tools[0]: 400: ", 2),
        (
            "tools:\n- name: get_time\n  source: 'def get_time(): pass'",
            "tools[0].source: the tool 'get_time'",
            3,
        ),
        ("faults:\n- fault: cut\n  events: -1", "faults[0]: events must be at least 0, got -1", 3),
        ("faults:\n- fault: slow\n  pause: -1", "faults[0]: pause must be a finite number", 3),
        ("faults:\n- fault: respond\n  status: 503\n  times: 0", "faults[0]: times must be at least 1", 4),
        (
            "faults:\n- fault: respond\n  status: 503\n  body: !!binary aGk=",
            "unsupported type 'tag:yaml.org,2002:bin",
            4,
        ),
        (
            'faults:\n- fault: respond\n  status: 503\n  headers: {a: "b\\r\\nx: y"}',
            "faults[0]: headers['a'] must be",
            4,
        ),
        ("faults:\n- fault: respond\n  status: 999", "faults[0]: status must be between 200 and 599", 3),
        ("faults:\n- fault: respond\n  staus: 503", "faults[0]: unknown key 'staus'", 3),
        ('faults:\n- fault: redirect\n  location: "a\\nb"', "faults[0]: location must be a valid header value", 3),
        ("faults:\n- fault: extra_fields\n  fields: {a: .inf}", "faults[0]: fields must be JSON", 3),
        ("faults:\n- fault: [a]", "faults[0]: fault must be one of cut, stall, slow, lost_response, ", 2),
        ("delay: 1\n---\ndelay: 2", "expected a single document", 2),
        ("? [a]\n: b", "a key must be a string", 1),
        ("5: b", "unknown key '5'", 1),
        ("<<: 5", "<< must be followed by a mapping", 1),
        ("[" * 60 + "]" * 60, "nested more than 50 levels deep", 1),
        ("- " * 100_000, "", 0),
        ("[" * 100_000, "", 0),
        ("just a text", "expected a mapping, got 'just a text'", 1),
    ],
)
def test_invalid_file_error_has_line_and_key(tmp_path: Path, text: str, problem: str, line: int) -> None:
    """The error names the file, the line and the key."""
    message = load_error(tmp_path / "scenario.yaml", text)
    assert problem in message
    if line:
        assert re.search(rf"\bline {line}\b", message), message


@pytest.mark.parametrize("content", [b"\xff\xfe", b"say: [\xe9]", b"\x80" * 100], ids=["UTF-16", "Latin-1", "no text"])
def test_file_not_in_utf8_is_rejected(tmp_path: Path, content: bytes) -> None:
    """A file in another encoding is rejected."""
    assert "not UTF-8" in load_error(tmp_path / "scenario.yaml", content)


def bomb(levels: int) -> str:
    lines = ["say:", "- text: &a0 boom", "when:"]
    lines += [f"- &a{n + 1} [{', '.join([f'*a{n}'] * 10)}]" for n in range(levels)]
    return "\n".join(lines)


@pytest.mark.parametrize("levels", [8, 40])
def test_alias_bomb_is_rejected_cheaply(tmp_path: Path, levels: int) -> None:
    """Aliases that expand to millions of values are rejected before they expand."""
    path, began = tmp_path / "scenario.yaml", time.monotonic()
    tracemalloc.start()
    try:
        message = load_error(path, bomb(levels))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert "more than 100000 values, including aliases" in message
    assert time.monotonic() - began < 5
    assert peak < 20 * 2**20


def test_oversized_file_is_rejected_unread(tmp_path: Path) -> None:
    """A file of more than 4 MiB is rejected without reading it completely."""
    path = tmp_path / "scenario.yaml"
    with path.open("wb") as file:
        file.truncate(2**32)  # a sparse file
    with pytest.raises(ValueError, match="the file must have at most 4194304 bytes"):
        create_app(path)


@pytest.mark.parametrize(
    "scenario",
    ["missing.yaml", "", ".", "/", "a\0b", "x" * 5000, "/dev/zero", "\ud800"],
    ids=["missing", "empty", "folder", "root", "NUL", "long", "device", "surrogate"],
)
def test_path_without_file_is_rejected(scenario: str) -> None:
    """Paths without a regular file are rejected as unknown scenarios."""
    with pytest.raises(ValueError, match="scenario must be one of default, docs, echo, or the path of a file"):
        EmbeddedServer(scenario)


def test_aliases_and_merge_keys_are_expanded(tmp_path: Path) -> None:
    """Anchors, aliases and merge keys have their YAML meaning."""
    path = tmp_path / "scenario.yaml"
    path.write_text(
        "say: [&hi hello, *hi]\n"
        "tools:\n- &base {name: one, returns: x, stdout: [a]}\n- {<<: *base, name: two}\n"
        "otherwise: on\n",
        encoding="utf-8",
    )
    script = EmbeddedServer(path).script
    assert list(script.turns) == ["hello", "hello"]
    assert script.otherwise == "on"
    assert script.tools["two"] == script.tools["one"]


def test_json_surrogate_pairs_are_decoded(tmp_path: Path) -> None:
    """Surrogate pairs in JSON are decoded."""
    path = tmp_path / "scenario.json"
    path.write_text(json.dumps({"otherwise": "\U0001f600 \\ud83d\\ude00"}), encoding="utf-8")
    assert EmbeddedServer(path).script.otherwise == "\U0001f600 \\ud83d\\ude00"


def test_default_tool_can_require_approval(tmp_path: Path) -> None:
    """`requires_approval` applies to the agent's default tools."""
    path = tmp_path / "scenario.yaml"
    path.write_text("tools: [{name: get_weather, requires_approval: true}]", encoding="utf-8")
    server = EmbeddedServer(path)
    tools = {tool.name: tool.requires_approval for tool in server.state.agents[server.agent_id].tools}
    assert tools == {"get_weather": True, "get_time": False, "guarded": True}


ODD: Final[list[Any]] = [
    None,
    True,
    -1,
    0,
    {},
    1,
    2**40,
    -0.5,
    float("nan"),
    float("inf"),
    "",
    "x",
    "\x00",
    "\x1b[31m",
    "é",
    [],
    [[]],
    ["x"],
    {"x": 1},
    {"a": {"b": [None]}},
    503,
    "503",
    1e300,
    [None],
    {"fail": 500},
    {"text": 5},
    "POST /v1/*",
]


def mutated(chance: random.Random, value: Any) -> Any:
    """Return a scenario with one changed value."""
    if isinstance(value, dict) and value and chance.random() < 0.85:
        name = chance.choice(list(value))
        changed = {**value, name: mutated(chance, value[name])}
        if chance.random() < 0.1:
            changed[name + "x"] = changed.pop(name)
        return changed
    if isinstance(value, list) and value and chance.random() < 0.85:
        index = chance.randrange(len(value))
        return [*value[:index], mutated(chance, value[index]), *value[index + 1 :]]
    return chance.choice(ODD)


def mangled(chance: random.Random, text: str) -> str:
    """Return a text with a few changed characters, duplicated or truncated lines."""
    lines = text.split("\n")
    for _ in range(chance.randint(1, 3)):
        at = chance.randrange(len(lines))
        line = lines[at]
        place = chance.randrange(len(line) + 1)
        lines[at] = chance.choice(
            [
                line[:place] + chance.choice(list("{}[]:,&*!|>'\"%@`#-\t\\é\x00\x85")) + line[place:],
                line[:place],
                f"{line}\n{line}",
                line.replace("0", "-9").replace("1", "nan"),
                line[1:],
            ]
        )
    return "\n".join(lines)


def load_or_error(path: Path) -> EmbeddedServer | str:
    """Return the server of a file, or the error message."""
    try:
        return EmbeddedServer(path)
    except ValueError as error:
        return str(error)


def test_random_file_loads_or_is_rejected(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A random file loads and works, or is rejected with its path and line."""
    chance, path = random.Random(20), tmp_path / "scenario.yaml"
    texts = [FILE_TEXT, *DOCUMENTED]
    assert DOCUMENTED
    with_line = 0
    valid = 0
    for number in range(DRAWN):
        text = chance.choice(texts)
        if number % 2:
            scenario = yaml.safe_load(text.replace("on:", "'on':"))
            text = yaml.safe_dump(mutated(chance, scenario), allow_unicode=True)
        else:
            text = mangled(chance, text)
        path.write_text(text, encoding="utf-8")
        loaded = load_or_error(path)
        if isinstance(loaded, str):
            with_line += "line " in loaded
            assert loaded.startswith(f"{path}: "), text
            assert re.search("line |unacceptable character|position", loaded), text
            assert loaded.isprintable(), ascii(loaded)
            continue
        valid += 1
        for response in [*loaded.script.turns, loaded.script.otherwise, *loaded.script.tools.values()]:
            json.dumps(getattr(response, "text", response)).encode()
        assert loaded.state.delay >= 0
    with capsys.disabled():
        print(f"\nSCENARIO FILES drawn {DRAWN}, refused {DRAWN - valid} ({with_line} with a line), taken {valid}")
    assert valid > 0
    assert with_line > DRAWN / 3
