"""Runs scenarios on a server and records the shapes of its responses."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from difflib import unified_diff
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import httpx
import yaml

from .comparison import Shapes, collapse

FOLDER: Final = Path(__file__).parent
SCENARIOS: Final = sorted(FOLDER.glob("*.yaml"))
RECORDED: Final = FOLDER / "real"
"""The recorded responses of the real server: one transcript per scenario."""

TIMEOUT: Final = 120.0

LIVE: Final = 0.1
"""Time after which the end of a stream has not been waiting in a buffer [s]."""

TOOL: Final = '''
def {name}(city: str) -> str:
    """Looks something up.

    Args:
        city (str): where
    """
    print("looking up", city)
    return "{result} in " + city
'''

Transcript = list[dict[str, Any]]


def read(path: Path) -> dict[str, Any]:
    """Return a scenario."""
    scenario: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return scenario


def to_text(transcript: Transcript) -> str:
    """Return a transcript as text."""
    return json.dumps(transcript, indent=1) + "\n"


def difference(expected: str, found: str) -> str:
    """Return the different lines of two transcripts with context. Return an empty text if they are equal."""
    return "\n".join(unified_diff(expected.splitlines(), found.splitlines(), "real", "embedded", lineterm=""))


class StreamEndedEarlyError(Exception):
    """A stream ended before other requests met it."""


class ScenarioRunner:
    """A server with the objects that all scenarios need.

    Args:
        http: A client of the server.
        model: Handle of the scripted model.
    """

    def __init__(self, http: httpx.Client, model: str = "openai-proxy/gpt-4o-mini") -> None:
        self.http = http
        self.model = model
        self.created: list[str] = []
        results = {"weather": "sunny", "time": "noon", "guarded": "allowed"}
        self.tools = {tool: self._tool(tool, result) for tool, result in results.items()}

    def _tool(self, tool: str, result: str) -> tuple[str, str]:
        name = f"{tool}_{uuid4().hex[:8]}"
        body = {"source_code": TOOL.format(name=name, result=result), "default_requires_approval": tool == "guarded"}
        return self.create("/v1/tools/", body), name

    def create(self, path: str, body: dict[str, Any], **query: str) -> str:
        """Create an object, and return its id."""
        response = self.http.post(path, json=body, params=query)
        assert response.status_code == 200, response.text
        id: str = response.json()["id"]
        self.created.append(f"{path}{id}")
        return id

    def play(self, scenario: dict[str, Any]) -> Transcript:
        """Run a scenario with a new agent, and return the shapes of the responses."""
        deadline = time.monotonic() + TIMEOUT
        while True:
            try:
                return self.session(scenario).play(scenario["steps"])
            except StreamEndedEarlyError:
                if time.monotonic() > deadline:
                    raise

    def session(self, scenario: dict[str, Any]) -> Session:
        """Return a session with a new agent."""
        settings = {
            "model": self.model,
            "system": "Test.",
            "agent_type": "letta_v1_agent",
            "include_base_tools": False,
            "memory_blocks": [],
            "parallel_tool_calls": True,
            "tool_ids": [id for id, _ in self.tools.values()],
        }
        names = {"model": self.model}
        names |= {tool: name for tool, (_, name) in self.tools.items()}
        agent = self.create("/v1/agents/", settings | _fill(scenario.get("agent", {}), names))
        conversation = self.create("/v1/conversations/", {}, agent_id=agent)
        names |= {"agent": agent, "conversation": f"/v1/conversations/{conversation}", "conversation_id": conversation}
        names |= {"default": "/v1/conversations/default", "otid": f"scenario-{uuid4().hex}"}
        names |= {f"{tool}_id": id for tool, (id, _) in self.tools.items()}
        return Session(self.http, names)

    def close(self) -> None:
        """Delete the created objects, agents before their tools."""
        for path in reversed(self.created):
            self.http.delete(path)


class Session:
    """The requests of one scenario on one server."""

    def __init__(self, http: httpx.Client, names: dict[str, str]) -> None:
        self._http = http
        self.names = names
        placeholders = {value: name for name, value in names.items() if name in ("weather", "time", "guarded")}
        self.content: Any = None
        self._shapes = Shapes(placeholders)
        self._transcript: Transcript = []

    def play(self, steps: list[dict[str, Any]]) -> Transcript:
        """Send requests, and return the transcript of the session so far."""
        for step in steps:
            self._run_step(step)
        return self._transcript

    def _run_step(self, step: dict[str, Any]) -> None:
        entry: dict[str, Any] = {"request": step["request"]}
        self._transcript.append(entry)
        method, path = str(_fill(step["request"], self.names)).split(" ", 1)
        options: dict[str, Any] = {"params": _fill(step.get("query"), self.names)}
        options["headers"] = step.get("headers")
        if "content" in step:
            options["content"] = step["content"]
        elif "body" in step:
            options["json"] = _fill(step["body"], self.names)
        deadline = time.monotonic() + TIMEOUT
        while not self._send(step, entry, method, path, options):
            assert time.monotonic() < deadline, f"{step['request']} never returned {step['until']}"
            time.sleep(0.1)

    def _send(self, step: dict[str, Any], entry: dict[str, Any], method: str, path: str, options: Any) -> bool:
        """Send a request. Return False if the response does not have the expected values yet."""
        patience = step.get("patience", TIMEOUT)
        try:
            with self._http.stream(method, path, timeout=patience, **options) as response:
                entry["status"] = response.status_code
                entry["type"] = response.headers.get("content-type")
                if response.status_code in (307, 308):
                    entry["location"] = httpx.URL(response.headers["location"]).path
                if "text/event-stream" in (entry["type"] or "") and response.status_code == 200:
                    content: Any = list(self._events(response, step))
                    numbered = [each for index, each in enumerate(content) if index == 0 or not _is_ping(each[1])]
                    events = [{"event": name, **self._event(data)} for name, data in numbered]
                    entry["events"] = collapse(events) if step.get("timing") else events
                    content = [data for _, data in content]
                else:
                    body = response.read()
                    content = json.loads(body) if body[:1] in (b"{", b"[", b"n", b'"') else body.decode()
                    if _is_pending(content, _fill(step.get("until", {}), self.names)):
                        return False
                    if not (step.get("opaque") and isinstance(content, list)):
                        entry["body"] = self._body(content, step)
                    self.content = content
        except httpx.ReadTimeout:
            entry["silence"] = True
            return True
        for name, path in step.get("keep", {}).items():
            self.names[name] = _at(content, path)
        return True

    def _body(self, content: Any, step: dict[str, Any]) -> Any:
        if not step.get("unordered"):
            return self._shapes.of(content)
        # Ids are numbered in order of occurrence, so sort by shapes without numbers first.
        return sorted(map(self._shapes.of, sorted(content, key=self._shapes.anonymous)), key=json.dumps)

    def _event(self, data: Any) -> dict[str, Any]:
        return {"data": data} if isinstance(data, str) else dict(self._shapes.of(data))

    def _events(self, response: httpx.Response, step: dict[str, Any]) -> Iterator[tuple[str | None, Any]]:
        name, count, live_since = None, 0, time.monotonic()
        for line in response.iter_lines():
            if line.startswith("event: "):
                name = line[7:]
            elif line.startswith("data: "):
                data = line[6:]
                yield name, data if data == "[DONE]" else json.loads(data)
                name, count = None, count + 1
                if count == step.get("after", 1):
                    self.play(step.get("meanwhile", []))
                    live_since = time.monotonic()
                if count == step.get("hang_up"):
                    return
        if step.get("live") and time.monotonic() - live_since < LIVE:
            raise StreamEndedEarlyError


def _is_ping(data: Any) -> bool:
    return isinstance(data, dict) and data.get("message_type") == "ping"


def _is_pending(content: Any, expected: dict[str, Any]) -> bool:
    try:
        return any(_at(content, path) != value for path, value in expected.items())
    except (LookupError, TypeError):
        return True


def _at(value: Any, path: str | int) -> Any:
    """Return the value at a path, such as ``-1.tool_calls.0.tool_call_id``. ``length`` is the length of a list."""
    for key in str(path).split("."):
        if isinstance(value, list) and key == "length":
            value = len(value)
        else:
            value = value[int(key) if isinstance(value, list) else key]
    return value


def _fill(value: Any, names: dict[str, str]) -> Any:
    """Return a value with placeholders replaced."""
    if isinstance(value, str):
        return re.sub(r"\{(\w+)\}", lambda found: str(names[found[1]]), value)
    if isinstance(value, dict):
        return {key: _fill(each, names) for key, each in value.items()}
    if isinstance(value, list):
        return [_fill(each, names) for each in value]
    return value
