"""A web application that relays the events of an agent to browsers, and shows steps."""

from __future__ import annotations

from collections.abc import AsyncIterator

from fastapi import FastAPI, HTTPException
from fastapi.responses import StreamingResponse
from pydantic import BaseModel

from letta_ext import APIStatusError, AsyncLetta
from letta_ext.types import Step
from letta_ext.types.agents import LettaStreamingResponse


class Question(BaseModel):
    """The body of a request."""

    conversation_id: str
    text: str


class Report(BaseModel):
    """A step with a note, where a model of the client is the field of a pydantic model."""

    step: Step
    note: str


def make_app(client: AsyncLetta) -> FastAPI:
    """Return the application."""
    app = FastAPI()

    async def lines(question: Question) -> AsyncIterator[str]:
        stream = await client.conversations.messages.create(
            question.conversation_id,
            messages=[{"role": "user", "content": question.text}],
            stream_tokens=True,
        )
        event: LettaStreamingResponse
        async for event in stream:
            yield f"data: {event.model_dump_json(exclude_none=True)}\n\n"
        yield "data: [DONE]\n\n"

    async def ask(question: Question) -> StreamingResponse:
        return StreamingResponse(lines(question), media_type="text/event-stream")

    async def show_step(step_id: str) -> Step:
        try:
            return await client.steps.retrieve(step_id)
        except APIStatusError as error:
            raise HTTPException(status_code=error.status_code, detail=error.message) from error

    async def report(step_id: str) -> Report:
        return Report(step=await client.steps.retrieve(step_id), note="checked")

    app.add_api_route("/ask", ask, methods=["POST"])
    app.add_api_route("/steps/{step_id}", show_step, response_model=Step)
    app.add_api_route("/reports/{step_id}", report, response_model=Report)
    return app
