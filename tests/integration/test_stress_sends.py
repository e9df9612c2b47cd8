"""A sent message is processed once, for any fault that a proxy injects."""

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
from .reading import assistant_text, user_texts, words
from .server_resources import Agent, ServerResources
from .talking import messages, wait_for_messages
from .ways import WAYS, table

pytestmark = [pytest.mark.anyio, pytest.mark.stress]

FULL: Final = os.environ.get("LETTA_STRESS") == "full"
SEED: Final = 20_240_611
SENDS: Final = 110 if FULL else 5
"""Sends of each client. Every other one gets three faults."""

CONCURRENT: Final = 6
LENGTH: Final = 8000
"""Approximate bytes of a response of twenty words."""

RETRY: Final = RetryPolicy(max_retries=8, initial_delay=0.02)
SEND: Final[dict[str, Any]] = {"input": "LONG 20", "stream_tokens": True, "background": True}


def runs(resources: ServerResources, conversation_id: str) -> list[str]:
    """Return the ids of the runs of a conversation."""
    response = resources.http.get("/v1/runs/", params={"conversation_id": conversation_id, "limit": 50})
    response.raise_for_status()
    return [run["id"] for run in response.json()]


@pytest.mark.parametrize("api", ["sync", "async"])
async def test_background_send_is_processed_once(
    api: str, resources: ServerResources, agent: Agent, address: str
) -> None:
    """A background send is processed once for each random fault."""
    chance = random.Random(f"{SEED} {api}")
    plans = [[random_fault(chance, LENGTH) for _ in range(1 + 2 * (n % 2))] for n in range(SENDS)]
    conversations = [(resources.conversation(agent.id), plan) for plan in plans]
    texts_received: dict[str, str] = {}

    async def send(conversation: str, plan: list[Fault]) -> None:
        with proxied(address) as proxy:
            proxy.plan.extend(plan)
            if api == "sync":
                texts_received[conversation] = await anyio.to_thread.run_sync(sync_send, proxy.base_url, conversation)
            else:
                async with AsyncLetta(base_url=proxy.base_url, retry=RETRY) as client:
                    stream = await client.conversations.messages.create(conversation, **SEND)
                    texts_received[conversation] = "".join([text async for text in stream.text()])
            await anyio.to_thread.run_sync(proxy.settle)

    limit = anyio.Semaphore(CONCURRENT)

    async def limited(conversation: str, plan: list[Fault]) -> None:
        async with limit:
            await send(conversation, plan)

    async with anyio.create_task_group() as group:
        for conversation, plan in conversations:
            group.start_soon(limited, conversation, plan)

    lost = doubled = 0
    async with AsyncLetta(base_url=address) as client:
        for conversation, _ in conversations:
            listed = await messages(client, conversation)
            users, known = len(user_texts(listed)), len(runs(resources, conversation))
            lost += users < 1 or known < 1 or texts_received[conversation] != words(20)
            doubled += users > 1 or known > 1 or assistant_text(listed) != words(20)
    cuts = sum(map(len, plans))
    print(
        f"\nFIGURE real server, background sends: {api} {len(conversations)}, cuts {cuts}, lost {lost}, twice {doubled}"
    )
    assert (lost, doubled) == (0, 0)


def sync_send(address: str, conversation: str) -> str:
    with Letta(base_url=address, retry=RETRY) as client:
        return "".join(client.conversations.messages.create(conversation, **SEND).text())


@pytest.mark.parametrize("api", ["sync", "async"])
async def test_foreground_send_is_not_retried(api: str, resources: ServerResources, agent: Agent, address: str) -> None:
    """A foreground send reaches the server once for each random fault."""
    chance = random.Random(f"{SEED} foreground {api}")
    faults = [LOST, *(random_fault(chance, 2000) for _ in range(40 if FULL else 2))]
    sent = twice = 0
    for number, fault in enumerate(faults):
        conversation = resources.conversation(agent.id)
        with proxied(address) as proxy:
            proxy.plan.append(fault)
            given: dict[str, Any] = {"input": "hello", "streaming": number % 2 == 0}
            try:
                if api == "sync":
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
            # A request that did not reach the server is not awaited.
            listed = await wait_for_messages(
                client, conversation, has_user_message if fault.forward is None else anything
            )
            twice += len(user_texts(listed)) > 1
    print(f"\nFIGURE real server, foreground sends: {api} {len(faults)}, requests {sent}, sent twice {twice}")
    assert (sent, twice) == (len(faults), 0)


def anything(_: list[Message]) -> bool:
    return True


def has_user_message(listed: list[Message]) -> bool:
    return bool(user_texts(listed))


async def outcome(client: AsyncLetta, conversation: str, given: dict[str, Any]) -> None:
    response = await client.conversations.messages.create(conversation, **given)
    if given["streaming"]:
        await response.result()


def test_every_send_path_sends_once_or_states_doubt(resources: ServerResources, agent: Agent, address: str) -> None:
    """Each path sends once, or raises an error that states that the message may have been processed."""

    def stored(conversation_id: str) -> int:
        path = f"/v1/conversations/{conversation_id}/messages"
        listed = resources.http.get(path, params={"limit": 50}).raise_for_status().json()
        return sum(message["message_type"] == "user_message" for message in listed)

    names = list(WAYS) if FULL else ["as it is", "response hook cannot connect", "CONNECT refused", "response lost"]
    with warnings.catch_warnings():
        # httpcore leaks the socket of a SOCKS failure, aiohttp that of an unclosed transport.
        warnings.simplefilter("ignore", ResourceWarning)
        lines = table(
            address,
            lambda: resources.conversation(agent.id),
            stored,
            ["stream", "json", "post"],
            {name: WAYS[name] for name in names},
        )
        gc.collect()
    twice = 0  # `table` fails otherwise
    print(
        f"\nFIGURE real server, ways to send: {len(names)} of {len(WAYS)}, sends {len(lines) - 1}, sent twice {twice}"
    )
    print("\n".join(lines))


async def test_two_clients_with_busy_policy_take_turns(resources: ServerResources, agent: Agent, address: str) -> None:
    """Sends of two clients to one conversation each start one run."""
    conversation = resources.conversation(agent.id)
    texts = [f"number {number}" for number in range(16 if FULL else 4)]
    waits: list[BusyReport] = []
    options: dict[str, Any] = {
        "when_busy": BusyPolicy(initial_delay=0.05, max_delay=0.5),
        "hooks": Hooks(on_busy=waits.append),
    }
    texts_received: list[str] = []
    with Letta(base_url=address, **options) as one:
        async with AsyncLetta(base_url=address, **options) as other:

            def send(text: str) -> None:
                texts_received.append("".join(one.conversations.messages.create(conversation, input=text).text()))

            async def send_async(text: str) -> None:
                stream = await other.conversations.messages.create(conversation, input=text)
                texts_received.append("".join([piece async for piece in stream.text()]))

            async with anyio.create_task_group() as group:
                for text in texts[::2]:
                    group.start_soon(anyio.to_thread.run_sync, send, text)
                for text in texts[1::2]:
                    group.start_soon(send_async, text)
            listed = await messages(other, conversation)
    known = runs(resources, conversation)
    print(
        f"\nFIGURE real server, turns: clients 2, sends {len(texts)}, waits {len(waits)},"
        f" messages {len(user_texts(listed))}, runs {len(known)}"
    )
    assert all(texts_received)
    assert sorted(user_texts(listed)) == sorted(texts)
    assert len(known) == len(texts_received) == len(texts)
    assert len(waits) >= len(texts) - 1
    assert {wait.run_id for wait in waits} <= {*known, None}
