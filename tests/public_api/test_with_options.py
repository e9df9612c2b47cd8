"""`with_options`: copies of a client that share its connections."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import httpx
import pytest

from letta_ext import NOT_GIVEN, Letta, LettaError

from ..client.helpers import KEY, NO_DELAY, STEP, ClientDriver, ResponseQueue, make_response, respond_with

STEP_BODY = {"id": STEP}


def sent_request(driver: ClientDriver, client: Any, handler: ResponseQueue) -> httpx.Request:
    driver.run(client.steps.retrieve(STEP))
    return handler.requests[-1]


@pytest.fixture
def handler() -> ResponseQueue:
    return respond_with(make_response(200, json=STEP_BODY))


def test_with_options_without_arguments_changes_nothing(driver: ClientDriver, handler: ResponseQueue) -> None:
    """A copy without arguments sends the same request."""
    settings: dict[str, Any] = {"project": "p", "project_id": "p-1", "default_headers": {"X-A": "1"}, "timeout": 7.0}
    client = driver.client(handler, default_query={"q": 1}, **settings)
    before, after = sent_request(driver, client, handler), sent_request(driver, client.with_options(), handler)
    assert (after.url, after.headers) == (before.url, before.headers)
    assert after.extensions == before.extensions
    assert after.headers["authorization"] == f"Bearer {KEY}"


@pytest.mark.parametrize(
    ("changes", "header", "value"),
    [
        ({"api_key": "sk-other"}, "authorization", "Bearer sk-other"),
        ({"project": "q"}, "x-project", "q"),
        ({"project_id": "q-1"}, "x-project-id", "q-1"),
        ({"default_headers": {"X-B": "2"}}, "x-b", "2"),
        ({"default_headers": {"x-a": "3"}}, "x-a", "3"),
        ({"default_headers": {"X-B": "2"}}, "x-a", "1"),
        ({"api_key": None, "project": NOT_GIVEN}, "authorization", f"Bearer {KEY}"),
    ],
)
def test_with_options_argument_changes_header(
    driver: ClientDriver, handler: ResponseQueue, changes: dict[str, Any], header: str, value: str
) -> None:
    """An argument changes its header in the copy, not in the original."""
    client = driver.client(handler, default_headers={"X-A": "1"})
    assert sent_request(driver, client.with_options(**changes), handler).headers.get_list(header) == [value]
    assert sent_request(driver, client, handler).headers["authorization"] == f"Bearer {KEY}"


@pytest.mark.parametrize(
    ("changes", "url"),
    [
        ({"base_url": "http://b.test/"}, "http://b.test"),
        ({"environment": "local"}, "http://localhost:8283"),
        ({"environment": None}, "http://letta.test"),
    ],
)
def test_with_options_address_changes_base_url(
    driver: ClientDriver, handler: ResponseQueue, changes: dict[str, Any], url: str
) -> None:
    """The address of a copy can be changed."""
    changed = driver.client(handler).with_options(**changes)
    assert changed.base_url == url
    assert str(sent_request(driver, changed, handler).url).startswith(f"{url}/v1/")


def test_with_options_merges_query_and_replaces_timeout(driver: ClientDriver, handler: ResponseQueue) -> None:
    """Query parameters are merged, and the timeout is replaced."""
    changed = driver.client(handler, default_query={"a": 1, "b": 2}).with_options(
        default_query={"b": 3, "c": 4}, timeout=None
    )
    request = sent_request(driver, changed, handler)
    assert dict(request.url.params) == {"a": "1", "b": "3", "c": "4"}
    assert set(request.extensions["timeout"].values()) == {None}


def test_with_options_max_retries_keeps_other_retry_settings(driver: ClientDriver) -> None:
    """`max_retries` changes only the number of retries of the policy."""
    handler = respond_with(503)
    client = driver.client(handler, retry=NO_DELAY).with_options(max_retries=4)
    with pytest.raises(LettaError):
        driver.run(client.steps.retrieve(STEP))
    assert len(handler.requests) == 5


def test_with_options_ignores_later_environment(
    driver: ClientDriver, handler: ResponseQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Variables that are set after the client was created are ignored."""
    client = driver.client(handler, api_key=None)
    monkeypatch.setenv("LETTA_API_KEY", "sk-late")
    monkeypatch.setenv("LETTA_BASE_URL", "http://late.test")
    request = sent_request(driver, client.with_options(max_retries=1), handler)
    assert "authorization" not in request.headers
    assert request.url.host == "letta.test"


@pytest.mark.parametrize(
    ("changes", "kind", "message"),
    [
        ({"colour": "red"}, TypeError, "with_options() has no argument 'colour'"),
        ({"timeout": -1}, ValueError, "timeout must be"),
        ({"base_url": "x", "environment": "cloud"}, ValueError, "base_url and environment are mutually exclusive"),
        ({"http_client": object()}, TypeError, "http_client must be an httpx."),
    ],
)
def test_with_options_invalid_argument_raises(
    driver: ClientDriver, changes: dict[str, Any], kind: type[Exception], message: str
) -> None:
    """An invalid argument raises TypeError or ValueError."""
    with pytest.raises(kind) as caught:
        driver.client(respond_with(200)).with_options(**changes)
    assert message in str(caught.value)


def test_with_options_copy_shares_connections(driver: ClientDriver, handler: ResponseQueue) -> None:
    """A copy shares the httpx client, and closing the copy does not close the original."""
    client = driver.client(handler)
    changed = client.with_options(max_retries=0)
    assert changed._transport.http is client._transport.http
    driver.run(changed.close())
    assert changed.is_closed()
    assert not client.is_closed()
    sent_request(driver, client, handler)


def test_with_options_copy_of_closed_client_raises(driver: ClientDriver) -> None:
    """Closing the original closes its copies."""
    client = driver.client(base_url="http://letta.test")
    changed = client.with_options(max_retries=0)
    driver.run(client.close())
    assert changed.is_closed()
    with pytest.raises(LettaError, match="httpx client passed as http_client is closed"):
        driver.run(changed.steps.retrieve(STEP))
    with pytest.raises(LettaError, match="The client has been closed"):
        driver.run(client.get("/v1/agents/"))


def test_closed_http_client_raises_before_sending(driver: ClientDriver, handler: ResponseQueue) -> None:
    """A closed httpx client raises an error with a remedy."""
    client = driver.client(handler)
    http = client._transport.http
    driver.run(http.aclose() if driver.is_async else http.close())
    for call in (client.steps.retrieve, client.steps.messages.list, client.conversations.messages.compact):
        with pytest.raises(LettaError, match=r"is closed\. Pass an open one"):
            driver.run(call(STEP))
    assert client.is_closed()
    assert handler.requests == []


def test_copy_is_an_alias_of_with_options(driver: ClientDriver, handler: ResponseQueue) -> None:
    """`copy` is an alias of `with_options`."""
    request = sent_request(driver, driver.client(handler).copy(timeout=3, default_headers={"X-B": "2"}), handler)
    assert (request.headers["x-b"], request.extensions["timeout"]["read"]) == ("2", 3)


def test_with_options_keeps_the_subclass() -> None:
    """The copy of a subclass has the same class and attributes, and resources that send with the new settings."""

    class Ours(Letta):
        def __init__(self, tenant: str) -> None:
            super().__init__(base_url="http://letta.test", timeout=7)
            self.tenant = tenant

        @cached_property
        def limits(self) -> list[object]:
            return [self.timeout, self.steps]

    with Ours("red") as client:
        before = client.limits
        changed = client.with_options(timeout=1)
        assert (type(changed), changed.tenant, changed.timeout) == (Ours, "red", 1)
        assert changed.limits == [1, changed.steps]
        assert changed.steps is not client.steps
        assert client.limits is before
