"""The base class of the client and of its resources: the error for operations that have no method."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final

_SEND: Final = 'client.conversations.messages.create("default", agent_id=agent_id)'

_INSTEAD: Final = {
    "agents.messages.create": f"{_SEND} with streaming=False sends to the agent's default conversation",
    "agents.messages.create_async": f"{_SEND} with background=True sends to the agent's default conversation",
    "agents.messages.create_stream": f"{_SEND} sends to the agent's default conversation",
    "agents.messages.list": 'client.conversations.messages.list("default", agent_id=agent_id) has the same messages',
    "agents.messages.stream": f"{_SEND} sends to the agent's default conversation",
    "agents.modify": "client.agents.update changes an agent",
    "runs.messages.stream": "client.conversations.messages.stream(conversation_id, run_id=run_id) has the same events",
}
"""The methods of letta-client that have another name here, with that name."""


class Resource:
    """An object with methods for operations.

    Attributes:
        _path: The attributes that lead to it from the client, such as `agents.messages`.
    """

    _path: ClassVar[str] = ""

    if not TYPE_CHECKING:  # type checkers report unknown names

        def __getattr__(self, name: str) -> object:
            if name.startswith("_") or hasattr(type(self), name):  # a property has raised the error
                return object.__getattribute__(self, name)
            raise AttributeError(_message(self, name))


def _message(resource: Resource, name: str) -> str:
    from difflib import get_close_matches  # needed by errors only

    text = f"{type(resource).__name__!r} object has no attribute {name!r}"
    public = [each for each in dir(resource) if not each.startswith("_")]
    path = resource._path  # pyright: ignore[reportPrivateUsage]  # of this module
    if (instead := _INSTEAD.get(f"{path}.{name}")) is not None:
        return f"{text}. {instead}."
    if get_close_matches(name, public, 1, 0.8):
        return text  # a misspelling, for which Python adds a suggestion to the traceback
    below = f"{path.partition('.')[0]}/…" if path else f"{name.replace('_', '-')}/"
    return (
        f'{text}. Operations that have no method can be requested by path, such as client.get("/v1/{below}"), '
        "or by client.call(…)."
    )
