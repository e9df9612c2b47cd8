"""Fixtures: the real server, its resources, and the client. Each test runs with both clients."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator
from typing import Literal

import httpx
import pytest

from letta_ext import AsyncLetta, Letta

from .driver import awaited
from .server_resources import Agent, ServerResources


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def address() -> str:
    """Return the base URL of the server."""
    found = os.environ.get("LETTA_LIVE_BASE_URL")
    if not found:
        pytest.skip("LETTA_LIVE_BASE_URL is not set")
    return found


@pytest.fixture(scope="session")
def model() -> str:
    """Return the handle of the model of the agents, which follows the instructions in user messages."""
    return os.environ.get("LETTA_LIVE_MODEL", "openai-proxy/gpt-4o-mini")


@pytest.fixture(scope="session")
def resources(address: str, model: str) -> Iterator[ServerResources]:
    with httpx.Client(base_url=address, timeout=60) as http:
        resources = ServerResources(http, model)
        yield resources
        resources.delete_all()


@pytest.fixture(scope="session")
def agent(resources: ServerResources) -> Agent:
    """Return an agent that tests share, each in a separate conversation."""
    return resources.agent()


@pytest.fixture
def own_agent(resources: ServerResources) -> Agent:
    """Return an agent for one test: agent-direct mode has one conversation, and step lists cover the agent."""
    return resources.agent()


@pytest.fixture
def conversation(resources: ServerResources, agent: Agent) -> str:
    """Return the id of a new conversation with the shared agent."""
    return resources.conversation(agent.id)


@pytest.fixture(params=["sync", "async"])
async def client(request: pytest.FixtureRequest, address: str, anyio_backend: str) -> AsyncIterator[AsyncLetta]:
    """Either client; see `driver.py`."""
    surface: Literal["sync", "async"] = request.param
    if surface == "sync":
        with Letta(base_url=address) as letta:
            yield awaited(letta)
    else:
        async with AsyncLetta(base_url=address) as letta:
            yield letta
