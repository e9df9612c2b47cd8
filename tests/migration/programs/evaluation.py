"""An evaluation: ask questions in conversations of their own, in threads, and rate the steps."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from letta_ext import APIStatusError, Letta
from letta_ext.types.agents import AssistantMessage
from letta_ext.types.agents.letta_streaming_response import LettaUsageStatistics


@dataclass(frozen=True)
class Case:
    """A question and the pattern of a good reply."""

    question: str
    pattern: str


@dataclass(frozen=True)
class Score:
    """The result of a case."""

    question: str
    passed: bool
    tokens: int
    steps: int


def run_case(client: Letta, agent_id: str, case: Case) -> Score:
    """Ask a question, and rate the steps of the reply."""
    conversation = client.conversations.create(agent_id=agent_id)
    text, tokens = "", 0
    for event in client.conversations.messages.create(conversation.id, input=case.question):
        if isinstance(event, AssistantMessage) and isinstance(event.content, str):
            text += event.content
        elif isinstance(event, LettaUsageStatistics):
            tokens = event.total_tokens or 0
    passed = re.search(case.pattern, text) is not None
    run_ids = {message.run_id for message in client.conversations.messages.list(conversation.id).items}
    steps = [step for step in client.steps.list(agent_id=agent_id, limit=100).items if step.run_id in run_ids]
    for step in steps:
        client.steps.feedback.create(step.id, feedback="positive" if passed else "negative", tags=["evaluation"])
        client.steps.metrics.retrieve(step.id)
    return Score(case.question, passed, tokens, len(steps))


def evaluate(client: Letta, agent_id: str, cases: list[Case], workers: int = 2) -> list[Score]:
    """Run all cases; a case whose request fails counts as failed."""

    def guarded(case: Case) -> Score:
        try:
            return run_case(client.with_options(max_retries=5, timeout=30), agent_id, case)
        except APIStatusError:
            return Score(case.question, passed=False, tokens=0, steps=0)

    with ThreadPoolExecutor(workers) as pool:
        return list(pool.map(guarded, cases))
