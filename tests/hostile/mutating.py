"""Mutations of recorded responses: fields dropped, replaced, repeated and retyped, broken text, wrong HTTP."""

from __future__ import annotations

import copy
import gzip
import json
import random
import re
from collections.abc import Callable, Iterator, MutableMapping, MutableSequence
from typing import Any, Final

from attrs import frozen

from ..client.helpers import Recording

Path = tuple[Any, ...]

DEEP: Final = (60, 300, 480, 700, 900, 980, 3000, 100_000)
"""Levels of nesting: within Python's limits, too deep for `repr`, too deep to parse."""

ODD: Final[tuple[Any, ...]] = (
    None,
    True,
    False,
    0,
    -1,
    1,
    5,
    1.5,
    -0.0,
    1e308,
    2**31,
    2**63,
    2**64,
    10**30,
    10**400,
    "",
    " ",
    "0",
    "null",
    "\ud800",
    "a\udfffb",
    "..",
    ".",
    "/",
    "a/b?c=d#e",
    "%2e%2e",
    "\0",
    "\r\nx-more: 1",
    "\u202e\u2028",
    "x" * 300,
    "[DONE]",
    [],
    {},
    [[]],
    [None],
    [1, "a"],
    ["\ud800"],
    {"a": 1},
    {"id": []},
    {"": {"": ""}},
    {"message_type": "assistant_message"},
)
"""Values that no field, or only some fields, expect."""

HUGE: Final[tuple[Any, ...]] = ("x" * 70_000, [0] * 20_000, [{"id": f"message-{n}"} for n in range(2_000)])

FIELDS: Final[dict[str, tuple[Any, ...]]] = {
    "seq_id": (-1, True, False, 0, 1, 10**30, 1.0, "1", [1], None),
    "run_id": ("..", "", ".", "\ud800", "x" * 70_000, 7, [], {}, None, "run-other"),
    "id": (None, [], {}, ["a"], 7, "", "\ud800", "x" * 70_000, "message-1"),
    "otid": (None, [], {}, ["a"], 7, "\ud800"),
    "date": (None, "", "yesterday", "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", 0, [], "2026-01-01"),
    "message_type": (
        *(None, "", [], {}, 7, "ping", "stop_reason", "usage_statistics", "error_message", "tool_call_message"),
        *("tool_return_message", "approval_request_message", "reasoning_message", "summary_message", "newer_message"),
    ),
    "reasoning": (5, None, [], {}),
    "content": (5, None, [], {}, [None], [{"type": "text"}], [{"type": "text", "text": 5}], [{"type": []}]),
    "tool_call": (None, [], {}, "a", {"name": 5, "arguments": 5, "tool_call_id": 5}, [{}]),
    "tool_calls": (None, [], {}, "a", [None], [{}], {"name": 5, "arguments": "", "tool_call_id": "c"}),
    "tool_call_id": (None, [], ["c"], {}, 5, ""),
    "name": (None, 5, [], {}),
    "arguments": (None, 5, [], {}, "{", "[]", '{"a": NaN}', "[" * 5000),
    "status": (None, 5, [], {}, "completed", "running", "newer"),
    "stop_reason": (None, 5, [], {}, "requires_approval", "cancelled", "newer", {"stop_reason": "end_turn"}),
    "detail": (None, 5, [], {}, [{"loc": 5}], "[{" * 50, {"code": []}, {"message": {}}, "is currently being processed"),
    "in_context_message_ids": (None, [], {}, [None], [[]], [7], ["\ud800"], ["message-1", "message-1"]),
    "signature": (None, 5, []),
    "total_tokens": (-1, True, 10**30, "5", [5]),
}
"""Odd values for the fields that the library itself reads."""


@frozen
class Reply:
    """An HTTP response, and whether its connection closes early."""

    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes
    chunked: bool = False
    cut: int | None = None
    broken: bytes = b""

    def encode(self) -> bytes:
        """Return the bytes of the response."""
        head = [b"HTTP/1.1 %d Odd" % self.status, *(name + b": " + value for name, value in self.headers)]
        if self.chunked:
            half = len(self.body) // 2
            parts = [part for part in (self.body[:half], self.body[half:]) if part]
            content = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + self.broken + b"0\r\n\r\n"
            head.append(b"transfer-encoding: chunked")
        else:
            content = self.body
            if not any(name == b"content-length" for name, _ in self.headers):
                head.append(b"content-length: %d" % len(content))
        whole = b"\r\n".join([*head, b"", b""]) + content
        return whole if self.cut is None else whole[: self.cut % (len(whole) + 1)]


def places(value: Any, path: Path = ()) -> Iterator[Path]:
    """Yield the paths of all values inside a JSON value."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield (*path, key)
        yield from places(item, (*path, key))


def at(value: Any, path: Path) -> Any:
    """Return the value at a path."""
    for key in path:
        value = value[key]
    return value


class Mutator:
    """Mutates responses at random."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance

    def odd(self, name: Any = None) -> Any:
        """Return an odd value, for a field of this name if it is known."""
        draw = self.chance.random()
        if name in FIELDS and draw < 0.75:
            return copy.deepcopy(self.chance.choice(FIELDS[name]))
        return copy.deepcopy(self.chance.choice(HUGE if draw > 0.99 else ODD))

    def value(self, value: Any) -> Any:
        """Return a JSON value with one to three mutations."""
        value = copy.deepcopy(value)
        for _ in range(self.chance.choice((1, 1, 2, 3))):
            value = self._once(value)
        return value

    def _once(self, value: Any) -> Any:
        found = list(places(value))
        if not found or self.chance.random() < 0.02:
            return self.odd()
        wanted = [path for path in found if path[-1] in FIELDS]
        path = self.chance.choice(wanted if wanted and self.chance.random() < 0.6 else found)
        parent, key = at(value, path[:-1]), path[-1]
        match self.chance.randrange(10):
            case 0 | 1:
                del parent[key]
            case 2 | 3 | 4 | 5:
                parent[key] = self.odd(key)
            case 6:
                parent[key] = self.chance.choice(([parent[key]], {"value": parent[key]}, str(parent[key])))
            case 7:
                parent[key] = copy.deepcopy(at(value, self.chance.choice(found)))
            case 8 if isinstance(parent, MutableSequence):
                parent.insert(self.chance.randrange(len(parent) + 1), copy.deepcopy(parent[key]))
            case 8 if isinstance(parent, MutableMapping):
                parent[str(self.odd())] = parent.pop(key)
            case _:
                if isinstance(parent, MutableSequence):
                    self.chance.shuffle(parent)
                else:
                    parent[key] = self.odd(key)
        return value

    def text(self, value: Any) -> bytes:
        """Return the JSON text of a value, which may be broken."""
        escaped = json.dumps(value, ensure_ascii=self.chance.random() < 0.7, separators=(",", ":"))
        text = escaped.encode("utf-8", "surrogatepass")
        if self.chance.random() < 0.85:
            return text
        place = self.chance.randrange(len(text) + 1)
        return self.chance.choice(BREAKS)(text, place)

    def json(self, recorded: Recording) -> bytes:
        """Return the mutated body of a recorded JSON response."""
        return self.text(self.value(json.loads(recorded.content or b"null")))

    def events(self, recorded: Recording) -> bytes:
        """Return the mutated body of a recorded stream."""
        blocks = [block for block in recorded.content.split(b"\n\n") if block.strip()]
        for _ in range(self.chance.choice((1, 1, 2, 4))):
            index = self.chance.randrange(len(blocks)) if blocks else 0
            match self.chance.randrange(12):
                case 0 if blocks:
                    del blocks[index]
                case 1 if blocks:
                    blocks.insert(self.chance.randrange(len(blocks) + 1), blocks[index])
                case 2:
                    self.chance.shuffle(blocks)
                case 3:
                    blocks.insert(index, self.chance.choice(FRAMES))
                case _ if blocks:
                    name, _, data = blocks[index].partition(b"data: ")
                    try:
                        value = json.loads(data)
                    except (ValueError, RecursionError):
                        blocks[index] = b"data: " + self.text(self.odd())
                    else:
                        blocks[index] = name + b"data: " + self.text(self.value(value))
                case _:
                    pass
        separator = self.chance.choice((b"\n\n", b"\n\n", b"\n\n", b"\r\n\r\n", b"\n\r", b"\n"))
        return separator.join(blocks) + (b"\n\n" if self.chance.random() < 0.95 else b"")

    def reply(self, recorded: Recording, *, http: bool = True) -> Reply:
        """Return a recorded response with mutated content and sometimes mutated HTTP."""
        kind = recorded.headers.get("content-type", "application/json")
        is_stream = kind.startswith("text/event-stream")
        body = self.events(recorded) if is_stream else self.json(recorded)
        headers = [(b"content-type", kind.encode())]
        reply = Reply(recorded.status, tuple(headers), body, chunked=is_stream)
        return self._http(reply) if http and self.chance.random() < 0.25 else reply

    def _http(self, reply: Reply) -> Reply:
        draw, chance = self.chance.randrange(9), self.chance
        status, headers, body, chunked = reply.status, list(reply.headers), reply.body, reply.chunked
        cut: int | None = None
        broken = b""
        match draw:
            case 0 | 1:
                status = chance.choice(STATUSES)
                if status in (204, 304):
                    body, chunked = b"", False
            case 2:
                headers = list(chance.choice(KINDS))
            case 3:
                cut = chance.randrange(len(body) + 300)
            case 4:
                headers.append((b"content-encoding", chance.choice((b"gzip", b"deflate", b"br", b"zstd", b"odd"))))
                body = chance.choice((body, gzip.compress(body), gzip.compress(body)[:-9]))
            case 5:
                chunked = False
                headers.append((b"content-length", chance.choice((b"0", b"1", b"999999", b"-1", b"x"))))
                cut = len(body) + 10_000
            case 6:
                chunked, broken = True, chance.choice((b"zz\r\n", b"\r\n", b"-1\r\n", b"fffffffffffff\r\nx"))
            case 7:
                status = chance.choice((301, 302, 307, 308, 429, 503))
                headers.append(chance.choice(MORE))
            case _:
                headers.append(chance.choice(MORE))
        return Reply(status, tuple(headers), body, chunked, cut, broken)


def _doubled(text: bytes, place: int) -> bytes:
    """Repeat a key of an object."""
    keys = list(re.finditer(rb'"\w+":', text))
    if not keys:
        return text
    key = keys[place % len(keys)]
    return text[: key.start()] + key.group() + b"[]," + text[key.start() :]


def _replaced(text: bytes, place: int) -> bytes:
    """Replace a string by a number of 5,000 digits, a number outside JSON, or deep nesting."""
    strings = list(re.finditer(rb'"[^"\\]*"(?!:)', text))
    if not strings:
        return text
    found = strings[place % len(strings)]
    nested = [b"[" * deep + b"]" * deep for deep in DEEP] + [b'{"a":' * deep + b"1" + b"}" * deep for deep in DEEP]
    odd = (b"9" * 5000, b"NaN", b"-Infinity", b"1e999", *nested)
    return text[: found.start()] + odd[place % len(odd)] + text[found.end() :]


BREAKS: Final[tuple[Callable[[bytes, int], bytes], ...]] = (
    lambda text, place: text[:place],
    lambda text, place: text[place:],
    lambda text, place: text[:place] + b"\xff\xfe" + text[place:],
    lambda text, place: text[:place] + b"\0" + text[place:],
    lambda text, place: text[:place] + bytes([text[place - 1] ^ 0x15 if text else 0]) + text[place + 1 :],
    lambda text, place: b"\xef\xbb\xbf" + text,
    lambda text, place: text + b"trailing",
    lambda text, place: b" \t" * (place % 50) + text,
    lambda text, place: text.decode("utf-8", "replace").encode("utf-16"),
    lambda text, place: b"[" * 100_000,
    lambda text, place: b"",
    _doubled,
    _replaced,
    _replaced,
)
"""Functions that break a text at a given place."""

FRAMES: Final[tuple[bytes, ...]] = (
    b": a comment",
    b"event: error\ndata: {}",
    b"event: error\ndata: not JSON",
    b'event: error\ndata: {"detail": {"a": []}, "run_id": [], "message_type": []}',
    b"event: error\ndata: [1]",
    b"event: \xff\ndata: {}",
    b"id: \xff\ndata: 1",
    b"retry: 99999999999999999999",
    b"retry: 5\ndata:",
    b"data: [DONE]",
    b"data:[DONE]",
    b"data: [DONE] ",
    b'data: "[DONE]"',
    b"data",
    b"data:\ndata:\ndata: {",
    b"event: cancelled\ndata: {}",
    b'data: {"message_type": "stop_reason", "stop_reason": "requires_approval"}',
    b'data: {"message_type": "stop_reason", "stop_reason": []}',
    b'data: {"message_type": "usage_statistics", "total_tokens": [], "step_count": true}',
    b'data: {"message_type": "error_message", "detail": [], "run_id": {}}',
    b'data: {"message_type": "ping", "seq_id": -5, "run_id": ".."}',
    b'data: {"message_type": "ping", "seq_id": 1000000}',
    b'data: {"message_type": [], "seq_id": true}',
)
"""Frames that are inserted between the events of a stream."""

STATUSES: Final = (
    *(200, 201, 202, 204, 206, 300, 301, 302, 303, 304, 307, 308, 400, 401, 403, 404, 408, 409, 410, 413, 418, 422),
    *(425, 429, 431, 451, 500, 501, 502, 503, 504, 520, 599, 600, 999),
)

KINDS: Final[tuple[tuple[tuple[bytes, bytes], ...], ...]] = (
    (),
    ((b"content-type", b""),),
    ((b"content-type", b"text/html; charset=utf-8"),),
    ((b"content-type", b"application/json; charset=utf-16"),),
    ((b"content-type", b"text/event-stream; charset=latin-1"),),
    ((b"content-type", b"application/octet-stream"),),
    ((b"content-type", b"application/json"), (b"content-type", b"text/event-stream")),
    ((b"content-type", b"text/event-stream"), (b"content-type", b"application/json")),
    ((b"content-type", b"\xff/\xfe"),),
    ((b"content-type", b"; ; ="),),
)
"""Wrong or odd content types."""

MORE: Final[tuple[tuple[bytes, bytes], ...]] = (
    (b"location", b""),
    (b"location", b"/v1/elsewhere"),
    (b"location", b"http://[::1"),
    (b"location", b"http://127.0.0.1:99999/"),
    (b"location", b"\xff\xfe"),
    (b"location", b"//../..//"),
    (b"location", b"javascript:alert(1)"),
    (b"retry-after", b"0"),
    (b"retry-after", b"-1"),
    (b"retry-after", b"nan"),
    (b"retry-after", b"1e400"),
    (b"retry-after", b"Wed, 21 Oct 2015 07:28:00 GMT"),
    (b"retry-after", b"Wed, 99 Oct 99999 07:28:00 GMT"),
    (b"retry-after-ms", b"1"),
    (b"x-request-id", b"\xff"),
    (b"x-request-id", b""),
    (b"date", b"never"),
)
"""Odd headers."""
