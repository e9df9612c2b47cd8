"""The examples of the README run as they are printed, in their order, against the embedded server."""

from __future__ import annotations

import json
import re
import textwrap
from pathlib import Path
from typing import Any

import anyio
import pytest

from letta_ext import AsyncLetta, Letta
from letta_ext.testing import EmbeddedServer

README = Path(__file__).parents[2] / "README.md"
BLOCKS = re.findall(r"^```python\n(.*?)^```", README.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def runnable(code: str, server: EmbeddedServer, step: str) -> str:
    """An example with ids that there are, and with an end where it has none."""
    for shown, id_ in (("conv-…", server.conversation_id), ("agent-…", server.agent_id), ("step-…", step)):
        code = code.replace(shown, id_)
    code = code.replace("from_start=True)", "from_start=True, timeout=0)")
    if "async " not in code:
        return code
    return "async def example():\n" + textwrap.indent(code, "    ") + "\nanyio.run(example)\n"


def test_the_examples_run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert len(BLOCKS) >= 8
    with EmbeddedServer() as server, Letta(base_url=server.base_url) as client:
        monkeypatch.setenv("LETTA_BASE_URL", server.base_url)
        client.conversations.messages.create(server.conversation_id, input="Hello", streaming=False)
        step = client.steps.list(limit=1).items[0].id
        names: dict[str, Any] = {"anyio": anyio, "json": json, "AsyncLetta": AsyncLetta, "Letta": Letta}
        for code in BLOCKS:
            if "def test_" in code:
                continue  # a test, which pytest runs with the fixtures
            names["client"] = client
            exec(compile(runnable(code, server, step), str(README), "exec"), names)  # noqa: S102  (our own README)
    assert "word0" in capsys.readouterr().out
