"""Plays scenarios to a server, and notes the shapes of its answers."""

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

from .comparison import Shapes, collapsed

FOLDER: Final = Path(__file__).parent
SCENARIOS: Final = sorted(FOLDER.glob("*.yaml"))
RECORDED: Final = FOLDER / "real"
"""What the real server answered: one transcript for each scenario."""

PATIENCE: Final = 120.0

TOOL: Final = '''
def {name}(city: str) -> str:
    """Looks something up.

    Args:
        city (str): where
    """
    print("looking up", city)
    return "{answer} in " + city
'''

Transcript = list[dict[str, Any]]


def read(path: Path) -> dict[str, Any]:
    """A scenario, as it is written."""
    scenario: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return scenario


def shown(transcript: Transcript) -> str:
    """A transcript, as it is recorded."""
    return json.dumps(transcript, indent=1) + "\n"


def difference(expected: str, found: str) -> str:
    """The lines in which two recorded transcripts differ, with some around them; empty if they are equal."""
    return "\n".join(unified_diff(expected.splitlines(), found.splitlines(), "real", "embedded", lineterm=""))


class ScenarioRunner:
    """One server, and what all scenarios need on it.

    Args:
        http: where it is.
        model: the handle of the steered model.
    """

    def __init__(self, http: httpx.Client, model: str = "openai-proxy/gpt-4o-mini") -> None:
        self.http = http
        self.model = model
        self._made: list[str] = []
        stems = {"weather": "sunny", "time": "noon", "guarded": "allowed"}
        self.tools = {stem: self._tool(stem, answer) for stem, answer in stems.items()}

    def _tool(self, stem: str, answer: str) -> tuple[str, str]:
        name = f"{stem}_{uuid4().hex[:8]}"
        body = {"source_code": TOOL.format(name=name, answer=answer), "default_requires_approval": stem == "guarded"}
        return self.make("/v1/tools/", body), name

    def make(self, path: str, body: dict[str, Any], **query: str) -> str:
        """Make a thing, and return its id."""
        response = self.http.post(path, json=body, params=query)
        assert response.status_code == 200, response.text
        id: str = response.json()["id"]
        self._made.append(f"{path}{id}")
        return id

    def play(self, scenario: dict[str, Any]) -> Transcript:
        """Play a scenario with an agent of its own, and return the shapes of the answers."""
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
        names |= {stem: name for stem, (_, name) in self.tools.items()}
        agent = self.make("/v1/agents/", settings | _filled(scenario.get("agent", {}), names))
        conversation = self.make("/v1/conversations/", {}, agent_id=agent)
        names |= {"agent": agent, "conversation": f"/v1/conversations/{conversation}", "conversation_id": conversation}
        names |= {"default": "/v1/conversations/default", "otid": f"scenario-{uuid4().hex}"}
        return _Session(self.http, names).play(scenario["steps"])

    def close(self) -> None:
        """Delete what was made, agents before their tools."""
        for path in reversed(self._made):
            self.http.delete(path)


class _Session:
    def __init__(self, http: httpx.Client, names: dict[str, str]) -> None:
        self._http = http
        self._names = names
        called = {value: name for name, value in names.items() if name in ("weather", "time", "guarded")}
        self._shapes = Shapes(called)
        self._transcript: Transcript = []

    def play(self, steps: list[dict[str, Any]]) -> Transcript:
        for step in steps:
            self._take(step)
        return self._transcript

    def _take(self, step: dict[str, Any]) -> None:
        note: dict[str, Any] = {"request": step["request"]}
        self._transcript.append(note)
        method, path = str(_filled(step["request"], self._names)).split(" ", 1)
        options: dict[str, Any] = {"params": _filled(step.get("query"), self._names)}
        options["headers"] = step.get("headers")
        if "content" in step:
            options["content"] = step["content"]
        elif "body" in step:
            options["json"] = _filled(step["body"], self._names)
        deadline = time.monotonic() + PATIENCE
        while not self._asked(step, note, method, path, options):
            assert time.monotonic() < deadline, f"{step['request']} never answered {step['until']}"
            time.sleep(0.1)

    def _asked(self, step: dict[str, Any], note: dict[str, Any], method: str, path: str, options: Any) -> bool:
        """Ask once; false if the answer is not yet the one that is waited for."""
        patience = step.get("patience", PATIENCE)
        try:
            with self._http.stream(method, path, timeout=patience, **options) as response:
                note["status"] = response.status_code
                note["type"] = response.headers.get("content-type")
                if response.status_code in (307, 308):
                    note["location"] = httpx.URL(response.headers["location"]).path
                if "text/event-stream" in (note["type"] or "") and response.status_code == 200:
                    answer: Any = list(self._events(response, step))
                    told = [each for index, each in enumerate(answer) if index == 0 or not _is_ping(each[1])]
                    events = [{"event": name, **self._event(data)} for name, data in told]
                    note["events"] = collapsed(events) if step.get("timing") else events
                    answer = [data for _, data in answer]
                else:
                    body = response.read()
                    answer = json.loads(body) if body[:1] in (b"{", b"[", b"n", b'"') else body.decode()
                    if _is_early(answer, _filled(step.get("until", {}), self._names)):
                        return False
                    note["body"] = self._body(answer, step)
        except httpx.ReadTimeout:
            note["silence"] = True
            return True
        for name, place in step.get("keep", {}).items():
            self._names[name] = _at(answer, place)
        return True

    def _body(self, answer: Any, step: dict[str, Any]) -> Any:
        if not step.get("unordered"):
            return self._shapes.of(answer)
        # Ids are numbered as they appear: so the things are put in an order that depends on no number, first.
        return sorted(map(self._shapes.of, sorted(answer, key=self._shapes.anonymous)), key=json.dumps)

    def _event(self, data: Any) -> dict[str, Any]:
        return {"data": data} if isinstance(data, str) else dict(self._shapes.of(data))

    def _events(self, response: httpx.Response, step: dict[str, Any]) -> Iterator[tuple[str | None, Any]]:
        name, count = None, 0
        for line in response.iter_lines():
            if line.startswith("event: "):
                name = line[7:]
            elif line.startswith("data: "):
                data = line[6:]
                yield name, data if data == "[DONE]" else json.loads(data)
                name, count = None, count + 1
                if count == step.get("after", 1):
                    self.play(step.get("meanwhile", []))
                if count == step.get("hang_up"):
                    return


def _is_ping(data: Any) -> bool:
    return isinstance(data, dict) and data.get("message_type") == "ping"


def _is_early(answer: Any, wanted: dict[str, Any]) -> bool:
    try:
        return any(_at(answer, place) != value for place, value in wanted.items())
    except (LookupError, TypeError):
        return True


def _at(value: Any, place: str | int) -> Any:
    """The value at a place, such as ``-1.tool_calls.0.tool_call_id``; ``length`` is a list's length."""
    for key in str(place).split("."):
        if isinstance(value, list) and key == "length":
            value = len(value)
        else:
            value = value[int(key) if isinstance(value, list) else key]
    return value


def _filled(value: Any, names: dict[str, str]) -> Any:
    """A value in which names stand for what they mean on this server."""
    if isinstance(value, str):
        return re.sub(r"\{(\w+)\}", lambda found: str(names[found[1]]), value)
    if isinstance(value, dict):
        return {key: _filled(each, names) for key, each in value.items()}
    if isinstance(value, list):
        return [_filled(each, names) for each in value]
    return value
