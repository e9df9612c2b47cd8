"""Creates an agent and a conversation, streams a message, cancels a run, lists the runs, and deletes the agent.

Usage: `python examples/agent_lifecycle.py openai/gpt-4o-mini`, with `LETTA_BASE_URL` and `LETTA_API_KEY` set.
"""

import sys

from letta_ext import Letta

with Letta() as client:
    agent = client.agents.create(name="Ada", model=sys.argv[1], include_base_tools=False)
    try:
        conversation = client.conversations.create(agent_id=agent.id, summary="example")
        print("".join(client.conversations.messages.create(conversation.id, input="Hello").text()))
        with client.conversations.messages.create(conversation.id, input="LONG 999", stream_tokens=True) as stream:
            next(iter(stream))
            print("canceled", *client.conversations.cancel(conversation.id))
        for run in client.runs.list(conversation_id=conversation.id, order="asc"):
            print(run.status, "with", len(client.runs.messages.list(run.id)), "messages")
        client.conversations.delete(conversation.id)
    finally:
        print(client.agents.delete(agent.id)["message"])
