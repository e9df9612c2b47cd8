"""`client.call` with the whole API of a real server, generated from the document that the server publishes."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import httpx
import pytest

from letta_ext import AsyncLetta, NotFoundError
from tests.codegen.building import checked, imported

ROOT: Final = Path(__file__).parents[2]
PAGE: Final = (ROOT / "docs" / "configuration.md").read_text("utf-8")
PROGRAM: Final = re.findall(r"^```py\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)[0]
COMMAND: Final = re.findall(r"^\$ python (-m codegen generate .*)$", PAGE, re.MULTILINE)[0]
OPERATIONS: Final = 200
"""Fewer operations than any server of this generation has."""

pytestmark = [pytest.mark.anyio, pytest.mark.xdist_group("whole API")]  # generated once


@pytest.fixture(scope="session")
def folder(address: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the package that the command of the documentation writes."""
    folder = tmp_path_factory.mktemp("whole")
    (folder / "letta.json").write_bytes(httpx.get(f"{address}/openapi.json").content)
    _run(folder, COMMAND.split(), address)
    return folder


@pytest.fixture(scope="session")
def whole(folder: Path) -> Iterator[Any]:
    """Return the package."""
    with imported(folder / "whole_api") as package:
        yield package


def _run(folder: Path, arguments: list[str], address: str) -> str:
    """Run Python in the folder, and return its output."""
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join([str(folder), str(ROOT), str(ROOT / "generated")]),
        "LETTA_BASE_URL": address,
    }
    command = [sys.executable, *arguments]
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=240
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


async def test_whole_api_lists_models(client: AsyncLetta, whole: Any, model: str) -> None:
    """A list returns models of the package."""
    assert len(whole.operations.OPERATIONS) > OPERATIONS
    models = await client.call(whole.api.models.list_models)
    assert model in [each.handle for each in models]
    assert {type(each) for each in models} == {whole.models.ModelObject}
    raw = await client.with_raw_response.call(whole.api.models.list_models)
    assert raw.status_code == 200
    assert await raw.parse() == models


async def test_whole_api_counts_agents(client: AsyncLetta, whole: Any, own_agent: Any) -> None:
    """A response can be a number."""
    assert own_agent.id
    count = await client.call(whole.api.agents.count_agents)
    assert type(count) is int
    assert count >= 1


async def test_whole_api_creates_changes_and_deletes_a_block(client: AsyncLetta, whole: Any) -> None:
    """A block is created, retrieved, modified, found in a list by a query, and deleted."""
    blocks, label = whole.api.blocks, f"block-{uuid4().hex[:12]}"
    block = await client.call(blocks.create_block, label=label, value="first", metadata={"a": 1})
    try:
        assert (type(block), block.value, block.metadata) == (whole.models.BlockResponse, "first", {"a": 1})
        await client.call(blocks.modify_block, block.id, value="second")
        assert (await client.call(blocks.retrieve_block, block_id=block.id)).value == "second"
        assert [each.id for each in await client.call(blocks.list_blocks, label=label, limit=5)] == [block.id]
    finally:
        assert await client.call(blocks.delete_block, block.id) is None
    with pytest.raises(NotFoundError):
        await client.call(blocks.retrieve_block, block.id)


async def test_whole_api_sends_a_message(client: AsyncLetta, whole: Any, conversation: str) -> None:
    """A send returns the whole response, decoded by the package."""
    send = whole.api.conversations.send_conversation_message
    response = await client.call(send, conversation, input="hello", streaming=False)
    assert type(response) is whole.models.LettaResponse
    assert [type(each) for each in response.messages] == [whole.models.AssistantMessage]


async def test_whole_api_keeps_header_parameters_apart_from_credentials(address: str, whole: Any) -> None:
    """A header parameter is sent, and the credentials stay those of the client."""
    seen: list[httpx.Request] = []

    def respond(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, json=[])

    http = httpx.AsyncClient(transport=httpx.MockTransport(respond))
    async with http, AsyncLetta(base_url=address, api_key="key", project_id="of-client", http_client=http) as letta:
        await letta.call(whole.api.blocks.list_blocks)
        await letta.call(whole.api.blocks.list_blocks, x_project_id="of-call")
    assert [each.headers["x-project-id"] for each in seen] == ["of-client", "of-call"]
    assert [each.headers["authorization"] for each in seen] == ["Bearer key"] * 2


def test_documented_program_runs(folder: Path, address: str) -> None:
    """The program of the documentation runs as pasted."""
    (folder / "program.py").write_text(PROGRAM, encoding="utf-8")
    lines = _run(folder, ["program.py"], address).splitlines()
    assert re.fullmatch(r"\d+ agents", lines[0])
    assert lines[2] == "Ann"


@pytest.mark.stress
@pytest.mark.parametrize("tool", ["mypy", "pyright"])
def test_documented_program_is_typed(tool: str, folder: Path, address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Strict type checkers infer the results of the program."""
    assert address
    more = ["assert_type(client.call(count_agents), int)", "assert_type(block, BlockResponse)"]
    typed = PROGRAM + "".join(f"    {line}\n" for line in more)
    head = "from typing import assert_type\n\nfrom whole_api.models import BlockResponse\n"
    (folder / "typed_program.py").write_text(head + typed, encoding="utf-8")
    monkeypatch.setenv("MYPYPATH", os.pathsep.join([str(ROOT), str(ROOT / "generated")]))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), str(ROOT / "generated")]))
    checked(tool, folder, "typed_program.py")
