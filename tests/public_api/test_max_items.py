"""The argument `max_items` of the list methods, on the embedded server."""

from __future__ import annotations

import re
from typing import Any

import pytest

from letta_ext.testing import EmbeddedServer

from ..client.helpers import ClientDriver


def sent_limits(server: EmbeddedServer) -> list[int]:
    """Return the limits of the list requests that the server received."""
    received = [each.query for each in server.requests if each.method == "GET"]
    return [int(found) for query in received for found in re.findall(r"\blimit=(\d+)", query)]


@pytest.mark.parametrize("prefetch", [False, True])
@pytest.mark.parametrize(("limit", "limits"), [(2, [2, 3, 2]), (None, [5]), (50, [5]), (5, [5])])
def test_max_items_of_client_bounds_lists_and_requests(
    driver: ClientDriver, server: EmbeddedServer, limit: int | None, limits: list[int], prefetch: bool
) -> None:
    """A list of the client ends after `max_items`, and its last request asks for what is missing and the overlap."""
    client = driver.client(base_url=server.base_url)
    for word in "abcdefg":
        driver.run(client.conversations.messages.create(server.conversation_id, input=word, streaming=False))
    options: dict[str, Any] = {} if limit is None else {"limit": limit}
    steps = client.steps.list(max_items=5, order="asc", prefetch=prefetch, **options)
    assert len(driver.items(steps)) == 5
    assert sent_limits(server) == limits
    everything = driver.items(client.steps.list(order="asc"))
    assert len(everything) == 7
    page = driver.run(client.steps.list(max_items=5, order="asc"))
    assert page.items == everything[:5]
    assert not page.has_next_page()
    assert driver.items(page) == everything[:5]
    rest = client.steps.list(checkpoint=page.checkpoint(), max_items=1)
    assert driver.items(rest) == everything[5:6]
    assert sent_limits(server)[-1] == 2
    assert driver.items(client.steps.list(checkpoint=page.checkpoint())) == everything[5:]
    raw = driver.run(client.steps.with_raw_response.list(max_items=3, order="asc", limit=2))
    assert driver.items(driver.run(raw.parse())) == everything[:3]
    messages = client.conversations.messages.list(server.conversation_id, max_items=4, order="asc")
    assert len(driver.items(messages)) == 4
    assert len(driver.items(client.steps.list(max_items=None))) == 7


@pytest.mark.parametrize(
    ("value", "error"), [(0, ValueError), (-1, ValueError), (True, TypeError), ("5", TypeError), (2.0, TypeError)]
)
def test_invalid_max_items_raises_before_a_request(
    driver: ClientDriver, server: EmbeddedServer, value: Any, error: type[Exception]
) -> None:
    """An invalid total raises an error that names it."""
    client = driver.client(base_url=server.base_url)
    with pytest.raises(error, match="max_items must be"):
        driver.items(client.steps.list(max_items=value))
    assert not server.requests
