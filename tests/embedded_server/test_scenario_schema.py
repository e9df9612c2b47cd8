"""The published JSON Schema of scenario files accepts valid files and rejects wrong keys and types."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import jsonschema
import pytest
import yaml

from letta_ext.testing import EmbeddedServer
from letta_ext.testing.command import main

from .test_invalid_scenario_files import DOCUMENTED

PUBLISHED: Final = Path(__file__).parents[2] / "docs" / "_static" / "scenario.schema.json"


def schema() -> Any:
    return json.loads(PUBLISHED.read_text(encoding="utf-8"))


def test_published_schema_is_the_printed_one(capsys: pytest.CaptureFixture[str]) -> None:
    """`--schema` prints the published schema, which is a valid one."""
    assert main(["--schema"]) == 0
    assert json.loads(capsys.readouterr().out) == schema()
    jsonschema.Draft202012Validator.check_schema(schema())


@pytest.mark.parametrize("text", DOCUMENTED)
def test_documented_file_matches_schema(text: str) -> None:
    """The files of the documentation match the schema."""
    # In YAML 1.1 the key `on` is true.
    jsonschema.validate(yaml.safe_load(text.replace(" on:", ' "on":')), schema())


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"delay": "slow"}, "delay"),
        ({"otherwis": "x"}, "unknown key 'otherwis'"),
        ({"agent": {"nam": "a"}}, "unknown key 'nam'"),
        ({"agent": []}, "agent"),
        ({"say": "hello"}, "say"),
        ({"say": [5]}, "say[0]"),
        ({"say": [{"text": 5}]}, "say[0].text"),
        ({"say": [{"calls": [{}]}]}, "missing key 'name'"),
        ({"when": [{"message": "a"}]}, "missing key 'responses'"),
        ({"tools": [{"name": "a", "status": "fine"}]}, "tools[0].status"),
        ({"faults": [{"fault": "explode"}]}, "fault must be one of"),
        ({"faults": [{"fault": "cut", "event": 3}]}, "unknown key 'event'"),
        ({"faults": [{"fault": "respond"}]}, "missing key 'status'"),
        ({"kept_events": 1.5}, "kept_events"),
    ],
)
def test_wrong_key_or_type_is_rejected_by_schema_and_server(tmp_path: Path, data: Any, message: str) -> None:
    """The schema rejects a file, and the server rejects it with its line."""
    assert list(jsonschema.Draft202012Validator(schema()).iter_errors(data))
    path = tmp_path / "wrong.json"
    path.write_text(json.dumps(data), encoding="utf-8")
    with pytest.raises(ValueError, match=r"\(line 1\)") as caught:
        EmbeddedServer(path)
    assert message in str(caught.value)
