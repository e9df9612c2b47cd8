"""Demonstrate the library in one process: send a message, stream the response, list the stored steps.

Usage: python examples/tour.py [MESSAGE]
"""

from __future__ import annotations

import sys

from letta_ext import Letta
from letta_ext.testing import EmbeddedServer
from letta_ext.types import AssistantMessage, LettaStopReason


def main(text: str) -> None:
    """Send one message to an embedded server, and print the response and the stored steps."""
    with EmbeddedServer(delay=0.05) as server, Letta(base_url=server.base_url) as client:
        print(f"embedded server: {server.base_url}\n")
        print(f"user:  {text}")
        print("agent: ", end="", flush=True)
        count, reason = 0, "unknown"
        with client.conversations.messages.create(server.conversation_id, input=text, stream_tokens=True) as stream:
            for event in stream:
                count += 1
                match event:
                    case AssistantMessage(content=str(content)):
                        print(content, end="", flush=True)
                    case LettaStopReason(stop_reason=reason):
                        pass
        print("\n")
        steps = list(client.steps.list(agent_id=server.agent_id))
        for step in steps:
            tokens = f"{step.prompt_tokens} + {step.completion_tokens} = {step.total_tokens} tokens"
            print(f"{step.id}  {step.status}  {tokens}")
        stored = list(client.conversations.messages.list(server.conversation_id, order="asc"))
        print(f"\nstreamed {count} events ({reason}), stored {len(steps)} step and {len(stored)} messages")


if __name__ == "__main__":
    main(" ".join(sys.argv[1:]) or "Tell me six words.")
