"""Lazy lists decode items on access and behave like plain lists."""

from __future__ import annotations

import copy
import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from letta_api.errors import DecodeError
from letta_api.lazy_list import LazyList
from letta_api.models import ChoiceLogprobs, LettaResponse, TokenLogprob, TopLogprob

SENT = Path(__file__).parents[1] / "fixtures" / "recordings" / "send_json.body"


def token(n: int, **changed: Any) -> dict[str, Any]:
    return {"token": f"t{n}", "logprob": -0.5 * n, "top_logprobs": [], "bytes": [n], **changed}


def read(*tokens: Any) -> ChoiceLogprobs:
    return ChoiceLogprobs.from_dict({"content": list(tokens), "refusal": None})


def content(*tokens: Any) -> list[TokenLogprob]:
    found = read(*tokens).content
    assert isinstance(found, LazyList)
    return found


def raw(items: list[TokenLogprob]) -> list[Any]:
    """Return the stored items without decoding."""
    return list(list.__iter__(items))


THREE = [token(n) for n in range(3)]
DECODED = [TokenLogprob.from_dict(each) for each in THREE]


def test_lazy_list_index_decodes_one_item_once() -> None:
    """An index decodes one item once and leaves the others raw."""
    items = content(*THREE)
    assert len(items) == 3
    assert items
    assert raw(items) == THREE
    second = items[1]
    assert second == DECODED[1]
    assert items[1] is second
    assert items[-2] is second
    assert raw(items) == [THREE[0], second, THREE[2]]
    second.token = "changed"
    assert [each.token for each in items] == ["t0", "changed", "t2"]
    assert items[1] is second


def test_lazy_list_slice_decodes_its_items() -> None:
    """A slice decodes its items."""
    items = content(*THREE)
    assert items[:2] == DECODED[:2]
    assert items[::-2] == [DECODED[2], DECODED[0]]
    assert raw(items)[1] is items[1]


USES: list[Callable[[Any], Any]] = [
    list,
    tuple,
    lambda items: sorted(items, key=lambda each: each.token),
    lambda items: [*items],
    lambda items: list(reversed(items)),
    lambda items: items + [],  # noqa: RUF005  # the operator is tested
    lambda items: [] + items,  # noqa: RUF005  # the operator is tested
    lambda items: items * 2,
    lambda items: 2 * items,
    lambda items: items.copy(),
    lambda items: copy.copy(items),
    lambda items: copy.deepcopy(items),
    lambda items: pickle.loads(pickle.dumps(items)),
    lambda items: (items.index(DECODED[2]), items.count(DECODED[1]), DECODED[0] in items),
    lambda items: (items.append(DECODED[0]), list(items)),
    lambda items: (items.extend(DECODED), list(items)),
    lambda items: (items.insert(0, DECODED[2]), list(items)),
    lambda items: (items.pop(), items.pop(0), list(items)),
    lambda items: (items.remove(DECODED[1]), list(items)),
    lambda items: (items.reverse(), list(items)),
    lambda items: (items.sort(key=lambda each: each.logprob), list(items)),
    lambda items: (items.clear(), list(items)),
    lambda items: (items.__setitem__(0, DECODED[2]), list(items)),
    lambda items: (items.__delitem__(0), list(items)),
    lambda items: (items == DECODED, DECODED == items, items != DECODED, items == DECODED[:2]),  # noqa: SIM300  # both sides
    repr,
    str,
    bool,
]


@pytest.mark.parametrize("use", USES)
def test_lazy_list_operation_matches_list(use: Callable[[Any], Any]) -> None:
    """Each operation has the result that a plain list has."""
    plain = use([TokenLogprob.from_dict(each) for each in THREE])
    assert use(content(*THREE)) == plain
    partly = content(*THREE)
    assert partly[1].token == "t1"
    assert use(partly) == plain


def test_lazy_list_invalid_index_raises() -> None:
    """An index out of range raises IndexError, and a string raises TypeError."""
    for index in (3, -4):
        with pytest.raises(IndexError):
            content(*THREE)[index]
    with pytest.raises(TypeError):
        content(*THREE)["1"]  # type: ignore[call-overload]  # invalid on purpose


def test_model_with_lazy_list_behaves_like_any_model() -> None:
    """A model with a lazy list compares, copies, prints and changes like any other."""
    data = {"content": THREE, "refusal": None}
    model = ChoiceLogprobs.from_dict(data)
    assert model.fields_set == {"content", "refusal"}
    assert model.to_dict() == data
    assert isinstance(model.content, LazyList)
    assert raw(model.content) == THREE
    written = model.to_dict()["content"]
    written[0]["token"] = "changed"
    assert model.to_dict() == data
    assert repr(model) == repr(ChoiceLogprobs(content=DECODED, refusal=None))
    assert model == ChoiceLogprobs(content=DECODED, refusal=None)
    for again in (copy.copy(model), copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert again == model
    assert ChoiceLogprobs.from_dict({"content": THREE}).fields_set == {"content"}
    model.content = DECODED[:1]
    assert model.to_dict() == {"content": THREE[:1], "refusal": None}
    del model.content
    assert model.content is None


def test_lazy_list_repr_does_not_decode_items() -> None:
    """The repr of a long list leaves its items raw."""
    model = read(*(token(n) for n in range(1000)))
    assert "… 1000 in all" in repr(model)
    assert isinstance(model.content, LazyList)
    assert all(isinstance(each, dict) for each in raw(model.content))


@pytest.mark.parametrize(
    ("bad", "path"),
    [
        ({"token": "t"}, "content[1].logprob"),
        (token(1, top_logprobs="no"), "content[1].top_logprobs"),
        (token(1, top_logprobs=[{}]), "content[1].top_logprobs[0].token"),
        (None, "content[1]"),
        ("t1", "content[1]"),
    ],
)
def test_lazy_list_malformed_item_raises_on_access(bad: Any, path: str) -> None:
    """Access to a malformed item raises DecodeError with its path; other items decode."""
    data = {"content": [THREE[0], bad, THREE[2]], "refusal": None}
    model = ChoiceLogprobs.from_dict(data)
    assert model.content is not None
    assert model.content[0] == DECODED[0]
    for ask in (
        lambda: (model.content or [])[1],
        lambda: (model.content or [])[-2],
        lambda: list(model.content or ()),
        lambda: model == ChoiceLogprobs(content=DECODED, refusal=None),
    ):
        with pytest.raises(DecodeError) as raised:
            ask()
        assert raised.value.path == path
    assert model.content[2] == DECODED[2]
    assert model.to_dict() == data
    assert repr(bad) in repr(model)
    assert pickle.loads(pickle.dumps(model)).to_dict() == data


@pytest.mark.parametrize("value", ["text", {"a": 1}, 1, True])
@pytest.mark.parametrize("around", [{}, {"refusal": None}, {"refusal": None, "more": 1}])
def test_lazy_list_non_array_raises_on_decode(value: Any, around: dict[str, Any]) -> None:
    """A value that is not an array raises DecodeError when the model is decoded."""
    with pytest.raises(DecodeError, match="not an array") as raised:
        ChoiceLogprobs.from_dict({"content": value, **around})
    assert raised.value.path == "content"


def test_lazy_list_in_response_round_trips() -> None:
    """A lazy list inside a response decodes and round-trips."""
    data = {**json.loads(SENT.read_text(encoding="utf-8")), "logprobs": {"content": THREE, "refusal": None}}
    decoded = LettaResponse.from_dict(data)
    assert decoded.logprobs is not None
    assert decoded.logprobs.content is not None
    assert decoded.to_dict()["logprobs"] == data["logprobs"]
    top = token(0, top_logprobs=[{"token": "x", "logprob": -1.0, "bytes": None}])
    assert content(top)[0].top_logprobs == [TopLogprob(token="x", logprob=-1.0, bytes=None)]
