"""The examples of the README and the pages run as they are printed, in order, against the embedded server."""

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

ROOT = Path(__file__).parents[2]
PAGES = ["README.md", "docs/lists.md", "docs/following.md", "docs/tools.md", "docs/testing.md"]


def blocks(page: str) -> list[str]:
    """The Python examples of a page, but for tests, which pytest runs with the fixtures."""
    text = (ROOT / page).read_text(encoding="utf-8")
    found = re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    return [code for code in found if "def test_" not in code]


def runnable(code: str, server: EmbeddedServer, step: str) -> str:
    """An example with ids that there are, and with an end where it has none."""
    for shown, id_ in (("conv-…", server.conversation_id), ("agent-…", server.agent_id), ("step-…", step)):
        code = code.replace(shown, id_)
    code = code.replace("from_start=True)", "from_start=True, timeout=0)")
    if "async " not in code:
        return code
    return "async def example():\n" + textwrap.indent(code, "    ") + "\nanyio.run(example)\n"


@pytest.mark.parametrize("page", PAGES)
def test_the_examples_run(page: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with EmbeddedServer() as server, Letta(base_url=server.base_url) as client:
        monkeypatch.setenv("LETTA_BASE_URL", server.base_url)
        client.conversations.messages.create(server.conversation_id, input="Hello", streaming=False)
        step = client.steps.list(limit=1).items[0].id
        names: dict[str, Any] = {"anyio": anyio, "AsyncLetta": AsyncLetta, "server": server}
        if page == "README.md":  # what it says the examples have before them
            names |= {"json": json, "Letta": Letta}
        examples = blocks(page)
        assert examples
        for code in examples:
            names["client"] = client
            exec(compile(runnable(code, server, step), page, "exec"), names)  # noqa: S102  (pages of our own)
