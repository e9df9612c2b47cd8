"""Setting a scene: the agents, tools and conversations that a test talks to, made by plain HTTP."""

from __future__ import annotations

from typing import Any, Final
from uuid import uuid4

import httpx
from attrs import define, field, frozen

SYSTEM: Final = "Test."

TOOL: Final = '''
def {name}(city: str) -> str:
    """Looks something up.

    Args:
        city (str): where
    """
    print("looking up", city)
    return "{answer} in " + city
'''


@frozen
class Agent:
    """An agent, and the names of its tools."""

    id: str
    weather: str
    time: str
    guarded: str


@define
class Scene:
    """Makes things on the server, and takes away at the end what would stay."""

    http: httpx.Client
    model: str
    made: list[str] = field(factory=list)
    tools: list[tuple[str, str]] = field(factory=list)

    def tool(self, stem: str, answer: str, *, guarded: bool = False) -> tuple[str, str]:
        """A tool that the server runs; its id and its name, which is nobody else's."""
        name = f"{stem}_{uuid4().hex[:8]}"
        source = TOOL.format(name=name, answer=answer)
        tool = self._make("tools", {"source_code": source, "default_requires_approval": guarded})
        return tool["id"], name

    def agent(self, *, parallel_tool_calls: bool = True) -> Agent:
        """An agent with a tool that tells the weather, one that tells the time, and one that asks before it runs."""
        if not self.tools:
            self.tools = [
                self.tool("weather", "sunny"),
                self.tool("time", "noon"),
                self.tool("guarded", "allowed", guarded=True),
            ]
        id = self._agent(tool_ids=[id for id, _ in self.tools], parallel_tool_calls=parallel_tool_calls)
        return Agent(id, *(name for _, name in self.tools))

    def forgetful_agent(self, context_window: int) -> str:
        """An agent without tools and with a small context window, in tokens; its id."""
        settings = {"mode": "all", "model": self.model}
        return self._agent(context_window_limit=context_window, compaction_settings=settings)

    def conversation(self, agent_id: str) -> str:
        """A conversation without messages; its id."""
        response = self.http.post("/v1/conversations/", params={"agent_id": agent_id})
        response.raise_for_status()
        id: str = response.json()["id"]
        return id

    def cancel(self, conversation_id: str) -> None:
        """Cancels what runs in a conversation."""
        self.http.post(f"/v1/conversations/{conversation_id}/cancel").raise_for_status()

    def leave(self) -> None:
        """Deletes what was made, agents with their conversations before their tools."""
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
        thing: dict[str, Any] = response.json()
        self.made.append(f"/v1/{kind}/{thing['id']}")
        return thing
