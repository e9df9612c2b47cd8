"""Talks to an embedded server: a streamed reply, a tool, an interrupted stream, and the stored steps.

Usage: `python examples/tour.py [MESSAGE]`.
"""

import sys

from letta_ext import Letta
from letta_ext.testing import Call, Cut, EmbeddedServer, Turn
from letta_ext.types import AssistantMessage


def forecast(city: str) -> str:
    """Look up the weather of tomorrow."""
    print(f"tool:   forecast({city!r})")
    return f"22 °C and sunny in {city}"


with EmbeddedServer(delay=0.03) as server, Letta(base_url=server.base_url) as client:
    script, messages = server.script, client.conversations.messages
    script.say("Good morning! What can I do for you today?")
    script.say(Turn(calls=[Call("forecast", {"city": "Rome"})]), "It stays sunny, with 22 °C. A short walk fits.")
    script.say("Start at the Pantheon, have a coffee at Piazza Navona, and end on the bridge of Castel Sant'Angelo.")

    print("user:   Good morning, Ada.")
    print("agent:  ", end="")
    for text in messages.create(server.conversation_id, input="Good morning, Ada.", stream_tokens=True).text():
        print(text, end="", flush=True)

    print("\nuser:   Can I walk through Rome tomorrow?")
    turn = messages.run_tools(server.conversation_id, input="Can I walk through Rome tomorrow?", tools=[forecast])
    for message in turn.messages():
        if isinstance(message, AssistantMessage):
            print(f"agent:  {message.content}")

    question = " ".join(sys.argv[1:]) or "Which way should I take?"
    print(f"user:   {question}\nagent:  ", end="")
    server.faults.add(Cut(events=4))  # the connection breaks after four events, and the client resumes the stream
    for text in messages.create(server.conversation_id, input=question, stream_tokens=True, background=True).text():
        print(text, end="", flush=True)

    print("\n\nstep                                       model        tokens")
    for step in client.steps.list(agent_id=server.agent_id, order="asc"):
        print(f"{step.id}  {step.model}  {step.prompt_tokens} + {step.completion_tokens}")
    interrupted = [request.path for request in server.requests if request.fault]
    print(f"\nThe last reply was interrupted {len(interrupted)} time and resumed; no word is lost or repeated.")
