"""Agents, conversations, runs and health on the embedded server: the checks that a real server passes."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from letta_ext import AsyncLetta, Letta
from letta_ext.testing import EmbeddedServer
from tests.integration.driver import awaited
from tests.integration.resources import CHECKS, Check
from tests.integration.test_resources import run_example

MODEL = "openai-proxy/gpt-4o-mini"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(params=["sync", "async"])
async def client(request: pytest.FixtureRequest, anyio_backend: str) -> AsyncIterator[AsyncLetta]:
    with EmbeddedServer(delay=0.002) as server:
        if request.param == "sync":
            with Letta(base_url=server.base_url) as letta:
                yield awaited(letta)
        else:
            async with AsyncLetta(base_url=server.base_url) as letta:
                yield letta


@pytest.mark.anyio
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
async def test_resource_on_the_embedded_server(check: Check, client: AsyncLetta) -> None:
    """The embedded server does what a real one does."""
    await check(client, MODEL)


def test_example_runs_a_whole_round() -> None:
    """The example creates, streams, cancels, lists and deletes."""
    with EmbeddedServer(delay=0.002) as server:
        lines = run_example(server.base_url, "openai/gpt-4o-mini")
    assert lines[2] == "completed with 2 messages"
    assert lines[3].startswith("cancelled with")


def test_fixtures_give_an_agent_and_its_conversation(
    letta_client: Letta, letta_agent_id: str, letta_conversation_id: str
) -> None:
    """Both exist on the embedded server, and belong together."""
    assert letta_client.agents.retrieve(letta_agent_id).id == letta_agent_id
    assert letta_client.conversations.retrieve(letta_conversation_id).agent_id == letta_agent_id
