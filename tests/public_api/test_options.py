"""`with_options`: a client like another, on the same connections."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from letta_ext import NOT_GIVEN, Letta, LettaError

from ..client.helpers import KEY, NO_DELAY, STEP, ClientDriver, ResponseQueue, make_response, respond_with

STEP_BODY = {"id": STEP}


def asked(side: ClientDriver, client: Any, handler: ResponseQueue) -> httpx.Request:
    side.run(client.steps.retrieve(STEP))
    return handler.requests[-1]


@pytest.fixture
def handler() -> ResponseQueue:
    return respond_with(make_response(200, json=STEP_BODY))


def test_what_is_not_given_stays(side: ClientDriver, handler: ResponseQueue) -> None:
    settings: dict[str, Any] = {"project": "p", "project_id": "p-1", "default_headers": {"X-A": "1"}, "timeout": 7.0}
    client = side.client(handler, default_query={"q": 1}, **settings)
    before, after = asked(side, client, handler), asked(side, client.with_options(), handler)
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
def test_what_is_given_changes(
    side: ClientDriver, handler: ResponseQueue, changes: dict[str, Any], header: str, value: str
) -> None:
    client = side.client(handler, default_headers={"X-A": "1"})
    assert asked(side, client.with_options(**changes), handler).headers.get_list(header) == [value]
    assert asked(side, client, handler).headers["authorization"] == f"Bearer {KEY}"


@pytest.mark.parametrize(
    ("changes", "url"),
    [
        ({"base_url": "http://b.test/"}, "http://b.test"),
        ({"environment": "local"}, "http://localhost:8283"),
        ({"environment": None}, "http://letta.test"),
    ],
)
def test_the_address_can_be_another(
    side: ClientDriver, handler: ResponseQueue, changes: dict[str, Any], url: str
) -> None:
    changed = side.client(handler).with_options(**changes)
    assert changed.base_url == url
    assert str(asked(side, changed, handler).url).startswith(f"{url}/v1/")


def test_query_and_timeout(side: ClientDriver, handler: ResponseQueue) -> None:
    changed = side.client(handler, default_query={"a": 1, "b": 2}).with_options(
        default_query={"b": 3, "c": 4}, timeout=None
    )
    request = asked(side, changed, handler)
    assert dict(request.url.params) == {"a": "1", "b": "3", "c": "4"}
    assert set(request.extensions["timeout"].values()) == {None}


def test_max_retries_changes_the_policy_that_there_is(side: ClientDriver) -> None:
    handler = respond_with(503)
    client = side.client(handler, retry=NO_DELAY).with_options(max_retries=4)
    with pytest.raises(LettaError):
        side.run(client.steps.retrieve(STEP))
    assert len(handler.requests) == 5


def test_the_environment_is_not_asked_again(
    side: ClientDriver, handler: ResponseQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = side.client(handler, api_key=None)
    monkeypatch.setenv("LETTA_API_KEY", "sk-late")
    monkeypatch.setenv("LETTA_BASE_URL", "http://late.test")
    request = asked(side, client.with_options(max_retries=1), handler)
    assert "authorization" not in request.headers
    assert request.url.host == "letta.test"


@pytest.mark.parametrize(
    ("changes", "kind", "words"),
    [
        ({"colour": "red"}, TypeError, "with_options() has no argument 'colour'"),
        ({"timeout": -1}, ValueError, "timeout must be"),
        ({"base_url": "x", "environment": "cloud"}, ValueError, "give base_url or environment"),
        ({"http_client": object()}, TypeError, "http_client must be an httpx."),
    ],
)
def test_impossible_settings_are_refused(
    side: ClientDriver, changes: dict[str, Any], kind: type[Exception], words: str
) -> None:
    with pytest.raises(kind) as caught:
        side.client(respond_with(200)).with_options(**changes)
    assert words in str(caught.value)


def test_connections_are_shared_and_stay_open(side: ClientDriver, handler: ResponseQueue) -> None:
    client = side.client(handler)
    changed = client.with_options(max_retries=0)
    assert changed._transport.http is client._transport.http
    side.run(changed.close())
    assert changed.is_closed
    assert not client.is_closed
    asked(side, client, handler)


def test_what_is_closed_with_the_original(side: ClientDriver) -> None:
    client = side.client(base_url="http://letta.test")
    changed = client.with_options(max_retries=0)
    side.run(client.close())
    assert changed.is_closed
    with pytest.raises(LettaError, match="httpx client passed as http_client is closed"):
        side.run(changed.steps.retrieve(STEP))
    with pytest.raises(LettaError, match="The client has been closed"):
        side.run(client.get("/v1/agents/"))


def test_a_passed_http_client_that_was_closed(side: ClientDriver, handler: ResponseQueue) -> None:
    client = side.client(handler)
    http = client._transport.http
    side.run(http.aclose() if side.is_async else http.close())
    for call in (client.steps.retrieve, client.steps.messages.list, client.conversations.messages.compact):
        with pytest.raises(LettaError, match=r"is closed\. Pass an open one"):
            side.run(call(STEP))
    assert client.is_closed
    assert handler.requests == []


def test_copy_is_another_name_for_it(side: ClientDriver, handler: ResponseQueue) -> None:
    request = asked(side, side.client(handler).copy(timeout=3, default_headers={"X-B": "2"}), handler)
    assert (request.headers["x-b"], request.extensions["timeout"]["read"]) == ("2", 3)


def test_a_subclass_stays_one() -> None:
    class Ours(Letta):
        pass

    with Ours(base_url="http://letta.test") as client:
        assert type(client.with_options(timeout=1)) is Ours
