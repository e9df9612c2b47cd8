"""The lists of types in the embedded server match the specification."""

from __future__ import annotations

from typing import Any, get_args

import pytest

from letta_api.enums import MessageType
from letta_ext.testing.api.requests import CompactionMode
from letta_ext.testing.api.specification import source

from .conftest import ServerClient


def schemas() -> dict[str, Any]:
    found: dict[str, Any] = source()["components"]["schemas"]
    return found


def test_message_type_filter_accepts_all_types_of_specification(api: ServerClient) -> None:
    """The server accepts every message type of the specification as a filter."""
    types = schemas()["MessageType"]["enum"]
    assert list(get_args(MessageType)) == types
    assert api.messages(include_return_message_types=types)
    rejected = api.http.get(f"{api.conversation}/messages", params={"include_return_message_types": "letter"})
    detail = rejected.json()["detail"]
    assert all(f"'{each}'" in detail for each in types)


@pytest.mark.parametrize(
    ("schema", "body"),
    [
        ("InternalContentPart", {"input": [{"type": "unknown"}]}),
        ("ContentPart", {"messages": [{"role": "user", "content": [{"type": "unknown"}]}]}),
        ("ImageSource", {"input": [{"type": "image", "source": {"type": "unknown"}}]}),
    ],
)
def test_unknown_part_is_rejected_with_types_of_specification(
    api: ServerClient, schema: str, body: dict[str, Any]
) -> None:
    """The problem of an unknown content part names the types of the specification."""
    rejected = api.http.post(f"{api.conversation}/messages", json=body)
    assert rejected.status_code == 422
    for tag in schemas()[schema]["discriminator"]["mapping"]:
        assert f": '{tag}'>" in rejected.json()["detail"]


def test_compaction_modes_match_specification() -> None:
    """The compaction modes of a scenario file are those of the specification."""
    assert str(list(get_args(CompactionMode))).replace("'", "") in str(schemas()["CompactionSettings"]).replace("'", "")
