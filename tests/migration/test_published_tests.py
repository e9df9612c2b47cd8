"""The API tests of letta-client's own source distribution pass with this client."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from httpx_aiohttp import HttpxAiohttpClient

from letta_ext import AsyncLetta, Letta
from tests.migration.mock_server import mock_server
from tests.migration.published_tests import MISSING, TEN_OPERATIONS, Case, cases, sources

if not sources():
    pytest.skip(MISSING, allow_module_level=True)

CASES = list(cases())
APPLICABLE = [case for case in CASES if not case.set_aside]
HEADERS = {"X-Stainless-Lang": "python"}
"""A header of letta-client, which its tests look for. This client sends it if it is set."""


@pytest.fixture(scope="module")
def base_url() -> Iterator[str]:
    """Return the address of a server for the module."""
    with mock_server() as url:
        yield url


def test_tests_of_ten_documented_operations_all_apply() -> None:
    """None of the 230 tests of the ten documented operations is set aside."""
    assert sum(case.file in TEN_OPERATIONS for case in APPLICABLE) == 230
    assert not any(case.file in TEN_OPERATIONS for case in CASES if case.set_aside)


@pytest.mark.parametrize("case", APPLICABLE, ids=str)
def test_published_test_passes(case: Case, base_url: str) -> None:
    """A test of the distribution passes with this client."""
    if case.is_async:
        asyncio.run(run_async(case, base_url))
        return
    with Letta(base_url=base_url, api_key="My API Key", default_headers=HEADERS) as client:
        case.function()(client)


async def run_async(case: Case, base_url: str) -> None:
    """Run an async test."""
    http_client = HttpxAiohttpClient() if case.client == "aiohttp" else None
    client = AsyncLetta(base_url=base_url, api_key="My API Key", default_headers=HEADERS, http_client=http_client)
    async with client:
        await case.function()(client)
    if http_client is not None:
        await http_client.aclose()
