"""Charsets and content encodings of bodies, valid or not."""

from __future__ import annotations

import encodings
import encodings.aliases
import json
import pkgutil
from typing import Final

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from letta_ext import (
    APIStatusError,
    NotFoundError,
    ResponseLimits,
    ResponseTooLargeError,
)
from letta_ext._http.charsets import LineDecoder

from .bodies import encoded, streamed
from .helpers import STEP, Body, ClientDriver, respond_with

NOT_CHARSETS: Final = ["hex", "zlib", "rot13", "undefined", "punycode", "unicode_escape", "idna", "base64", "bz2"]

CODECS: Final = sorted(
    {module.name for module in pkgutil.iter_modules(encodings.__path__)} | {*encodings.aliases.aliases}
)
ODD: Final = [
    "",
    "a b",
    '"',
    "x" * 5000,
    "utf-8\t",
    "../os",
    "encodings.hex_codec",
    "hex_codec",
    "rot13",
    "no-such",
    "ü",
]


BODIES: Final = [b"caf\xe9 \xff\xfe\x00{", b"48656c6c6f", b"x\x9c\x00", b"xn--80ak6aa92e-", b"+AGE-\\x"]


@pytest.mark.parametrize("body", BODIES)
def test_error_with_any_codec_as_charset_keeps_status_and_text_body(driver: ClientDriver, body: bytes) -> None:
    """Codecs that are not charsets (to bytes, escapes, not decodable) leave the status and a text body."""
    names = iter([*CODECS, *ODD])

    def handler(_: httpx.Request) -> httpx.Response:
        content_type = b"text/plain; charset=" + next(names).encode()
        return httpx.Response(404, headers=[(b"content-type", content_type)], stream=Body([body]))

    client = driver.client(handler)
    for _ in range(len(CODECS) + len(ODD)):
        with pytest.raises(NotFoundError) as caught:
            driver.run(client.steps.retrieve(STEP))
        assert isinstance(caught.value.body, str)


@pytest.mark.parametrize(
    ("charset", "content", "text"),
    [
        ("latin-1", b"caf\xe9", "café"),
        ("utf-16-le", "né".encode("utf-16-le"), "né"),
        ("koi8-r", b"\xce", "\u043d"),
        ("hex", b"\xff", "\ufffd"),
        ("utf-8", b"\xff", "\ufffd"),
        *((name, "né\\n".encode(), "né\\n") for name in NOT_CHARSETS),
    ],
)
def test_text_body_is_decoded_by_valid_charset_else_utf8(
    driver: ClientDriver, charset: str, content: bytes, text: str
) -> None:
    """Text is decoded by its charset, or as UTF-8 if the charset is not one."""
    headers = {"content-type": f"text/plain; charset={charset}"}
    handler = respond_with(lambda: httpx.Response(400, headers=headers, stream=Body([content])))
    with pytest.raises(APIStatusError) as caught:
        driver.run(driver.client(handler).steps.retrieve(STEP))
    assert caught.value.body == text
    raw = respond_with(lambda: httpx.Response(200, headers=headers, stream=Body([content])))
    assert driver.run(driver.run(driver.client(raw).steps.with_raw_response.retrieve(STEP)).text()) == text


@pytest.mark.parametrize("body", BODIES)
def test_lines_with_any_codec_as_charset_are_str(body: bytes) -> None:
    """Lines are `str` for any codec name."""
    for name in [*CODECS, *ODD]:
        lines = LineDecoder(httpx.Response(200, headers=[(b"content-type", b"text/plain; charset=" + name.encode())]))
        found = [*lines.decode(body), *lines.decode(body), *lines.flush()]
        assert all(isinstance(line, str) for line in found)


@given(st.text(st.sampled_from("ab\r\n\u2028\x0bé")), st.lists(st.integers(1, 5)), st.sampled_from(["utf-8", "utf-16"]))
def test_lines_of_chunked_body_equal_lines_of_whole_text(text: str, sizes: list[int], charset: str) -> None:
    """Lines split across chunks equal the lines of the whole text."""
    lines = LineDecoder(httpx.Response(200, headers={"content-type": f"text/plain; charset={charset}"}))
    content, found = text.encode(charset), []
    for size in [*sizes, len(content)]:
        found += lines.decode(content[:size])
        content = content[size:]
    found += lines.flush()
    assert found == text.splitlines()


# Content encodings

LAYERS: Final = ["gzip", "deflate", "raw", "br", "zstd"]


@pytest.mark.slow
@settings(deadline=None)
@given(
    st.text(max_size=200).map(lambda text: text * 50),
    st.lists(st.sampled_from(LAYERS), max_size=4),
    st.sampled_from([1, 7, 1000, 65_536]),
)
def test_stacked_content_encodings_in_any_chunks_are_decoded_within_limits(
    text: str, layers: list[str], size: int
) -> None:
    """Stacked content encodings in any chunk size are decoded, and limits apply to each layer."""
    value = {"text": text}
    content = json.dumps(value).encode()
    for is_async in (False, True):
        driver = ClientDriver(is_async=is_async)
        try:
            client = driver.client(lambda _: streamed(content, *layers, size=size))
            assert driver.run(client.get("/v1/x")) == value
            exact = ResponseLimits(max_bytes=max(len(content), *(len(encoded(content, *layers[:n])) for n in range(5))))
            assert driver.run(client.get("/v1/x", response_limits=exact)) == value
            with pytest.raises(ResponseTooLargeError):
                driver.run(client.get("/v1/x", response_limits=ResponseLimits(max_bytes=len(content) - 1)))
        finally:
            driver.close()


def test_multiple_zstd_frames_are_decoded(driver: ClientDriver) -> None:
    """A zstd body of two frames is decoded completely."""
    content = encoded(b'{"a": ', "zstd") + encoded(b"7}", "zstd")
    handler = respond_with(lambda: httpx.Response(200, headers={"content-encoding": "zstd"}, stream=Body([content])))
    assert driver.run(driver.client(handler).get("/v1/x")) == {"a": 7}


def test_unknown_content_encoding_is_left_undecoded(driver: ClientDriver) -> None:
    """A body with an unknown content encoding is used unchanged."""
    handler = respond_with(lambda: httpx.Response(200, headers={"content-encoding": "x-none"}, stream=Body([b"7"])))
    assert driver.run(driver.client(handler).get("/v1/x")) == 7
