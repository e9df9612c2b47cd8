"""JSON text and parsed JSON decode to equal values, for any text."""

from __future__ import annotations

import copy
import json
import pickle
import subprocess
import sys
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any, ClassVar, Self

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from letta_api import models, unions
from letta_api.errors import DecodeError
from letta_api.lazy_list import LazyList
from letta_api.model import Model, Unknown
from letta_api.models import AssistantMessage, ChoiceLogprobs, LettaResponse
from letta_api.structs import loads

from .recorded import Recording, recordings

RESPONSES = [each for each in recordings() if each.status == 200]
ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner, max_size=2),
    max_leaves=4,
)
Draw = Callable[..., Any]
DEEPEST = 3
INSTANTS = ["2026-11-23T07:47:29+00:00", "2026-11-23T07:47:29.123456Z", "2026-11-23T07:47:29", "2026-11-23", "x", ""]
NO_MSGSPEC = sys.modules.get("msgspec", json) is None


@cache
def schemas() -> dict[str, Any]:
    """The schemas of the document. Plain YAML: the generator need not be installed."""
    text = (Path(__file__).parents[2] / "spec" / "openapi.yaml").read_text(encoding="utf-8")
    found: dict[str, Any] = yaml.safe_load(text)["components"]["schemas"]
    return found


MODELS = sorted(name for name in dir(models) if name in schemas())
UNIONS = sorted(name.removesuffix("_from_json") for name in dir(unions) if name.endswith("_from_json"))
NAMES = {name.lower(): name for name in schemas()}


def comparable(value: Any) -> Any:
    """Return a value in a comparable form: of models the class, the set fields and the unknown fields."""
    if isinstance(value, Model):
        fields = {name: comparable(getattr(value, name)) for name in value.fields_set}
        return type(value), fields, value.to_dict().keys(), comparable(dict(value.extra_fields))
    if isinstance(value, Unknown):
        return type(value), comparable(value.raw), value.reason
    if isinstance(value, list):
        return [comparable(each) for each in value]
    if isinstance(value, dict):
        return {key: comparable(each) for key, each in value.items()}
    return type(value), value.isoformat() if isinstance(value, datetime) else repr(value)


def outcome(read: Callable[[Any], Any], given: Any) -> Any:
    """Return the comparable form of the decoded value, or of the error."""
    try:
        return comparable(read(given))
    except (DecodeError, TypeError) as fault:
        return type(fault), str(fault)


def drawn(draw: Draw, schema: Any, depth: int = 0) -> Any:
    """Draw a value that is mostly valid by a schema of the document."""
    if draw(st.integers(0, 12)) == 0 or not isinstance(schema, dict):
        return draw(ANY)
    if "$ref" in schema:
        return drawn(draw, schemas()[schema["$ref"].rpartition("/")[2]], depth)
    for word in ("anyOf", "oneOf", "allOf"):
        if word in schema:
            return drawn(draw, draw(st.sampled_from(schema[word])), depth)
    if "const" in schema or "enum" in schema:
        return draw(st.sampled_from([*schema.get("enum", [schema.get("const")]), "newer"]))
    if "properties" in schema:
        return drawn_object(draw, schema, depth + 1)
    kinds = schema.get("type", "object")
    match draw(st.sampled_from(kinds)) if isinstance(kinds, list) else kinds:
        case "array":
            size = draw(st.integers(0, 2)) if depth < DEEPEST else 0
            return [drawn(draw, schema.get("items", True), depth) for _ in range(size)]
        case "string" if schema.get("format") == "date-time":
            return draw(st.sampled_from(INSTANTS))
        case "string":
            return draw(st.text(max_size=5))
        case "integer":
            return draw(st.integers(-(2**70), 2**70) | st.integers(0, 9))
        case "number":
            return draw(st.floats(allow_nan=False, allow_infinity=False) | st.integers(0, 9))
        case "boolean":
            return draw(st.booleans())
        case _:
            return draw(ANY)


def drawn_object(draw: Draw, schema: dict[str, Any], depth: int) -> dict[str, Any]:
    needed = set(schema.get("required", [])) if draw(st.integers(0, 9)) else set()
    keys = [key for key in schema["properties"] if key in needed or (depth < DEEPEST and draw(st.integers(0, 3)))]
    if draw(st.booleans()):
        keys = draw(st.permutations(keys))
    for key, data in schema["properties"].items():
        if key not in keys and isinstance(data, dict) and "const" in data and draw(st.integers(0, 5)):
            keys.append(key)
    value = {key: drawn(draw, schema["properties"][key], depth) for key in keys}
    if draw(st.integers(0, 7)) == 0:
        value[draw(st.text(max_size=5))] = draw(ANY)
    return value


def text_of(draw: Draw, value: Any) -> bytes:
    """Draw one of the JSON texts of a value."""
    spaces, plain = draw(st.booleans()), draw(st.booleans())
    return json.dumps(value, ensure_ascii=plain, indent=1 if spaces else None).encode("utf-8", "surrogatepass")


@pytest.mark.slow
@settings(max_examples=600)
@given(st.data())
def test_model_decodes_text_like_mapping(data: st.DataObject) -> None:
    """A model decodes text like the parsed mapping."""
    name = data.draw(st.sampled_from(MODELS))
    model = getattr(models, name)
    text = text_of(data.draw, drawn(data.draw, schemas()[name]))
    assert outcome(model.from_json, text) == outcome(model.from_dict, json.loads(text))


@settings(max_examples=400)
@given(st.data())
def test_union_decodes_text_like_mapping(data: st.DataObject) -> None:
    """A union decodes text like the parsed mapping."""
    name = data.draw(st.sampled_from(UNIONS))
    of_text, of_value = (getattr(unions, f"{name}_from_{source}") for source in ("json", "dict"))
    text = text_of(data.draw, drawn(data.draw, schemas()[NAMES[name.replace("_", "")]]))
    assert outcome(of_text, text) == outcome(of_value, json.loads(text))


@settings(max_examples=150)
@given(st.data())
def test_response_decodes_text_like_parsed_json(data: st.DataObject) -> None:
    """A response decodes text like parsed JSON, also with random changes."""
    recording = data.draw(st.sampled_from([each for each in RESPONSES if not each.streamed]))
    value = changed(data.draw, recording.values[0])
    text = text_of(data.draw, value)
    of_text, of_value = recording.module.read_response, recording.module.decode_response
    assert outcome(of_text, text) == outcome(of_value, json.loads(text))


def changed(draw: Draw, value: Any) -> Any:
    """Draw a copy of a value with a few random replacements."""
    if draw(st.integers(0, 60)) == 0:
        return draw(ANY)
    if isinstance(value, list):
        return [changed(draw, each) for each in value[: draw(st.integers(0, 4))]]
    if isinstance(value, dict):
        kept = {key: changed(draw, each) for key, each in value.items() if draw(st.integers(0, 60))}
        return {**kept, "newer": 1} if draw(st.integers(0, 20)) == 0 else kept
    return value


@pytest.mark.parametrize("recording", RESPONSES, ids=lambda each: each.name)
def test_recorded_text_decodes_like_parsed_json(recording: Recording) -> None:
    """Recorded text and bytes decode like parsed JSON."""
    kind = "event" if recording.streamed else "response"
    of_text, of_value = (getattr(recording.module, f"{verb}_{kind}") for verb in ("read", "decode"))
    for value in recording.values:
        text = json.dumps(value)
        assert comparable(of_text(text)) == comparable(of_text(text.encode())) == comparable(of_value(value))


MESSAGE = '{"id": "m", "date": "2026-11-23T07:47:29Z", "content": "hi", "message_type": "assistant_message"%s}'
ODD = {
    "a key twice": MESSAGE % ', "content": "last"',
    "a tag twice": MESSAGE % ', "message_type": "user_message"',
    "half a surrogate pair": MESSAGE % ', "name": "\\ud800"',
    "half a surrogate pair as a key": MESSAGE % ', "\\ud800": 1',
    "no number": MESSAGE % ', "seq_id": NaN',
    "infinity": MESSAGE % ', "seq_id": -Infinity',
    "a number beyond floats": MESSAGE % ', "x": 1e999',
    "a whole number beyond 64 bits": MESSAGE % ', "seq_id": 123456789012345678901234567890',
    "a whole number in floating point": MESSAGE % ', "seq_id": 1.0',
    "space around": f" \n{MESSAGE % ''}\r\n\t",
    "an earlier tag": '{"id": "m", "date": "2026-11-23T07:47:29Z", "summary": "s", "message_type": "summary"}',
    "deeply nested": MESSAGE % f', "x": {"[" * 200}{"]" * 200}',
    "digits of time that are too many": (MESSAGE % "").replace("29Z", "29.123456789Z"),
    "a time without an offset": (MESSAGE % "").replace("29Z", "29"),
    "a time in lower case": (MESSAGE % "").replace("T07:47:29Z", "t07:47:29z"),
    "no tag": (MESSAGE % "").replace(', "message_type": "assistant_message"', ""),
    "an unknown tag": (MESSAGE % "").replace("assistant_message", "hologram"),
    "no object": "[1, 2]",
    "null": "null",
    "a string": '"message"',
}


@pytest.mark.parametrize("text", ODD.values(), ids=ODD)
def test_unusual_text_decodes_like_parsed_json(text: str) -> None:
    """Unusual text decodes or fails like parsed JSON."""
    value = json.loads(text)
    pairs: list[tuple[Callable[[str | bytes], Any], Callable[[Any], Any]]] = [
        (AssistantMessage.from_json, AssistantMessage.from_dict),
        (unions.message_from_json, unions.message_from_dict),
        (unions.stream_event_from_json, unions.stream_event_from_dict),
    ]
    for of_text, of_value in pairs:
        assert outcome(of_text, text) == outcome(of_text, text.encode()) == outcome(of_value, value)


def test_byte_order_mark_is_ignored() -> None:
    """A byte order mark before the JSON text is ignored."""
    text = MESSAGE % ""
    assert AssistantMessage.from_json(b"\xef\xbb\xbf" + text.encode()) == AssistantMessage.from_json(text)


@pytest.mark.parametrize("text", ["", "{", "nothing", '{"id": "m"} {}', b"\xff", b'{"id": "\xff"}', "[" * 200_000])
def test_invalid_json_raises_decode_error(text: str | bytes) -> None:
    """Text that is not JSON raises DecodeError."""
    for of_text in (AssistantMessage.from_json, unions.message_from_json, unions.stream_event_from_json):
        with pytest.raises(DecodeError, match="is not JSON"):
            of_text(text)
    with pytest.raises(ValueError, match=r"\S"):
        loads(text)


def test_subclass_decodes_text_to_itself() -> None:
    """A subclass decodes text to its own class."""

    class Mine(AssistantMessage):
        pass

    text = MESSAGE % ""
    assert type(AssistantMessage.from_json(text)) is AssistantMessage
    assert type(Mine.from_json(text)) is Mine
    assert type(AssistantMessage.from_json(text)) is AssistantMessage


def test_overridden_from_dict_applies_to_text() -> None:
    """An overridden from_dict also decodes text."""

    class Loud:
        @classmethod
        def from_dict(cls, data: dict[str, Any]) -> Any:
            return super().from_dict({**data, "content": data["content"].upper()})  # type: ignore[misc]  # a mixin

    class Mine(AssistantMessage):
        @classmethod
        def from_dict(cls, data: Mapping[str, Any]) -> Self:
            return super().from_dict({**data, "name": "mine"})

    class Both(Loud, AssistantMessage):  # type: ignore[misc]  # its bases differ on purpose
        pass

    class Below(Mine):
        pass

    text = MESSAGE % ""
    assert Mine.from_json(text).name == Below.from_json(text).name == "mine"
    assert Both.from_json(text).content == "HI"
    assert AssistantMessage.from_json(text).name is None


def test_parser_without_value_errors_falls_back() -> None:
    """A msgspec whose errors are not ValueErrors decodes equally."""
    code = "\n".join(
        [
            "import sys, types, json",
            "class MsgspecError(Exception): pass",
            "def refuse(_): raise MsgspecError",
            "class Decoder:",
            "    def __init__(self, form): self.decode = refuse",
            "parser = types.ModuleType('msgspec')",
            "parser.MsgspecError, parser.Raw = MsgspecError, bytes",
            "parser.defstruct = lambda *_, **__: type('Parts', (), {})",
            "parser.json = types.SimpleNamespace(decode=refuse, Decoder=Decoder)",
            "sys.modules['msgspec'] = parser",
            "from letta_api import models, structs, unions",
            f"text = {MESSAGE % ''!r}",
            "assert structs.loads(text) == json.loads(text)",
            "of_text = models.AssistantMessage.from_json(text), unions.message_from_json(text)",
            "assert of_text == (models.AssistantMessage.from_dict(json.loads(text)),) * 2",
            "try: models.AssistantMessage.from_json('{')",
            "except ValueError as fault: assert 'is not JSON' in str(fault)",
        ]
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_concurrent_first_use_decodes_equally() -> None:
    """Threads that build the decoders at the same time decode equal values."""
    code = "\n".join(
        [
            "import threading",
            "from letta_api.models import LettaResponse",
            f"text = {json.dumps({'messages': [json.loads(MESSAGE % '')], 'usage': {}, 'stop_reason': STOP})!r}",
            "together, found = threading.Barrier(8), []",
            "def read():",
            "    together.wait()",
            "    for _ in range(50): found.append(LettaResponse.from_json(text))",
            "threads = [threading.Thread(target=read) for _ in range(8)]",
            "for thread in threads: thread.start()",
            "for thread in threads: thread.join()",
            "assert len(found) == 400 and all(each == found[0] for each in found), found[:3]",
        ]
    )
    subprocess.run([sys.executable, "-c", code], check=True)


STOP = {"message_type": "stop_reason", "stop_reason": "end_turn"}


def raw(items: list[Any]) -> list[Any]:
    return list(list.__iter__(items))


class TestLists:
    """Lazy lists hold JSON text until an item is accessed."""

    ITEMS: ClassVar[list[dict[str, Any]]] = [
        {"token": f"t{n}", "logprob": -0.5 * n, "top_logprobs": [], "bytes": [n]} for n in range(3)
    ]

    def read(self, items: Any) -> ChoiceLogprobs:
        return ChoiceLogprobs.from_json(json.dumps({"content": items, "refusal": None}))

    def test_lazy_list_from_text_decodes_item_on_access(self) -> None:
        """An item is decoded on access only."""
        content = self.read(self.ITEMS).content
        assert isinstance(content, LazyList)
        assert len(content) == 3
        second = content[1]
        assert content[1] is second
        assert [type(item) is type(second) for item in raw(content)] == [False, True, False]
        assert content == [type(second).from_dict(item) for item in self.ITEMS]

    def test_lazy_list_from_text_round_trips(self) -> None:
        """The JSON and the copies of a lazy list are unchanged."""
        model = self.read(self.ITEMS)
        assert model.to_dict()["content"] == self.ITEMS
        for copied in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
            assert copied.to_dict() == model.to_dict()
            assert copied == model

    def test_lazy_list_from_text_malformed_item_raises_on_access(self) -> None:
        """Access to a malformed item raises DecodeError with its path."""
        content = self.read([self.ITEMS[0], {"token": 5}, "no object"]).content
        assert content is not None
        assert content[0].token == "t0"
        with pytest.raises(DecodeError) as caught:
            content[1]
        assert caught.value.path == "content[1].logprob"
        assert "'no object'" in repr(content)

    @pytest.mark.parametrize(
        "token",
        [b'"\xff"', b'"\xc3"', b"1" * 5000, b"[-" + b"1" * 4301 + b"]", b'{"a": ' + b"9" * 6000 + b"}"],
        ids=["no UTF-8", "half a character", "a long number", "one in an array", "one in an object"],
    )
    def test_lazy_list_from_text_invalid_json_raises_on_decode(self, token: bytes) -> None:
        """Invalid JSON inside a lazy item raises DecodeError when the model is decoded."""
        text = b'{"content": [{"token": "a"}, {"token": %s}, {"token": "b"}]}' % token
        stop = json.dumps(STOP).encode()
        response = b'{"messages": [], "stop_reason": %b, "usage": {}, "logprobs": %b}' % (stop, text)
        for decode, within in ((ChoiceLogprobs.from_json, text), (LettaResponse.from_json, response)):
            with pytest.raises(DecodeError, match="is not JSON"):
                decode(within)

    def test_lazy_list_from_text_accepts_long_digit_string(self) -> None:
        """A string of 5000 digits is not mistaken for a number."""
        token = "1" * 5000
        content = self.read([{**self.ITEMS[0], "token": token}, *self.ITEMS] * 2).content
        assert content is not None
        assert [item.token for item in content][::4] == [token, token]

    @pytest.mark.skipif(NO_MSGSPEC, reason="without msgspec only the fallback exists")
    @pytest.mark.parametrize("length", [99, 100, 133, 400])
    def test_lazy_list_from_text_of_regular_items_uses_fast_path(self, length: int) -> None:
        """Many digits at equal distances are not mistaken for a long number: the items stay undecoded."""
        item = {"token": "t", "logprob": -0.5, "top_logprobs": [], "bytes": []}
        digits = "1" * (length - len(json.dumps(item | {"token": ""}, separators=(",", ":"))) - 1)
        text = json.dumps({"content": [item | {"token": digits}] * 200, "refusal": None}, separators=(",", ":"))
        content = ChoiceLogprobs.from_json(text.encode()).content
        assert content is not None
        assert {type(each).__name__ for each in raw(content)} == {"Raw"}

    def test_lazy_lists_from_text_compare_and_extend(self) -> None:
        """Lazy lists compare and extend each other."""
        assert self.read(self.ITEMS) == self.read(self.ITEMS)
        assert self.read(self.ITEMS) != self.read(self.ITEMS[:2])
        first, second = self.read(self.ITEMS).content, self.read(self.ITEMS).content
        assert first is not None
        assert second is not None
        first += second
        assert [item.token for item in first] == ["t0", "t1", "t2"] * 2


@given(st.lists(st.sampled_from([*INSTANTS, 5, None, True]), min_size=2, max_size=8))
def test_dates_of_consecutive_texts_are_independent(dates: list[Any]) -> None:
    """A date decodes as it does alone, also after an equal one, one without an offset or a malformed one."""
    for date in dates:
        event = {"id": "m", "date": date, "content": "hi", "message_type": "assistant_message"}
        found = unions.stream_event_from_json(json.dumps(event))
        assert comparable(found) == comparable(unions.stream_event_from_dict(event))


@pytest.mark.skipif(NO_MSGSPEC, reason="without msgspec only the fallback exists")
def test_recorded_response_uses_fast_path(monkeypatch: pytest.MonkeyPatch) -> None:
    """Recorded responses never use the slower fallback."""

    def refuse(_: str | bytes) -> Any:
        raise AssertionError("fallback used")

    monkeypatch.setattr("letta_api.structs.parse_json", refuse)
    monkeypatch.setattr("letta_api.compiled_decoders.parse_json", refuse)
    monkeypatch.setattr("letta_api.model.parse_json", refuse)
    for recording in RESPONSES:
        for value in recording.values:
            text = json.dumps(value)
            (recording.module.read_event if recording.streamed else recording.module.read_response)(text)
    with pytest.raises(AssertionError, match="fallback used"):
        AssistantMessage.from_json(MESSAGE % ', "a newer": 1')


@pytest.mark.slow
@pytest.mark.skipif(NO_MSGSPEC, reason="this is the run without")
def test_suite_passes_without_msgspec() -> None:
    """The tests pass without msgspec, as in vendored copies."""
    run = (
        "import sys; sys.modules['msgspec'] = None; import pytest;"
        "options = ['-q', '-p', 'no:cacheprovider', '-p', 'no:xdist', '-m', 'not slow and not stress'];"
        "sys.exit(pytest.main([*options, *sys.argv[1:]]))"
    )
    here = Path(__file__).parent
    done = subprocess.run(
        [sys.executable, "-c", run, str(here), str(here.parent / "client" / "test_streams.py")],
        cwd=here.parents[1],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-3000:]
