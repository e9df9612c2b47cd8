"""The pytest plugin: fixtures, checks, settings and import cost, in separate runs of pytest."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

WITHOUT_OTHER_PLUGINS = [
    "-p",
    "no:schemathesis",
    "-p",
    "no:hypothesispytest",
    "-p",
    "no:cacheprovider",
    "-p",
    "no:anyio",
    "-p",
    "no:respx",
]
"""Disables the other installed plugins, which import packages that this plugin does not."""


def run(folder: Path, test: str, *arguments: str, before: str = "pass") -> subprocess.CompletedProcess[str]:
    """Run one test file in a new interpreter, after the code in `before`."""
    (folder / "test_it.py").write_text(test, encoding="utf-8")
    program = f"import sys; {before}; import pytest; sys.exit(pytest.main(sys.argv[1:]))"
    return subprocess.run(
        [sys.executable, "-c", program, *WITHOUT_OTHER_PLUGINS, *arguments, "-q", str(folder)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        cwd=folder,
    )


ASYNC = """
import asyncio
import pytest

async def exchange(server, client):
    stream = await client.conversations.messages.create(server.conversation_id, input="hello")
    kinds = [event.message_type async for event in stream]
    assert kinds[-2:] == ["stop_reason", "usage_statistics"]
    response = await client.conversations.messages.create(server.conversation_id, input="hello", streaming=False)
    assert response.messages[0].content == "Hello! How can I help you?"

def test_in_new_loop(letta_server, async_letta_client):
    asyncio.run(exchange(letta_server, async_letta_client))

@pytest.fixture
def anyio_backend():
    return "asyncio"

@pytest.mark.anyio
async def test_in_loop_of_plugin(letta_server, async_letta_client):
    await exchange(letta_server, async_letta_client)

def test_abandoned_stream(letta_server, async_letta_client):
    async def leave():
        async for event in await async_letta_client.conversations.messages.create(
            letta_server.conversation_id, input="LONG 500", stream_tokens=True
        ):
            break
    asyncio.run(leave())
"""


def test_async_client_works_in_any_event_loop(tmp_path: Path) -> None:
    """The async client works in a new event loop and in that of a plugin."""
    done = run(tmp_path, ASYNC, "-W", "error", "-p", "anyio")
    assert "3 passed" in done.stdout, done.stdout


OUTSIDE_SPECIFICATION = """
import httpx
import pytest

def send(server):
    path = f"{server.base_url}/v1/conversations/{server.conversation_id}/messages"
    assert httpx.post(path, json={"input": "x", "max_steps": 0, "streaming": False}).status_code == 200

def test_with_check(letta_server):
    send(letta_server)

@pytest.mark.letta(check=False)
def test_without_check(letta_server):
    send(letta_server)
"""


def test_request_outside_specification_fails_test(tmp_path: Path) -> None:
    """A request outside the specification fails the test, unless the marker turns the check off."""
    done = run(tmp_path, OUTSIDE_SPECIFICATION)
    assert "2 passed, 1 error" in done.stdout
    assert "ERROR test_it.py::test_with_check" in done.stdout
    assert "request: body.max_steps: 0 is less than the minimum of 1" in done.stdout


SETTINGS = """
[pytest]
letta_scenario = scenario.yaml
letta_check = false
"""

SETTINGS_TESTS = """
def test_scenario_setting(letta_server):
    assert letta_server.script.otherwise == "yes indeed"
    send(letta_server)

@pytest.mark.letta(scenario="broken.yaml")
def test_invalid_scenario(letta_server): pass

@pytest.mark.letta("scenario.yaml")
def test_invalid_marker(letta_server): pass
"""


def test_settings_select_scenario_and_checks(tmp_path: Path) -> None:
    """The settings select the scenario and the checks, and invalid scenarios and markers fail the test."""
    (tmp_path / "pytest.ini").write_text(SETTINGS, encoding="utf-8")
    (tmp_path / "scenario.yaml").write_text("otherwise: yes indeed\n", encoding="utf-8")
    (tmp_path / "broken.yaml").write_text("otherwis: no\n", encoding="utf-8")
    done = run(tmp_path, OUTSIDE_SPECIFICATION + SETTINGS_TESTS, "--strict-markers", "--strict-config")
    assert "3 passed, 2 errors" in done.stdout, done.stdout
    assert "broken.yaml: unknown key 'otherwis', expected agent" in done.stdout
    assert "the marker letta accepts only keyword arguments: letta(scenario='default'" in done.stdout


def test_plugin_without_fixture_imports_nothing(tmp_path: Path) -> None:
    """The plugin imports no dependency until a fixture is used."""
    test = (
        "import sys\n"
        "def test_it():\n"
        "    names = {name.partition('.')[0] for name in sys.modules}\n"
        "    ours = {'letta_ext', 'letta_api', 'attrs', 'attr', 'httpx', 'msgspec', 'starlette', 'uvicorn', 'yaml'}\n"
        "    assert 'letta_ext_pytest' in names\n"
        "    assert not names & ours\n"
    )
    done = run(tmp_path, test)
    assert "1 passed" in done.stdout, done.stdout


def test_missing_extra_fails_only_tests_with_fixture(tmp_path: Path) -> None:
    """Without the extra only tests that use a fixture fail, with the name of the package."""
    test = "def test_without(): pass\ndef test_with(letta_server): pass\n"
    done = run(tmp_path, test, before="sys.modules['jsonschema_rs'] = None")
    assert "1 passed, 1 error" in done.stdout, done.stdout
    assert "letta_ext.testing needs jsonschema_rs, which is not installed: pip install" in done.stdout
