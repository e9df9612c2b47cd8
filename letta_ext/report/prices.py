"""Prices of models, and the cost of tokens."""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal
from functools import cache
from os import PathLike
from pathlib import Path
from typing import Any, Final, TypeAlias

from attrs import Factory, evolve, field, frozen

from .._types import is_mapping

MILLION: Final = Decimal(1_000_000)
KEYS: Final = {"input", "output", "cached_input", "cache_write", "max_prompt_tokens"}
MAX_PRICE: Final = 1_000_000


@frozen
class TokenUsage:
    """The token counts of a model call.

    Attributes:
        input: All tokens of the prompt [tokens].
        cached: The prompt tokens read from the cache [tokens].
        cache_write: The prompt tokens written to the cache [tokens].
        output: The generated tokens, with reasoning [tokens].
        reasoning: The generated tokens of the reasoning [tokens].
    """

    input: int = 0
    cached: int = 0
    cache_write: int = 0
    output: int = 0
    reasoning: int = 0

    def __add__(self, other: TokenUsage) -> TokenUsage:
        return TokenUsage(
            self.input + other.input,
            self.cached + other.cached,
            self.cache_write + other.cache_write,
            self.output + other.output,
            self.reasoning + other.reasoning,
        )


def _price(value: Decimal | float | str) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, (int, float, str, Decimal)):
        raise TypeError(f"a price must be a number, got {value!r}")
    try:
        price = Decimal(str(value))
    except ArithmeticError:
        raise ValueError(f"a price must be a number, got {value!r}") from None
    if not price.is_finite() or not 0 <= price <= MAX_PRICE:
        raise ValueError(f"a price must be from 0 to {MAX_PRICE}, got {value!r}")
    return price


def _optional_price(value: Decimal | float | str | None) -> Decimal | None:
    return None if value is None else _price(value)


@frozen
class ModelPrice:
    """The prices of a model, per million tokens. They may be given as numbers or numeric strings.

    Attributes:
        input: The price of prompt tokens.
        output: The price of generated tokens, with reasoning.
        cached_input: The price of prompt tokens read from the cache. Defaults to None, for the price of input.
        cache_write: The price of prompt tokens written to the cache. Defaults to None, for the price of input.
        max_prompt_tokens: The longest prompt with these prices [tokens]. Longer ones have no cost. Defaults to None,
            for any prompt.

    Raises:
        TypeError: If a price is not a number.
        ValueError: If a price is negative or not finite.
    """

    input: Decimal = field(converter=_price)
    output: Decimal = field(converter=_price)
    cached_input: Decimal | None = field(default=None, converter=_optional_price)
    cache_write: Decimal | None = field(default=None, converter=_optional_price)
    max_prompt_tokens: int | None = None

    def __attrs_post_init__(self) -> None:
        limit = self.max_prompt_tokens
        if limit is not None and (not isinstance(limit, int) or isinstance(limit, bool) or limit < 1):
            raise ValueError(f"max_prompt_tokens must be a positive whole number or None, got {limit!r}")

    def cost(self, usage: TokenUsage) -> Decimal | None:
        """Return the cost of a model call. None if these prices do not apply to a prompt of this length."""
        if self.max_prompt_tokens is not None and usage.input > self.max_prompt_tokens:
            return None
        cached = self.input if self.cached_input is None else self.cached_input
        written = self.input if self.cache_write is None else self.cache_write
        plain = max(0, usage.input - usage.cached - usage.cache_write)
        total = plain * self.input + usage.cached * cached + usage.cache_write * written + usage.output * self.output
        return total / MILLION


@frozen
class PriceTable:
    """The prices of models by their handle.

    Attributes:
        models: The prices by the handle of the model, such as `openai/gpt-4o-mini`.
        source: The origin of the prices, which the report shows. Defaults to "given by the caller".
        date: The date of the prices, which the report shows. Defaults to an empty string.
        currency: The currency, which the report shows. Defaults to "USD".
    """

    models: Mapping[str, ModelPrice] = Factory(dict[str, ModelPrice])
    source: str = "given by the caller"
    date: str = ""
    currency: str = "USD"

    def with_models(self, models: Mapping[str, ModelPrice]) -> PriceTable:
        """Return this table with more models, or other prices for the same ones."""
        return evolve(self, models={**self.models, **_models(models)})

    def cost(self, handle: str | None, usage: TokenUsage) -> Decimal | None:
        """Return the cost of a model call. None for a model that is not in the table."""
        price = self.models.get(handle or "")
        return None if price is None else price.cost(usage)


Prices: TypeAlias = PriceTable | Mapping[str, ModelPrice] | str | PathLike[str]
"""A table, the prices by model handle, or the path of a JSON file in the format of `load_prices`."""


@cache
def default_prices() -> PriceTable:
    """Return the prices that are part of the package. Its `source` and `date` name their origin."""
    return load_prices(Path(__file__).with_name("prices.json"))


def load_prices(path: str | PathLike[str]) -> PriceTable:
    """Read a price table from a JSON file.

    The file is an object with the keys `source`, `date`, `currency` and `models`. Each model handle has an object with
    the fields of `ModelPrice`.

    Args:
        path: The path of the file.

    Raises:
        ValueError: If the file cannot be read or is not such a table.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"prices must be a readable JSON file, got {str(path)!r}: {error}") from error
    try:
        data = json.loads(text, parse_float=Decimal, object_pairs_hook=_unique)
        return _table(data)
    except (ValueError, TypeError, RecursionError) as error:
        raise ValueError(f"prices must be a price table, got {str(path)!r}: {error}") from error


def resolve_prices(prices: Prices | None) -> PriceTable:
    """Return the table for an argument `prices`.

    Raises:
        TypeError: If it is of another type.
        ValueError: If it is not a price table.
    """
    if prices is None:
        return default_prices()
    if isinstance(prices, PriceTable):
        return prices
    if isinstance(prices, (str, PathLike)):
        return load_prices(prices)
    if not isinstance(prices, Mapping):
        raise TypeError(f"prices must be a PriceTable, a mapping, a path or None, got {prices!r}")
    return PriceTable(_models(prices))


def _models(models: Mapping[str, ModelPrice]) -> dict[str, ModelPrice]:
    for handle, price in models.items():
        if not isinstance(handle, str) or not isinstance(price, ModelPrice):
            raise TypeError(f"prices must map model handles to ModelPrice, got {handle!r}: {price!r}")
    return dict(models)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("duplicate keys")
    return found


def _table(data: Any) -> PriceTable:
    _check_keys("the file", data, {"models"}, {"source", "date", "currency", "models"})
    texts = {name: value for name, value in data.items() if name != "models"}
    for name, value in texts.items():
        if not isinstance(value, str):
            raise ValueError(f"{name} must be a string, got {value!r}")
    if not isinstance(data["models"], dict):
        raise ValueError(f"models must be an object, got {data['models']!r}")
    models: dict[str, ModelPrice] = {}
    for handle, price in data["models"].items():
        _check_keys(handle, price, {"input", "output"}, KEYS)
        try:
            models[handle] = ModelPrice(**price)
        except (TypeError, ValueError) as error:
            raise ValueError(f"{handle}: {error}") from error
    return PriceTable(models, **texts)


def _check_keys(name: str, value: Any, required: set[str], allowed: set[str]) -> None:
    keys = set(value) if is_mapping(value) else set[str]()
    if not required <= keys <= allowed:
        optional = ", ".join(sorted(allowed - required))
        raise ValueError(f"{name} must be an object with {', '.join(sorted(required))} and optionally {optional}")
