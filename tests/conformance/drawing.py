"""Draws requests from the specification: valid ones, unusual ones, and ones with a single mutation.

A request is a step of a scenario, so that each can be kept as a scenario. Ids are placeholders such as ``{agent}``.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator, Mapping, Sequence
from random import Random
from typing import Any, Final

from letta_ext.testing.api.specification import source

Json = dict[str, Any]

UNKNOWN: Final = "00000000-0000-4000-8000-000000000000"

WEIGHTS: Final = {
    "conversations.messages.create": 8,
    "conversations.messages.list": 3,
    "conversations.messages.stream": 2,
    "conversations.messages.compact": 2,
    "agents.create": 3,
    "agents.update": 3,
    "agents.list": 2,
    "steps.list": 3,
    "runs.list": 2,
    "health": 0,
}
"""How often an operation is drawn. Defaults to 1."""

STRINGS: Final[Mapping[str, Sequence[str]]] = {
    "after": ("{message}", "{step}", f"message-{UNKNOWN}", "x"),
    "agent_id": ("{agent}", "{agent}", "{agent}", f"agent-{UNKNOWN}"),
    "agent_ids": ("{agent}",),
    "approval_request_id": ("{call}", "call_0"),
    "before": ("{message}", "{step}", f"step-{UNKNOWN}"),
    "content": ("hello", "hi", "CALL {weather}", "REASON", "REASON", "FAIL 400", "CALL {guarded}"),
    "conversation_id": ("{conversation_id}", "default", f"conv-{UNKNOWN}"),
    "data": ("iVBORw0KGgo=",),
    "end_date": ("2020-01-01", "2100-01-01T00:00:00Z", "2100-01-01T00:00:00+02:00", "today"),
    "input": (
        *("hello", "REASON", "FAIL 429", "LONG 9", "CALL {guarded}", "hi", "REASON LONG 3", "FAIL 400"),
        # The real server starts a process for each call of a tool, which takes it seconds.
        *("CALL {weather}", "CALL {guarded} {time}"),
    ),
    "isolated_block_labels": ("human", "unknown"),
    "last_message_at": ("2025-01-01T00:00:00Z", "2025-01-01"),
    "last_run_completion": ("2025-01-01T00:00:00Z",),
    "media_type": ("image/png",),
    "model": ("{model}", "{model}", "unknown/model", "model"),
    "name": ("Ada", "weather"),
    "otid": ("{otid}", "otid-{otid}"),
    "override_model": ("{model}", "{model}", "{model}", "unknown/model"),
    "run_id": ("{run}", "{run}", f"run-{UNKNOWN}", "run-1", "1"),
    "run_ids": ("{run}", f"run-{UNKNOWN}"),
    "start_date": ("2020-01-01", "2100-01-01", "2020-01-01T00:00:00", "2020-01-01T00:00:00-08:00"),
    "statuses": ("completed", "created", "failed", "unknown"),
    "tags": ("{tag}",),
    "timezone": ("UTC", "Europe/Rome"),
    "tool_call_id": ("{call}", "call_0"),
    "tool_ids": ("{weather_id}", f"tool-{UNKNOWN}"),
    "tools": ("{weather}", "unknown"),
    "url": ("data:image/png;base64,iVBORw0KGgo=",),
}
"""Values of strings by the name of their field."""

ODD_STRINGS: Final = ("", " ", "é \U0001f600", "a" * 300, "\x00", "null", "'; --", "0")

MUTATIONS: Final[Sequence[Any]] = (
    *(None, True, False, 0, 1, -1, 2.5, 1.0, 2**31, 2**63, 10**30, 1e300),
    *("", "x", "1", "1.0", "true", "\u0661", [], {}, [None], [1], ["x"], {"x": 1}, [[]], [{}]),
)

QUERY_MUTATIONS: Final = (
    *("", " ", "x", "0", "1", "-1", "1.0", "2.5", "1_0", "+2", "1e3", "\u0661", "true", "yes", "null", "[]"),
    *(str(2**31), str(2**63), "9" * 400, "\x00", "0001-01-01T00:00:00+01:00", "9999-12-31T23:59:59-01:00"),
)

CONTENTS: Final = ("", "{", "null", "[]", "1", '"x"', "{}", '{"input": "hello"', "\ufeff{}", "[" * 50 + "]" * 50)

METHODS: Final = ("GET", "POST", "PATCH", "DELETE", "PUT", "HEAD", "OPTIONS")


class Drawing:
    """Draws requests.

    Args:
        seed: Seed of the requests.
    """

    def __init__(self, seed: str) -> None:
        self._random = Random(seed)
        self._document: Json = source()
        self._operations = [
            (method.upper(), path, node)
            for path, methods in self._document["paths"].items()
            for method, node in methods.items()
        ]

    def request(self) -> Json:
        """Return a request."""
        weights = [WEIGHTS.get(node["operationId"], 1) for _, _, node in self._operations]
        method, path, node = self._random.choices(self._operations, weights)[0]
        kind = self._random.choice(("valid", "valid", "odd", "mutated", "mutated"))
        self._odd = 0.3 if kind == "odd" else 0.0
        step: Json = {"request": f"{method} {self._path(path, method)}"}
        query = self._query(node, path)
        if query:
            step["query"] = query
        if "requestBody" in node:
            request_body = self._resolve(node["requestBody"])
            if request_body.get("required") or self._random.random() < 0.8:
                step["body"] = self._value("body", request_body["content"]["application/json"]["schema"])
                self._steer(path, step["body"])
        if kind == "mutated":
            self._mutate(step)
        return step

    def _path(self, path: str, method: str) -> str:
        names = {
            "step_id": ("{step}", f"step-{UNKNOWN}"),
            "run_id": ("{run}", f"run-{UNKNOWN}"),
            "agent_id": ("{agent}", "{agent}", "{agent}", f"agent-{UNKNOWN}"),
            "conversation_id": (*["{conversation_id}"] * 8, "default", "{agent}", f"conv-{UNKNOWN}"),
        }
        deletes = method == "DELETE"
        return re.sub(
            r"\{(\w+)\}",
            lambda found: names[found[1]][-1] if deletes else self._random.choice(names[found[1]]),
            path,
        )

    def _query(self, node: Json, path: str) -> Json:
        query: Json = {}
        for declared in node.get("parameters", []):
            parameter = self._resolve(declared)
            name = parameter["name"]
            # Other agents of the server must not be listed.
            needed = parameter.get("required") or (name == "agent_id" and "{" not in path) or self._is_tag(path, name)
            if parameter["in"] == "query" and (needed or self._random.random() < 0.25):
                value = self._value(name, parameter["schema"])
                query[name] = "{agent}" if name == "agent_id" and "{" not in path else value
        for name in ("after", "before"):
            if name in query and not path.endswith("/messages"):
                kind = path.strip("/").rpartition("/")[2].removesuffix("s")
                query[name] = f"{{{'conversation_id' if kind == 'conversation' else kind}}}"
        return {
            name: value if isinstance(value, list) else _as_query(value)
            for name, value in query.items()
            if value is not None
        }

    def _is_tag(self, path: str, name: str) -> bool:
        return path == "/v1/agents/" and name == "tags"

    def _steer(self, path: str, body: Any) -> None:
        """Change values of a body that are valid, and with which most requests would fail or never end."""
        if not isinstance(body, dict):
            return
        if path.endswith("/messages") and self._random.random() < 0.9:
            # Exactly one of both is valid.
            if "messages" in body or self._random.random() < 0.4:
                body.pop("input", None)
                schema = {"type": "array", "items": {"$ref": "#/components/schemas/MessageInput"}}
                body["messages"] = body.get("messages") or self._value("messages", schema)
            else:
                body["input"] = body.get("input") or self._random.choice(STRINGS["input"])
            if self._random.random() < 0.7:
                body["streaming"] = False
            elif self._random.random() < 0.7:
                # Each event of a background run takes the real server long.
                body.pop("background", None)
        if path == "/v1/agents/":
            if self._random.random() < 0.9:
                body["model"] = "{model}"
            body["tags"] = ["{tag}"]
            for name in ("include_base_tools", "include_multi_agent_tools", "include_default_source"):
                body[name] = False

    def _resolve(self, node: Json) -> Json:
        while "$ref" in node:
            target: Any = self._document
            for part in node["$ref"].split("/")[1:]:
                target = target[part]
            node = target
        return node

    def _value(self, name: str, schema: Json, depth: int = 0) -> Any:
        schema = self._resolve(schema)
        choices = schema.get("anyOf") or schema.get("oneOf")
        if choices:
            return self._tagged(name, schema, self._random.choice(choices), depth)
        if "const" in schema:
            return schema["const"]
        if "enum" in schema:
            return self._random.choice(schema["enum"])
        kinds = schema.get("type", "object")
        if isinstance(kinds, list):
            kinds = self._random.choice([*[kind for kind in kinds if kind != "null"] * 6, "null"])
        odd = self._random.random() < self._odd
        match kinds:
            case "null":
                return None
            case "string":
                return self._random.choice(ODD_STRINGS if odd else STRINGS.get(name, ("text",)))
            case "integer" | "number":
                return self._number(name, schema, odd)
            case "boolean":
                return self._random.choice(("true", "no", 1, 0, "off") if odd else (True, False))
            case "array":
                size = 0 if odd else self._random.choice((1, 1, 2))
                return [self._value(name, schema.get("items", {}), depth + 1) for _ in range(size)]
        return self._object(schema, depth)

    def _tagged(self, name: str, union: Json, member: Json, depth: int) -> Any:
        value = self._value(name, member, depth)
        tag = union.get("discriminator", {}).get("propertyName")
        if isinstance(value, dict) and tag is not None and self._random.random() < 0.9:
            value[tag] = self._resolve(member)["properties"][tag]["const"]
        return value

    def _number(self, name: str, schema: Json, odd: bool) -> Any:
        if odd:
            return self._random.choice((schema.get("minimum", 0), schema.get("maximum", 7), "3", 4.0))
        if name == "starting_after":
            return self._random.choice((0, 1, 2))
        low = max(schema.get("minimum", 1), 1)
        return self._random.randint(low, min(schema.get("maximum", low + 20), low + 20))

    def _object(self, schema: Json, depth: int) -> Json:
        extra = schema.get("additionalProperties")
        if "properties" not in schema:
            return {"key": self._value("key", extra, depth + 1)} if isinstance(extra, dict) else {"key": "value"}
        share = 0.15 if depth == 0 else 0.3
        return {
            name: self._value(name, each, depth + 1)
            for name, each in schema["properties"].items()
            if name in schema.get("required", ()) or self._random.random() < share
        }

    def _mutate(self, step: Json) -> None:
        """Change one place of a request."""
        places = list(_places(step))
        kinds = [("method", 1), ("path", 2), ("content", 2 if "body" in step else 0), ("place", 20 if places else 0)]
        match self._random.choices([kind for kind, _ in kinds], [weight for _, weight in kinds])[0]:
            case "method":
                step["request"] = f"{self._random.choice(METHODS)} {step['request'].split(' ', 1)[1]}"
            case "path":
                step["request"] = self._mutated_path(step["request"])
            case "content":
                del step["body"]
                step["content"] = self._random.choice(CONTENTS)
                step["headers"] = {"content-type": self._random.choice(("application/json", "text/plain"))}
            case "place":
                self._mutate_place(step, *self._random.choice(places))

    def _mutated_path(self, request: str) -> str:
        method, _, path = request.partition(" ")
        parts = path.split("/")
        index = self._random.choice([index for index, part in enumerate(parts) if part.startswith("{")] or [-1])
        parts[index] = self._random.choice(("x", "conv-1", "default", "{agent}", "{step}", UNKNOWN, "%20", ""))
        return f"{method} {'/'.join(parts)}"

    def _mutate_place(self, step: Json, owner: Any, key: Any) -> None:
        action = self._random.random()
        if action < 0.15:
            del owner[key]
        elif action < 0.25 and isinstance(owner, dict):
            owner["unknown"] = copy.deepcopy(owner[key])
        elif owner is step.get("query"):
            value = self._random.choice(QUERY_MUTATIONS)
            step["query"][key] = value if self._random.random() < 0.9 else [value, step["query"][key]]
        else:
            owner[key] = copy.deepcopy(self._random.choice(MUTATIONS))


def _as_query(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _places(step: Json) -> Iterator[tuple[Any, Any]]:
    """Yield each place of a request, as its owner and its key in it."""
    for part in ("query", "body"):
        yield from _within(step.get(part))


def _within(value: Any) -> Iterator[tuple[Any, Any]]:
    entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in list(entries):
        yield value, key
        yield from _within(each)
