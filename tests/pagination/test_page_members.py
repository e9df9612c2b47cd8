"""A page gives access to its own items as a sequence, and dumps them as models of letta-client are dumped."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import anyio
import httpx
import letta_client
import pytest
from fastapi import FastAPI
from pydantic import TypeAdapter

from letta_ext.testing import EmbeddedServer
from tests.client.helpers import ClientDriver

FORMS: list[dict[str, Any]] = [
    {},
    {"mode": "json"},
    {"exclude_none": True},
    {"exclude_unset": True},
    {"include": {"items": {"__all__": {"id"}}}},
    {"exclude": {"items": {0: True}}},
]


@pytest.fixture
def page(driver: ClientDriver, server: EmbeddedServer) -> Any:
    """Return the first of two pages of messages: their classes have no renamed fields."""
    client = driver.client(base_url=server.base_url)
    driver.run(client.conversations.messages.create(server.conversation_id, input="hello", streaming=False))
    return driver.run(client.conversations.messages.list(server.conversation_id, order="asc", limit=2))


@pytest.fixture
def published(driver: ClientDriver, server: EmbeddedServer, page: Any) -> Iterator[Any]:
    """Return the page of letta-client."""
    with letta_client.Letta(base_url=server.base_url, api_key="k") as client:
        yield client.conversations.messages.list(server.conversation_id, order="asc", limit=2)


def test_index_and_length_refer_to_the_items_of_the_page(page: Any) -> None:
    """An index, a slice, the length and the truth value are those of `items`."""
    assert page.has_next_page()
    assert (page[0], page[-1], page[:1], len(page), bool(page)) == (
        page.items[0],
        page.items[1],
        page.items[:1],
        2,
        True,
    )
    with pytest.raises(IndexError):
        _ = page[2]


def test_loop_over_an_async_page_without_async_raises() -> None:
    """A plain loop over an async page raises: it would end after the page."""
    driver = ClientDriver(is_async=True)
    with EmbeddedServer() as server:
        page = driver.run(driver.client(base_url=server.base_url).steps.list())
        with pytest.raises(TypeError, match="must be iterated with `async for`, or by its `items`"):
            list(page)
    driver.close()


@pytest.mark.parametrize("form", FORMS, ids=str)
def test_page_is_dumped_as_that_of_letta_client(page: Any, published: Any, form: dict[str, Any]) -> None:
    """`model_dump` and `model_dump_json` have the results of letta-client's page."""
    assert page.model_dump(**form) == published.model_dump(**form)
    options = {name: value for name, value in form.items() if name != "mode"}
    assert json.loads(page.model_dump_json(**options)) == json.loads(published.model_dump_json(**options))
    assert page.to_dict() == {"items": [item.to_dict() for item in page.items]} == json.loads(page.to_json(indent=2))
    assert page.to_dict(mode="python") == published.to_dict()


def test_page_is_a_return_value_of_fastapi(page: Any, published: Any) -> None:
    """FastAPI and pydantic encode a page where they have no type for it, without its internal state."""
    assert vars(page) == {"items": page.items}
    found: TypeAdapter[Any] = TypeAdapter(Any)
    assert found.dump_python(page, mode="json") == published.model_dump(mode="json")
    app = FastAPI()
    app.add_api_route("/untyped", lambda: page, response_model=None)
    app.add_api_route("/any", lambda: {"page": page}, response_model=dict[str, Any])

    async def send(path: str) -> Any:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://app.test") as client:
            return (await client.get(path)).json()

    assert anyio.run(send, "/any") == {"page": published.model_dump(mode="json")}
    untyped = anyio.run(send, "/untyped")
    assert [*untyped] == ["items"]
    assert [item["id"] for item in untyped["items"]] == [item.id for item in page.items]
