"""A chat model of a framework: it is configured by keywords, stored by pickle, and keeps its history as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from letta_ext import Letta, omit
from letta_ext.types import MessageCreateParam
from letta_ext.types.agents import AssistantMessage, LettaStreamingResponse
from letta_ext.types.agents.letta_streaming_response import LettaUsageStatistics


class History(BaseModel):
    """The events of a chat, in the form of a file."""

    model_config = ConfigDict(frozen=True)
    events: tuple[LettaStreamingResponse, ...] = ()
    usage: LettaUsageStatistics | None = None
    notes: dict[str, Any] = {}

    def save(self, file: Path) -> None:
        """Write the file."""
        file.write_text(self.model_dump_json(exclude_none=True), encoding="utf-8")

    @classmethod
    def load(cls, file: Path) -> History:
        """Read the file."""
        return cls.model_validate_json(file.read_text("utf-8"))


class ChatModel:
    """A chat model."""

    def __init__(self, conversation_id: str, *, max_steps: int | None = None, **settings: Any) -> None:
        self.conversation_id = conversation_id
        self.max_steps = max_steps
        self.settings = settings
        self.client = Letta(**settings)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "client"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["conversation_id"], max_steps=state["max_steps"], **state["settings"])  # type: ignore[misc]  # restored

    def events(self, turns: list[tuple[str, str]]) -> Iterator[LettaStreamingResponse]:
        """Yield the events of the reply to the last turn."""
        roles: dict[str, Any] = {"human": "user", "system": "system"}
        messages = [MessageCreateParam(role=roles[role], content=text) for role, text in turns]
        client = self.client.with_options(timeout=30, max_retries=1)
        yield from client.conversations.messages.create(
            self.conversation_id,
            messages=messages,
            max_steps=omit if self.max_steps is None else self.max_steps,
            stream_tokens=True,
        )

    def invoke(self, turns: list[tuple[str, str]]) -> tuple[str, History]:
        """Return the text of the reply, and its history."""
        found = list(self.events(turns))
        usage = next((each for each in found if isinstance(each, LettaUsageStatistics)), None)
        text = "".join(
            each.content for each in found if isinstance(each, AssistantMessage) and isinstance(each.content, str)
        )
        return text, History(events=tuple(found), usage=usage, notes={"first": found[0], "turns": turns})


def usage_line(usage: LettaUsageStatistics) -> str:
    """Return a line of JSON about tokens."""
    line = json.dumps([usage], default=lambda each: each.__dict__)
    return json.dumps({name: value for name, value in json.loads(line)[0].items() if str(name).endswith("_tokens")})
