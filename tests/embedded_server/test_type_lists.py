"""The lists of types in the embedded server match the specification."""

from __future__ import annotations

from typing import Any, get_args

from letta_api.enums import MessageType
from letta_ext.testing.api.content import _PARTS, _SOURCES
from letta_ext.testing.api.requests import COMPACTION_MODES
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


def test_content_parts_and_compaction_modes_match_specification() -> None:
    """Content parts, image sources and compaction modes match the unions of the specification."""
    unions = [
        set(schema["discriminator"]["mapping"])
        for schema in schemas().values()
        if "mapping" in schema.get("discriminator", {})
    ]
    assert set(_PARTS) in unions
    assert set(_SOURCES) in unions
    assert str(list(COMPACTION_MODES)).replace("'", "") in str(schemas()["CompactionSettings"]).replace("'", "")
