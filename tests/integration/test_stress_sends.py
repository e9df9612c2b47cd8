"""What was sent is there once, whatever a proxy does to the requests and their answers."""

from __future__ import annotations

import gc
import os
import random
import warnings
from typing import Any, Final

import anyio
import pytest

from letta_ext import APIConnectionError, AsyncLetta, BusyPolicy, Hooks, Letta, RetryPolicy
from letta_ext.hooks import BusyReport
from letta_ext.types import Message

from .driver import awaited
from .proxy import LOST, Fault, proxied, random_fault
from .reading import asked, said, words
from .scene import Agent, Scene
from .talking import eventually, messages
from .ways import WAYS, table

pytestmark = [pytest.mark.anyio, pytest.mark.stress]

FULL: Final = os.environ.get("LETTA_STRESS") == "full"
SEED: Final = 20_240_611
SENDS: Final = 110 if FULL else 5
"""How many sends each client makes; every other one is harmed three times over."""

AT_ONCE: Final = 6
LENGTH: Final = 8000
"""Bytes of an answer of twenty words, about."""

RETRY: Final = RetryPolicy(max_retries=8, initial_delay=0.02)
SEND: Final[dict[str, Any]] = {"input": "LONG 20", "stream_tokens": True, "background": True}


def runs(scene: Scene, conversation_id: str) -> list[str]:
    """The runs of a conversation, in the server's own list."""
    response = scene.http.get("/v1/runs/", params={"conversation_id": conversation_id, "limit": 50})
    response.raise_for_status()
    return [run["id"] for run in response.json()]


@pytest.mark.parametrize("surface", ["sync", "async"])
async def test_a_background_send_is_there_once(surface: str, scene: Scene, agent: Agent, address: str) -> None:
    chance = random.Random(f"{SEED} {surface}")
    plans = [[random_fault(chance, LENGTH) for _ in range(1 + 2 * (n % 2))] for n in range(SENDS)]
    talks = [(scene.conversation(agent.id), plan) for plan in plans]
    answers: dict[str, str] = {}

    async def send(conversation: str, plan: list[Fault]) -> None:
        with proxied(address) as proxy:
            proxy.plan.extend(plan)
            if surface == "sync":
                answers[conversation] = await anyio.to_thread.run_sync(sync_send, proxy.base_url, conversation)
            else:
                async with AsyncLetta(base_url=proxy.base_url, retry=RETRY) as client:
                    stream = await client.conversations.messages.create(conversation, **SEND)
                    answers[conversation] = "".join([text async for text in stream.text()])
            await anyio.to_thread.run_sync(proxy.settle)

    limit = anyio.Semaphore(AT_ONCE)

    async def limited(conversation: str, plan: list[Fault]) -> None:
        async with limit:
            await send(conversation, plan)

    async with anyio.create_task_group() as group:
        for conversation, plan in talks:
            group.start_soon(limited, conversation, plan)

    lost = doubled = 0
    async with AsyncLetta(base_url=address) as client:
        for conversation, _ in talks:
            listed = await messages(client, conversation)
            users, known = len(asked(listed)), len(runs(scene, conversation))
            lost += users < 1 or known < 1 or answers[conversation] != words(20)
            doubled += users > 1 or known > 1 or said(listed) != words(20)
    cuts = sum(map(len, plans))
    print(f"\nFIGURE live background sends: {surface} {len(talks)}, cuts {cuts}, lost {lost}, doubled {doubled}")
    assert (lost, doubled) == (0, 0)


def sync_send(address: str, conversation: str) -> str:
    with Letta(base_url=address, retry=RETRY) as client:
        return "".join(client.conversations.messages.create(conversation, **SEND).text())


@pytest.mark.parametrize("surface", ["sync", "async"])
async def test_a_foreground_send_is_never_sent_twice(surface: str, scene: Scene, agent: Agent, address: str) -> None:
    chance = random.Random(f"{SEED} foreground {surface}")
    faults = [LOST, *(random_fault(chance, 2000) for _ in range(40 if FULL else 2))]
    sent = twice = 0
    for number, fault in enumerate(faults):
        conversation = scene.conversation(agent.id)
        with proxied(address) as proxy:
            proxy.plan.append(fault)
            given: dict[str, Any] = {"input": "hello", "streaming": number % 2 == 0}
            try:
                if surface == "sync":
                    with Letta(base_url=proxy.base_url, retry=RETRY) as letta:
                        await outcome(awaited(letta), conversation, given)
                else:
                    async with AsyncLetta(base_url=proxy.base_url, retry=RETRY) as client:
                        await outcome(client, conversation, given)
            except APIConnectionError:
                pass
            await anyio.to_thread.run_sync(proxy.settle)
            sent += len(proxy.requests)
        async with AsyncLetta(base_url=address) as client:
            # What never reached the server is not waited for.
            listed = await eventually(client, conversation, heard if fault.forward is None else anything)
            twice += len(asked(listed)) > 1
    print(f"\nFIGURE live foreground sends: {surface} {len(faults)}, requests {sent}, sent twice {twice}")
    assert (sent, twice) == (len(faults), 0)


def anything(_: list[Message]) -> bool:
    return True


def heard(listed: list[Message]) -> bool:
    return bool(asked(listed))


async def outcome(client: AsyncLetta, conversation: str, given: dict[str, Any]) -> None:
    answer = await client.conversations.messages.create(conversation, **given)
    if given["streaming"]:
        await answer.result()


def test_every_way_sends_once_or_says_that_it_may_have(scene: Scene, agent: Agent, address: str) -> None:
    def stored(conversation_id: str) -> int:
        path = f"/v1/conversations/{conversation_id}/messages"
        listed = scene.http.get(path, params={"limit": 50}).raise_for_status().json()
        return sum(message["message_type"] == "user_message" for message in listed)

    names = list(WAYS) if FULL else ["as it is", "response hook cannot connect", "CONNECT refused", "answer lost"]
    with warnings.catch_warnings():
        # httpcore leaves the socket open where a SOCKS proxy refuses; aiohttp where its transport is not closed.
        warnings.simplefilter("ignore", ResourceWarning)
        lines = table(
            address,
            lambda: scene.conversation(agent.id),
            stored,
            ["stream", "json", "post"],
            {name: WAYS[name] for name in names},
        )
        gc.collect()
    twice = 0  # else `table` had failed
    print(f"\nFIGURE live ways to send: {len(names)} of {len(WAYS)}, sends {len(lines) - 1}, sent twice {twice}")
    print("\n".join(lines))


async def test_two_clients_take_turns(scene: Scene, agent: Agent, address: str) -> None:
    conversation = scene.conversation(agent.id)
    texts = [f"number {number}" for number in range(16 if FULL else 4)]
    waits: list[BusyReport] = []
    options: dict[str, Any] = {
        "when_busy": BusyPolicy(initial_delay=0.05, max_delay=0.5),
        "hooks": Hooks(on_busy=waits.append),
    }
    answers: list[str] = []
    with Letta(base_url=address, **options) as one:
        async with AsyncLetta(base_url=address, **options) as other:

            def send(text: str) -> None:
                answers.append("".join(one.conversations.messages.create(conversation, input=text).text()))

            async def send_async(text: str) -> None:
                stream = await other.conversations.messages.create(conversation, input=text)
                answers.append("".join([piece async for piece in stream.text()]))

            async with anyio.create_task_group() as group:
                for text in texts[::2]:
                    group.start_soon(anyio.to_thread.run_sync, send, text)
                for text in texts[1::2]:
                    group.start_soon(send_async, text)
            listed = await messages(other, conversation)
    known = runs(scene, conversation)
    print(
        f"\nFIGURE live turns: clients 2, sends {len(texts)}, waits {len(waits)},"
        f" messages {len(asked(listed))}, runs {len(known)}"
    )
    assert all(answers)
    assert sorted(asked(listed)) == sorted(texts)
    assert len(known) == len(answers) == len(texts)
    assert len(waits) >= len(texts) - 1
    assert {wait.run_id for wait in waits} <= {*known, None}
