"""The event-stream rules, one by one and against an independent reference decoder."""

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
    """Return the events of a stream by the algorithm of the standard: decode all of it, split lines, process each."""
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
frame_streams = st.lists(st.sampled_from(FRAMES[:2]) | st.sampled_from(FRAMES), max_size=12)
pieces = st.lists(st.sampled_from(PIECES), max_size=40)
streams = frame_streams.map(b"".join) | pieces.map(b"".join) | st.binary(max_size=80)


@st.composite
def chunked(draw: st.DrawFn, streams: st.SearchStrategy[bytes] = streams) -> list[bytes]:
    stream = draw(streams)
    cuts = draw(st.lists(st.integers(0, len(stream)), max_size=12).map(sorted))
    return [stream[start:end] for start, end in pairwise([0, *cuts, len(stream)])]


@given(streams)
@example(b"data: a\r\rdata: b\n\r\n")
@example(BOM + BOM + b"data: a\n\n")
def test_decoder_equals_reference_for_any_bytes(stream: bytes) -> None:
    """Any bytes decode to the events of the reference."""
    assert decode(stream) == reference(stream)


@given(chunked())
@example([b"\xef", b"\xbb", b"\xbfdata: a\n\n"])
@example([b"data: a\r", b"\n\r", b"\n"])
@example([b"data: a\r", b"", b"\n", b"\n"])
def test_decoder_result_is_independent_of_chunks(chunks: list[bytes]) -> None:
    """The events do not depend on the chunks."""
    assert decode(*chunks) == decode(b"".join(chunks))


@given(streams)
def test_decoder_accepts_single_bytes(stream: bytes) -> None:
    """Chunks of one byte give the same events."""
    assert decode(*(stream[at : at + 1] for at in range(len(stream)))) == decode(stream)


@pytest.mark.parametrize("end", [b"\n", b"\r", b"\r\n"])
def test_lf_cr_and_crlf_end_lines(end: bytes) -> None:
    """LF, CR and CRLF end a line."""
    assert data(end.join([b"data: a", b"", b"data: b", b"", b""])) == ["a", "b"]


def test_mixed_line_endings_are_decoded() -> None:
    """Line endings may be mixed."""
    assert data(b"data: a\r\n\ndata: b\n\rdata: c\r\r\n") == ["a", "b", "c"]


def test_crlf_split_across_chunks_is_one_line_ending() -> None:
    """A CRLF across two chunks is one line ending."""
    assert data(b"data: a\r", b"\ndata: b\r", b"\n\r", b"\n") == ["a\nb"]


def test_trailing_cr_dispatches_event_at_once() -> None:
    """A trailing CR dispatches the event without further bytes."""
    assert data(b"data: a\r\r") == ["a"]


@pytest.mark.parametrize("cut", [0, 1, 2, 3])
def test_leading_bom_is_skipped_across_chunks(cut: int) -> None:
    """A leading BOM is skipped, at any split."""
    stream = BOM + b"data: a\n\n"
    assert data(stream[:cut], stream[cut:]) == ["a"]


def test_only_leading_bom_is_skipped() -> None:
    """Later BOMs are data."""
    assert data(BOM + BOM + b"data: a\n\ndata: b\n\n") == ["b"]
    assert data(b"data: a\n\n" + BOM + b"data: b\n\n") == ["a"]
    assert data(b"data: " + BOM + b"a\n\n") == ["\ufeffa"]


@pytest.mark.parametrize("cut", range(9))
def test_chunk_that_ends_within_separator_keeps_fast_path(cut: int) -> None:
    """Events are plain data, without a parse of each line, if a chunk ends between two of them."""
    decoder = SSEDecoder()
    decoder.split(b'data: {"a":1}\n\n')
    first, second, third = b'data: {"b":2}', b'data: {"c":3}', b'data: {"d":4}\n\n'
    stream = b"\n\n".join([first, second, third])
    end = stream.index(b"\n\ndata: ", len(first) + 1) + cut
    found = [*reversed(decoder.split(stream[:end])), *reversed(decoder.split(stream[end:]))]
    assert found == [b'{"b":2}', b'{"c":3}', b'{"d":4}']


def test_comments_are_ignored() -> None:
    """Comments are ignored."""
    assert data(b": keepalive\n\n:\n\ndata: a\n: between\ndata: b\n\n") == ["a\nb"]


def test_data_lines_are_joined_with_lf() -> None:
    """Data lines are joined with LF."""
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
def test_one_space_after_colon_is_removed(line: bytes, value: str) -> None:
    """One space after the colon is not part of the value."""
    assert data(line + b"\n\n") == [value]


def test_field_names_are_case_sensitive_and_exact() -> None:
    """Only exact field names count."""
    assert data(b" data: a\nDATA: b\ndata : c\ndatas: d\nfoo: e\n\n") == []


def test_event_without_data_is_not_dispatched() -> None:
    """An event without data is not dispatched, and its name is dropped."""
    assert decode(b"event: ping\n\ndata: a\n\n") == [ServerSentEvent("a")]


def test_empty_data_is_dispatched() -> None:
    """Empty data is an event."""
    assert decode(b"event: ping\ndata:\n\n") == [ServerSentEvent("", "ping")]


def test_last_event_name_applies_to_one_event() -> None:
    """The last name applies, to one event only."""
    stream = b"event: a\nevent: error\ndata: 1\n\ndata: 2\n\nevent:\ndata: 3\n\n"
    assert [event.event for event in decode(stream)] == ["error", "message", "message"]


def test_id_persists_until_replaced() -> None:
    """An id applies until another replaces it."""
    stream = b"id: 1\ndata: a\n\ndata: b\n\nid\ndata: c\n\n"
    assert [event.id for event in decode(stream)] == ["1", "1", ""]


def test_id_without_data_persists() -> None:
    """An id without data applies to later events."""
    assert decode(b"id: 7\n: comment\n\ndata: a\n\n") == [ServerSentEvent("a", id="7")]


def test_id_with_null_is_ignored() -> None:
    """An id with NUL is ignored."""
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
def test_retry_accepts_ascii_digits_only(line: bytes, expected: int | None) -> None:
    """A retry time has ASCII digits only."""
    assert decode(line + b"\ndata: a\n\n") == [ServerSentEvent("a", retry=expected)]


def test_retry_without_data_is_not_dispatched() -> None:
    """A retry time without data is not an event."""
    assert decode(b"retry: 5\n\ndata: a\n\n") == [ServerSentEvent("a")]


def test_retry_of_any_length_is_accepted() -> None:
    """A retry time of any length leaves the event intact."""
    # Python does not parse a number of more than 4300 digits.
    assert data(b"retry: " + b"9" * 5000 + b"\ndata: a\n\n") == ["a"]


@pytest.mark.parametrize("stream", [b"data: a", b"data: a\n", b"data: a\r\n", b"data: a\r", b"data: a\nid: 1\n"])
def test_event_without_blank_line_is_not_dispatched(stream: bytes) -> None:
    """An event that no blank line ends is not dispatched."""
    assert data(b"data: first\n\n" + stream) == ["first"]


def test_invalid_utf8_is_replaced() -> None:
    """Invalid UTF-8 becomes U+FFFD."""
    stream = b"event: \xff\nid: \xfe\ndata: a\xffb\xe2\x82\n\n"
    assert decode(stream) == [ServerSentEvent("a\ufffdb\ufffd", "\ufffd", "\ufffd")]


@given(st.text(alphabet=st.characters(exclude_characters="\r\n", exclude_categories=["Cs"]), min_size=1))
def test_multibyte_characters_split_across_chunks_are_decoded(text: str) -> None:
    """A character may be split across chunks."""
    stream = b"data: " + text.encode() + b"\n\n"
    for cut in range(len(stream)):
        assert data(stream[:cut], stream[cut:]) == [text]


def test_unicode_line_separators_do_not_end_lines() -> None:
    """Only LF, CR and CRLF end lines, unlike `str.splitlines`."""
    text = "a\x0bb\x0cc\x1cd\x85e\u2028f\u2029g"
    assert data(f"data: {text}\n\n".encode()) == [text]


BOUND = 30


@given(chunked(st.lists(st.integers(0, 24), min_size=1, max_size=6).map(lambda ns: b"".join(map(small, ns)))))
def test_events_within_limit_are_decoded(chunks: list[bytes]) -> None:
    """Events within the limit are decoded."""
    assert decode(*chunks, bound=BOUND) == reference(b"".join(chunks))


def small(size: int) -> bytes:
    """Return an event of at most the maximum size, line endings excluded."""
    return b"data: " + b"x" * size + b"\n\n"


@given(chunked(st.sampled_from([b"data: " + b"x" * 31, b"data: " + b"x" * 16 + b"\ndata: " + b"x" * 16, b"x" * 70])))
def test_event_over_limit_raises_before_its_end(chunks: list[bytes]) -> None:
    """An event over the limit raises before its end."""
    with pytest.raises(EventTooLargeError, match="larger than 30 bytes"):
        decode(*chunks, b"\n", b"data: a\n\n", bound=BOUND)


near_limit = st.builds(
    lambda name, size, end: name + b"x" * size + end,
    st.sampled_from([b"data: ", b"data:", b":", b"event: "]),
    st.integers(BOUND - 10, BOUND + 2) | st.integers(0, BOUND),
    st.sampled_from([b"\n", b"\n\n", b"\r\n\r\n"]),
)


@given(chunked(st.lists(near_limit, min_size=1, max_size=4).map(b"".join)))
@example([b"data: " + b"x" * (BOUND - 2), b"\n\n"])
@example([b":" + b"x" * BOUND, b"\n"])
@example([b"data: a\n\ndata: " + b"x" * (BOUND + 1) + b"\n\n"])
def test_limit_is_independent_of_chunks(chunks: list[bytes]) -> None:
    """The events before one that is too large do not depend on the chunks, and none follows it."""

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
def test_empty_data_lines_count_towards_limit(line: bytes) -> None:
    """Each empty data line adds a line feed to the size."""
    with pytest.raises(EventTooLargeError):
        decode(line * 100, b"\n", bound=BOUND)


def test_limit_applies_to_each_event() -> None:
    """The limit applies to each event, not to the stream."""
    assert len(decode(b"data: 0123456789012345\n\n" * 100, bound=BOUND)) == 100


@pytest.mark.parametrize("chunks", [[b"data: a\n\ndata: b", b"x" * 40], [b"data: a\n\ndata: " + b"x" * 40]])
def test_events_before_too_large_event_are_returned(chunks: list[bytes]) -> None:
    """They are returned first, in any chunk; then every call raises."""
    decoder = SSEDecoder(BOUND)
    assert [event.data for event in decoder.feed(chunks[0])] == ["a"]
    for chunk in [*chunks[1:], b"\n\n", b"data: c\n\n"]:
        with pytest.raises(EventTooLargeError):
            decoder.feed(chunk)


def test_event_too_large_error_is_letta_error() -> None:
    """`EventTooLargeError` is a `LettaError`."""
    assert issubclass(EventTooLargeError, LettaError)


@pytest.mark.parametrize("bound", [0, -1])
def test_non_positive_limit_raises_value_error(bound: int) -> None:
    """A limit that is not positive raises `ValueError`."""
    with pytest.raises(ValueError, match=f"max_event_bytes must be positive, got {bound}"):
        SSEDecoder(bound)
