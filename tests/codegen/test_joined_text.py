"""The extension `x-letta-text`: attributes with the text of some items of an array."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from codegen.errors import SpecError
from tests.codegen.building import STRING, Schema, document, imported, make, obj, ref, tagged

PART = obj("text", text=STRING)
WHERE = {"kind": "say", "voice": "loud"}
FACTS = {"items": "all", "where": WHERE, "text": "body"}


def schemas(text: Any) -> dict[str, Schema]:
    """Return components of which the last has texts."""
    body = {"anyOf": [STRING, {"type": "array", "items": ref("Part")}, {"type": "null"}]}
    return {
        "Part": PART,
        "Say": obj("kind", kind={"const": "say"}, voice=STRING, body=body),
        "Think": obj("kind", kind={"const": "think"}, voice=STRING, body=body),
        "Item": tagged("kind", say="Say", think="Think"),
        "Talk": obj("all", all={"type": "array", "items": ref("Item")}, title=STRING) | {"x-letta-text": text},
    }


def test_text_joins_selected_items(tmp_path: Path) -> None:
    """The attribute has the text of the items with these fields, strings and parts alike, and is not a field."""
    package, _ = make(document(schemas({"said": FACTS})), tmp_path)
    loud: Schema = {"kind": "say", "voice": "loud"}
    items: list[Schema] = [
        loud | {"body": "one"},
        loud | {"body": [{"text": "two"}, {"text": "!"}]},
        {"kind": "think", "voice": "loud", "body": "unspoken"},
        {"kind": "say", "voice": "low", "body": "whispered"},
        {"kind": "new", "voice": "loud", "body": "unknown"},
        loud | {"body": ""},
        loud | {"body": []},
        loud | {"body": None},
        loud,
        loud | {"body": "three\nfour"},
    ]
    with imported(package) as api:
        talk = api.models.Talk.from_dict({"all": items})
        assert talk.said == "one\ntwo!\nthree\nfour"
        assert api.models.Talk(all=[]).said == ""
        assert api.models.Talk.said.of(talk.all[:1]) == "one"
        assert talk.to_dict() == {"all": items}


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ([], ""),
        ({"all": FACTS}, ""),
        ({"to_dict": FACTS}, ""),
        ({"a b": FACTS}, ""),
        ({"class": FACTS}, ""),
        ({"_said": FACTS}, ""),
        ({"said": {}}, "/said"),
        ({"said": FACTS | {"more": 1}}, "/said"),
        ({"said": FACTS | {"items": "title"}}, "/said/items"),
        ({"said": FACTS | {"items": "none"}}, "/said/items"),
        ({"said": FACTS | {"where": "x"}}, "/said"),
        ({"said": FACTS | {"where": {"kind": 1}}}, "/said"),
        ({"said": FACTS | {"text": 'x"\n'}}, "/said"),
    ],
)
def test_invalid_text_is_rejected_with_its_place(tmp_path: Path, text: Any, place: str) -> None:
    """An invalid extension is an error with its place in the document."""
    with pytest.raises(SpecError) as caught:
        make(document(schemas(text)), tmp_path)
    assert f"#/components/schemas/Talk/x-letta-text{place}" in str(caught.value)
