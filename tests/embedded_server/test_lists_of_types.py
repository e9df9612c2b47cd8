"""Lists of types that the embedded server repeats are those of the specification."""

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


def test_each_message_type_of_the_specification_can_be_asked_for(talk: ServerClient) -> None:
    """A type that is added to the specification is taken by the embedded server without another edit."""
    types = schemas()["MessageType"]["enum"]
    assert list(get_args(MessageType)) == types
    assert talk.messages(include_return_message_types=types)
    refused = talk.http.get(f"{talk.conversation}/messages", params={"include_return_message_types": "letter"})
    told = refused.json()["detail"]
    assert all(f"'{each}'" in told for each in types)


def test_content_parts_and_modes_are_those_of_the_specification() -> None:
    """A member that is added to a union of the specification fails this test until the server reads it."""
    unions = [
        set(schema["discriminator"]["mapping"])
        for schema in schemas().values()
        if "mapping" in schema.get("discriminator", {})
    ]
    assert set(_PARTS) in unions
    assert set(_SOURCES) in unions
    assert str(list(COMPACTION_MODES)).replace("'", "") in str(schemas()["CompactionSettings"]).replace("'", "")
