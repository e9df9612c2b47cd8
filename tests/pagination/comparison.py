"""Iterations over all lists of a server, each compared with one large page of the server."""

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
    "text": ["user_message", "assistant_message"],
    "internal": ["summary_message", "reasoning_message"],
}
LARGE_LIMIT: Final = 1000
COMPACTED: Final = "compacted"
DEFAULT_LIMITS: Final = {"steps": 50}
"""The page sizes without a limit, extra they are not 100."""


Labels: TypeAlias = tuple[str, str, str]
"""The list, its order and its filter."""


@frozen
class Iteration:
    """The result of one iteration, compared with one large page of the server."""

    list: str
    order: str
    types: str
    limit: int | None
    items: int
    lost: int
    repeated: int
    misplaced: bool | None  # None if the server has no stable order
    requests: int
    least_requests: int

    @property
    def faulty(self) -> bool:
        """Whether an item was lost, repeated or out of order."""
        return bool(self.lost or self.repeated or self.misplaced)


@define
class Results:
    """The results of all iterations."""

    iterations: list[Iteration] = field(factory=list[Iteration])

    def add(
        self,
        labels: Labels,
        limit: int | None,
        got: list[Any],
        expected: list[Any],
        requests: int,
        stored: int,
    ) -> None:
        """Add an iteration. After a compaction, messages share positions and have no stable order."""
        lost, repeated = len(set(expected) - set(got)), len(got) - len(set(got))
        misplaced = None if labels[0] == COMPACTED else got != expected
        least = -(-stored // (limit or DEFAULT_LIMITS.get(labels[0], 100)))
        self.iterations.append(Iteration(*labels, limit, len(expected), lost, repeated, misplaced, requests, least))

    @property
    def faults(self) -> list[Iteration]:
        """The faulty iterations."""
        return [each for each in self.iterations if each.faulty]

    def __str__(self) -> str:
        limits = list(dict.fromkeys(each.limit for each in self.iterations))
        heads = [f"limit {limit or 'default'}" for limit in limits]
        lines = [
            f"{'list':<14}{'order':<6}{'types':<9}{'items':>6}{'lost':>5}{'twice':>6}  {'in order':<9}requests/least at"
        ]
        lines[0] += "".join(f"{head:>15}" for head in heads)
        rows: dict[Labels, list[Iteration]] = {}
        for each in self.iterations:
            rows.setdefault((each.list, each.order, each.types), []).append(each)
        for (name, order, types), row in rows.items():
            kept = "-" if row[0].misplaced is None else "no" if any(each.misplaced for each in row) else "yes"
            line = f"{name:<14}{order:<6}{types:<9}{row[0].items:>6}{sum(each.lost for each in row):>5}"
            line += f"{sum(each.repeated for each in row):>6}  {kept:<9}{'':<17}"
            lines.append(line + "".join(f"{f'{each.requests}/{each.least_requests}':>15}" for each in row))
        done = self.iterations
        requests, least = sum(each.requests for each in done), sum(each.least_requests for each in done)
        lost, twice = sum(each.lost for each in done), sum(each.repeated for each in done)
        misplaced = sum(bool(each.misplaced) for each in done)
        total = f"{len(done)} iterations: lost {lost}, twice {twice}, out of order {misplaced}"
        return "\n".join(
            [*lines, f"{total}; {requests} requests, at least {least} and one per list to confirm its end"]
        )


class SampleAgent:
    """An agent with a plain conversation, one that was compacted three times, and its default conversation."""

    def __init__(self, client: Letta, http: httpx.Client, model: str, *, turns: int = 5) -> None:
        self.http = http
        agent = {"model": model, "system": "A test agent.", "agent_type": "letta_v1_agent", "include_base_tools": False}
        self.agent_id = http.post("/v1/agents/", json={**agent, "memory_blocks": []}).raise_for_status().json()["id"]
        self.plain, self.compacted = self._conversation(), self._conversation()
        self._send(client, self.plain, turns)
        self._send(client, self.compacted, turns)
        for _ in range(3):
            settings: Any = {"mode": "all", "model": model}
            client.conversations.messages.compact(self.compacted, compaction_settings=settings)
            self._send(client, self.compacted, turns)
        self._send(client, "default", turns, agent_id=self.agent_id)
        self.step_id = client.steps.list(agent_id=self.agent_id, limit=1).items[0].id

    def _conversation(self) -> str:
        response = self.http.post("/v1/conversations/", params={"agent_id": self.agent_id}, json={})
        return str(response.raise_for_status().json()["id"])

    def _send(self, client: Letta, conversation_id: str, turns: int, **arguments: Any) -> None:
        for n in range(turns):
            text = "REASON about it" if n % 3 == 0 else "hello"
            client.conversations.messages.create(conversation_id, input=text, streaming=False, **arguments)

    def lists(self) -> Iterable[tuple[str, str, dict[str, Any]]]:
        """Return the name, the id and the additional arguments of each conversation."""
        yield "plain", self.plain, {}
        yield COMPACTED, self.compacted, {}
        yield "agent-direct", "default", {"agent_id": self.agent_id}

    def page(self, path: str, arguments: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Return one large page of the server."""
        found: list[dict[str, Any]] = (
            self.http.get(path, params={**arguments, "limit": LARGE_LIMIT}).raise_for_status().json()
        )
        return found


def _key(item: Mapping[str, Any]) -> tuple[Any, ...]:
    return item["id"], item["message_type"], item["otid"]


def _reversed(items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    groups: dict[str, list[dict[str, Any]]] = {}
    for item in items:
        groups.setdefault(item["id"], []).append(item)
    return [item for group in reversed(groups.values()) for item in group]


def iterate_all_lists(
    base_url: str, http: httpx.Client, model: str, limits: Iterable[int | None] = LIMITS, turns: int = 5
) -> Results:
    """Iterate over every list of a server in both orders, at every limit, with and without filters."""
    sent = [0]

    def count(_: object) -> None:
        sent[0] += 1

    results = Results()
    with Letta(base_url=base_url, hooks=Hooks(on_attempt=count), timeout=120) as client:
        agent = SampleAgent(client, http, model, turns=turns)

        def iterate(labels: Labels, expected: list[Any], stored: int, make: Callable[..., Iterable[Any]]) -> None:
            for limit in limits:
                sent[0] = 0
                found = [item.to_dict() for item in make(**{"limit": limit} if limit else {})]
                got = [_key(item) if "message_type" in item else item["id"] for item in found]
                results.add(labels, limit, got, expected, sent[0], stored)

        for order in ORDERS:
            for name, conversation_id, extra in agent.lists():
                page = agent.page(f"/v1/conversations/{conversation_id}/messages", {"order": order, **extra})
                if name == "agent-direct" and order == "desc":
                    page = _reversed(page)  # the server sends it in ascending order
                for types, kinds in FILTERS.items():
                    expected = [_key(item) for item in page if kinds is None or item["message_type"] in kinds]
                    arguments: dict[str, Any] = {"order": order, **extra}
                    arguments |= {"include_return_message_types": kinds} if kinds else {}
                    make: Callable[..., Iterable[Any]] = partial(
                        client.conversations.messages.list, conversation_id, **arguments
                    )
                    iterate((name, order, types), expected, len({item["id"] for item in page}), make)
            steps = [step["id"] for step in agent.page("/v1/steps/", {"agent_id": agent.agent_id, "order": order})]
            make = partial(client.steps.list, agent_id=agent.agent_id, order=order)
            iterate(("steps", order, "all"), steps, len(steps), make)
            items = [_key(item) for item in agent.page(f"/v1/steps/{agent.step_id}/messages", {"order": order})]
            make = partial(client.steps.messages.list, agent.step_id, order=order)
            iterate(("step messages", order, "all"), items, len({item[0] for item in items}), make)
    return results
