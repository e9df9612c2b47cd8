"""The pytest plugin, in runs of pytest of its own: what its fixtures are, what they cost, and what they refuse."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ALONE = ["-p", "no:schemathesis", "-p", "no:hypothesispytest", "-p", "no:cacheprovider", "-p", "no:anyio"]
"""That what else is installed here does not load: it takes time, and imports what the plugin does not."""


def run(folder: Path, test: str, *arguments: str, before: str = "pass") -> subprocess.CompletedProcess[str]:
    """Run one test file, as its author would, after this has been done to the interpreter."""
    (folder / "test_it.py").write_text(test, encoding="utf-8")
    program = f"import sys; {before}; import pytest; sys.exit(pytest.main(sys.argv[1:]))"
    return subprocess.run(
        [sys.executable, "-c", program, *ALONE, *arguments, "-q", str(folder)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        cwd=folder,
    )


ASYNC = """
import asyncio
import pytest

async def talk(server, client):
    stream = await client.conversations.messages.create(server.conversation_id, input="hello")
    kinds = [event.message_type async for event in stream]
    assert kinds[-2:] == ["stop_reason", "usage_statistics"]
    answer = await client.conversations.messages.create(server.conversation_id, input="hello", streaming=False)
    assert answer.messages[0].content == "word0 word1 word2 word3 word4 word5"

def test_in_a_loop_of_its_own(letta_server, async_letta_client):
    asyncio.run(talk(letta_server, async_letta_client))

@pytest.fixture
def anyio_backend():
    return "asyncio"

@pytest.mark.anyio
async def test_in_a_plugins_loop(letta_server, async_letta_client):
    await talk(letta_server, async_letta_client)

def test_a_stream_that_is_left(letta_server, async_letta_client):
    async def leave():
        async for event in await async_letta_client.conversations.messages.create(
            letta_server.conversation_id, input="LONG 500", stream_tokens=True
        ):
            break
    asyncio.run(leave())
"""


def test_the_async_client_under_any_event_loop(tmp_path: Path) -> None:
    done = run(tmp_path, ASYNC, "-W", "error", "-p", "anyio")
    assert "3 passed" in done.stdout, done.stdout


UNDOCUMENTED = """
import httpx
import pytest

def send(server):
    path = f"{server.base_url}/v1/conversations/{server.conversation_id}/messages"
    assert httpx.post(path, json={"input": "x", "max_steps": 0, "streaming": False}).status_code == 200

def test_held_against_the_specification(letta_server):
    send(letta_server)

@pytest.mark.letta(check=False)
def test_not_held_against_it(letta_server):
    send(letta_server)
"""


def test_what_the_specification_does_not_allow_fails_the_test(tmp_path: Path) -> None:
    done = run(tmp_path, UNDOCUMENTED)
    assert "2 passed, 1 error" in done.stdout
    assert "ERROR test_it.py::test_held_against_the_specification" in done.stdout
    assert "request: body.max_steps: 0 is less than the minimum of 1" in done.stdout


SETTINGS = """
[pytest]
letta_scenario = scenario.yaml
letta_check = false
"""

SET = """
def test_a_scene_for_all(letta_server):
    assert letta_server.script.otherwise == "yes indeed"
    send(letta_server)

@pytest.mark.letta(scenario="broken.yaml")
def test_a_scene_that_is_none(letta_server): pass

@pytest.mark.letta("scenario.yaml")
def test_a_marker_that_is_none(letta_server): pass
"""


def test_settings(tmp_path: Path) -> None:
    (tmp_path / "pytest.ini").write_text(SETTINGS, encoding="utf-8")
    (tmp_path / "scenario.yaml").write_text("otherwise: yes indeed\n", encoding="utf-8")
    (tmp_path / "broken.yaml").write_text("otherwis: no\n", encoding="utf-8")
    done = run(tmp_path, UNDOCUMENTED + SET, "--strict-markers", "--strict-config")
    assert "3 passed, 2 errors" in done.stdout, done.stdout
    assert "broken.yaml: unknown key 'otherwis', expected agent" in done.stdout
    assert "the marker letta accepts only keyword arguments: letta(scenario='default'" in done.stdout


def test_it_imports_nothing_until_a_fixture_is_asked_for(tmp_path: Path) -> None:
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


def test_without_the_extra_only_a_fixture_asks_for_it(tmp_path: Path) -> None:
    test = "def test_without(): pass\ndef test_with(letta_server): pass\n"
    done = run(tmp_path, test, before="sys.modules['jsonschema_rs'] = None")
    assert "1 passed, 1 error" in done.stdout, done.stdout
    assert "letta_ext.testing needs jsonschema_rs, which is not installed: pip install" in done.stdout
