"""Calls that both checkers must refuse. Nothing here runs: an ignore that ignores nothing is an error of both.

mypy reports those under `warn_unused_ignores`, pyright by the setting on the next line.
"""
# pyright: reportUnnecessaryTypeIgnoreComment=true, reportUnusedCoroutine=false

from __future__ import annotations

import httpx

from letta_api import api, operations
from letta_ext import AsyncLetta, Letta, RateLimitError


def settings() -> None:
    Letta(environment="moon")  # type: ignore[arg-type]
    Letta(timeout="soon")  # type: ignore[arg-type]
    Letta(http_client=httpx.AsyncClient())  # type: ignore[arg-type]
    AsyncLetta(http_client=httpx.Client())  # type: ignore[arg-type]
    Letta("key")  # type: ignore[call-arg]
    Letta().with_options(colour="red")  # type: ignore[call-arg]


def calls(client: Letta, id: str) -> None:
    client.steps.list(limit="3")  # type: ignore[arg-type]
    client.steps.list(order="up")  # type: ignore[arg-type]
    client.steps.list(colour="red")  # type: ignore[call-arg]
    client.steps.list(prefetch="yes")  # type: ignore[arg-type]
    client.steps.retrieve()  # type: ignore[call-arg]
    client.steps.retrieve(7)  # type: ignore[arg-type]
    client.steps.retrieve(id, timeout="soon")  # type: ignore[arg-type]
    client.steps.feedback.create(id, feedback="meh")  # type: ignore[arg-type]
    client.conversations.messages.list(id, include_return_message_types=["letter"])  # type: ignore[list-item]
    client.conversations.messages.create(id, input=7)  # type: ignore[call-overload]
    client.conversations.messages.create(id, messages=[{"role": "boss", "content": "hi"}])  # type: ignore[list-item]
    client.conversations.messages.create(id, messages=[{"role": "user"}])  # type: ignore[list-item]
    client.conversations.messages.stream(id, starting_after="7")  # type: ignore[arg-type]
    client.conversations.messages.compact(id, compaction_settings={"mode": "sideways"})  # type: ignore[arg-type]
    client.steps.with_raw_response.retrieve(7)  # type: ignore[arg-type]
    client.get(7)  # type: ignore[arg-type]
    client.call(api.agents.agents_list, limit="1")  # type: ignore[arg-type]
    client.call(api.agents.agents_list, colour="red")  # type: ignore[call-arg]
    client.call(api.agents.agents_retrieve)  # type: ignore[call-arg]
    client.call(api.agents.agents_retrieve, 7)  # type: ignore[arg-type]
    client.call(api.agents.agents_list.sync)  # type: ignore[arg-type]
    client.call(operations.AGENTS_LIST)  # type: ignore[arg-type]
    client.call(api.agents)  # type: ignore[arg-type]
    client.call(api.conversations_messages.conversations_messages_stream, id)  # type: ignore[arg-type]


def values(client: Letta, id: str) -> None:
    step = client.steps.retrieve(id)
    print(step.colour)  # type: ignore[attr-defined]
    trace = client.steps.trace.retrieve(id)
    print(trace.step_id)  # type: ignore[union-attr]
    for event in client.conversations.messages.create(id, input="hi"):
        print(event.content)  # type: ignore[union-attr]
    client.conversations.messages.create(id, input="hi", streaming=False).text()  # type: ignore[attr-defined]


async def values_async(client: AsyncLetta, id: str) -> None:
    (await client.steps.list()).items[0].colour  # type: ignore[attr-defined]  # noqa: B018
    for _ in client.steps.list():  # type: ignore[attr-defined]
        pass


def errors(error: RateLimitError) -> None:
    error.status_code.lower()  # type: ignore[attr-defined]
