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


@pytest.mark.parametrize("base", ["http://letta.test/v1/steps/", "https://h:8283/p%20q/é?a=1", "http://h"])
@example(query=[("after", CURSOR), ("limit", "101")])
@example(query=[("after", f"{CURSOR}&x"), ("a=b", "1")])
@example(query=[("after", CURSOR), ("limit", "1"), ("after", CURSOR)])
@example(query=[("after", CURSOR * (MAX_PLAIN_LENGTH // 40))])
@given(query=st.lists(st.tuples(NAMES, VALUES), max_size=4))
def test_url_with_any_query_equals_that_of_httpx(base: str, query: list[tuple[str, str | int | float | None]]) -> None:
    """Names and values of any characters give the URL that httpx builds, also a second time."""
    expected = httpx.URL(base, params=query) if query else httpx.URL(base)
    for _ in range(2):
        url = make_url(base, query)
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
