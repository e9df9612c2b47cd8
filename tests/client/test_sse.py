"""The event-stream rules, one by one, and against a second decoder that was written without looking at the first."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from letta_ext import LettaError
from letta_ext._streaming.sse import ServerSentEvent, SSEDecoder
from letta_ext.errors import EventTooLargeError

BOM = b"\xef\xbb\xbf"


def decode(*chunks: bytes, bound: int = 1 << 20) -> list[ServerSentEvent]:
    decoder = SSEDecoder(bound)
    events = [event for chunk in chunks for event in decoder.feed(chunk)]
    if decoder.fault is not None:
        raise decoder.fault
    return events


def data(*chunks: bytes) -> list[str]:
    return [event.data for event in decode(*chunks)]


def reference(stream: bytes) -> list[ServerSentEvent]:
    """The standard's own words in Python: decode the whole, split it into lines, process each."""
    text = stream.decode("utf-8", "replace").removeprefix("\ufeff")
    events: list[ServerSentEvent] = []
    buffer: list[str] = []
    kind, last_id, retry = "", "", None
    for line in re.split("\r\n|\n|\r", text)[:-1]:
        if line == "":
            if buffer:
                events.append(ServerSentEvent("\n".join(buffer), kind or "message", last_id, retry))
            buffer, kind, retry = [], "", None
            continue
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        match name:
            case "data":
                buffer.append(value)
            case "event":
                kind = value
            case "id" if "\0" not in value:
                last_id = value
            case "retry" if re.fullmatch("[0-9]+", value):
                retry = int(value)
    return events


PIECES = [b"data", b"data:", b"data: ", b"event: ", b"id", b"id:", b"retry: ", b":", b" ", b"\r", b"\n", b"\r\n"]
PIECES += [b"\n\n", BOM, b"\xef", b"\xbb", b"\xff", "€".encode(), b"\xe2\x82", b"\0", b"0", b"7", b"x", b"[DONE]", b""]
FRAMES = [
    b"data: a\n\n",
    b"data: {}\n\n",
    b"data: \n\n",
    b"data:b\n\n",
    b"data: a\ndata: b\n\n",
    b": c\n\n",
    b"\n",
    b"\r",
]
FRAMES += [
    b"event: e\ndata: a\n\n",
    b"id: 1\n",
    b"id\n",
    b"retry: 5\n",
    b"data: a\n",
    b"data: \xff\n\n",
    b"data: [DONE]\n\n",
]
plain = st.lists(st.sampled_from(FRAMES[:2]) | st.sampled_from(FRAMES), max_size=12)
pieces = st.lists(st.sampled_from(PIECES), max_size=40)
streams = plain.map(b"".join) | pieces.map(b"".join) | st.binary(max_size=80)


@st.composite
def chunked(draw: st.DrawFn, streams: st.SearchStrategy[bytes] = streams) -> list[bytes]:
    stream = draw(streams)
    cuts = draw(st.lists(st.integers(0, len(stream)), max_size=12).map(sorted))
    return [stream[start:end] for start, end in pairwise([0, *cuts, len(stream)])]


@given(streams)
@example(b"data: a\r\rdata: b\n\r\n")
@example(BOM + BOM + b"data: a\n\n")
def test_it_decodes_what_the_reference_decodes(stream: bytes) -> None:
    assert decode(stream) == reference(stream)


@given(chunked())
@example([b"\xef", b"\xbb", b"\xbfdata: a\n\n"])
@example([b"data: a\r", b"\n\r", b"\n"])
@example([b"data: a\r", b"", b"\n", b"\n"])
def test_chunks_do_not_matter(chunks: list[bytes]) -> None:
    assert decode(*chunks) == decode(b"".join(chunks))


@given(streams)
def test_every_byte_may_come_alone(stream: bytes) -> None:
    assert decode(*(stream[at : at + 1] for at in range(len(stream)))) == decode(stream)


@pytest.mark.parametrize("end", [b"\n", b"\r", b"\r\n"])
def test_every_line_end_ends_a_line(end: bytes) -> None:
    assert data(end.join([b"data: a", b"", b"data: b", b"", b""])) == ["a", "b"]


def test_line_ends_may_be_mixed() -> None:
    assert data(b"data: a\r\n\ndata: b\n\rdata: c\r\r\n") == ["a", "b", "c"]


def test_a_split_crlf_is_one_line_end() -> None:
    assert data(b"data: a\r", b"\ndata: b\r", b"\n\r", b"\n") == ["a\nb"]


def test_a_lone_cr_ends_the_event_without_waiting_for_more() -> None:
    assert data(b"data: a\r\r") == ["a"]


@pytest.mark.parametrize("cut", [0, 1, 2, 3])
def test_a_byte_order_mark_is_passed_over_wherever_it_is_cut(cut: int) -> None:
    stream = BOM + b"data: a\n\n"
    assert data(stream[:cut], stream[cut:]) == ["a"]


def test_only_one_byte_order_mark_is_passed_over() -> None:
    assert data(BOM + BOM + b"data: a\n\ndata: b\n\n") == ["b"]
    assert data(b"data: a\n\n" + BOM + b"data: b\n\n") == ["a"]
    assert data(b"data: " + BOM + b"a\n\n") == ["\ufeffa"]


def test_comments_are_no_events() -> None:
    assert data(b": keepalive\n\n:\n\ndata: a\n: between\ndata: b\n\n") == ["a\nb"]


def test_data_lines_are_joined_by_line_feeds() -> None:
    assert data(b"data: a\r\ndata: b\r\ndata:\r\ndata: c\r\n\r\n") == ["a\nb\n\nc"]


@pytest.mark.parametrize(
    ("line", "value"),
    [
        (b"data:a", "a"),
        (b"data: a", "a"),
        (b"data:  a", " a"),
        (b"data:\ta", "\ta"),
        (b"data: a:b", "a:b"),
        (b"data: a ", "a "),
        (b"data", ""),
        (b"data:", ""),
        (b"data: ", ""),
    ],
)
def test_one_space_behind_the_colon_is_no_part_of_the_value(line: bytes, value: str) -> None:
    assert data(line + b"\n\n") == [value]


def test_field_names_are_exact() -> None:
    assert data(b" data: a\nDATA: b\ndata : c\ndatas: d\nfoo: e\n\n") == []


def test_an_event_without_data_is_none_and_its_name_is_forgotten() -> None:
    assert decode(b"event: ping\n\ndata: a\n\n") == [ServerSentEvent("a")]


def test_empty_data_is_an_event() -> None:
    assert decode(b"event: ping\ndata:\n\n") == [ServerSentEvent("", "ping")]


def test_the_last_name_counts_and_holds_for_one_event() -> None:
    stream = b"event: a\nevent: error\ndata: 1\n\ndata: 2\n\nevent:\ndata: 3\n\n"
    assert [event.event for event in decode(stream)] == ["error", "message", "message"]


def test_an_id_holds_until_another_comes() -> None:
    stream = b"id: 1\ndata: a\n\ndata: b\n\nid\ndata: c\n\n"
    assert [event.id for event in decode(stream)] == ["1", "1", ""]


def test_an_id_without_data_holds_too() -> None:
    assert decode(b"id: 7\n: comment\n\ndata: a\n\n") == [ServerSentEvent("a", id="7")]


def test_an_id_with_a_null_is_ignored() -> None:
    assert decode(b"id: 1\nid: 2\x00\ndata: a\n\n") == [ServerSentEvent("a", id="1")]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b"retry: 1500", 1500),
        (b"retry:0", 0),
        (b"retry: -1", None),
        (b"retry: 1.5", None),
        (b"retry: 1e3", None),
        (b"retry", None),
        (b"retry:  5", None),
        ("retry: ٣".encode(), None),
    ],
)
def test_a_retry_time_is_all_digits(line: bytes, expected: int | None) -> None:
    assert decode(line + b"\ndata: a\n\n") == [ServerSentEvent("a", retry=expected)]


def test_a_retry_time_alone_is_no_event() -> None:
    assert decode(b"retry: 5\n\ndata: a\n\n") == [ServerSentEvent("a")]


def test_a_retry_time_of_any_length_does_no_harm() -> None:
    # Python refuses to make a number of more than 4300 digits.
    assert data(b"retry: " + b"9" * 5000 + b"\ndata: a\n\n") == ["a"]


@pytest.mark.parametrize("stream", [b"data: a", b"data: a\n", b"data: a\r\n", b"data: a\r", b"data: a\nid: 1\n"])
def test_what_no_blank_line_ends_is_no_event(stream: bytes) -> None:
    assert data(b"data: first\n\n" + stream) == ["first"]


def test_bytes_that_are_no_utf8_are_replaced() -> None:
    stream = b"event: \xff\nid: \xfe\ndata: a\xffb\xe2\x82\n\n"
    assert decode(stream) == [ServerSentEvent("a\ufffdb\ufffd", "\ufffd", "\ufffd")]


@given(st.text(alphabet=st.characters(exclude_characters="\r\n", exclude_categories=["Cs"]), min_size=1))
def test_characters_may_be_split_anywhere(text: str) -> None:
    stream = b"data: " + text.encode() + b"\n\n"
    for cut in range(len(stream)):
        assert data(stream[:cut], stream[cut:]) == [text]


def test_separators_of_python_are_no_line_ends() -> None:
    text = "a\x0bb\x0cc\x1cd\x85e\u2028f\u2029g"
    assert data(f"data: {text}\n\n".encode()) == [text]


BOUND = 30


@given(chunked(st.lists(st.integers(0, 24), min_size=1, max_size=6).map(lambda ns: b"".join(map(small, ns)))))
def test_events_within_the_bound_are_never_refused(chunks: list[bytes]) -> None:
    assert decode(*chunks, bound=BOUND) == reference(b"".join(chunks))


def small(size: int) -> bytes:
    """An event of no more bytes than the bound, line ends apart."""
    return b"data: " + b"x" * size + b"\n\n"


@given(chunked(st.sampled_from([b"data: " + b"x" * 31, b"data: " + b"x" * 16 + b"\ndata: " + b"x" * 16, b"x" * 70])))
def test_a_larger_event_is_refused_before_its_end(chunks: list[bytes]) -> None:
    with pytest.raises(EventTooLargeError, match="larger than 30 bytes"):
        decode(*chunks, b"\n", b"data: a\n\n", bound=BOUND)


around = st.builds(
    lambda name, size, end: name + b"x" * size + end,
    st.sampled_from([b"data: ", b"data:", b":", b"event: "]),
    st.integers(BOUND - 10, BOUND + 2) | st.integers(0, BOUND),
    st.sampled_from([b"\n", b"\n\n", b"\r\n\r\n"]),
)


@given(chunked(st.lists(around, min_size=1, max_size=4).map(b"".join)))
@example([b"data: " + b"x" * (BOUND - 2), b"\n\n"])
@example([b":" + b"x" * BOUND, b"\n"])
@example([b"data: a\n\ndata: " + b"x" * (BOUND + 1) + b"\n\n"])
def test_chunks_do_not_matter_to_the_bound(chunks: list[bytes]) -> None:
    """The events ahead of one that is too large are the same, however the bytes are cut, and none comes behind it."""

    def found(chunks: list[bytes]) -> tuple[list[ServerSentEvent], bool]:
        decoder = SSEDecoder(BOUND)
        events: list[ServerSentEvent] = []
        try:
            for chunk in chunks:
                events += decoder.feed(chunk)
        except EventTooLargeError:
            assert decoder.fault is not None
        return events, decoder.fault is not None

    stream = b"".join(chunks)
    alone = [stream[at : at + 1] for at in range(len(stream))]
    assert found(chunks) == found([stream]) == found(alone)


@pytest.mark.parametrize("line", [b"data:\n", b"data\n", b"data: \r\n"])
def test_empty_data_lines_count_too(line: bytes) -> None:
    # Each adds a line feed to the data.
    with pytest.raises(EventTooLargeError):
        decode(line * 100, b"\n", bound=BOUND)


def test_the_bound_is_for_one_event() -> None:
    assert len(decode(b"data: 0123456789012345\n\n" * 100, bound=BOUND)) == 100


@pytest.mark.parametrize("chunks", [[b"data: a\n\ndata: b", b"x" * 40], [b"data: a\n\ndata: " + b"x" * 40]])
def test_events_ahead_of_one_that_is_too_large_are_not_lost(chunks: list[bytes]) -> None:
    """They are returned first, in whatever chunk they come; then every call fails."""
    decoder = SSEDecoder(BOUND)
    assert [event.data for event in decoder.feed(chunks[0])] == ["a"]
    for chunk in [*chunks[1:], b"\n\n", b"data: c\n\n"]:
        with pytest.raises(EventTooLargeError):
            decoder.feed(chunk)


def test_the_refusal_is_an_error_of_this_library() -> None:
    assert issubclass(EventTooLargeError, LettaError)


@pytest.mark.parametrize("bound", [0, -1])
def test_the_bound_must_be_positive(bound: int) -> None:
    with pytest.raises(ValueError, match=f"max_event_bytes must be positive, not {bound}"):
        SSEDecoder(bound)
