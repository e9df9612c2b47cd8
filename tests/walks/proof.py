"""Walks over all lists of a server, each compared with the server's own single large page."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

import httpx
from attrs import define, field

from letta_ext import Hooks, Letta

LIMITS: Final = (1, 2, 3, 5, 50, None)
ORDERS: Final = ("asc", "desc")
FILTERS: Final = (None, ["user_message", "assistant_message"], ["summary_message", "reasoning_message"])
AT_ONCE: Final = 1000


@define
class Figures:
    """What the walks came to."""

    walks: int = 0
    lost: int = 0
    repeated: int = 0
    out_of_order: int = 0
    requests: int = 0
    least: int = 0
    faults: list[str] = field(factory=list[str])

    def add(self, name: str, got: list[Any], whole: list[Any], *, in_order: bool, requests: int, least: int) -> None:
        """Counts one walk; `in_order` says whether the server keeps an order that can be held to."""
        lost, repeated = len(set(whole) - set(got)), len(got) - len(set(got))
        misplaced = in_order and got != whole
        self.walks += 1
        self.lost += lost
        self.repeated += repeated
        self.out_of_order += misplaced
        self.requests += requests
        self.least += least
        if lost or repeated or misplaced:
            self.faults.append(f"{name}: lost {lost}, repeated {repeated}, in order {not misplaced}")

    def __str__(self) -> str:
        return (
            f"walks {self.walks}, lost {self.lost}, repeated {self.repeated}, out of order {self.out_of_order}, "
            f"requests {self.requests} (at least {self.least})"
        )


class Scene:
    """An agent with a plain conversation, one that was compacted three times, and one of its own."""

    def __init__(self, client: Letta, http: httpx.Client, model: str, *, turns: int = 5) -> None:
        self.http = http
        agent = {"model": model, "system": "A test agent.", "agent_type": "letta_v1_agent", "include_base_tools": False}
        self.agent_id = http.post("/v1/agents/", json={**agent, "memory_blocks": []}).raise_for_status().json()["id"]
        self.plain, self.compacted = self._conversation(), self._conversation()
        self._say(client, self.plain, turns)
        self._say(client, self.compacted, turns)
        for _ in range(3):
            settings: Any = {"mode": "all", "model": model}
            client.conversations.messages.compact(self.compacted, compaction_settings=settings)
            self._say(client, self.compacted, turns)
        self._say(client, "default", turns, agent_id=self.agent_id)
        self.step_id = client.steps.list(agent_id=self.agent_id, limit=1).items[0].id

    def _conversation(self) -> str:
        answer = self.http.post("/v1/conversations/", params={"agent_id": self.agent_id}, json={}).raise_for_status()
        return str(answer.json()["id"])

    def _say(self, client: Letta, conversation_id: str, turns: int, **where: Any) -> None:
        for n in range(turns):
            words = "REASON about it" if n % 3 == 0 else "hello"
            client.conversations.messages.create(conversation_id, input=words, streaming=False, **where)

    def lists(self) -> Iterable[tuple[str, str, dict[str, Any]]]:
        """The conversations: a name, an id, and the arguments that go along."""
        yield "plain", self.plain, {}
        yield "compacted", self.compacted, {}
        yield "agent-direct", "default", {"agent_id": self.agent_id}

    def page(self, path: str, arguments: Mapping[str, Any]) -> list[dict[str, Any]]:
        """The server's own single large page."""
        found: list[dict[str, Any]] = (
            self.http.get(path, params={**arguments, "limit": AT_ONCE}).raise_for_status().json()
        )
        return found


def _key(item: Mapping[str, Any]) -> tuple[Any, ...]:
    return item["id"], item["message_type"], item["otid"]


def _turned(items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    groups: dict[str, list[dict[str, Any]]] = {}
    for item in items:
        groups.setdefault(item["id"], []).append(item)
    return [item for group in reversed(groups.values()) for item in group]


def walk_everything(
    base_url: str, http: httpx.Client, model: str, limits: Iterable[int | None] = LIMITS, turns: int = 5
) -> Figures:
    """Walks all three lists of a server in both orders, at every limit, with and without filters."""
    sent = [0]

    def count(_: object) -> None:
        sent[0] += 1

    figures = Figures()
    with Letta(base_url=base_url, hooks=Hooks(on_attempt=count), timeout=120) as client:
        scene = Scene(client, http, model, turns=turns)

        def walk(
            name: str, whole: list[Any], got: Any, limit: int | None, stored: int, *, in_order: bool = True
        ) -> None:
            sent[0] = 0
            keys = [_key(item.to_dict()) if "message_type" in item.to_dict() else item.id for item in got()]
            least = -(-stored // (limit or 100))
            figures.add(f"{name} limit {limit}", keys, whole, in_order=in_order, requests=sent[0], least=least)

        for order in ORDERS:
            for name, conversation_id, where in scene.lists():
                page = scene.page(f"/v1/conversations/{conversation_id}/messages", {"order": order, **where})
                if name == "agent-direct" and order == "desc":
                    page = _turned(page)  # that page arrives in ascending order, whatever was asked for
                for kinds in FILTERS:
                    whole = [_key(item) for item in page if kinds is None or item["message_type"] in kinds]
                    for limit in limits:
                        given: dict[str, Any] = {"order": order, **where}
                        given |= {"limit": limit} if limit else {}
                        given |= {"include_return_message_types": kinds} if kinds else {}
                        walk(
                            f"{name} {order} {kinds}",
                            whole,
                            lambda given=given, cid=conversation_id: client.conversations.messages.list(cid, **given),
                            limit,
                            len({item["id"] for item in page}),
                            # After a compaction several things share one place, in no order that the server keeps.
                            in_order=name != "compacted",
                        )
            steps = [step["id"] for step in scene.page("/v1/steps/", {"agent_id": scene.agent_id, "order": order})]
            path = f"/v1/steps/{scene.step_id}/messages"
            parts = [_key(item) for item in scene.page(path, {"order": order})]
            for limit in limits:
                size: Any = {"limit": limit} if limit else {}
                walk(
                    f"steps {order}",
                    steps,
                    lambda size=size, order=order: client.steps.list(agent_id=scene.agent_id, order=order, **size),
                    limit,
                    len(steps),
                )
                walk(
                    f"step messages {order}",
                    parts,
                    lambda size=size, order=order: client.steps.messages.list(scene.step_id, order=order, **size),
                    limit,
                    len({part[0] for part in parts}),
                )
    return figures
