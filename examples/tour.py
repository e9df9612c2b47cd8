"""A tour in one process: an embedded server, a message, its streamed answer, the steps it took.

python examples/tour.py [MESSAGE]
"""

from __future__ import annotations

import sys

from letta_api.models import AssistantMessage, LettaStopReason
from letta_ext import Letta
from letta_ext.testing import EmbeddedServer


def main(message: str) -> None:
    """Sends one message and prints what comes of it."""
    with EmbeddedServer(delay=0.05) as server, Letta(base_url=server.base_url) as client:
        print(f"an embedded Letta server answers on {server.base_url}\n")
        print(f"you:   {message}")
        print("agent: ", end="", flush=True)
        count, reason = 0, "unknown"
        with client.conversations.messages.create(server.conversation_id, input=message, stream_tokens=True) as stream:
            for event in stream:
                count += 1
                if isinstance(event, AssistantMessage) and isinstance(event.content, str):
                    print(event.content, end="", flush=True)
                elif isinstance(event, LettaStopReason):
                    reason = event.stop_reason
        print("\n")
        steps = client.steps.list(agent_id=server.agent_id).items
        for step in steps:
            tokens = f"{step.prompt_tokens} + {step.completion_tokens} = {step.total_tokens} tokens"
            print(f"{step.id}  {step.status}  {tokens}")
        stored = list(client.conversations.messages.list(server.conversation_id, order="asc"))
        print(
            f"\nsent 1 message, streamed {count} events until {reason!r}, "
            f"listed {len(steps)} step and {len(stored)} stored messages"
        )


if __name__ == "__main__":
    main(" ".join(sys.argv[1:]) or "Tell me six words.")
