"""Arguments that JSON or a URL cannot represent are rejected by name before anything is sent."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from letta_ext import Letta

from .helpers import BASE_URL, CONVERSATION, KEY, ClientDriver, respond_with

SURROGATE = "\ud83d"


def circular(kind: str) -> Any:
    value: Any = {} if kind == "dict" else []
    if kind == "dict":
        value["x"] = [value]
    else:
        value.append({"x": value})
    return value


def deep(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


BAD: dict[str, tuple[Callable[[], Any], type[Exception], str]] = {
    "a circular mapping": (lambda: circular("dict"), ValueError, "must not contain itself"),
    "a circular list": (lambda: circular("list"), ValueError, "must not contain itself"),
    "a deep list": (lambda: deep(201), ValueError, "more than 200 levels deep"),
    "a list deeper than any stack": (lambda: deep(100_000), ValueError, "more than 200 levels deep"),
    "a number as a key": (lambda: {1: 2}, TypeError, "strings as keys, got int"),
    "None as a key": (lambda: {None: 2}, TypeError, "strings as keys, got NoneType"),
    "bytes as a key": (lambda: {b"x": 2}, TypeError, "strings as keys, got bytes"),
    "a tuple as a key": (lambda: {(1, 2): 2}, TypeError, "strings as keys, got tuple"),
    "nan": (lambda: float("nan"), ValueError, "must be a finite number, got nan"),
    "infinity": (lambda: float("-inf"), ValueError, "must be a finite number, got -inf"),
    "a huge integer": (lambda: 10**5000, ValueError, "must have fewer digits"),
    "a set": (lambda: {1, 2}, TypeError, "must be a JSON value, got set"),
    "bytes": (lambda: b"x", TypeError, "must be a JSON value, got bytes"),
    "a memoryview": (lambda: memoryview(b"x"), TypeError, "must be a JSON value, got memoryview"),
    "a decimal": (lambda: Decimal(1), TypeError, "must be a JSON value, got Decimal"),
    "a generator": (lambda: (n for n in [1]), TypeError, "must be a JSON value, got generator"),
    "a surrogate": (lambda: SURROGATE, ValueError, "got a lone surrogate at index 0"),
    "a surrogate in a key": (lambda: {SURROGATE: 1}, ValueError, "got a lone surrogate at index 0"),
}

WRAPPED: tuple[Callable[[Any], Any], ...] = (
    lambda value: value,
    lambda value: [1, value],
    lambda value: {"a": {"b": (value,)}},
)

PLACES: dict[str, tuple[str, Callable[[Any, Any], Any]]] = {
    "the body of a verb": ("body", lambda client, value: client.post("/v1/agents/", body=value)),
    "extra_body": (
        "extra_body['x']",
        lambda client, value: client.conversations.messages.compact(CONVERSATION, extra_body={"x": value}),
    ),
    "a free mapping": (
        "client_tools[0].parameters['x']",
        lambda client, value: client.conversations.messages.create(
            CONVERSATION, input="hi", client_tools=[{"name": "n", "parameters": {"x": value}}]
        ),
    ),
    "an undocumented key": (
        "messages[0]['x']",
        lambda client, value: client.conversations.messages.create(
            CONVERSATION, messages=[{"role": "user", "content": "hi", "x": value}]
        ),
    ),
    "a background send": (
        "messages[0]['x']",
        lambda client, value: client.conversations.messages.create(
            CONVERSATION, messages=[{"role": "user", "content": "hi", "x": value}], background=True
        ),
    ),
}


def rejected(driver: ClientDriver, call: Callable[[Any], Any]) -> Exception:
    handler = respond_with(200)
    with pytest.raises((TypeError, ValueError)) as caught:
        driver.run(call(driver.client(handler)))
    assert handler.requests == []
    assert type(caught.value) in (TypeError, ValueError), "a subclass takes other arguments"
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 400
    return caught.value


def call_with(
    call: Callable[[Any, Any], Any], wrap: Callable[[Any], Any], make: Callable[[], Any]
) -> Callable[[Any], Any]:
    return lambda client: call(client, wrap(make()))


@pytest.mark.slow
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("bad", BAD)
def test_argument_not_representable_in_json_raises_error_naming_it(driver: ClientDriver, bad: str, place: str) -> None:
    """A value that JSON cannot represent is named with its path in the argument."""
    make, kind, message = BAD[bad]
    name, call = PLACES[place]
    for wrap in WRAPPED:
        error = rejected(driver, call_with(call, wrap, make))
        assert type(error) is kind
        assert message in str(error)
        assert str(error).removeprefix("a key of ").startswith(name)


def test_nested_and_shared_values_within_limit_are_sent(driver: ClientDriver) -> None:
    """Nesting of 200 levels and repeated references are sent."""
    handler = respond_with(200)
    driver.run(driver.client(handler).post("/v1/agents/", body=deep(200)))
    shared = [1]
    driver.run(driver.client(handler).post("/v1/agents/", body=[shared, shared, {"x": shared}]))
    assert len(handler.requests) == 2


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(max_size=2) | st.just(SURROGATE),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3) | st.integers(), inner, max_size=3),
    max_leaves=8,
)


@given(JSON, st.sampled_from(sorted(PLACES)))
@settings(max_examples=300, deadline=None)
def test_arbitrary_value_is_sent_or_rejected_by_name(value: Any, place: str) -> None:
    """Any value is sent or rejected with an error that names it."""
    name, call = PLACES[place]
    handler = respond_with(404)
    driver = ClientDriver(is_async=False)
    try:
        call(driver.client(handler), value)
    except (TypeError, ValueError) as error:
        assert handler.requests == []
        assert str(error).removeprefix("a key of ").startswith(name)  # noqa: PT017  # not every value is rejected
    except Exception:  # noqa: BLE001  # the 404
        assert len(handler.requests) == 1
    finally:
        driver.close()


# Query parameters

LONG = [f"trace-{n:040}" for n in range(1500)]
QUERIES: dict[str, tuple[Callable[[Any], Any], str]] = {
    "a documented list": (lambda client: client.steps.list(trace_ids=LONG), "trace_ids must be shorter"),
    "a documented text": (lambda client: client.steps.list(model="x" * 70_000), "model must be shorter"),
    "characters that are encoded": (lambda client: client.steps.list(model="é" * 12_000), "model must be shorter"),
    "extra_query": (lambda client: client.steps.list(extra_query={"q": "x" * 70_000}), "q must be shorter"),
    "a verb": (lambda client: client.get("/v1/x", query={"a": 1, "q": "x" * 70_000}), "q must be shorter"),
    "a path": (lambda client: client.get("/v1/" + "x" * 70_000), "path must be shorter"),
    "a surrogate": (lambda client: client.steps.list(model=SURROGATE), "model must be text"),
    "a surrogate of a verb": (lambda client: client.get("/v1/x", query={"q": SURROGATE}), "query['q'] must be text"),
    "a surrogate as a key": (lambda client: client.get("/v1/x", query={SURROGATE: 1}), "a key of query must be text"),
    "a huge integer": (lambda client: client.get("/v1/x", query={"q": 10**5000}), "query['q'] must have fewer digits"),
    "nan": (lambda client: client.get("/v1/x", query={"q": float("nan")}), "query['q'] must be a finite number"),
    "a huge limit": (lambda client: client.steps.list(limit=10**5000), "limit must"),
    "a huge negative limit": (lambda client: client.steps.list(limit=-(10**5000)), "limit must be "),
    "a huge number in a body": (
        lambda client: client.conversations.messages.create(CONVERSATION, input="hi", max_steps=10**5000),
        "max_steps must",
    ),
    "bytes": (lambda client: client.get("/v1/x", query={"q": b"x"}), "query['q'] must be a string, a number"),
    "a set": (lambda client: client.get("/v1/x", query={"q": {1}}), "query['q'] must be a string, a number"),
}


@pytest.mark.parametrize("query", QUERIES)
def test_query_not_representable_in_url_raises_error_naming_it(driver: ClientDriver, query: str) -> None:
    """A query parameter that a URL cannot hold is named in the error."""
    call, message = QUERIES[query]
    assert message in str(rejected(driver, call))


@given(st.integers(60_000, 70_000))
@settings(max_examples=40, deadline=None)
def test_query_near_url_length_limit_is_sent_or_rejected_by_name(length: int) -> None:
    """A query of any length is sent or rejected by name."""
    handler = respond_with(404)
    driver = ClientDriver(is_async=False)
    try:
        driver.client(handler).steps.list(model="x" * length)
    except ValueError as error:
        assert handler.requests == []
        assert "model must be shorter" in str(error)  # noqa: PT017  # not every length is rejected
    except Exception:  # noqa: BLE001  # the 404
        assert len(handler.requests) == 1
    finally:
        driver.close()


def test_invalid_default_query_raises_at_construction() -> None:
    """An invalid `default_query` raises when the client is made."""
    with pytest.raises(ValueError, match=r"default_query\['q'\] must be text"):
        Letta(base_url=BASE_URL, api_key=KEY, default_query={"q": SURROGATE})
