"""Price tables: their file, and the cost of tokens."""

from __future__ import annotations

import json
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from letta_ext.report import ModelPrice, PriceTable, default_prices, load_prices
from letta_ext.report.data import usage_of
from letta_ext.report.prices import TokenUsage
from letta_ext.types import Step

COUNTS = st.integers(0, 10**9)
AMOUNTS = st.decimals(0, 1000, places=4)


def step(**fields: object) -> Step:
    return Step.from_dict(
        {"id": "step-1", "prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110, **fields}
    )


def test_default_prices_name_their_source_and_date() -> None:
    """The prices of the package have a source, a date and prices of several providers."""
    prices = default_prices()

    assert prices.source.startswith("genai-prices")
    assert date.fromisoformat(prices.date) >= date(2026, 11, 29)
    assert {handle.partition("/")[0] for handle in prices.models} == {"openai", "anthropic", "google_ai"}
    for handle, price in prices.models.items():
        assert 0 < price.input <= price.output, handle
        assert price.cached_input is None or price.cached_input < price.input, handle


def test_cost_counts_cached_and_written_tokens_at_their_price() -> None:
    """Cached tokens and those written to the cache are part of the prompt, with prices of their own."""
    price = ModelPrice(Decimal(3), Decimal(15), cached_input=Decimal("0.3"), cache_write=Decimal("3.75"))
    usage = TokenUsage(input=1_000_000, cached=600_000, cache_write=100_000, output=200_000, reasoning=50_000)

    assert price.cost(usage) == Decimal("0.9") + Decimal("0.18") + Decimal("0.375") + Decimal(3)
    assert ModelPrice(Decimal(3), Decimal(15)).cost(usage) == Decimal(3) + Decimal(3)


@settings(max_examples=30, deadline=None)
@given(st.builds(TokenUsage, COUNTS, COUNTS, COUNTS, COUNTS, COUNTS), AMOUNTS, AMOUNTS, AMOUNTS, AMOUNTS)
def test_cost_is_never_negative_and_grows_with_the_output(
    usage: TokenUsage, first: Decimal, second: Decimal, third: Decimal, fourth: Decimal
) -> None:
    """Any counts, also those that contradict each other, have a cost of at least that of the output."""
    cost = ModelPrice(first, second, third, fourth).cost(usage)

    assert cost is not None
    assert cost >= usage.output * second / 1_000_000 - Decimal("1e-15")


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, TokenUsage(100, 0, 0, 10, 0)),
        ({"cached_input_tokens": 40, "cache_write_tokens": 5}, TokenUsage(100, 40, 5, 10, 0)),
        ({"prompt_tokens_details": {"cached_tokens": 30, "cache_read_tokens": 30}}, TokenUsage(100, 30, 0, 10, 0)),
        ({"completion_tokens_details": {"reasoning_tokens": 7}}, TokenUsage(100, 0, 0, 10, 7)),
        # Gemini reports reasoning within the total only.
        ({"total_tokens": 150, "reasoning_tokens": 40}, TokenUsage(100, 0, 0, 50, 40)),
        ({"prompt_tokens_details": {"cached_tokens": "many"}}, TokenUsage(100, 0, 0, 10, 0)),
        ({"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}, None),
        ({"prompt_tokens": None, "completion_tokens": None, "total_tokens": None}, None),
    ],
)
def test_usage_of_a_step_reads_each_form_of_token_counts(
    fields: dict[str, object], expected: TokenUsage | None
) -> None:
    """The server reports the details of tokens in fields, in objects, or not at all."""
    assert usage_of(step(**fields)) == expected


def test_unknown_model_has_no_cost() -> None:
    """Only the full handle of a model has a price: another provider may have other prices."""
    usage = TokenUsage(input=1)

    assert default_prices().cost("openai-proxy/gpt-4o-mini", usage) is None
    assert default_prices().cost(None, usage) is None
    assert default_prices().cost("openai/gpt-4o-mini", usage) == Decimal("0.15") / 1_000_000


def test_with_models_adds_and_replaces_prices() -> None:
    """A table can be extended without a change of the original."""
    own = ModelPrice(Decimal(1), Decimal(2))

    table = default_prices().with_models({"acme/one": own, "openai/gpt-4o": own})

    assert table.models["acme/one"] == table.models["openai/gpt-4o"] == own
    assert "acme/one" not in default_prices().models
    assert table.source == default_prices().source


def test_load_prices_reads_exact_decimals(tmp_path: Path) -> None:
    """Numbers of the file are read as decimals, and the optional keys may be absent."""
    path = tmp_path / "prices.json"
    path.write_text('{"currency": "EUR", "models": {"a/b": {"input": 0.1, "output": 7, "cached_input": 0.01}}}')

    table = load_prices(path)

    assert table == PriceTable(
        {"a/b": ModelPrice(Decimal("0.1"), Decimal(7), Decimal("0.01"))}, "given by the caller", "", "EUR"
    )


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ([], "the file must be an object"),
        ({"prices": {}}, "the file must be an object with models"),
        ({"models": []}, "models must be an object"),
        ({"models": {}, "date": 5}, "date must be a string"),
        ({"models": {"a/b": {"input": 1}}}, "a/b must be an object with input, output"),
        ({"models": {"a/b": {"input": 1, "output": 1, "out": 1}}}, "a/b must be an object"),
        ({"models": {"a/b": {"input": "free", "output": 1}}}, "a/b: a price must be a number"),
        ({"models": {"a/b": {"input": None, "output": 1}}}, "a/b: a price must be a number"),
        ({"models": {"a/b": {"input": True, "output": 1}}}, "a/b: a price must be a number"),
        ({"models": {"a/b": {"input": -1, "output": 1}}}, "a/b: a price must be from 0"),
        ({"models": {"a/b": {"input": float("nan"), "output": 1}}}, "a/b: a price must be from 0"),
        ({"models": {"a/b": {"input": 1, "output": 1, "max_prompt_tokens": 0}}}, "max_prompt_tokens must be"),
    ],
)
def test_invalid_price_file_raises_with_the_place(data: object, message: str, tmp_path: Path) -> None:
    """An invalid file raises a ValueError that names the file and the place."""
    path = tmp_path / "prices.json"
    path.write_text(json.dumps(data))

    with pytest.raises(ValueError, match=r"prices must be a price table, got .*prices\.json") as caught:
        load_prices(path)

    assert message in str(caught.value)


@pytest.mark.parametrize("text", ["", "{", '{"models": {}, "models": {}}', "[" * 100_000])
def test_file_that_is_not_json_raises(text: str, tmp_path: Path) -> None:
    """Broken JSON, duplicate keys and excessive nesting raise a ValueError."""
    path = tmp_path / "prices.json"
    path.write_text(text)

    with pytest.raises(ValueError, match="prices must be a price table"):
        load_prices(path)
