"""Plays drawn requests to a real and to the embedded server, and reports each difference.

Requests come in sessions, each with a new agent whose conversation has messages, steps and runs. A request therefore
meets the effects of those before it in its session. A session ends at a difference.
"""

from __future__ import annotations

import argparse
import json
import os
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from uuid import uuid4

import httpx

from letta_ext.testing import EmbeddedServer

from .drawing import Drawing, Json
from .listed import reason_of
from .runner import ScenarioRunner, difference

PER_SEED = 50
"""Number of requests of a seed."""

PATIENCE = 120
"""Time after which a server counts as silent [s]."""

RESUME_PATIENCE = 3
"""The same for a resumed stream, which is silent behind its last event."""

OPENING: list[Json] = [
    {"request": "POST {conversation}/messages", "body": {"input": "hello", "streaming": False}},
    {"request": "POST {conversation}/messages", "body": {"input": "REASON", "streaming": False}},
    {"request": "GET /v1/steps/", "query": {"agent_id": "{agent}"}, "keep": {"step": "0.id"}},
    {"request": "GET /v1/runs/", "query": {"agent_id": "{agent}"}, "keep": {"run": "0.id"}},
    {"request": "GET {conversation}/messages", "query": {"order": "asc"}, "keep": {"message": "1.id"}},
]
"""The requests that begin a session."""


@dataclass(slots=True)
class Figures:
    """The drawn requests by the status of the real server, and their differences."""

    drawn: Counter[int] = field(default_factory=Counter[int])
    listed: Counter[str] = field(default_factory=Counter[str])
    unlisted: list[str] = field(default_factory=list[str])

    def add(self, other: Figures) -> None:
        """Add the figures of other requests."""
        self.drawn += other.drawn
        self.listed += other.listed
        self.unlisted += other.unlisted

    def __str__(self) -> str:
        statuses = ", ".join(f"{status}: {count}" for status, count in sorted(self.drawn.items()))
        lines = [f"DRAWN {self.drawn.total()} requests ({statuses})"]
        lines += [f"listed {count}: {reason}" for reason, count in self.listed.most_common()]
        return "\n".join([*lines, f"unlisted differences: {len(self.unlisted)}"])


class ComparedServer:
    """One server of the comparison."""

    def __init__(self, runner: ScenarioRunner) -> None:
        self._runner = runner

    def begin(self) -> None:
        """Start a session."""
        self.session = self._runner.session({"agent": {"tags": [(tag := f"tag-{uuid4().hex}")]}})
        self.session.names["tag"] = tag
        self.session.names["call"] = "call_0"
        self.session.play(OPENING)

    def play(self, step: Json) -> Json:
        """Play one request, and return its entry in the transcript."""
        try:
            # The objects of others must not be numbered.
            entry = dict(self.session.play([{**step, "opaque": lists_all(step)}])[-1])
        except (httpx.HTTPError, ValueError) as error:
            return {"request": step["request"], "failure": type(error).__name__}
        if step["request"] == "POST /v1/agents/" and entry["status"] == 200:
            self._runner.created.append(f"/v1/agents/{self.session.content['id']}")
        return entry


def lists_all(step: Json) -> bool:
    """Return whether a request also lists the objects of others on the server."""
    query = step.get("query", {})
    filters = {"agent_id": "{agent}", "agent_ids": ["{agent}"], "tags": ["{tag}"]}
    is_list = step["request"] in {f"GET /v1/{kind}/" for kind in ("agents", "conversations", "runs", "steps")}
    return is_list and not any(query.get(name) == value for name, value in filters.items())


def compare(real: ComparedServer, embedded: ComparedServer, seed: str, count: int) -> Figures:
    """Play the requests of one seed. A difference is followed by a new session."""
    figures, drawing, steps, is_new = Figures(), Drawing(seed), list[Json](), True
    for _ in range(count):
        if is_new:
            real.begin()
            embedded.begin()
            steps.clear()
        step = drawing.request()
        steps.append(dict(step))
        step["patience"] = RESUME_PATIENCE if step["request"].endswith("/stream") else PATIENCE
        expected, found = real.play(step), embedded.play(step)
        figures.drawn[expected.get("status", 0)] += 1
        # Letta's database drops a NUL in some places and keeps it in others, so later responses differ.
        is_new = expected != found or "\\u0000" in json.dumps(step.get("body"))
        if expected != found:
            step["compacted"] = any("/compact" in each["request"] for each in steps)
            reason = reason_of(step, expected, found)
            if reason is None:
                figures.unlisted.append(report(seed, steps, expected, found))
            else:
                figures.listed[reason] += 1
    return figures


def report(seed: str, steps: Sequence[Json], expected: Json, found: Json) -> str:
    """Return a difference as text, with the requests of its session as steps of a scenario."""
    lines = difference(json.dumps(expected, indent=1), json.dumps(found, indent=1)).splitlines()[2:]
    requests = [f"  - {json.dumps(step)}" for step in steps]
    return "\n".join([f"seed {seed}: {expected.get('status')} / {found.get('status')}", *requests, *lines[:30]])


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the comparison. Return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.conformance", description=__doc__)
    parser.add_argument("--count", type=int, default=2_000, help="number of requests")
    parser.add_argument("--seed", default="0", help="seed of the requests")
    parser.add_argument("--jobs", type=int, default=3, help="number of sessions at a time")
    options = parser.parse_args(arguments)
    if "LETTA_LIVE_BASE_URL" not in os.environ:
        parser.error("LETTA_LIVE_BASE_URL is not set: it names the real server to compare with")
    model = os.environ.get("LETTA_LIVE_MODEL", "openai-proxy/gpt-4o-mini")
    total = Figures()
    # The real server closes a connection some time after a failure, so it must not be reused.
    limits = httpx.Limits(max_keepalive_connections=0)
    with (
        EmbeddedServer(check=False) as server,
        httpx.Client(base_url=os.environ["LETTA_LIVE_BASE_URL"], limits=limits, timeout=120) as real_http,
        httpx.Client(base_url=server.base_url) as embedded_http,
        ThreadPoolExecutor(options.jobs) as pool,
    ):
        runner, embedded = ScenarioRunner(real_http, model), ScenarioRunner(embedded_http, model)

        def play(seed: str) -> Figures:
            return compare(ComparedServer(runner), ComparedServer(embedded), seed, PER_SEED)

        try:
            seeds = [f"{options.seed}.{number}" for number in range(-(-options.count // PER_SEED))]
            if "." in options.seed:
                seeds = [options.seed]
            for figures in pool.map(play, seeds):
                total.add(figures)
                print("".join(f"\n=== {each}\n" for each in figures.unlisted), end="", flush=True)
            print(total)
        finally:
            runner.close()
    return 1 if total.unlisted else 0
