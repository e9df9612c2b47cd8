"""A web application that returns models without a schema of their own: in dictionaries, generics and pages."""

from __future__ import annotations

from typing import Any, Generic, TypeVar

from fastapi import FastAPI
from pydantic import BaseModel

from letta_ext import Letta
from letta_ext.pagination import SyncArrayPage
from letta_ext.types import AgentState, Step
from letta_ext.types.agents import Message

T = TypeVar("T")


class Envelope(BaseModel, Generic[T]):
    """The body of a response."""

    data: T
    count: int


class Overview(BaseModel):
    """An agent with its last message and its steps by id."""

    agent: AgentState
    last: Message | None = None
    steps: dict[str, Step] = {}


def conversation_of(client: Letta, agent_id: str, user: str) -> str:
    """Return the conversation of a user, which is created for the first message."""
    found = client.conversations.list(agent_id=agent_id, summary_search=user)
    if not found:
        return client.conversations.create(agent_id=agent_id, summary=user).id
    return found[0].id


def make_app(client: Letta, agent_id: str) -> FastAPI:
    """Return the application."""
    app = FastAPI()

    def ask(user: str, text: str) -> dict[str, Any]:
        conversation = conversation_of(client, agent_id, user)
        events = list(client.conversations.messages.create(conversation, input=text))
        return {"conversation": conversation, "events": events, "user": user}

    def history(user: str) -> Envelope[list[Message]]:
        page = client.conversations.messages.list(conversation_of(client, agent_id, user), order="asc")
        return Envelope[list[Message]](data=page.items, count=len(page.items))

    def overview(user: str) -> Overview:
        messages = client.conversations.messages.list(conversation_of(client, agent_id, user)).items
        steps = {step.id: step for step in client.steps.list(agent_id=agent_id).items}
        return Overview(agent=client.agents.retrieve(agent_id), last=messages[0] if messages else None, steps=steps)

    def steps() -> SyncArrayPage[Step]:
        return client.steps.list(agent_id=agent_id)

    app.add_api_route("/ask", ask, methods=["POST"])
    app.add_api_route("/history", history)
    app.add_api_route("/overview", overview, response_model_exclude_none=True)
    app.add_api_route("/steps", steps, response_model=None)
    return app
