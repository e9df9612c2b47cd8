"""The server, what the tests need on it, and the client: every test runs with the sync one and with the async one."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator
from typing import Literal

import httpx
import pytest

from letta_ext import AsyncLetta, Letta

from .driver import awaited
from .scene import Agent, Scene


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def address() -> str:
    """Where the server is."""
    found = os.environ.get("LETTA_LIVE_BASE_URL")
    if not found:
        pytest.skip("LETTA_LIVE_BASE_URL does not say where a Letta server is")
    return found


@pytest.fixture(scope="session")
def model() -> str:
    """The handle of the model that the agents use, which must do what the user messages say."""
    return os.environ.get("LETTA_LIVE_MODEL", "openai-proxy/gpt-4o-mini")


@pytest.fixture(scope="session")
def scene(address: str, model: str) -> Iterator[Scene]:
    with httpx.Client(base_url=address, timeout=60) as http:
        scene = Scene(http, model)
        yield scene
        scene.leave()


@pytest.fixture(scope="session")
def agent(scene: Scene) -> Agent:
    """An agent that tests share, each in a conversation of its own."""
    return scene.agent()


@pytest.fixture
def own_agent(scene: Scene) -> Agent:
    """An agent for one test: those of agent-direct mode have but one conversation, and list their steps."""
    return scene.agent()


@pytest.fixture
def conversation(scene: Scene, agent: Agent) -> str:
    """The id of a new conversation with the shared agent."""
    return scene.conversation(agent.id)


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
