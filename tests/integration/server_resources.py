"""The agents, tools and conversations of the tests, created by plain HTTP."""

from __future__ import annotations

import time
from typing import Any, Final
from uuid import uuid4

import httpx
from attrs import define, field, frozen

SYSTEM: Final = "Test."

RECORDED_WITHIN: Final = 30
"""The time within which metrics and traces are stored [s]."""

TOOL: Final = '''
def {name}(city: str) -> str:
    """Looks something up.

    Args:
        city (str): where
    """
    print("looking up", city)
    return "{result} in " + city
'''


@frozen
class Agent:
    """An agent, and the names of its tools."""

    id: str
    weather: str
    time: str
    guarded: str


@define
class ServerResources:
    """Creates resources on the server and deletes them at the end."""

    http: httpx.Client
    model: str
    made: list[str] = field(factory=list)
    tools: list[tuple[str, str]] = field(factory=list)

    def tool(self, stem: str, result: str, *, guarded: bool = False) -> tuple[str, str]:
        """Create a server-side tool; return its id and its unique name."""
        name = f"{stem}_{uuid4().hex[:8]}"
        source = TOOL.format(name=name, result=result)
        tool = self._make("tools", {"source_code": source, "default_requires_approval": guarded})
        return tool["id"], name

    def agent(self, *, parallel_tool_calls: bool = True) -> Agent:
        """Create an agent with a weather tool, a time tool, and a tool that requires approval."""
        if not self.tools:
            self.tools = [
                self.tool("weather", "sunny"),
                self.tool("time", "noon"),
                self.tool("guarded", "allowed", guarded=True),
            ]
        id = self._agent(tool_ids=[id for id, _ in self.tools], parallel_tool_calls=parallel_tool_calls)
        return Agent(id, *(name for _, name in self.tools))

    def agent_with_context_window(self, context_window: int) -> str:
        """Create an agent without tools and with a context window of this many tokens; return its id."""
        settings = {"mode": "all", "model": self.model}
        return self._agent(context_window_limit=context_window, compaction_settings=settings)

    def conversation(self, agent_id: str) -> str:
        """Create an empty conversation; return its id."""
        response = self.http.post("/v1/conversations/", params={"agent_id": agent_id})
        response.raise_for_status()
        id: str = response.json()["id"]
        return id

    def wait_until_recorded(self, *step_ids: str) -> None:
        """Wait for the metrics and the traces of steps, which Letta 0.16.8 stores after the response."""
        deadline = time.monotonic() + RECORDED_WITHIN
        for path in (f"/v1/steps/{id}/{name}" for id in step_ids for name in ("metrics", "trace")):
            while (response := self.http.get(path)).status_code == 404 or response.json() is None:
                assert time.monotonic() < deadline, f"{path} does not exist after {RECORDED_WITHIN} s"
                time.sleep(0.05)

    def cancel(self, conversation_id: str) -> None:
        """Cancel the active run of a conversation."""
        self.http.post(f"/v1/conversations/{conversation_id}/cancel").raise_for_status()

    def delete_all(self) -> None:
        """Delete the created resources, agents before their tools."""
        for path in reversed(self.made):
            self.http.delete(path)

    def _agent(self, **more: Any) -> str:
        body = {
            "model": self.model,
            "system": SYSTEM,
            "agent_type": "letta_v1_agent",
            "include_base_tools": False,
            "memory_blocks": [],
            **more,
        }
        id: str = self._make("agents", body)["id"]
        return id

    def _make(self, kind: str, body: dict[str, Any]) -> dict[str, Any]:
        response = self.http.post(f"/v1/{kind}/", json=body)
        response.raise_for_status()
        resource: dict[str, Any] = response.json()
        self.made.append(f"/v1/{kind}/{resource['id']}")
        return resource
