"""Built-in scenarios, the setup API, and the ways to start a server."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from letta_ext.testing import DOCUMENTED_STEP, EmbeddedServer, Scenario, State, build, create_app

from .conftest import ServerClient, parse_events

DEFAULT = "/v1/conversations/default"


def test_two_servers_return_identical_bytes() -> None:
    """Two servers return identical bytes."""
    results = []
    for _ in range(2):
        with EmbeddedServer() as server, httpx.Client(base_url=server.base_url) as http:
            path = f"/v1/conversations/{server.conversation_id}/messages"
            sent = http.post(path, json={"input": "CALL get_weather", "stream_tokens": True})
            results.append((server.agent_id, sent.content, http.get(path).content, http.get("/v1/steps/").content))
    assert results[0] == results[1]


def test_setup_api_creates_tools_agents_and_conversations(api: ServerClient) -> None:
    """Tools, agents and conversations can be created over HTTP."""
    source = 'def look(at: str, times: int = 1) -> str:\n    """Look.\n\n    Args:\n        at (str): where\n    """\n'
    tool = api.post("/v1/tools/", source_code=source, default_requires_approval=True).json()
    assert (tool["name"], tool["description"], tool["default_requires_approval"]) == ("look", "Look.", True)
    assert tool["json_schema"]["parameters"] == {
        "type": "object",
        "properties": {
            "at": {"type": "string", "description": "where"},
            "times": {"type": "integer", "description": None},
        },
        "required": ["at"],
    }
    assert api.post("/v1/tools/", source_code=source).status_code == 409
    assert api.post("/v1/tools/", source_code="x = 1").status_code == 400
    assert api.post("/v1/tools/", source_code="def broken(").status_code == 400
    fields = {"system": "Be brief.", "model": "openai-proxy/gpt-4o-mini", "memory_blocks": [], "tool_ids": [tool["id"]]}
    agent = api.post("/v1/agents/", **fields).json()
    assert agent["tool_rules"] == [{"tool_name": "look", "type": "requires_approval", "prompt_template": None}]
    assert [each["id"] for each in api.http.get("/v1/agents/", params={"limit": 1}).json()] == [agent["id"]]
    query = {"agent_id": agent["id"]}
    made = [api.http.post("/v1/conversations/", params=query).json()["id"] for _ in range(2)]
    assert [each["id"] for each in api.http.get("/v1/conversations/", params=query).json()] == made[::-1]
    response = api.send("CALL look", path=f"/v1/conversations/{made[0]}", streaming=False).json()
    assert response["stop_reason"]["stop_reason"] == "requires_approval"
    assert api.http.get(f"/v1/conversations/{made[0]}").json()["last_message_at"]


def test_health_reports_version(api: ServerClient) -> None:
    """The health check reports the version."""
    assert api.http.get("/v1/health/").json() == {"version": "0.16.8", "status": "ok"}


def test_docs_scenario_accepts_documented_calls(docs: ServerClient) -> None:
    """The docs scenario accepts the unchanged examples of Letta's documentation."""
    step = f"/v1/steps/{DOCUMENTED_STEP}"
    assert docs.steps()[0]["id"] == DOCUMENTED_STEP
    assert docs.http.get(step).json()["id"] == DOCUMENTED_STEP
    assert docs.http.get(f"{step}/metrics").json()["id"] == DOCUMENTED_STEP
    assert docs.http.get(f"{step}/trace").json()["step_id"] == DOCUMENTED_STEP
    assert docs.messages(step)[0]["message_type"] == "user_message"
    assert docs.http.patch(f"{step}/feedback", json={}).json()["id"] == DOCUMENTED_STEP
    assert docs.messages(DEFAULT)[0]["message_type"] == "system_message"
    for _ in range(2):
        assert parse_events(docs.http.post(f"{DEFAULT}/messages", json={}).text)[-1] == {"done": True}
        assert parse_events(docs.http.post(f"{DEFAULT}/messages").text)[-1] == {"done": True}
        bodies: list[dict[str, object] | None] = [{}, None]
        for body in bodies:
            events = parse_events(docs.http.post(f"{DEFAULT}/stream", json=body).text)
            assert [event.get("seq_id") for event in events] == [1, 2, None, None, None]
            assert docs.http.post(f"{DEFAULT}/compact", json=body).json()["num_messages_after"] > 0


def test_prepared_scenario_is_shared() -> None:
    """A prepared scenario is used by the application and the server, and an unknown name is rejected."""
    scenario = build("default", State(delay=0.0))
    assert isinstance(scenario, Scenario)
    app = create_app(scenario)
    assert app.state.scenario is scenario
    with EmbeddedServer(scenario) as server:
        assert server.state is scenario.state
        assert server.agent_id == scenario.agent_id
    with pytest.raises(ValueError, match="scenario must be one of default, docs, echo, got 'none'"):
        build("none")  # type: ignore[arg-type]  # a call without a type checker


async def _get(path: str) -> httpx.Response:
    transport = httpx.ASGITransport(create_app())
    async with httpx.AsyncClient(transport=transport, base_url="http://letta") as http:
        return await http.get(path)


def test_application_works_without_socket() -> None:
    """`create_app` works without a socket."""
    import asyncio

    assert asyncio.run(_get("/v1/steps/")).json() == []
    assert asyncio.run(_get("/v1/steps?limit=1")).headers["location"] == "http://letta/v1/steps/?limit=1"


def test_stopped_server_has_no_url() -> None:
    """A server that is not running has no URL."""
    server = EmbeddedServer()
    server.stop()
    with pytest.raises(RuntimeError, match="not running"):
        _ = server.base_url


def test_stop_cuts_open_streams() -> None:
    """A stop cuts open streams immediately."""
    server = EmbeddedServer(delay=0.01).start()
    with httpx.Client(base_url=server.base_url) as http:
        path = f"/v1/conversations/{server.conversation_id}/messages"
        with http.stream("POST", path, json={"input": "LONG 5000", "stream_tokens": True}) as response:
            chunks = response.iter_text()
            next(chunks)
            started = time.monotonic()
            server.stop()
            assert time.monotonic() - started < 1
            with pytest.raises(httpx.HTTPError):
                list(chunks)


def command(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "letta_ext.testing", "--port", "0", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )


@pytest.mark.parametrize("by", [signal.SIGINT, signal.SIGTERM])
def test_command_line_serves_until_signal(by: signal.Signals) -> None:
    """The command line serves a scenario until a signal."""
    with command("--scenario", "docs") as process:
        assert process.stdout is not None
        assert process.stderr is not None
        words = process.stdout.readline().split()
        assert words[:2] == ["Letta", "on"]
        assert words[2].startswith("http://127.0.0.1:")
        assert httpx.get(f"{words[2]}/v1/steps/{DOCUMENTED_STEP}").status_code == 200
        assert process.stdout.readline() == f"GET /v1/steps/{DOCUMENTED_STEP} 200\n"
        process.send_signal(by)
        assert process.wait(5) in (0, -by)
        assert process.stderr.read() == ""


def test_used_port_exits_with_message(server: EmbeddedServer) -> None:
    """A used port exits with a message."""
    port = server.base_url.rpartition(":")[2]
    with command("--port", port) as process:
        assert process.stderr is not None
        assert process.wait(10) == 1
        assert f"cannot listen on 127.0.0.1:{port}" in process.stderr.read()


def test_missing_extra_is_named_in_error() -> None:
    """Without the extra, the import error names the package and the remedy."""
    program = "import sys; sys.modules['starlette'] = None; import letta_ext.testing"
    found = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert 'pip install "letta-ext[testing]"' in found.stderr.splitlines()[-1]
