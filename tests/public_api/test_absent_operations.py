"""An operation of letta-client that has no method here raises an AttributeError that names the remedy."""

from __future__ import annotations

import re
from collections.abc import Iterator
from operator import attrgetter
from typing import Any

import letta_client
import pytest

import letta_ext
from letta_ext._resource import _INSTEAD
from letta_ext.testing import EmbeddedServer
from tests.client.helpers import ClientDriver

URL = "http://127.0.0.1:1"


def names(resource: Any, path: str = "") -> Iterator[str]:
    """Yield the paths of the resources and methods below a resource of letta-client."""
    for name in dir(resource):
        if name.startswith(("_", "with_")):
            continue
        value = getattr(resource, name)
        below = f"{path}.{name}" if path else name
        if type(value).__module__.startswith("letta_client.resources"):
            yield below
            yield from names(value, below)
        elif path and callable(value):
            yield below


def first_absent(client: Any, path: str) -> tuple[Any, str] | None:
    """Return the object and the first name of a path that it does not have, or None."""
    for name in path.split("."):
        if not hasattr(client, name):
            return client, name
        client = getattr(client, name)
    return None


@pytest.fixture(params=["", "with_raw_response", "with_streaming_response"])
def resources(request: pytest.FixtureRequest, driver: ClientDriver) -> Any:
    """Return a client, or its resources whose methods return responses."""
    client = driver.client(base_url=URL)
    return attrgetter(request.param)(client) if request.param else client


def test_absent_operation_of_letta_client_names_the_remedy(resources: Any) -> None:
    """Each error names the path of the operation or another method, and has no suggestion of a misspelling."""
    with letta_client.Letta(base_url=URL, api_key="k") as published:
        found = {path: first_absent(resources, path) for path in names(published)}
    absent = {path: pair for path, pair in found.items() if pair is not None}
    assert len(absent) > 70
    for path, (owner, name) in absent.items():
        with pytest.raises(AttributeError, match=rf"object has no attribute '{name}'\. .*client\.\w+") as caught:
            getattr(owner, name)
        assert ("/v1/" in str(caught.value)) == (path not in _INSTEAD), path


def test_method_that_replaces_an_absent_one_exists() -> None:
    """Every method that an error names is a method of the client."""
    client = letta_ext.Letta(base_url=URL)
    for text in _INSTEAD.values():
        (method,) = re.findall(r"client\.([\w.]+\w)", text)
        assert callable(attrgetter(method)(client))


def test_default_conversation_has_the_messages_of_the_agent(driver: ClientDriver) -> None:
    """The methods that replace those of `agents.messages` send to and list the same messages."""
    with EmbeddedServer() as server:
        messages = driver.client(base_url=server.base_url).conversations.messages
        sent = driver.run(messages.create("default", agent_id=server.agent_id, input="hello", streaming=False))
        assert sent.output_text
        listed = driver.items(messages.list("default", agent_id=server.agent_id, order="asc"))
        assert listed[-1].id == sent.messages[-1].id


@pytest.mark.parametrize("name", ["agent", "step", "conversation", "heath", "_tools", "__fspath__"])
def test_misspelled_or_private_name_has_the_usual_error(driver: ClientDriver, name: str) -> None:
    """The error of another name is that of Python, which adds suggestions to the traceback."""
    client = driver.client(base_url=URL)
    with pytest.raises(AttributeError) as caught:
        getattr(client, name)
    assert str(caught.value) == f"{type(client).__name__!r} object has no attribute {name!r}"
    assert getattr(client, name, 3) == 3


def test_error_of_a_property_is_kept() -> None:
    """An AttributeError within a property of a subclass is raised itself."""

    class Client(letta_ext.Letta):
        @property
        def tools(self) -> Any:
            return [].missing  # type: ignore[attr-defined]  # the error of the test

    with pytest.raises(AttributeError, match="'list' object has no attribute 'missing'"):
        _ = Client(base_url=URL).tools
