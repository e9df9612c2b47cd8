"""Walks over all lists of a server, each compared with the server's own single large page."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, Final, Literal, TypeAlias

import httpx
from attrs import define, field, frozen

from letta_ext import Hooks, Letta

LIMITS: Final = (1, 2, 3, 5, 50, None)
ORDERS: Final[tuple[Literal["asc"], Literal["desc"]]] = ("asc", "desc")
FILTERS: Final = {
    "all": None,
    "said": ["user_message", "assistant_message"],
    "thought": ["summary_message", "reasoning_message"],
}
AT_ONCE: Final = 1000
COMPACTED: Final = "compacted"
DEFAULTS: Final = {"steps": 50}
"""How many the server sends where no limit is given, if not 100."""


Names: TypeAlias = tuple[str, str, str]
"""Of a list, its order, and the types that are asked for."""


@frozen
class Walked:
    """One walk, beside the server's own single large page."""

    list: str
    order: str
    types: str
    limit: int | None
    items: int
    lost: int
    repeated: int
    misplaced: bool | None  # None where the server itself keeps no order
    requests: int
    least: int

    @property
    def faulty(self) -> bool:
        """Whether it lost or repeated something, or left an order that the server keeps."""
        return bool(self.lost or self.repeated or self.misplaced)


@define
class Figures:
    """What the walks came to."""

    walks: list[Walked] = field(factory=list[Walked])

    def add(
        self,
        names: tuple[str, str, str],
        limit: int | None,
        got: list[Any],
        whole: list[Any],
        requests: int,
        stored: int,
    ) -> None:
        """Counts one walk; after a compaction several things share one place, in no order that the server keeps."""
        lost, repeated = len(set(whole) - set(got)), len(got) - len(set(got))
        misplaced = None if names[0] == COMPACTED else got != whole
        least = -(-stored // (limit or DEFAULTS.get(names[0], 100)))
        self.walks.append(Walked(*names, limit, len(whole), lost, repeated, misplaced, requests, least))

    @property
    def faults(self) -> list[Walked]:
        """The walks that were not as they must be."""
        return [walk for walk in self.walks if walk.faulty]

    def __str__(self) -> str:
        limits = list(dict.fromkeys(walk.limit for walk in self.walks))
        heads = [f"limit {limit or 'default'}" for limit in limits]
        lines = [
            f"{'list':<14}{'order':<6}{'types':<9}{'items':>6}{'lost':>5}{'twice':>6}  {'in order':<9}requests/least at"
        ]
        lines[0] += "".join(f"{head:>15}" for head in heads)
        rows: dict[tuple[str, str, str], list[Walked]] = {}
        for walk in self.walks:
            rows.setdefault((walk.list, walk.order, walk.types), []).append(walk)
        for (name, order, types), walks in rows.items():
            kept = "-" if walks[0].misplaced is None else "no" if any(walk.misplaced for walk in walks) else "yes"
            line = f"{name:<14}{order:<6}{types:<9}{walks[0].items:>6}{sum(walk.lost for walk in walks):>5}"
            line += f"{sum(walk.repeated for walk in walks):>6}  {kept:<9}{'':<17}"
            lines.append(line + "".join(f"{f'{walk.requests}/{walk.least}':>15}" for walk in walks))
        requests, least = sum(walk.requests for walk in self.walks), sum(walk.least for walk in self.walks)
        lost, twice = sum(walk.lost for walk in self.walks), sum(walk.repeated for walk in self.walks)
        misplaced = sum(bool(walk.misplaced) for walk in self.walks)
        total = f"{len(self.walks)} walks: lost {lost}, twice {twice}, out of order {misplaced}"
        return "\n".join([*lines, f"{total}; {requests} requests, at least {least} and one a walk to see its end"])


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
        yield COMPACTED, self.compacted, {}
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
            names: tuple[str, str, str], whole: list[Any], stored: int, make: Callable[..., Iterable[Any]]
        ) -> None:
            for limit in limits:
                sent[0] = 0
                found = [item.to_dict() for item in make(**{"limit": limit} if limit else {})]
                got = [_key(item) if "message_type" in item else item["id"] for item in found]
                figures.add(names, limit, got, whole, sent[0], stored)

        for order in ORDERS:
            for name, conversation_id, where in scene.lists():
                page = scene.page(f"/v1/conversations/{conversation_id}/messages", {"order": order, **where})
                if name == "agent-direct" and order == "desc":
                    page = _turned(page)  # that page arrives in ascending order, whatever was asked for
                for types, kinds in FILTERS.items():
                    whole = [_key(item) for item in page if kinds is None or item["message_type"] in kinds]
                    given: dict[str, Any] = {"order": order, **where}
                    given |= {"include_return_message_types": kinds} if kinds else {}
                    make: Callable[..., Iterable[Any]] = partial(
                        client.conversations.messages.list, conversation_id, **given
                    )
                    walk((name, order, types), whole, len({item["id"] for item in page}), make)
            steps = [step["id"] for step in scene.page("/v1/steps/", {"agent_id": scene.agent_id, "order": order})]
            make = partial(client.steps.list, agent_id=scene.agent_id, order=order)
            walk(("steps", order, "all"), steps, len(steps), make)
            parts = [_key(item) for item in scene.page(f"/v1/steps/{scene.step_id}/messages", {"order": order})]
            make = partial(client.steps.messages.list, scene.step_id, order=order)
            walk(("step messages", order, "all"), parts, len({part[0] for part in parts}), make)
    return figures
