"""Endpoint functions of a generated package alone: arguments, and responses in unusual encodings."""

from __future__ import annotations

import enum
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from types import ModuleType
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.codegen.building import STRING, document, imported, make, operation, responds


class Color(str, enum.Enum):  # noqa: UP042  # a StrEnum is its value to `str` too
    RED = "red"


class Level(int, enum.Enum):
    LOW = 1


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModuleType]:
    """Import a package of one operation with arguments of any type."""
    parameters: list[dict[str, Any]] = [
        {"name": "id", "in": "path", "required": True, "schema": STRING},
        {"name": "q", "in": "query", "schema": {}},
        {"name": "X-Q", "in": "header", "schema": {}},
    ]
    get = operation("widgets.get", parameters=parameters, responses=responds({}))
    package, _ = make(document(paths={"/x/{id}": {"get": get}}), tmp_path_factory.mktemp("requests"))
    with imported(package) as module:
        yield sys.modules[f"{module.__name__}.api.widgets.widgets_get"]


@pytest.mark.parametrize(
    "value",
    [
        {"a": 1},
        b"a",
        bytearray(b"a"),
        memoryview(b"a"),
        object(),
        1j,
        [["a"]],
    ],
    ids=lambda value: type(value).__name__,
)
@pytest.mark.parametrize("argument", ["q", "x_q"])
def test_build_request_value_without_form_raises_type_error(argument: str, value: Any, api: ModuleType) -> None:
    """An argument without a query or header form raises an error with its name."""
    wire = {"q": "q", "x_q": "X-Q"}[argument]
    with pytest.raises(TypeError, match=f"^{wire} must be "):
        api.build_request("i", **{argument: value})


@pytest.mark.parametrize("make", [list, tuple, set, frozenset, iter], ids=lambda make: make.__name__)
def test_build_request_iterable_repeats_the_key_and_is_no_header(make: Any, api: ModuleType) -> None:
    """An iterable in the query repeats its key. In a header it has no form."""
    assert sorted(api.build_request("i", q=make(["a", "b"])).query) == [("q", "a"), ("q", "b")]
    with pytest.raises(TypeError, match=r"^X-Q must be "):
        api.build_request("i", x_q=make(["a"]))


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"q": float("nan")}, "q"),
        ({"q": float("inf")}, "q"),
        ({"q": "\ud800"}, "q"),
        ({"q": "x" * 65_537}, "q"),
        ({"q": ["x"] * 40_000}, "q"),
        ({"q": "\N{DUCK}" * 6_000}, "q"),
        ({"id": "\ud800"}, "id"),
        ({"id": "x" * 65_537}, "id"),
        ({"id": "\N{DUCK}" * 6_000}, "id"),
        ({"x_q": "two\nlines"}, "X-Q"),
        ({"x_q": "\xe9"}, "X-Q"),
        ({"x_q": " a"}, "X-Q"),
    ],
)
def test_build_request_value_that_cannot_be_sent_raises_value_error(
    arguments: dict[str, Any], named: str, api: ModuleType
) -> None:
    """A value that a URL or a header cannot hold raises an error with its name before sending."""
    with pytest.raises(ValueError, match=f"^{named} must be "):
        api.build_request(**({"id": "i"} | arguments))


def test_build_request_enum_member_sends_its_value(api: ModuleType) -> None:
    """A member of an Enum of strings or integers is its value."""
    request = api.build_request(
        Color.RED, q=[Color.RED, Level.LOW, True, datetime(2026, 1, 2, tzinfo=UTC)], x_q=Level.LOW
    )
    assert request.path == "/x/red"
    assert request.query == [("q", "red"), ("q", "1"), ("q", "true"), ("q", "2026-01-02T00:00:00+00:00")]
    assert all(type(text) is str for _, text in request.query)
    assert request.headers == {"X-Q": "1"}


_scalar = st.one_of(st.text(), st.integers(), st.floats(), st.booleans(), st.none(), st.datetimes(), st.binary())
_values = st.one_of(
    _scalar, st.lists(_scalar, max_size=3), st.text(min_size=5_000, max_size=40_000), st.sets(st.text())
)


@settings(max_examples=200, derandomize=True)
@given(id_=_scalar, q=_values, header=_values)
def test_build_request_any_value_is_sent_or_refused_by_name(api: ModuleType, id_: Any, q: Any, header: Any) -> None:
    """httpx accepts the request for any arguments, or a TypeError or ValueError is raised."""
    with httpx.Client(base_url="http://server/with/a/path") as client:
        try:
            request = api.build_request(id_, q=q, x_q=header)
        except (TypeError, ValueError) as fault:
            named = str(fault)
        else:
            named = ""
        if named:
            assert named.startswith(("id must be ", "q must be ", "X-Q must be "))
            return
        made = client.build_request(request.method, request.path, params=request.query, headers=dict(request.headers))
        sent = [text for name, text in made.url.params.multi_items()]
        given = [*q] if isinstance(q, (list, set)) else [q]
        assert len(sent) == sum(each is not None for each in given)
        assert [text for text in sent if text.startswith(("b'", "{", "<"))] == [
            text for text in given if isinstance(text, str) and text.startswith(("b'", "{", "<"))
        ]


@pytest.mark.parametrize(
    "charset", ["no-such", "undefined", "base64", "rot13", "idna", "unicode_escape", "utf-16", "\x00", "", "latin-1"]
)
@pytest.mark.parametrize("status", [200, 500])
def test_sync_response_with_invalid_charset_raises_package_errors(charset: str, status: int, api: ModuleType) -> None:
    """An unknown or invalid charset changes neither the error class nor the quoted text."""

    def handle(_: httpx.Request) -> httpx.Response:
        header = f"text/html; charset={charset}".encode()
        return httpx.Response(status, content=b"<p>\xe9\xff", headers=[(b"Content-Type", header)])

    package = api.__name__.split(".")[0]
    errors = sys.modules[f"{package}.errors"]
    expected = errors.DecodeError if status == 200 else errors.UnexpectedStatus
    with (
        httpx.Client(base_url="http://s", transport=httpx.MockTransport(handle)) as client,
        pytest.raises(expected) as caught,
    ):
        api.sync(client, "i")
    if status == 500:
        assert isinstance(caught.value.body, str)
