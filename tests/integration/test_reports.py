"""Reports of the runs of a real server."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest

from letta_ext import AsyncLetta, Letta, RunError
from letta_ext.report import ModelPrice, render_report

from ..report.page import facts, parse, step_rows
from .server_resources import Agent, ServerResources

PRICES = {"openai-proxy/gpt-4o-mini": ModelPrice(1, 10)}


def labels(html: str) -> list[str]:
    """Return the labels of the messages of a page."""
    return [each.all("strong")[0].text for each in parse(html).all("ol")[0].all("li")]


def test_report_of_a_run_with_a_tool_call(
    address: str, resources: ServerResources, agent: Agent, conversation: str
) -> None:
    """The report has both steps with their times and tokens, and the tool call with its return."""
    with Letta(base_url=address) as client:
        stream = client.conversations.messages.create(conversation, input=f"CALL {agent.weather}", background=True)
        stream.result()
        assert stream.run_id is not None
        client.runs.wait(stream.run_id)
        resources.wait_until_recorded(*(step.id for step in client.runs.steps.list(stream.run_id)))

        html = render_report(client, run_id=stream.run_id, prices=PRICES)

    page = parse(html)
    first, second = step_rows(page)
    assert labels(html) == ["User", "Tool call", "Tool return", "Assistant"]
    assert float(first[2].replace(",", "")) > 0
    assert float(first[3].replace(",", "")) > 0
    assert second[3] == "0.000"
    assert (first[5], first[7], first[8]) == ("100", "12", "0.000220")
    assert facts(page)["Cost [USD]"] == "0.00044"
    assert page.all("p", class_="subtitle")[0].text.startswith("completed")


@pytest.mark.anyio
async def test_report_of_a_period_with_a_failure_and_an_approval(address: str, own_agent: Agent) -> None:
    """The report of an agent's period has its failed run, its approval request and the sums."""
    start = datetime.now(UTC) - timedelta(minutes=1)
    async with AsyncLetta(base_url=address) as client:
        for text in (f"CALL {own_agent.guarded}", "FAIL 400"):
            conversation = await client.conversations.create(agent_id=own_agent.id)
            stream = await client.conversations.messages.create(conversation.id, input=text, background=True)
            with suppress(RunError):
                await stream.result()
        html = await render_report(client, start_date=start, agent_id=own_agent.id, prices=PRICES)

    page = parse(html)
    assert facts(page)["Runs"].startswith("2 ")
    assert facts(page)["Steps"] == "2 1 failed"
    assert facts(page)["Cost [USD]"] == "0.00022"
    assert [each.text for each in page.all("span", class_="chip waiting")] == [
        "waiting for approval",
        "requires_approval",
    ]
    (errors,) = page.all("ul", class_="errors")
    assert "asked to fail" in errors.text
