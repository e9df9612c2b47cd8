"""A list whose cursor was deleted continues after its last item, or raises an error that names the cause."""

from __future__ import annotations

from typing import Any

import pytest

from letta_ext import ListChangedError, NotFoundError
from letta_ext.testing import EmbeddedServer, Respond
from tests.client.helpers import ClientDriver


def delete_from_first_page(driver: ClientDriver, server: EmbeddedServer, client: Any, kept: int) -> tuple[Any, Any]:
    """Return a page of 12 steps of which some before the last ones were deleted, and the ids of all others in order."""
    doomed = driver.run(client.agents.create(name="doomed", model="openai/gpt-4o-mini"))
    first = server.state.add_steps(server.agent_id, 5)
    server.state.add_steps(doomed.id, 7 - kept)
    rest = server.state.add_steps(server.agent_id, 20 + kept)
    page = driver.run(client.steps.list(order="asc", limit=12))
    driver.run(client.agents.delete(doomed.id))
    return page, [*first, *rest]


@pytest.mark.parametrize("from_checkpoint", [False, True])
@pytest.mark.parametrize("kept", [1, 2, 3])
def test_list_with_deleted_cursor_continues_after_its_last_item(
    driver: ClientDriver, server: EmbeddedServer, kept: int, from_checkpoint: bool
) -> None:
    """If the item of the cursor was deleted, an older cursor leads to the last item."""
    client = driver.client(base_url=server.base_url)
    page, ids = delete_from_first_page(driver, server, client, kept)
    if from_checkpoint:
        rest = driver.items(driver.run(client.steps.list(checkpoint=page.checkpoint())))
    else:
        rest = driver.items(page)[12:]
    assert [step.id for step in rest] == ids[5 + kept :]


def test_list_with_deleted_last_item_raises_list_changed_error(driver: ClientDriver, server: EmbeddedServer) -> None:
    """If the last item was deleted, nothing proves that no item is missing."""
    client = driver.client(base_url=server.base_url)
    page, _ = delete_from_first_page(driver, server, client, kept=0)
    for _ in range(2):
        with pytest.raises(ListChangedError, match="no longer has that record") as raised:
            driver.run(page.get_next_page())
        assert "Check the id" in str(raised.value.__cause__)


def test_deleted_list_raises_not_found_error(driver: ClientDriver, server: EmbeddedServer) -> None:
    """If the list itself no longer exists, the error of the server is raised."""
    client = driver.client(base_url=server.base_url)
    page, _ = delete_from_first_page(driver, server, client, kept=0)
    server.faults.add(Respond(404), on="steps.list", times=None)
    with pytest.raises(NotFoundError):
        driver.run(page.get_next_page())
