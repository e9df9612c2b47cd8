"""URLs of requests are those of httpx, although most are built without its checks of each character."""

from __future__ import annotations

import httpx
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from letta_ext._http.urls import MAX_CACHED_LENGTH, MAX_PLAIN_LENGTH, make_url

CURSOR = "message-00000062-0000-4000-8000-000000000000"
NAMES = st.sampled_from(["after", "limit", "a b", "a&b", "a=b", "é", ""])
VALUES = (
    st.text(max_size=60)
    | st.text("abcXYZ019_.~-", min_size=MAX_CACHED_LENGTH, max_size=60)
    | st.sampled_from([CURSOR, f"{CURSOR}=", f"{CURSOR}&limit=1", f"{CURSOR}\n", 1, True, 1.5, None])
)


BASES = st.sampled_from(
    ["http://letta.test", "https://h:443", "http://H:8283", "http://u:p@é.test", "http://[::1]", "HTTP://h"]
)
PATHS = st.lists(
    st.sampled_from(["v1", "steps", "step-1", ".", "..", "a.b", ".c", "p%20q", "é", "", "~", "a:b"]), max_size=4
)


@example(base="http://h", path=["v1", "steps"], end="/", query=[("after", CURSOR), ("limit", "101")])
@example(base="http://h", path=["v1", "steps"], end="/", query=[("after", f"{CURSOR}&x"), ("a=b", "1")])
@example(base="http://h", path=["v1", "steps"], end="/", query=[("after", CURSOR), ("limit", "1"), ("after", CURSOR)])
@example(base="http://h", path=["v1", "steps"], end="/", query=[("after", CURSOR * (MAX_PLAIN_LENGTH // 40))])
@given(
    base=BASES,
    path=PATHS,
    end=st.sampled_from(["", "/", "?a=1", "#f", "?", "\n"]),
    query=st.lists(st.tuples(NAMES, VALUES), max_size=4),
)
def test_url_of_any_path_and_query_equals_that_of_httpx(
    base: str, path: list[str], end: str, query: list[tuple[str, str | int | float | None]]
) -> None:
    """Paths, names and values of any characters give the URL that httpx builds, also a second time."""
    whole = "/".join([base, *path]) + end
    try:
        expected = httpx.URL(whole, params=query) if query else httpx.URL(whole)
    except httpx.InvalidURL:
        with pytest.raises(httpx.InvalidURL):
            make_url(whole, query)
        return
    for _ in range(2):
        url = make_url(whole, query)
        assert (url, str(url), url.raw_path) == (expected, str(expected), expected.raw_path)


def test_url_that_is_too_long_is_refused() -> None:
    """The limit of httpx for the length of a URL holds."""
    with pytest.raises(httpx.InvalidURL):
        make_url("http://letta.test", [("after", "a" * 70_000)])


def test_query_of_a_url_leaves_others_unchanged() -> None:
    """URLs that share a cached base differ in their queries only."""
    first, second = (make_url("http://letta.test/v1/steps/", [("after", f"{CURSOR}{n}")]) for n in (1, 2))
    assert (first.params["after"], second.params["after"]) == (f"{CURSOR}1", f"{CURSOR}2")
    assert str(make_url("http://letta.test/v1/steps/", [])) == "http://letta.test/v1/steps/"
