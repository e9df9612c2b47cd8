"""The figures, errors and messages of reports, as a reader of the page finds them."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import httpx
import pytest

from letta_ext import APIStatusError, AsyncLetta, Letta, NotFoundError
from letta_ext.report import ModelPrice, ReportLimits, render_report, write_report
from letta_ext.testing import Call, EmbeddedServer, Respond, TickingClock, Turn, UnknownMessage, Usage

from .conftest import Travel
from .page import DASH, Element, facts, headings, parse, step_rows
from .scenarios import CREATED, DAY, PRICES, send, start_conversation


def report_of(scenario: Travel, name: str) -> Element:
    return parse(render_report(scenario.client, run_id=scenario.runs[name], prices=PRICES))


def test_run_report_shows_tokens_cost_and_time(scenario: Travel) -> None:
    """The summary has the sums of the steps, and the cost with the price of cached tokens."""
    page = report_of(scenario, "tool")

    # 0.15 for 1,034 tokens of input, 0.075 for 2,816 cached ones and 0.60 for 238 of output, per million.
    cost = (1034 * Decimal("0.15") + 2816 * Decimal("0.075") + 238 * Decimal("0.60")) / 1_000_000
    assert cost == Decimal("0.0005091")
    assert facts(page) == {
        "Duration": "185 ms",
        "Model time": "160 ms 86% of the time",
        "Tool time": "5 ms 3% of the time",
        "Waiting": "20 ms 11% of the time",
        "Steps": "2",
        "Input tokens": "3,850 2,816 cached",
        "Output tokens": "238 48 reasoning",
        "Cost [USD]": "0.00051",
    }


def test_run_report_shows_each_step_on_the_time_line(scenario: Travel) -> None:
    """Each step has its durations, tokens, cost and stop reason, and bars that end where the next step begins."""
    page = report_of(scenario, "tool")

    model = "openai/gpt-4o-mini"
    assert step_rows(page) == [
        [f"1 {model}", "", "0.080", "0.005", "0.010", "1,840", "1,024", "96", "0.000257", "tool call"],
        [f"2 {model}", "", "0.080", "0.000", "0.010", "2,010", "1,792", "142", "0.000252", "end_turn"],
    ]
    bars = [
        (each.attributes["class"], float(each.attributes["x"] or 0), float(each.attributes["width"] or 0))
        for table in page.all("table", class_="steps stacking")
        for each in table.all("rect")
    ]
    assert [kind for kind, _, _ in bars] == ["model", "tool", "waiting", "model", "waiting"]
    for (_, start, length), (_, following, _) in pairwise(bars):
        assert following == pytest.approx(start + length, abs=0.02)
    assert bars[-1][1] + bars[-1][2] == pytest.approx(1000, abs=0.02)


def test_run_report_shows_the_messages_in_order(scenario: Travel) -> None:
    """The page has the message of the user, the reasoning, the tool call with its return, and the response."""
    page = report_of(scenario, "tool")

    messages = [(each.all("strong")[0].text, each.text) for each in page.all("ol")[0].all("li")]
    assert [label for label, _ in messages] == [
        "User",
        "Reasoning",
        "Assistant",
        "Tool call",
        "Tool return",
        "Assistant",
    ]
    assert '"city": "Rome", "days": 2, "units": "metric"' in messages[3][1]
    assert "get_weather" in messages[3][1]
    assert '"sky": "sunny"' in messages[4][1]
    assert messages[5][1].endswith("after lunch.")


def test_failed_run_shows_its_error_and_no_cost(scenario: Travel) -> None:
    """A failed step has its error, and dashes in place of tokens and cost."""
    page = report_of(scenario, "failed")

    assert page.all("p", class_="subtitle")[0].text.startswith("failed: llm_api_error")
    (errors,) = page.all("ul", class_="errors")
    assert "LLMRateLimitError" in errors.text
    assert "asked to fail" in errors.text
    assert step_rows(page) == [
        ["1 anthropic/claude-sonnet-5", "", "0.000", "0.000", "0.010", DASH, DASH, DASH, DASH, "LLMRateLimitError"]
    ]
    assert facts(page)["Cost [USD]"] == DASH
    assert page.all("ul", class_="notices") == []


def test_run_that_requests_an_approval_is_shown_as_waiting(scenario: Travel) -> None:
    """A run whose approval request has no response in the report waits for it."""
    page = report_of(scenario, "pending")

    assert page.all("p", class_="subtitle")[0].text.startswith("waiting for approval")
    assert "This report has no response to it." in page.all("p", class_="note")[0].text
    labels = [each.all("strong")[0].text for each in page.all("ol")[0].all("li")]
    assert labels[-1] == "Approval request"


def test_period_shows_how_long_an_approval_took(day: str) -> None:
    """In a period with the response, the request is shown with the delay of the response."""
    page = parse(day)

    notes = [note.text for note in page.all("p", class_="note")]
    assert notes == ["The response to the approval request came after 6 min 12 s."]
    responses = [each for each in page.all("li", class_="message approval") if "response" in each.text]
    assert [each.all("div")[0].text for each in responses] == ["Approved guarded"]


def test_period_report_sums_all_runs(day: str) -> None:
    """The report of a period has the sums by model, the activity by time and a section for each run."""
    page = parse(day)

    shown = facts(page)
    assert shown["Runs"] == "5 4 completed, 1 failed"
    assert shown["Steps"] == "6 1 failed"
    assert shown["Input tokens"] == "8,570 6,912 cached"
    assert headings(page) == ["Summary", "Errors", "Activity", "Runs", "Models"]
    titles = [each.text for each in page.all("h3")]
    assert titles == [
        "No messages",
        "Hello",
        "Approval response",
        "Book two tickets for the gallery at two.",
        "What should we do tomorrow in Rome?",
    ]
    models = [
        [cell.text for cell in row.children] for row in page.all("section", aria_labelledby="models")[0].all("tr")
    ]
    assert models[1:] == [
        ["openai/gpt-4o-mini", "4", "8,470", "6,912", "323", "48", "0.000946"],
        ["anthropic/claude-sonnet-5", "2", "100", "0", "12", "0", "0.000320"],
    ]
    rows = [row.children for row in page.all("section", aria_labelledby="activity")[0].all("tr")][1:]
    assert sum(int(cells[1].text) for cells in rows) == 6
    assert sum(Decimal(cells[5].text) for cells in rows if cells[5].text != DASH) == Decimal("0.001266")


def test_period_report_links_errors_to_their_runs(day: str) -> None:
    """Each link of the page leads to an element of the page."""
    page = parse(day)

    targets = [str(link.attributes["href"]) for link in page.all("a")]
    ids = [each.attributes.get("id") for tag in ("details", "h2") for each in page.all(tag)]
    assert len(targets) == 1
    assert {target.removeprefix("#") for target in targets} <= set(ids)


def test_period_of_one_agent_has_its_runs_only(scenario: Travel) -> None:
    """With an agent, the sums and runs are those of the agent."""
    agent_id = scenario.client.runs.retrieve(scenario.runs["plain"]).agent_id

    page = parse(render_report(scenario.client, agent_id=agent_id, prices=PRICES, **DAY))

    assert facts(page)["Runs"] == "2 1 completed, 1 failed"
    assert page.all("p", class_="subtitle")[0].text == "Agent Editor"


def test_period_bounds_include_the_start_and_exclude_the_end() -> None:
    """Two periods that meet at the instant of a run and its step contain each of them once."""
    clock = TickingClock(tick=timedelta(0))
    bounds = [f"2026-01-01T0{hour}:00:00Z" for hour in range(3)]
    with EmbeddedServer(clock=clock) as server, Letta(base_url=server.base_url) as client:
        for _ in range(2):
            send(client, server.conversation_id, "Hello")
            clock.advance(timedelta(hours=1))

        halves = [
            facts(parse(render_report(client, start_date=start, end_date=end))) for start, end in pairwise(bounds)
        ]

    assert [(half["Runs"], half["Steps"]) for half in halves] == [("1 1 completed", "1")] * 2


def test_report_of_an_old_period_skips_newer_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """The runs after a period are not listed, and a run that continues after its end is part of the report."""
    monkeypatch.setattr("letta_ext.report.collect.PAGE", 3)
    clock = TickingClock()
    with EmbeddedServer(clock=clock) as server, Letta(base_url=server.base_url) as client:

        def look_up(_: object) -> str:
            clock.advance(timedelta(hours=1))
            return "noon"

        server.script.when("time", Turn(calls=[Call("get_time")]), "It is noon.")
        server.script.tools["get_time"] = look_up
        for text in ("Hello", "What is the time?"):
            send(client, server.conversation_id, text)
        for _ in range(12):
            send(client, server.conversation_id, "Hello")
        before = len(server.requests)
        start, end = "2026-01-01T00:00:00Z", "2026-01-01T01:00:00Z"

        page = parse(render_report(client, start_date=start, end_date=end))

        lists = [each for each in [*server.requests][before:] if each.path == "/v1/runs/"]
    shown = facts(page)
    assert (shown["Runs"], shown["Steps"]) == ("2 2 completed", "2")
    assert 1 <= len(lists) <= 2  # the second confirms the end of the list
    assert all(each.query.startswith("before=run-") for each in lists)


def test_empty_period_has_a_remark_and_no_chart(scenario: Travel) -> None:
    """A period without runs and steps has a remark, and no chart."""
    page = parse(render_report(scenario.client, start_date="2025-01-01", end_date="2025-02-01"))

    assert page.all("ul", class_="notices")[0].text == "The period has no runs and no steps."
    assert facts(page) == {
        "Runs": "0",
        "Steps": "0",
        "Input tokens": DASH,
        "Output tokens": DASH,
        "Cost [USD]": DASH,
    }
    assert headings(page) == ["Summary", "Runs"]


def test_model_without_a_price_has_no_cost(letta_server: EmbeddedServer, letta_client: Letta) -> None:
    """Steps of an unknown model have no cost, and the report names the model. The other costs are summed."""
    for model in ("openai/gpt-4o-mini", "acme/mystery"):
        _, conversation_id = start_conversation(letta_client, model)
        run_id = send(letta_client, conversation_id, "Hello")

    page = parse(render_report(letta_client, prices=PRICES, **DAY))
    alone = parse(render_report(letta_client, prices=PRICES, run_id=run_id))

    assert facts(page)["Cost [USD]"] == "0.000022 1 step without a price"
    assert "No price is known for acme/mystery (1 step)." in page.all("ul", class_="notices")[0].text
    assert facts(alone)["Cost [USD]"] == "unknown 1 step without a price"
    assert step_rows(alone)[0][-2] == DASH
    assert page.all("figcaption")[0].text.startswith("Tokens by time.")


def test_prompt_longer_than_its_price_allows_has_no_cost(letta_server: EmbeddedServer, letta_client: Letta) -> None:
    """A price with a longest prompt does not apply to longer prompts."""
    letta_server.script.say(Turn("Short.", usage=Usage(prompt=1000)), Turn("Long.", usage=Usage(prompt=1001)))
    _, conversation_id = start_conversation(letta_client, "acme/tiered")
    runs = [send(letta_client, conversation_id, "Hello") for _ in range(2)]
    prices = {"acme/tiered": ModelPrice(Decimal(1000), Decimal(0), max_prompt_tokens=1000)}

    costs = [facts(parse(render_report(letta_client, run_id=each, prices=prices)))["Cost [USD]"] for each in runs]

    assert costs == ["1.00", "unknown 1 step without a price"]


def test_missing_metrics_leave_the_time_line_empty(letta_server: EmbeddedServer, letta_client: Letta) -> None:
    """A step without metrics is listed with its tokens, and a remark names the gap."""
    _, conversation_id = start_conversation(letta_client)
    run_id = send(letta_client, conversation_id, "Hello")
    letta_server.faults.add(Respond(404, body={"detail": "Step metrics not found"}), on="steps.metrics.retrieve")

    page = parse(render_report(letta_client, run_id=run_id, prices=PRICES))

    assert step_rows(page)[0][2:6] == [DASH, DASH, DASH, "100"]
    assert page.all("table", class_="steps stacking")[0].all("rect") == []
    assert "no metrics for 1 step" in page.all("ul", class_="notices")[0].text


@pytest.mark.parametrize("operation", ["runs.steps.list", "runs.messages.list"])
def test_run_deleted_during_the_report_has_a_remark(
    letta_server: EmbeddedServer, letta_client: Letta, operation: str
) -> None:
    """A run that is deleted after it was listed does not prevent the report of the others."""
    _, conversation_id = start_conversation(letta_client)
    for _ in range(2):
        send(letta_client, conversation_id, "Hello")
    letta_server.faults.add(Respond(404, body={"detail": "Run not found"}), on=operation)

    page = parse(render_report(letta_client, **DAY))

    assert facts(page)["Runs"].startswith("2 ")
    assert [note.text for note in page.all("p", class_="note")] == ["The run was deleted while the report was made."]


@pytest.mark.parametrize("status", [400, 422, 500])
@pytest.mark.anyio
async def test_run_that_the_server_cannot_list_has_a_remark(
    letta_server: EmbeddedServer, letta_client: Letta, status: int
) -> None:
    """A run with a damaged message is shown with the error of the server, by both clients."""
    _, conversation_id = start_conversation(letta_client)
    run_id = send(letta_client, conversation_id, "Hello")
    damaged = Respond(status, body={"detail": "Invalid system message"})
    letta_server.faults.add(damaged, on="runs.messages.list", times=None)

    async with AsyncLetta(base_url=letta_server.base_url, max_retries=0) as client:
        other = await render_report(client, run_id=run_id)
    for html in (other, render_report(letta_client.with_options(max_retries=0), run_id=run_id)):
        (note,) = parse(html).all("p", class_="note")
        assert note.text.startswith("The server cannot list the messages of the run:")
        assert "Invalid system message" in note.text


@pytest.mark.parametrize("status", [401, 403])
def test_refused_access_fails_the_report(letta_server: EmbeddedServer, letta_client: Letta, status: int) -> None:
    """An error that concerns the client and not one run raises."""
    _, conversation_id = start_conversation(letta_client)
    run_id = send(letta_client, conversation_id, "Hello")
    letta_server.faults.add(Respond(status, body={"detail": "no"}), on="runs.messages.list")

    with pytest.raises(APIStatusError):
        render_report(letta_client, run_id=run_id)


def test_unknown_message_is_shown_as_json(letta_server: EmbeddedServer, letta_client: Letta) -> None:
    """A message of an unknown type is shown with its JSON."""
    _, conversation_id = start_conversation(letta_client)
    run_id = send(letta_client, conversation_id, "Hello")
    letta_server.faults.add(UnknownMessage("hologram_message"), on="runs.messages.list")

    page = parse(render_report(letta_client, run_id=run_id))

    assert "Unknown message hologram_message" in page.all("ol")[0].text


def test_run_without_streaming_has_the_duration_of_its_steps(letta_client: Letta, letta_conversation_id: str) -> None:
    """The server does not record the end of a request without streaming."""
    response = letta_client.conversations.messages.create(letta_conversation_id, input="Hello", streaming=False)

    page = parse(render_report(letta_client, run_id=response.messages[-1].run_id or ""))

    assert facts(page)["Duration"] == "90 ms Sum of the steps"
    assert page.all("p", class_="subtitle")[0].text.startswith("completed")


def test_limits_bound_the_detail_and_not_the_sums(scenario: Travel) -> None:
    """A limit shows fewer runs, steps and messages, with a remark. The sums cover all."""
    limits = ReportLimits(runs=2, steps=1, messages=1, text=5)
    cut = parse(render_report(scenario.client, prices=PRICES, limits=limits, **DAY))
    run = parse(render_report(scenario.client, run_id=scenario.runs["tool"], prices=PRICES, limits=limits))

    assert facts(cut)["Runs"].startswith("5 ")
    assert facts(cut)["Input tokens"] == "8,570 6,912 cached"
    assert len(cut.all("h3")) == 2
    assert "newest 2 of 5 runs" in cut.all("ul", class_="notices")[0].text
    assert facts(run)["Input tokens"] == "3,850 2,816 cached"
    assert len(step_rows(run)) == 1
    assert len(run.all("ol")[0].all("li")) == 1
    assert "30 more characters are not shown." in run.all("ol")[0].text
    assert [note.text for note in run.all("p", class_="note")] == [
        "1 step beyond the limit of the report are in the sums only.",
        "Further messages are beyond the limit of the report.",
    ]


def test_page_names_the_origin_of_its_prices(scenario: Travel) -> None:
    """The footer has the source and the date of the prices."""
    own = parse(render_report(scenario.client, run_id=scenario.runs["plain"], prices=PRICES))
    default = parse(render_report(scenario.client, run_id=scenario.runs["plain"]))

    assert "Prices: prices of this scenario, 2026-01-01." in own.all("footer")[0].text
    assert "Prices: genai-prices" in default.all("footer")[0].text


@pytest.mark.anyio
async def test_async_client_writes_the_same_report(scenario: Travel, day: str, tmp_path: Path) -> None:
    """Both clients write the same file."""
    async with AsyncLetta(base_url=scenario.server.base_url) as client:
        path = await write_report(client, tmp_path / "async.html", prices=PRICES, created=CREATED, **DAY)
        with pytest.raises(NotFoundError):
            await render_report(client, run_id="run-00000000-0000-4000-8000-000000000000")

    assert path == tmp_path / "async.html"
    assert path.read_text("utf-8") == day


def test_failed_request_leaves_an_existing_file(scenario: Travel, tmp_path: Path) -> None:
    """A report that fails writes no file, and leaves the previous report as it is."""
    target = tmp_path / "report.html"
    target.write_text("previous")

    with pytest.raises(NotFoundError):
        write_report(scenario.client, target, run_id="run-00000000-0000-4000-8000-000000000000")

    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]
    assert target.read_text() == "previous"


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({}, ValueError, "run_id or start_date must be given"),
        ({"end_date": "2026-01-01"}, ValueError, "run_id or start_date must be given"),
        ({"run_id": 5}, TypeError, "run_id must be a string"),
        ({"run_id": "run-1", "agent_id": "agent-1"}, ValueError, "run_id must be given without"),
        ({"run_id": "run-1", "start_date": "2026-01-01"}, ValueError, "run_id must be given without"),
        ({"start_date": "yesterday"}, ValueError, "start_date must be an ISO 8601"),
        ({"start_date": datetime(2026, 1, 1)}, ValueError, "start_date must have a time zone"),  # noqa: DTZ001  # naive
        ({"start_date": "2026-01-01T00:00"}, ValueError, "start_date must have a time zone"),
        ({"start_date": 5}, TypeError, "start_date must be a datetime"),
        ({"start_date": "0001-01-01"}, ValueError, "start_date must be from year 2"),
        ({"start_date": "2026-01-02", "end_date": "2026-01-02"}, ValueError, "end_date must be after start_date"),
        ({"run_id": "run-1", "limits": {"runs": 5}}, TypeError, "limits must be ReportLimits"),
        ({"run_id": "run-1", "prices": 5}, TypeError, "prices must be"),
        ({"run_id": "run-1", "prices": {"a/b": 5}}, TypeError, "prices must map"),
        ({"run_id": "run-1", "prices": "missing.json"}, ValueError, "prices must be a readable JSON file"),
        ({"run_id": "run-1", "created": "now"}, ValueError, "created must be"),
    ],
)
def test_invalid_argument_raises_before_a_request(
    arguments: dict[str, object], error: type[Exception], message: str
) -> None:
    """An invalid argument raises an error with its name, and nothing is sent."""

    def refuse(request: httpx.Request) -> httpx.Response:
        raise AssertionError(request.url)

    with (
        Letta(base_url="http://127.0.0.1:1", http_client=httpx.Client(transport=httpx.MockTransport(refuse))) as client,
        pytest.raises(error, match=message),
    ):
        render_report(client, **arguments)  # type: ignore[call-overload]  # invalid


@pytest.mark.parametrize("path", ["missing/report.html", "."])
def test_invalid_path_raises_before_a_request(path: str, scenario: Travel, tmp_path: Path) -> None:
    """A path without a directory, and a directory, are refused before anything is sent."""
    before = len(scenario.server.requests)

    with pytest.raises(ValueError, match="path must be"):
        write_report(scenario.client, tmp_path / path, run_id=scenario.runs["plain"])

    assert len(scenario.server.requests) == before


def test_other_client_is_refused(tmp_path: Path) -> None:
    """The client must be one of this package."""
    with pytest.raises(TypeError, match="client must be a Letta or an AsyncLetta"):
        render_report(object(), run_id="run-1")  # type: ignore[call-overload]  # invalid


def test_limit_below_one_is_refused() -> None:
    """A limit must be positive."""
    with pytest.raises(ValueError, match="messages must be 1 or more, got 0"):
        ReportLimits(messages=0)
